"""What training makes of a block: masks, wrong tokens, a token too many or too few; and what the model shall say.

- Masks: each token by its block's own probability t. They count 1 / t, as in masked diffusion.
- Wrong tokens (LLaDA2.1's editing): in every second row, up to two of five visible tokens are another row's at that
  place. The model says the right one there, and at every other visible token that token: both count `EDIT_WEIGHT`.
- A token too many or too few (LLaDA2.2's): in one block of ten each, which then has few masks. The model says DELETE at
  the one too many, SPLIT at the one before which another is missing.
"""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

__all__ = ["EDIT_WEIGHT", "Corrupted", "Corruption", "mask_rates"]

EDIT_WEIGHT = 0.3
WRONG_ROWS, MOST_WRONG = 0.5, 0.4
TOO_MANY, TOO_FEW = 0.1, 0.1
FEW_MASKS = 0.3
"""What t is multiplied by in a block with a token too many or too few."""


@dataclass(frozen=True)
class Corrupted:
    """`tokens` that are shown, the `target` of each, int64, and its `weight`, float32; all [rows, positions]."""

    tokens: Tensor
    target: Tensor
    weight: Tensor


def mask_rates(rows: int, blocks: int, random: Generator) -> Tensor:
    """Probabilities of masks, [rows, blocks]: in every column spread evenly over (0.02, 1), in an order of its own."""
    columns = [torch.randperm(rows, generator=random) for _ in range(blocks)]
    even = (torch.stack(columns, dim=1) + torch.rand(rows, blocks, generator=random)) / rows
    return 0.02 + 0.98 * even


@dataclass(frozen=True)
class Corruption:
    """Ids of the tokens that it needs, and `moves`: whether tokens are too many or too few anywhere."""

    mask: int
    eos: int
    delete: int
    split: int
    moves: bool

    def corrupt(self, sequences: Tensor, answers: Tensor, rates: Tensor, random: Generator) -> Corrupted:
        """sequences: int64 [rows, positions], whole blocks, of one length; answers: bool, what is not prompt;
        rates: [rows, blocks]. Prompts stay as they are and have no weight."""
        length = sequences.shape[1] // rates.shape[1]
        tokens, target = sequences, sequences
        fixed = torch.zeros_like(answers)
        added = fixed
        if self.moves:
            tokens, target, fixed, added, rates = self._move(sequences, answers, rates, random)
        t = rates.repeat_interleave(length, dim=1)
        masked = answers & ~fixed & (torch.rand(t.shape, generator=random) < t)
        visible = answers & ~masked & ~fixed
        others = torch.stack([column[torch.randperm(len(column), generator=random)] for column in sequences.T], dim=1)
        rate = MOST_WRONG * torch.rand(len(t), 1, generator=random)
        rate = rate * (torch.rand(rate.shape, generator=random) < WRONG_ROWS)
        wrong = visible & (torch.rand(t.shape, generator=random) < rate)
        tokens = torch.where(wrong, others, tokens).masked_fill(masked | added, self.mask)
        return Corrupted(tokens, target, torch.where(masked, 1 / t, EDIT_WEIGHT * answers))

    def _move(
        self, sequences: Tensor, answers: Tensor, rates: Tensor, random: Generator
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Tokens, targets, places that stay as they are now, places of masks that follow behind a missing token, rates.

        A token is not missing beside its like, nor one too many beside its like: nobody could say which of the two.
        """
        (rows, positions), blocks = sequences.shape, rates.shape[1]
        length = positions // blocks
        start, inside = torch.arange(blocks)[:, None] * length, torch.arange(length)
        at = torch.randint(length - 1, (rows, blocks, 1), generator=random)
        longer = torch.nn.functional.pad(sequences, (1, 1), value=self.eos)
        before, here, after = (longer.gather(1, (start + at + n).flatten(1)) for n in range(3))
        other = sequences[torch.randperm(rows, generator=random)]
        other = other.gather(1, torch.randint(positions, (rows, blocks), generator=random))
        kind = torch.rand(rows, blocks, generator=random)
        free = answers.gather(1, (start + at).flatten(1))
        many = free & (kind < TOO_MANY) & (other != here) & (other != before)
        few = free & (kind >= 1 - TOO_FEW) & (here != after)
        source = start + inside - ((inside > at) & many[..., None]).long() + ((inside >= at) & few[..., None]).long()
        moved = longer.gather(1, source.flatten(1) + 1)
        extra = ((inside == at) & many[..., None]).flatten(1)
        missing = ((inside == at) & few[..., None]).flatten(1)
        added = ((inside == length - 1) & few[..., None]).flatten(1)
        target = moved.masked_fill(extra, self.delete).masked_fill(missing, self.split)
        tokens = torch.where(extra, other.repeat_interleave(length, dim=1), moved)
        return tokens, target, extra | missing | added, added, torch.where(many | few, FEW_MASKS * rates, rates)
