"""The numeric contract of a chip as a value: every width that is chosen, and nothing that follows from them.

It stands in a quantized checkpoint; golden model, hardware, benches and extraction are built from it.
"""

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from hardloom.golden.errors import UserError
from hardloom.golden.units.activations import GAINS, GENERAL_ACTIVATIONS, GENERAL_GAINS, ActivationBits
from hardloom.golden.units.fixed import FIXED, SCORE, FixedPoint
from hardloom.golden.units.quantize import Quantize
from hardloom.golden.units.table import Exp2

__all__ = ["GENERAL", "Numerics"]

NARROWEST, LEAST_FRACTION = 16, 4
"""Bits of a word, and of its fraction: those of the norm's mantissas, and of the sigmoid's sixteenths."""


@dataclass(frozen=True)
class Numerics:
    """A contract.

    Attributes
    ----------
    word: residual stream, array outputs and every other wide vector. score: attention scores, logits to base 2.
    activations: bits of what enters arrays and attention.
    gains: `folded`: a norm's gain is multiplied into the columns of the matrices behind it before these are quantized;
        `behind`: it multiplies the norm's output.
    """

    word: FixedPoint = FIXED
    score: FixedPoint = SCORE
    activations: ActivationBits = field(default_factory=ActivationBits)
    gains: str = "folded"

    def __post_init__(self) -> None:
        if self.gains not in GAINS:
            raise UserError(f"gains are {self.gains!r:.40}; choose one of {', '.join(GAINS)}")
        if self.word.width < NARROWEST or self.word.frac < LEAST_FRACTION:
            raise UserError(
                f"a word of {self.word.width} bits with {self.word.frac} fraction bits is narrower than units are made "
                f"for; choose {NARROWEST} bits or more, {LEAST_FRACTION} or more of them fraction"
            )
        if self.score.frac > Exp2().frac:
            raise UserError(
                f"score has {self.score.frac} fraction bits; exponentials are made of {Exp2().frac}, choose no more"
            )

    def quantize(self, site: str) -> Quantize:
        """The quantizer at a site, one of the fields of `ActivationBits`."""
        return Quantize(self.word, getattr(self.activations, site))

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, raw: Any) -> "Numerics":
        """The inverse of `to_json`; `UserError` naming what is missing, unknown or out of range."""
        parts: dict[str, Any] = {"word": FixedPoint, "score": FixedPoint, "activations": ActivationBits, "gains": str}
        if not isinstance(raw, dict) or set(raw) != set(parts):
            raise UserError(f"numerics must have the fields {', '.join(parts)}, and no other")
        made: dict[str, Any] = {"gains": raw["gains"]}
        for name in ("word", "score", "activations"):
            fields = [part.name for part in dataclasses.fields(parts[name])]
            if not isinstance(raw[name], dict) or set(raw[name]) != set(fields):
                raise UserError(f"numerics: {name} must have the fields {', '.join(fields)}, and no other")
            if strange := [key for key, value in raw[name].items() if type(value) is not int]:
                raise UserError(f"numerics: {name}.{strange[0]} is {raw[name][strange[0]]!r:.40}; give a whole number")
            made[name] = parts[name](**raw[name])
        return cls(**made)


GENERAL = Numerics(word=FixedPoint(28, 10), activations=GENERAL_ACTIVATIONS, gains=GENERAL_GAINS)
"""For a model of which nothing is known: its word holds twice what float16 holds."""
