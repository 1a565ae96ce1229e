"""What a calibration was measured on, as files record it."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from hardloom.golden.calibration.ranges import SCORES, Range
from hardloom.golden.errors import UserError

__all__ = ["Calibration", "Source", "is_number"]

EVERYWHERE = ("residual", "norm", SCORES, "logits")
"""Sites that every model has."""


@dataclass(frozen=True)
class Source:
    """A text or a file of token ids that a model was run on.

    Attributes
    ----------
    file: its name; sha256: of its bytes; tokens: of it that were taken; seed: of the masks, where the model denoises.
    """

    file: str
    sha256: str
    tokens: int
    seed: int


@dataclass(frozen=True)
class Calibration:
    """What a contract was measured by, and what it promises never to saturate on.

    Attributes
    ----------
    checkpoint: its `fingerprint`; text: that it was run on.
    margin: how much larger than the ranges the words are, at least, 1 or more.
    ranges: the largest of each site.

    Raises
    ------
    UserError: a margin or a range that no calibration finds, or a site that is missing or there twice.
    """

    checkpoint: str
    text: Source
    margin: float
    ranges: tuple[Range, ...]

    def __post_init__(self) -> None:
        if not is_number(self.margin) or self.margin < 1:
            raise UserError(f"calibration: margin is {self.margin!r:.40}; give a number of 1 or more")
        sites = [found.site for found in self.ranges]
        for site in (*EVERYWHERE, *sites):
            if sites.count(site) != 1:
                raise UserError(f"calibration: ranges name {site!r:.40} {sites.count(site)} times; name it once")
        for found in self.ranges:
            if not is_number(found.largest) or not is_number(found.typical):
                raise UserError(
                    f"calibration: the range of {found.site} is {found.largest!r:.40}, typically "
                    f"{found.typical!r:.40}; give finite numbers of 0 or more"
                )

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, raw: Any) -> "Calibration":
        """The inverse of `to_json`; `UserError` for anything else."""
        try:
            ranges = tuple(Range(**found) for found in raw["ranges"])
            return cls(str(raw["checkpoint"]), Source(**raw["text"]), raw["margin"], ranges)
        except (KeyError, TypeError):
            raise UserError(
                "calibration must have checkpoint, text, margin and ranges, as `hardloom calibrate` writes them; "
                "calibrate again"
            ) from None


def is_number(value: Any) -> bool:
    """Whether it is a finite number of 0 or more."""
    return type(value) in (int, float) and 0 <= value < math.inf
