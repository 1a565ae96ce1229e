"""Block diffusion in training: one pass denoises every block of a sequence, behind the blocks before it as they are.

A pass has the sequence as it is, but for its last block, and behind that the blocks that are denoised, at the same
positions once more. A denoised block sees itself and the blocks before it as they are; these see each other as in the
sampler. With one block as long as the sequence that is masked diffusion of the whole.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from hardloom.golden.models.float_model import FloatModel
from hardloom.golden.models.positions import Positions
from hardloom.golden.shape import AttentionShape

__all__ = ["Layout"]


@dataclass(frozen=True)
class Layout:
    """A sequence of `length` positions in blocks of `block_length`, which divides it, denoised from `first` on."""

    length: int
    block_length: int
    first: int

    @property
    def start(self) -> int:
        """The first position that is denoised: the first one of its block."""
        return self.first // self.block_length * self.block_length

    @property
    def kept(self) -> int:
        """Positions that a pass has as they are, in front."""
        return self.length - self.block_length

    @property
    def places(self) -> Tensor:
        """Position of every token of a pass, int64."""
        return torch.cat([torch.arange(self.kept), torch.arange(self.start, self.length)])

    @property
    def mask(self) -> Tensor:
        """Which tokens of a pass (columns) each token (row) sees, bool."""
        places = self.places
        block, noisy = places // self.block_length, torch.arange(len(places)) >= self.kept
        before, same = block[:, None] > block, block[:, None] == block
        return torch.where(noisy, same & noisy[:, None], before | same & ~noisy[:, None])

    def positions(self, model: FloatModel) -> dict[AttentionShape, Positions]:
        """As `FloatModel.forward_with_routing` takes them."""
        kinds = dict.fromkeys(layer.attention for layer in model.shape.layers)
        return {kind: Positions.at(kind, self.places, self.mask) for kind in kinds}

    def tokens(self, sequences: Tensor, noisy: Tensor) -> Tensor:
        """Tokens of a pass: of `sequences` [rows, length] as they are, and from `start` on as `noisy` has them."""
        return torch.cat([sequences[:, : self.kept], noisy], dim=1)
