"""Bits of activations by site: plain numbers, for those who need no more of a contract; importing this is quick."""

import dataclasses
from dataclasses import dataclass

from hardloom.golden.errors import UserError

__all__ = ["GAINS", "GENERAL_ACTIVATIONS", "GENERAL_GAINS", "ActivationBits"]

GAINS = ("folded", "behind")
FEWEST_BITS, MOST_BITS = 4, 12


@dataclass(frozen=True)
class ActivationBits:
    """Bits of an activation, sign included, where it enters an array or attention: 4 to 12.

    Attributes
    ----------
    norm: outputs of norms before projections, experts and head. query, key, value: of attention.
    mix: attention's output before `o_proj`. swiglu: before a down projection.
    """

    norm: int = 8
    query: int = 8
    key: int = 8
    value: int = 8
    mix: int = 8
    swiglu: int = 8

    def __post_init__(self) -> None:
        for name, bits in dataclasses.asdict(self).items():
            if type(bits) is not int or not FEWEST_BITS <= bits <= MOST_BITS:
                raise UserError(
                    f"activations of {name} have {bits!r} bits; choose a whole number of {FEWEST_BITS} to {MOST_BITS}"
                )


GENERAL_ACTIVATIONS, GENERAL_GAINS = ActivationBits(norm=10, swiglu=10), "behind"
"""Of the contract for a model of which nothing is known (`golden.units.numerics.GENERAL`)."""
