"""What the chip does not have yet of what the golden models compute."""

from collections.abc import Iterator, Mapping

from hardloom.golden.errors import UserError
from hardloom.golden.samplers.machine import HeadWord, Op, Program, decode
from hardloom.golden.shape import ModelShape

__all__ = ["FIELDS", "check_features", "check_program", "wanted_fields"]


def missing(model: ModelShape) -> Iterator[str]:
    """Features of the model that the chip does not have, in words."""
    if model.shift > 1:
        yield f"a head that predicts {model.shift} positions ahead"


def check_features(model: ModelShape) -> None:
    """Raises UserError that names the first feature of the model that the chip does not have."""
    for feature in missing(model):
        raise UserError(
            f"{model.family}: the chip does not have {feature} yet; quantize and sample --engine golden compute it"
        )


def words_of_head(program: Program) -> set[int]:
    """Which words of the head a sampler sets."""
    return {one.imm for one in map(decode, program.words) if one.op is Op.HEAD}


FIELDS = {"temperature": (HeadWord.TEMPERATURE, HeadWord.SEED), "cache": (HeadWord.VICINITY,)}
"""Fields of the hardware configuration, and the words of the head that a chip has by them."""


LACKING = {HeadWord.GUIDANCE: "has no guidance", HeadWord.CREDIT: "has no credit"}
"""Words of the head that no chip has."""


def wanted_fields(program: Program) -> dict[str, bool]:
    """Of `FIELDS`, whether a sampler sets a word that wants it."""
    return {field: not words_of_head(program).isdisjoint(words) for field, words in FIELDS.items()}


def check_program(program: Program, fields: Mapping[str, bool]) -> None:
    """Raises UserError for a sampler that sets words of the head which the chip does not have.

    fields: of the chip's hardware configuration, those of `FIELDS` among them.
    """
    otherwise = "leave it out, or give --engine golden, which computes it"
    for word, lacks in LACKING.items():
        if word in words_of_head(program):
            raise UserError(f"sampler {program.name}: the chip {lacks}; {otherwise}")
    for field, wanted in wanted_fields(program).items():
        if wanted and not fields[field]:
            raise UserError(
                f"sampler {program.name}: the chip was generated without {field}; generate one with "
                f'{{"{field}": true}} in --hardware, {otherwise}'
            )
