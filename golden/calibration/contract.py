"""A numeric contract from measured ranges, and whether a contract holds them."""

import math
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from hardloom.golden.calibration.measured import Calibration
from hardloom.golden.calibration.ranges import SCORES, Range
from hardloom.golden.checkpoints.checkpoint import Checkpoint
from hardloom.golden.checkpoints.fingerprint import fingerprint
from hardloom.golden.checkpoints.json_files import read_json_object
from hardloom.golden.errors import UserError
from hardloom.golden.units.fixed import FixedPoint
from hardloom.golden.units.numerics import Numerics

__all__ = ["contract_for", "limit_of", "read_contract"]

MOST_FRACTION, LEAST_FRACTION = 16, 10
"""Fraction bits: above, they are worth nothing to a model; below, they cost accuracy."""


def contract_for(ranges: tuple[Range, ...], base: Numerics, margin: float) -> Numerics:
    """`base` with words that hold `margin` times `ranges`. `UserError` naming the site that no word holds."""
    scores = [found for found in ranges if found.site == SCORES]
    others = [found for found in ranges if found.site != SCORES]
    word = word_for(others, base.word.width, MOST_FRACTION, LEAST_FRACTION, margin)
    return replace(base, word=word, score=word_for(scores, base.score.width, base.score.frac, 0, margin))


def word_for(ranges: list[Range], width: int, most: int, least: int, margin: float) -> FixedPoint:
    """The word that ends at `margin` times the largest of `ranges` or above: of `width` bits with as many of them
    fraction as that leaves, at most `most`; wider where fewer than `least` are left."""
    largest = max(ranges, key=lambda found: found.largest)
    whole = max(0, math.ceil(math.log2(margin * max(largest.largest, 2**-40))))
    fraction = min(most, max(least, width - 1 - whole))
    if (needed := max(width, 1 + whole + fraction)) > FixedPoint.widest(fraction):
        raise UserError(
            f"{place(largest)} reaches {largest.largest:,.6g}, and no word of {FixedPoint.widest(fraction)} bits holds "
            f"{margin:g} times that with {fraction} fraction bits; give a smaller --margin or a checkpoint of smaller "
            "activations"
        )
    return FixedPoint(needed, fraction)


def read_contract(file: Path, checkpoint: Checkpoint) -> tuple[Numerics, Calibration | None]:
    """A contract for `checkpoint` that `hardloom calibrate` wrote, perhaps edited, or one without a calibration.
    `UserError` where a word does not hold the ranges, or these are of another checkpoint."""
    raw = read_json_object(file)
    try:
        if strange := raw.keys() - {"numerics", "calibration"}:
            raise UserError(
                f"a contract has the fields numerics and calibration, and no {min(strange)!r:.40}; remove it"
            )
        numerics = Numerics.from_json(raw.get("numerics"))
        calibration = None if raw.get("calibration") is None else Calibration.from_json(raw["calibration"])
        check_holds(numerics, () if calibration is None else calibration.ranges)
    except UserError as error:
        raise UserError(f"{file}: {error}") from None
    if calibration is not None and (own := fingerprint(checkpoint)) != calibration.checkpoint:
        raise UserError(
            f"{file}: was calibrated on a checkpoint with the fingerprint {calibration.checkpoint}, and that of "
            f"{checkpoint.path} is {own}; run `hardloom calibrate {checkpoint.path}`, and give what it writes"
        )
    return numerics, calibration


def limit_of(numerics: Numerics, site: str) -> float:
    """The magnitude where a site's word ends."""
    word = numerics.score if site == SCORES else numerics.word
    return 2.0 ** (word.width - 1 - word.frac)


def check_holds(numerics: Numerics, ranges: Iterable[Range]) -> None:
    """`UserError` naming the first site whose range the contract does not hold."""
    for found in ranges:
        if found.largest >= limit_of(numerics, found.site):
            word = numerics.score if found.site == SCORES else numerics.word
            raise UserError(
                f"the word of {word.width} bits, {word.frac} of them fraction, ends at "
                f"{limit_of(numerics, found.site):,g}, and {place(found)} reaches {found.largest:,.6g}; widen it or "
                "calibrate again"
            )


def place(found: Range) -> str:
    """Where a range is, in words."""
    return found.site if found.layer is None else f"{found.site} of layer {found.layer}"
