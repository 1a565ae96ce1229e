"""The 4-bit weight formats: `mxfp4` (rules in its module), `int4` and `ternary` (`rowwise`).

Every format quantizes a row without regard to the others, so a matrix may be quantized in slices of rows.
"""

from dataclasses import dataclass

from torch import Tensor

from golden.errors import UserError
from golden.quantization.formats.base import Format, pack_codes, unpack_codes
from golden.quantization.formats.mxfp4 import MXFP4
from golden.quantization.formats.rowwise import RowFormat, largest_over_7, mean_magnitude
from golden.quantization.integers import IntegerMatrix

__all__ = [
    "FORMATS",
    "Format",
    "QuantizedMatrix",
    "fake_quantize",
    "format_rules",
    "pack_codes",
    "quantize",
    "unpack_codes",
]

FORMATS: dict[str, Format] = {
    rules.name: rules
    for rules in (MXFP4(), RowFormat("int4", 7, largest_over_7), RowFormat("ternary", 1, mean_magnitude))
}


@dataclass(frozen=True)
class QuantizedMatrix:
    """A matrix in a weight format.

    Attributes
    ----------
    format: "mxfp4", "int4" or "ternary"
    codes: uint8 [rows, cols], one 4-bit code an element (mxfp4: E2M1; int4, ternary: two's complement)
    scales: mxfp4: uint8 [rows, ceil(cols / 32)], E8M0; int4, ternary: bfloat16 [rows]
    name: what errors call it
    """

    format: str
    codes: Tensor
    scales: Tensor
    name: str = "matrix"

    def dequantize(self) -> Tensor:
        """The values, float32 [rows, cols]; exact."""
        return format_rules(self.format).dequantize(self.codes, self.scales)

    def integers(self) -> IntegerMatrix:
        """The same values as small integers and one scale a row; exact.

        Raises `UserError` where a row's block exponents spread further than a hardwired array can hold.
        """
        try:
            return format_rules(self.format).integers(self.codes, self.scales)
        except UserError as error:
            raise UserError(f"{self.name}: {error}") from None


def format_rules(name: str) -> Format:
    """The rules of the format called `name`; `UserError` where there is none."""
    if name not in FORMATS:
        raise UserError(f"format {name!r} is not known; choose one of {', '.join(FORMATS)}")
    return FORMATS[name]


def quantize(w: Tensor, format: str) -> QuantizedMatrix:
    """Quantize finite `w`, float32 [..., rows, cols]; leading dimensions hold further matrices."""
    return QuantizedMatrix(format, *format_rules(format).quantize(w.float()))


def fake_quantize(w: Tensor, format: str) -> Tensor:
    """`w` rounded to the nearest values of `format`: float32, same shape, without a gradient of its own."""
    return quantize(w.detach(), format).dequantize()
