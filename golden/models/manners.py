"""Manners of passes as tensors, for models of any kind of arithmetic."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from hardloom.golden.samplers.manner import NO_CREDIT, Manner
from hardloom.golden.units.gumbel import gumbel

__all__ = ["Manners"]


@dataclass(frozen=True)
class Manners:
    """Of the rows of a batch; without any, all are predicted by their logits alone."""

    rows: Sequence[Manner]

    @classmethod
    def of(cls, manners: Sequence[Manner] | None, rows: int) -> "Manners":
        return cls(manners or [Manner()] * rows)

    def field(self, name: str) -> Tensor:
        """int64 [rows]."""
        return torch.tensor([getattr(one, name) for one in self.rows], dtype=torch.int64)

    @cached_property
    def guided(self) -> bool:
        """Whether a row asks for its logits without the prompt."""
        return any(one.guidance for one in self.rows)

    @cached_property
    def noisy(self) -> bool:
        """Whether a row has a temperature."""
        return any(one.temperature for one in self.rows)

    @cached_property
    def credited(self) -> bool:
        """Whether a row has credit."""
        return any(one.credit for one in self.rows)

    def pairs(self, row: Tensor, position: Tensor) -> Tensor:
        """`Manner.credits`, int64 [n, pairs, 2], of rows and positions int64 [n]; none of rows that have no credit, and
        of positions behind the last."""
        most = max(len(one.credits) for one in self.rows) + 1
        of_rows = torch.tensor([[*one.credits, *[NO_CREDIT] * (most - len(one.credits))] for one in self.rows])
        return of_rows[row, position.clamp(max=most - 1)]

    def suppressed(self, row: Tensor, vocab_size: int) -> Tensor | None:
        """Tokens that are not predicted, bool [n, vocab_size], of predictions of the rows int64 [n]; None: all are."""
        if not any(one.suppressed for one in self.rows):
            return None
        off = torch.zeros(len(self.rows), vocab_size, dtype=torch.bool)
        for number, one in enumerate(self.rows):
            off[number, [token for token in one.suppressed if token < vocab_size]] = True
        return off[row]

    def noise(self, row: Tensor, position: Tensor, vocab_size: int) -> Tensor | None:
        """Temperature times noise, int64 [n, vocab_size] in 2^-(`AMOUNT_FRAC` + `GUMBEL_FRAC`), of rows and positions
        int64 [n]; None where there is no temperature."""
        if not self.noisy:
            return None
        word = gumbel(self.field("seed")[row], self.field("step")[row], position, vocab_size)
        return self.field("temperature")[row][:, None] * word

    def without_prompts(self, tokens: Tensor, mask_token: int) -> Tensor:
        """Sequences int64 [rows, positions] with masks in place of their prompts."""
        prompt = torch.arange(tokens.shape[1]) < self.field("prompt_length")[:, None]
        return tokens.masked_fill(prompt.to(tokens.device), mask_token)
