"""What attention in floating point needs of positions: rotary embedding, and which position sees which."""

from dataclasses import dataclass

import torch
from torch import Tensor

from hardloom.golden.shape import AttentionShape

__all__ = ["Positions", "apply_rotary", "rotary_tables"]


def rotary_tables(positions: int, rotary_dim: int, theta: float, device: torch.device | None = None):
    """Cosines and sines [positions, rotary_dim] of rotary embedding; both halves hold the same angles."""
    frequency = theta ** (-torch.arange(0, rotary_dim, 2, dtype=torch.float64, device=device) / rotary_dim)
    angle = torch.arange(positions, dtype=torch.float64, device=device)[:, None] * frequency
    angle = torch.cat([angle, angle], dim=-1)
    return angle.cos().float(), angle.sin().float()


def apply_rotary(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate the first elements of `x` [..., positions, head_dim], as many as the tables have: element i pairs with
    element i + rotary_dim / 2 (rotate-half); the others stay."""
    turned, kept = x[..., : cos.shape[-1]], x[..., cos.shape[-1] :]
    first, second = turned.chunk(2, dim=-1)
    return torch.cat([turned * cos + torch.cat([-second, first], dim=-1) * sin, kept], dim=-1)


def block_mask(positions: int, block_length: int, device: torch.device | None = None) -> Tensor:
    """Which positions (columns) each position (row) sees, bool: those of its own block and of the blocks before it."""
    block = torch.arange(positions, device=device) // block_length
    return block[:, None] >= block


@dataclass(frozen=True)
class Positions:
    """What attention of one shape needs of a sequence's length.

    rotary: as `rotary_tables`; mask: as `block_mask`, or None where all see all.
    """

    rotary: tuple[Tensor, Tensor]
    mask: Tensor | None

    @classmethod
    def of(cls, shape: AttentionShape, positions: int, device: torch.device) -> "Positions":
        mask = None if shape.block_length is None else block_mask(positions, shape.block_length, device)
        return cls(rotary_tables(positions, shape.rotary_dim, shape.rope_theta, device), mask)

    @classmethod
    def at(cls, shape: AttentionShape, places: Tensor, mask: Tensor | None) -> "Positions":
        """Of tokens at `places`, int64 [tokens], of which each (row) sees others (columns) as `mask` says, bool, or all
        where it is None."""
        cos, sin = rotary_tables(int(places.max()) + 1, shape.rotary_dim, shape.rope_theta, places.device)
        return cls((cos[places], sin[places]), mask)
