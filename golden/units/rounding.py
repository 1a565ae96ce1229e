"""The one rounding rule of the chip: half up."""

import torch
from torch import Tensor

from golden.units.exact import power_of_two

__all__ = ["floor_shift", "round_shift"]


def floor_shift(x: Tensor, shift: Tensor | int) -> Tensor:
    """floor(x * 2^-shift) for integers `x` >= 0, int64 or float64; the caller bounds left shifts of int64."""
    if x.is_floating_point():
        return (x * power_of_two(-shift)).floor_()
    shift = torch.as_tensor(shift, dtype=torch.int64, device=x.device)
    return torch.where(shift > 0, x >> shift.clamp(min=0, max=62), x << (-shift).clamp(min=0))


def round_shift(x: Tensor, *shifts: Tensor | int) -> Tensor:
    """x * 2^-shift rounded half up, the sum of `shifts` being the shift; a negative one is an exact left shift.

    x: int64 (the caller bounds left shifts), or integers below 2^52 in float64.
    """
    if x.is_floating_point():
        first, *others = shifts
        scaled = x * power_of_two(-first)
        for other in others:
            scaled *= power_of_two(-other)
        return scaled.add_(0.5).floor_()
    shift = torch.as_tensor(sum(shifts), dtype=torch.int64, device=x.device)
    right = shift.clamp(min=0, max=62)
    half = torch.where(right > 0, torch.ones_like(right) << (right - 1).clamp(min=0), 0)
    return torch.where(shift > 0, (x + half) >> right, x << (-shift).clamp(min=0))
