"""What the chip does not have yet of what the golden models compute."""

from collections.abc import Iterator

from hardloom.golden.errors import UserError
from hardloom.golden.samplers.machine import SUPPRESSED, Op, Program, decode
from hardloom.golden.shape import ModelShape

__all__ = ["check_features", "check_program"]


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


def check_program(program: Program) -> None:
    """Raises UserError for a sampler that sets words of the head which the chip does not have."""
    if any(one.op is Op.HEAD and one.imm >= SUPPRESSED for one in map(decode, program.words)):
        raise UserError(
            f"sampler {program.name}: the chip has neither temperature nor guidance; leave them out, or give --engine "
            "golden, which computes both"
        )
