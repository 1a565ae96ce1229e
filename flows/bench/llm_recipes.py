"""The recipes of `hardloom bench llm`: formats, method and contract; and the bits that a recipe stores."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from hardloom.golden.quantization.formats import format_rules
from hardloom.golden.shape import ModelShape, TensorShape

__all__ = ["FLOAT", "RECIPES", "Recipe", "bits_of"]

WIDE_ENDS = {"head": "int8", "embedding": "int8"}


@dataclass(frozen=True)
class Recipe:
    """A row of the table.

    Attributes
    ----------
    name: in the table and on the command line; text: in words.
    format, formats: as options of `hardloom quantize`; careful: rounded by GPTQ.
    calibrated: with the contract of `hardloom calibrate` on the calibration texts; else with the one for any model.
    """

    name: str
    text: str
    format: str | None = "mxfp4"
    formats: Mapping[str, str] = field(default_factory=dict)
    careful: bool = False
    calibrated: bool = True


FLOAT = Recipe("float", "weights in 16 bits, so that only the integer arithmetic is measured")

RECIPES = (
    FLOAT,
    Recipe("nearest", "mxfp4 everywhere, to nearest"),
    Recipe("default", "as `hardloom quantize` rounds without options", format=None, calibrated=False),
    Recipe("gptq", "mxfp4 by GPTQ, head and embedding int8", formats=WIDE_ENDS, careful=True),
    Recipe(
        "gptq-5",
        "mxfp4 by GPTQ, k and v mxfp6, head int8",
        formats={"k": "mxfp6", "v": "mxfp6", "head": "int8"},
        careful=True,
    ),
    Recipe(
        "gptq-v-down",
        "mxfp4 by GPTQ, v and down mxfp6, head and embedding int8",
        formats={**WIDE_ENDS, "v": "mxfp6", "down": "mxfp6"},
        careful=True,
    ),
)


def bits_of(model: ModelShape, formats: Mapping[str, str]) -> tuple[float, float]:
    """Bits a weight, scales counted: of the matrices of layers, and of all, head and embedding as two tables."""
    matrices = [*model.matrices()]
    return (
        stored_bits([matrix for matrix in matrices if matrix.layer is not None], formats),
        stored_bits(matrices, formats),
    )


def stored_bits(matrices: Iterable[TensorShape], formats: Mapping[str, str]) -> float:
    total = elements = 0
    for matrix in matrices:
        rules, scales = format_rules(formats[matrix.short_kind]), 1
        for length in rules.scale_shape(*matrix.shape):
            scales *= length
        total += matrix.elements * rules.bits + scales * rules.scale_dtype.itemsize * 8
        elements += matrix.elements
    return total / elements
