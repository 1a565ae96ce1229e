"""The one rounding rule of the chip: half up."""

import torch
from torch import Tensor

from hardloom.golden.units.exact import power_of_two

__all__ = ["floor_shift", "round_shift"]


def floor_shift(x: Tensor, shift: Tensor | int) -> Tensor:
    """floor(x * 2^-shift) for integers `x` >= 0, int64 or float64; the caller bounds left shifts of int64."""
    if x.is_floating_point():
        return (x * (2.0**-shift if isinstance(shift, int) else power_of_two(-shift))).floor_()
    shift = torch.as_tensor(shift, dtype=torch.int64, device=x.device)
    return torch.where(shift > 0, x >> shift.clamp(min=0, max=62), x << (-shift).clamp(min=0))


def round_shift(x: Tensor, *shifts: Tensor | int, factor: Tensor | int = 1, out: Tensor | None = None) -> Tensor:
    """x * factor * 2^-shift rounded half up, `shifts` added up to one shift; a negative one is an exact left shift.

    x: int64 (the caller bounds left shifts), or integers in float64; products with `factor` below 2^52.
    out: a float64 tensor that is not needed any more, `x` itself perhaps, for the result.
    """
    if x.is_floating_point():
        return plus_half(x, shifts, factor, out).floor_()
    x = x * factor
    shift = torch.as_tensor(sum(shifts), dtype=torch.int64, device=x.device)
    right = shift.clamp(min=0, max=62)
    half = torch.where(right > 0, torch.ones_like(right) << (right - 1).clamp(min=0), 0)
    return torch.where(shift > 0, (x + half) >> right, x << (-shift).clamp(min=0))


def plus_half(x: Tensor, shifts: tuple[Tensor | int, ...], factor: Tensor | int, out: Tensor | None) -> Tensor:
    """x * factor * 2^-shift + 1/2 in float64, in few passes over `x`: what is smaller is multiplied before."""
    half, constant = x.new_full((), 0.5), 2.0 ** -sum(shift for shift in shifts if isinstance(shift, int))
    powers = [power_of_two(-shift) for shift in shifts if isinstance(shift, Tensor)]
    if isinstance(factor, int):
        constant *= factor
    elif not powers:
        return torch.addcmul(half, x, factor, value=constant, out=out)
    else:
        powers.append(factor)
    if not powers:
        return torch.add(half, x, alpha=constant, out=out)
    small = constant * powers[0]
    for other in powers[1:]:
        if torch.broadcast_shapes(small.shape, other.shape).numel() < x.numel():
            small = small * other
        else:
            x = out = torch.mul(x, other, out=out)
    return torch.mul(x, small, out=out).add_(0.5)
