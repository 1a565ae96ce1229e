"""Rounding with care (GPTQ): the error of a column is made good by the columns that are rounded after it.

What a matrix is for is its products, so the error E of its weights counts by what it does to them over the inputs x of
calibration: E H E^T with the Hessian H, the sum of x x^T. Once a column is rounded, the columns not yet rounded move to
where its error costs least; the factor of H's inverse says by how much (Frantar et al., 2022).

- Columns go in blocks of 32, those that meet the largest inputs first; a block that shares a scale stays together.
- Scales of a block are chosen from its weights as they are when its turn comes, by the format's own rule; those of a
  whole row from the weights at the start.
- H gets 1 % of its mean diagonal added to the diagonal, ten times more as often as it has no Cholesky factor.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numba import njit
from torch import Tensor

from hardloom.golden.quantization.formats.base import Format

__all__ = ["BLOCK", "DAMPING", "Factor", "factor", "gptq"]

BLOCK = 32
"""Columns that are rounded before what is left of the row hears of their errors."""
DAMPING = 0.01
"""Of the Hessian's mean diagonal, added to its diagonal."""


@dataclass(frozen=True)
class Factor:
    """What GPTQ needs of a Hessian; matrices with the same inputs share it.

    Attributes
    ----------
    order: int64 [cols], columns in the order of their turns.
    upper: float32 [cols, cols], upper U with U^T U the inverse of the damped Hessian in that order.
    """

    order: Tensor
    upper: Tensor


def factor(hessian: Tensor) -> Factor:
    """The factor of a Hessian, float [cols, cols], symmetric, not all zero."""
    energy = hessian.diagonal()
    blocks = [torch.arange(start, min(start + BLOCK, len(energy))) for start in range(0, len(energy), BLOCK)]
    blocks.sort(key=lambda columns: -float(energy[columns].mean()))
    order = torch.cat(blocks)
    # The inverse of an upper R with R R^T = H is U; R is the lower factor of H with its columns turned round.
    turned = hessian.double()[order][:, order].flip(0, 1)
    damping = DAMPING * float(energy.double().mean())
    lower, failed = torch.linalg.cholesky_ex(turned + damping * torch.eye(len(energy), dtype=torch.float64))
    while failed:
        damping *= 10
        lower, failed = torch.linalg.cholesky_ex(turned + damping * torch.eye(len(energy), dtype=torch.float64))
    one = torch.eye(len(energy), dtype=torch.float64)
    return Factor(order, torch.linalg.solve_triangular(lower.flip(0, 1), one, upper=True).float())


def gptq(w: Tensor, inputs: Factor, rules: Format) -> tuple[Tensor, Tensor]:
    """Codes and scales, as of `rules.quantize`, of some rows of a matrix, float32 [rows, cols]."""
    left, moved = w[:, inputs.order].contiguous(), torch.empty_like(w)
    values = np.unique(rules.values[rules.values.abs() <= rules.largest].numpy())
    by_row = rules.block is None
    scales = rules.scales(w) if by_row else torch.empty(rules.scale_shape(*w.shape), dtype=rules.scale_dtype)
    for start, columns in turns(inputs.order):
        here, stop = slice(start, start + len(columns)), start + len(columns)
        shared = scales if by_row else rules.scales(left[:, here])
        if not by_row:
            scales[:, int(columns[0]) // BLOCK] = shared[:, 0]
        errors = torch.empty(len(w), len(columns))
        upper, step = inputs.upper[here, here].contiguous(), rules.scale_values(shared, 1).contiguous()
        _round_block(left.numpy(), start, step.numpy()[:, 0], values, upper.numpy(), errors.numpy())
        moved[:, columns] = left[:, here]
        left[:, stop:] -= errors @ inputs.upper[here, stop:]
    return rules.encode(moved, scales), scales


def turns(order: Tensor) -> list[tuple[int, Tensor]]:
    """The blocks of `order`: where each begins in it, and its columns. The last columns may be fewer than a block."""
    short = len(order) % BLOCK
    found, start = [], 0
    while start < len(order):
        last = int(order[start]) == len(order) - short
        size = short if short and last else BLOCK
        found.append((start, order[start : start + size]))
        start += size
    return found


@njit(cache=True, nogil=True)
def _round_block(left, start, step, values, upper, errors):
    """Round columns `start` and on of `left`, in turn, as many as `errors` has: to the nearest of `values` (ascending)
    times the row's `step`. `left` keeps what each column was at its turn; an error is over its element of `upper`."""
    count = errors.shape[1]
    for row in range(left.shape[0]):
        scale = step[row] if step[row] > 0 else np.float32(1)
        for i in range(count):
            x = left[row, start + i]
            quotient, low, size = x / scale, 0, len(values)
            while size > 1:  # without a branch, which no processor would foresee
                low += size // 2 * (values[low + size // 2] <= quotient)
                size -= size // 2
            high = min(low + 1, len(values) - 1)
            nearest = low if quotient - values[low] <= values[high] - quotient else high
            error = (x - values[nearest] * step[row]) / upper[i, i]
            errors[row, i] = error
            for k in range(i + 1, count):
                left[row, start + k] -= error * upper[i, k]
