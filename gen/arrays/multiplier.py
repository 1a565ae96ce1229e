"""The multiply-accumulate unit of the serial styles (`rom`, `shared`), whatever its columns are told their weights by.

A weight's magnitude is a factor of the input and a shift: of factors and shifts a unit has few.
"""

from collections.abc import Sequence
from functools import cache

__all__ = ["Digits", "choice_bits", "column_names", "cover", "digits", "mac_names", "magnitude_bits", "total_bits"]

Digits = dict[int, tuple[int, int]]
"""Magnitudes to factor and shift: magnitude = factor << shift."""


@cache
def digits(magnitudes: tuple[int, ...], width: int) -> Digits:
    """Factor and shift of every magnitude, so that choosing among factors and among shifts takes the fewest gates.

    width: bits of an input.

    Factors have at most as many bits as the longest odd part, or are the odd parts themselves.
    """
    odd = {m: (m // (m & -m), (m & -m).bit_length() - 1) for m in magnitudes}
    longest = max(factor.bit_length() for factor, _ in odd.values())
    leading = {m: (m >> max(0, m.bit_length() - longest), max(0, m.bit_length() - longest)) for m in magnitudes}
    return min(odd, leading, key=lambda table: choice_bits(table, width))


def choice_bits(table: Digits, width: int) -> int:
    """Bits to choose among, over the factors and over the shifts if there are several."""
    factors, shifts = ({pair[part] for pair in table.values()} for part in (0, 1))
    product = magnitude_bits(max(table), width)
    return len(factors) * magnitude_bits(max(factors), width) + (len(shifts) * product if len(shifts) > 1 else 0)


def magnitude_bits(factor: int, width: int) -> int:
    """Bits of the magnitude of an input of `width` bits times `factor`."""
    return (((1 << (width - 1)) - 1) * factor).bit_length()


def total_bits(magnitudes: tuple[int, ...], columns: int, width: int) -> int:
    """Bits of the sum of the products of `columns` columns, two's complement, as the unit makes it."""
    return ((columns << (magnitude_bits(magnitudes[-1], width) + 1)) - 1).bit_length()


def cover(names: Sequence[str], codes: Sequence[int], loose: Sequence[int] = ()) -> str:
    """The shortest sum of products that is 1 for `codes`, anything for `loose`; bits lowest name first."""
    from sympy import symbols
    from sympy.logic import SOPform

    bits = symbols(" ".join(reversed(names)), seq=True)

    def minterms(numbers: Sequence[int]) -> list[list[int]]:
        return [[code >> place & 1 for place in range(len(names) - 1, -1, -1)] for code in numbers]

    text = str(SOPform(bits, minterms(codes), minterms(loose)))
    return {"True": "1'b1", "False": "1'b0"}.get(text, text)


def column_names(
    number: int, wires: list[tuple[str, str]], negative: str, planes: dict[str, str], width: int
) -> dict[str, object]:
    """Template names of column `number`.

    width: bits of an input; wires: names and expressions that the others use; negative: when the weight is; planes:
    expressions by `f<factor>` and `s<shift>`, of which each may use those before; shifts mean nothing for weight 0.
    """
    factors, shifts = ([(int(name[1:]), planes[name]) for name in planes if name[0] == part] for part in "fs")
    return {
        "number": number,
        "wires": wires,
        "negative": negative,
        "factors": [(_factor(factor, width), text) for factor, text in factors],
        "shifts": shifts if len(shifts) > 1 else [],
    }


def _factor(factor: int, width: int) -> dict[str, int]:
    zeros = (factor & -factor).bit_length() - 1
    odd = factor >> zeros
    return {"factor": factor, "odd": odd, "bits": magnitude_bits(odd, width), "zeros": zeros}


def mac_names(
    magnitudes: tuple[int, ...],
    width: int,
    exponents: Sequence[tuple[int, str]],
    odds: list[tuple[int, int]],
    pins: list[str],
    columns: list[dict],
) -> dict[str, object]:
    """Template names of a unit: exponents with the expression of each (none, if there is but 0), multiples of an input
    and their bits, names of the pins that tell weights, and what `column_names` made."""
    total = total_bits(magnitudes, len(columns), width)
    return {
        "columns": columns,
        "odds": odds,
        "pins": pins,
        "factor_bits": max(magnitude_bits(factor, width) for factor, _ in digits(magnitudes, width).values()),
        "product_bits": magnitude_bits(magnitudes[-1], width),
        "total_bits": total,
        "scaled_bits": total + max((shift for shift, _ in exponents), default=0),
        "exponents": list(exponents),
    }
