"""The weight formats: those of OCP Microscaling (rules in `microscaling`), and integers by row (`rowwise`).

Every format quantizes a row without regard to the others, so a matrix may be quantized in slices of rows.
"""

from dataclasses import dataclass

from torch import Tensor

from hardloom.golden.errors import UserError
from hardloom.golden.quantization.format_names import format_name
from hardloom.golden.quantization.formats.base import Format
from hardloom.golden.quantization.formats.microscaling import Microscaling
from hardloom.golden.quantization.formats.packing import pack_codes, packed_bytes, unpack_codes
from hardloom.golden.quantization.formats.rowwise import RowFormat, TernaryFormat
from hardloom.golden.quantization.integers import IntegerMatrix

__all__ = [
    "FORMATS",
    "Format",
    "QuantizedMatrix",
    "fake_quantize",
    "format_rules",
    "pack_codes",
    "packed_bytes",
    "quantize",
    "unpack_codes",
]

FORMATS: dict[str, Format] = {
    rules.name: rules
    for rules in (
        Microscaling("mxfp4", exponent_bits=2, mantissa_bits=1),
        Microscaling("mxfp6_e2m3", exponent_bits=2, mantissa_bits=3),
        Microscaling("mxfp6_e3m2", exponent_bits=3, mantissa_bits=2),
        RowFormat("int4", bits=4, limit=7, fractions=tuple(sixteenths / 16 for sixteenths in range(16, 7, -1))),
        RowFormat("int8", bits=8, limit=127),
        TernaryFormat("ternary", bits=4, limit=1),
    )
}


@dataclass(frozen=True)
class QuantizedMatrix:
    """A matrix in a weight format.

    Attributes
    ----------
    format: name of one of `FORMATS`
    codes: uint8 [rows, cols], a code an element (mxfp: sign, exponent, mantissa; others: two's complement)
    scales: mxfp: uint8 [rows, ceil(cols / 32)], E8M0; others: bfloat16 [rows]
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
    """The rules of the format called `name`, `mxfp6` being `mxfp6_e2m3`; `UserError` where there is none."""
    return FORMATS[format_name(name)]


def quantize(w: Tensor, format: str) -> QuantizedMatrix:
    """Quantize finite `w`, float32 [..., rows, cols]; leading dimensions hold further matrices."""
    rules = format_rules(format)
    return QuantizedMatrix(rules.name, *rules.quantize(w.float()))


def fake_quantize(w: Tensor, format: str) -> Tensor:
    """`w` rounded to the nearest values of `format`: float32, same shape, without a gradient of its own."""
    return quantize(w.detach(), format).dequantize()
