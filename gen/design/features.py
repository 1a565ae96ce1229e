"""What the chip does not have yet of what the golden models compute."""

from collections.abc import Iterator

from hardloom.golden.errors import UserError
from hardloom.golden.samplers.machine import HeadWord, Op, Program, decode
from hardloom.golden.shape import ModelShape

__all__ = ["check_features", "check_program", "draws"]


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


def draws(program: Program) -> bool:
    """Whether a sampler sets a temperature, or the seed of its noise."""
    return not words_of_head(program).isdisjoint((HeadWord.TEMPERATURE, HeadWord.SEED))


LACKING = {
    HeadWord.GUIDANCE: "has no guidance",
    HeadWord.VICINITY: "computes all positions",
    HeadWord.CREDIT: "has no credit",
}
"""Words of the head that no chip has."""


def check_program(program: Program, temperature: bool) -> None:
    """Raises UserError for a sampler that sets words of the head which the chip does not have.

    temperature: the chip's field of the hardware configuration.
    """
    otherwise = "leave it out, or give --engine golden, which computes it"
    for word, lacks in LACKING.items():
        if word in words_of_head(program):
            raise UserError(f"sampler {program.name}: the chip {lacks}; {otherwise}")
    if draws(program) and not temperature:
        raise UserError(
            f"sampler {program.name}: the chip was generated without temperature; generate one with "
            f'{{"temperature": true}} in --hardware, {otherwise}'
        )
