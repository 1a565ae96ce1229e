"""Credit: what was a position's most probable token in earlier passes gains in later ones."""

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from hardloom.golden.samplers.manner import AMOUNT_FRAC
from hardloom.golden.units.argmax import first_of_largest
from hardloom.golden.units.fixed import FIXED, FixedPoint
from hardloom.golden.units.rounding import round_shift
from hardloom.golden.units.table import Exp2, Log2

__all__ = ["Credit"]

LN2_FRAC = 16
LN2 = round(math.log(2) * 2**LN2_FRAC)


@dataclass(frozen=True)
class Credit:
    """CreditDecoding (arXiv 2510.06133) as dInfer has it: a token's credit at a position is the sum of p^power of the
    passes in which it was the most probable one, `decay` times as much a pass later; logits are more by
    amount * ln(1 + credit).

    A position has few tokens with credit, `pairs` int64 [n, pairs, 2] of token and credit; a credit of 0 is none.
    Credits have 16 fraction bits, as spreads have, and are below 2^32 in 65,535 passes.

    Amount, decay and power have `AMOUNT_FRAC` fraction bits; the latter two are at most 1. word: of logits.
    """

    word: FixedPoint = FIXED
    exp2: Exp2 = field(default=Exp2(), repr=False)
    log2: Log2 = field(default=Log2(), repr=False)

    def gain(self, spread: Tensor, power: Tensor) -> Tensor:
        """p^power, 16 fraction bits, of spreads and powers int64 [n]: 2^-(power * log2 S), the product with 12."""
        return self.exp2.compute(
            round_shift(self._above_one(spread) * power, self.log2.frac + AMOUNT_FRAC - self.exp2.frac)
        )

    def after(self, pairs: Tensor, best: Tensor, gain: Tensor, decay: Tensor) -> Tensor:
        """`pairs` a pass later: floor(credit * decay), then the best token's more by its gain; all others int64 [n].

        A token without credit takes the place of the least, the first of equal ones.
        """
        token, credit = pairs.unbind(-1)
        credit = credit * decay[:, None] >> AMOUNT_FRAC
        mine = (token == best[:, None]) & (credit > 0)
        place = first_of_largest(torch.where(mine, 1, -credit))[:, None]
        gained = torch.where(mine, credit, 0).sum(-1) + gain
        return torch.stack([token.scatter(1, place, best[:, None]), credit.scatter(1, place, gained[:, None])], -1)

    def boost(self, credit: Tensor, amount: Tensor) -> Tensor:
        """amount * ln(1 + credit) in the unit of logits, int64 as `credit`."""
        shift = self.log2.frac + LN2_FRAC + AMOUNT_FRAC - self.word.frac
        return round_shift(self._above_one(credit + (1 << self.log2.frac)) * LN2, shift, factor=amount)

    def _above_one(self, x: Tensor) -> Tensor:
        """log2 of x with 16 fraction bits, at least 1."""
        return self.log2.compute(x.clamp(min=1 << self.log2.frac)) - (self.log2.frac << self.log2.frac)
