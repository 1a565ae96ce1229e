"""The one rounding rule of the chip: half up."""

import torch
from torch import Tensor

__all__ = ["round_shift"]


def round_shift(x: Tensor, shift: Tensor | int) -> Tensor:
    """x * 2^-shift rounded half up, on int64; a negative shift is an exact left shift (the caller bounds it)."""
    shift = torch.as_tensor(shift, dtype=torch.int64, device=x.device)
    right = shift.clamp(min=0, max=62)
    half = torch.where(right > 0, torch.ones_like(right) << (right - 1).clamp(min=0), 0)
    return torch.where(shift > 0, (x + half) >> right, x << (-shift).clamp(min=0))
