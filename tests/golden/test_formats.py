"""Weight formats: Microscaling against a scalar reference in exact fractions, integers against their stated rules."""

import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hardloom.golden.errors import UserError
from hardloom.golden.quantization.format_names import CODE_BITS, FORMAT_NAMES
from hardloom.golden.quantization.formats import (
    FORMATS,
    QuantizedMatrix,
    fake_quantize,
    format_rules,
    pack_codes,
    packed_bytes,
    quantize,
    unpack_codes,
)
from hardloom.golden.quantization.integers import MAX_SPREAD
from tests.matrices import values

E2M1 = [Fraction(n, 2) for n in (0, 1, 2, 3, 4, 6, 8, 12)]
E2M3 = [Fraction(n, 8) for n in (*range(16), *range(16, 32, 2), *range(32, 64, 4))]
E3M2 = [Fraction(n, 16) for n in (*range(4), *(n << shift for shift in range(7) for n in range(4, 8)))]
SMALLEST = 2.0**-149
LARGEST = torch.finfo(torch.float32).max
LARGEST_BF16 = torch.finfo(torch.bfloat16).max


# --- independent Microscaling formats, one number at a time (OCP MX v1.0, sections 5.3, 6.3) --------------------------

MICROSCALING = {"mxfp4": E2M1, "mxfp6_e2m3": E2M3, "mxfp6_e3m2": E3M2}
LOG2_OF_LARGEST = {"mxfp4": 2, "mxfp6_e2m3": 2, "mxfp6_e3m2": 4}
ALL_MX = pytest.mark.parametrize("name", MICROSCALING)


def reference_exponents(name: str, block: list[float]) -> list[int]:
    """The E8M0 byte that the specification gives a block, and that of twice its scale."""
    largest = max(abs(Fraction(w)) for w in block)
    if largest == 0:
        return [0]
    exponent = -200
    while Fraction(2) ** (exponent + 1) <= largest:
        exponent += 1
    most = 254 - LOG2_OF_LARGEST[name]  # above, the largest element is no float32
    return [min(max(exponent - LOG2_OF_LARGEST[name] + 127 + offset, 0), most) for offset in (0, 1)]


def reference_code(name: str, w: float, scale: int) -> int:
    """The code of an element: nearest, a tie to the even mantissa, beyond the largest to the largest."""
    elements = MICROSCALING[name]
    magnitude = min(abs(Fraction(w)) / Fraction(2) ** (scale - 127), elements[-1])
    best = min(range(len(elements)), key=lambda code: (abs(elements[code] - magnitude), code & 1))
    return best | (len(elements) if w < 0 else 0)


def value_of(name: str, code: int, scale: int) -> Fraction:
    sign, magnitude = divmod(code, len(MICROSCALING[name]))
    return (1 - 2 * sign) * MICROSCALING[name][magnitude] * Fraction(2) ** (scale - 127)


def squared_error(name: str, block: list[float], scale: int) -> Fraction:
    return sum((value_of(name, reference_code(name, w, scale), scale) - Fraction(w)) ** 2 for w in block)


def assert_as_reference(name: str, row: list[float]) -> None:
    """Scales are the better of two, as far as float32 tells; codes are the nearest under them, to the last bit."""
    matrix = quantize(torch.tensor([row]), name)
    codes, scales, values = matrix.codes[0].tolist(), matrix.scales[0].tolist(), matrix.dequantize()[0].tolist()
    assert len(scales) == -(-len(row) // 32)
    for start, scale in zip(range(0, len(row), 32), scales, strict=True):
        block = row[start : start + 32]
        tried = reference_exponents(name, block)
        errors = [squared_error(name, block, other) for other in tried]
        assert scale in tried
        assert squared_error(name, block, scale) <= min(errors) * (1 + Fraction(1, 10**5))
        assert scale == tried[0] or errors[0] > min(errors)
        assert codes[start : start + 32] == [reference_code(name, w, scale) for w in block]
        exact = [value_of(name, code, scale) for code in codes[start : start + 32]]
        assert [Fraction(value) for value in values[start : start + 32]] == exact


def float32s(**limits: float) -> st.SearchStrategy[float]:
    return st.floats(width=32, allow_nan=False, allow_infinity=False, **limits)


@ALL_MX
@settings(max_examples=60, deadline=None)
@given(row=st.lists(float32s(), min_size=1, max_size=70))
def test_microscaling_of_any_row(name: str, row: list[float]):
    assert_as_reference(name, row)


@ALL_MX
@settings(max_examples=60, deadline=None)
@given(exponent=st.integers(-149, 120), numerators=st.lists(st.integers(-512, 512), min_size=1, max_size=40))
def test_microscaling_of_rows_full_of_ties(name: str, exponent: int, numerators: list[int]):
    assert_as_reference(name, [n * 2.0**exponent for n in numerators if abs(n) * 2.0**exponent <= LARGEST] or [0.0])


@ALL_MX
@pytest.mark.parametrize("exponent", [-127, -126, -20, 0, 7, 122])
def test_every_microscaling_code_is_its_own_nearest(name: str, exponent: int):
    rules = format_rules(name)
    elements = [value_of(name, code, 127) for code in range(1 << rules.bits)]
    assert [Fraction(value) for value in rules.values.tolist()] == elements
    values = rules.values * 2.0**exponent
    assert torch.equal(quantize(values[None], name).dequantize()[0], values)
    scales = torch.full((1, -(-len(elements) // 32)), exponent + 127, dtype=torch.uint8)
    assert rules.encode(values[None], scales)[0].tolist() == [
        code if elements[code] else 0 for code in range(len(values))
    ]


@ALL_MX
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("scale", [7, 127, 240])
def test_ties_and_their_neighbours(name: str, sign: int, scale: int):
    elements = torch.tensor([float(element) for element in MICROSCALING[name]])
    half_way = (elements[1:] + elements[:-1]) / 2
    below, above = torch.nextafter(half_way, torch.tensor(0.0)), torch.nextafter(half_way, torch.tensor(99.0))
    rows = torch.stack((half_way, below, above)) * sign * 2.0 ** (scale - 127)
    codes = format_rules(name).encode(rows, torch.full((3, 1), scale, dtype=torch.uint8)) & (len(elements) - 1)
    numbers = range(len(elements) - 1)
    assert codes.tolist() == [[n + n % 2 for n in numbers], [*numbers], [n + 1 for n in numbers]]


def test_a_block_takes_the_exponent_above_where_that_is_nearer():
    # under the specification's exponent 7.5 becomes 6; under the next one 8, and 4 and 2 stay as they are
    assert quantize(torch.tensor([[7.5, 4.0, 2.0]]), "mxfp4").dequantize().tolist() == [[8, 4, 2]]
    # here that would cost more, in 0.5 becoming 0 or 1
    assert quantize(torch.tensor([[7.5, *[0.5] * 31]]), "mxfp4").dequantize()[0, :2].tolist() == [6, 0.5]


def test_equal_errors_leave_the_exponent_of_the_specification():
    assert quantize(torch.tensor([[4.0, 2.0]]), "mxfp4").scales.tolist() == [[127]]
    assert quantize(torch.tensor([[7.0, 0.0]]), "mxfp4").dequantize().tolist() == [[6, 0]]


@ALL_MX
@pytest.mark.parametrize(
    "row",
    [
        [SMALLEST],
        [SMALLEST, -SMALLEST * 3, SMALLEST * 2**20],
        [2.0**-128, 2.0**-129, 1.5 * 2.0**-128, 2.0**-130],
        [LARGEST, -LARGEST, SMALLEST],
        [LARGEST_BF16, 1.0, 0.0],
        [0.0] * 32 + [1.0],
        [-0.0] * 32 + [-0.0, 1.0],
        [2.0**-126] * 31 + [LARGEST] + [SMALLEST] * 31,
    ],
)
def test_microscaling_at_the_ends_of_the_range(name: str, row: list[float]):
    assert_as_reference(name, row)


def test_blocks_of_zeros_have_code_0_and_the_smallest_scale():
    matrix = quantize(torch.tensor([[0.0, -0.0] * 16 + [1.0]]), "mxfp4")
    assert matrix.codes.tolist() == [[0] * 32 + [6]]
    assert matrix.scales.tolist() == [[0, 125]]


# --- int4, int8 and ternary ------------------------------------------------------------------------------------------


def test_int4_rounds_half_to_even_and_saturates_at_seven():
    steps = [7.0, -7.0, 0.5, 1.5, 2.5, -0.5, -1.5, 6.5, 5.5, 0.51, 3.499, 7.6]
    codes = format_rules("int4").encode(torch.tensor([steps]) * 2.0**-9, torch.tensor([2.0**-9]).bfloat16())
    assert codes.tolist() == [[7, 9, 0, 2, 2, 0, 14, 6, 6, 1, 3, 7]]


def assert_nearest(row: list[float], matrix: QuantizedMatrix, limit: int) -> None:
    scale = Fraction(matrix.scales.item())
    for w, value in zip(row, matrix.dequantize()[0].tolist(), strict=True):
        quotient = Fraction(w) / scale if any(row) else Fraction(0)
        assert Fraction(value) == min(max(round(quotient), -limit), limit) * scale


@settings(max_examples=100, deadline=None)
@given(st.lists(float32s(), min_size=1, max_size=20))
def test_int8_of_any_row(row: list[float]):
    matrix = quantize(torch.tensor([row]), "int8")
    wanted = torch.tensor(max(map(abs, row))) / 127
    scale = wanted.bfloat16() if not any(row) else wanted.clamp(min=2.0**-133).bfloat16()
    assert matrix.scales.tolist() == [scale.item()]
    assert_nearest(row, matrix, 127)


@settings(max_examples=100, deadline=None)
@given(st.lists(float32s(), min_size=1, max_size=20))
def test_int4_takes_of_nine_scales_that_of_least_squared_error(row: list[float]):
    matrix = quantize(torch.tensor([row]), "int4")
    whole = torch.tensor(max(map(abs, row))) / 7
    tried = [(whole * (k / 16)).clamp(min=2.0**-133).bfloat16().item() if any(row) else 0.0 for k in range(16, 7, -1)]
    assert matrix.scales.item() in tried
    assert_nearest(row, matrix, 7)

    def error(scale: float) -> Fraction:
        quotients = [Fraction(w) / Fraction(scale) if scale else Fraction(0) for w in row]
        return sum((q - min(max(round(q), -7), 7)) ** 2 for q in quotients) * Fraction(scale) ** 2

    least, unit = min(map(error, tried)), Fraction(max(tried)) / 2**21  # quotients are rounded to float32
    assert error(matrix.scales.item()) <= least * (1 + Fraction(1, 10**5)) + len(row) * unit**2


def test_int4_keeps_a_scale_that_loses_nothing():
    assert quantize(torch.tensor([[7.0, -7.0, 3.0]]), "int4").scales.item() == 1


def test_ternary_scale_is_the_mean_magnitude():
    row = [1.0, -3.0, 0.0, 0.5, -1.0, 1.0, 1.0, 0.5]  # mean 1
    matrix = quantize(torch.tensor([row]), "ternary")
    assert matrix.scales.tolist() == [1.0]
    assert matrix.dequantize().tolist() == [[1, -1, 0, 0, -1, 1, 1, 0]]
    assert matrix.codes.tolist() == [[1, 15, 0, 0, 15, 1, 1, 0]]


def rounded(x: Fraction, bits: int) -> Fraction:
    """x > 0 with so many significant bits, half to even."""
    unit = Fraction(2) ** (math.floor(math.log2(x)) + 1 - bits)
    return round(x / unit) * unit


@given(st.integers(128, 254), st.lists(st.integers(-2, 3), min_size=1, max_size=33))
def test_scales_of_rows_to_their_last_bit(significand: int, steps: list[int]):
    """Rows whose mean and largest magnitude are half way between two bfloat16 numbers, or a little beside."""
    row = torch.tensor([(significand + 0.5) / 128 + step * 2.0**-23 for step in steps])
    exact = [Fraction(w) for w in row.tolist()]
    mean = rounded(rounded(sum(exact) / len(row), 53), 24)
    assert Fraction(quantize(row[None], "ternary").scales.item()) == rounded(mean, 8)
    largest = rounded(rounded(max(exact) * 127, 24) / 127, 24)
    assert Fraction(quantize(row[None] * 127, "int8").scales.item()) == rounded(largest, 8)


@pytest.mark.parametrize(("name", "limit"), [("int4", 7), ("int8", 127)])
def test_neighbours_of_every_tie_of_every_scale_fall_to_their_sides(name: str, limit: int):
    scale = torch.arange(128, 256)[:, None] / 128
    tie = scale * (torch.arange(limit) + 0.5)
    below, above = torch.nextafter(tie, torch.tensor(0.0)), torch.nextafter(tie, torch.tensor(999.0))
    codes = format_rules(name).encode(torch.cat((below, tie, above), dim=1), scale[:, 0].bfloat16())
    even = [n + n % 2 for n in range(limit)]
    assert (codes == torch.tensor([*range(limit), *even, *range(1, limit + 1)])).all()


@pytest.mark.parametrize("name", ["int4", "int8", "ternary"])
@pytest.mark.parametrize("row", [[SMALLEST, 0.0], [SMALLEST] * 8, [LARGEST, LARGEST], [LARGEST_BF16, -1.0]])
def test_row_scales_stay_positive_and_finite(name: str, row: list[float]):
    matrix = quantize(torch.tensor([row]), name)
    assert 2.0**-133 <= matrix.scales.item() <= LARGEST_BF16
    assert torch.isfinite(matrix.dequantize()).all()


@pytest.mark.parametrize("name", ["int4", "int8", "ternary"])
def test_a_row_of_zeros_has_scale_and_codes_0(name: str):
    matrix = quantize(torch.tensor([[0.0, -0.0], [1.0, 0.0]]), name)
    assert matrix.scales[0] == 0
    assert matrix.codes[0].tolist() == [0, 0]


# --- all formats -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS)
def test_leading_dimensions_hold_further_matrices(name: str):
    w = torch.randn(2, 3, 5, 70, generator=torch.Generator().manual_seed(1))
    together = fake_quantize(w, name)
    assert together.shape == w.shape
    assert all(torch.equal(together[i, j], quantize(w[i, j], name).dequantize()) for i in range(2) for j in range(3))


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "ternary"])  # its mean falls with every zero
def test_what_is_quantized_stays_when_quantized_again(name: str):
    once = fake_quantize(torch.randn(16, 96, generator=torch.Generator().manual_seed(2)), name)
    assert torch.equal(fake_quantize(once, name), once)


def test_fake_quantization_has_no_gradient():
    assert not fake_quantize(torch.ones(2, 2, requires_grad=True), "mxfp4").requires_grad


def test_an_unknown_format_is_refused():
    with pytest.raises(UserError, match="format 'fp3' is not known; choose one of mxfp4, mxfp6 "):
        quantize(torch.zeros(1, 1), "fp3")


def test_every_name_has_a_format():
    assert {name: rules.bits for name, rules in FORMATS.items()} == CODE_BITS and tuple(CODE_BITS) == FORMAT_NAMES


def test_mxfp6_is_its_format_of_more_mantissa():
    assert format_rules("mxfp6") is FORMATS["mxfp6_e2m3"]
    assert quantize(torch.ones(1, 1), "mxfp6").format == "mxfp6_e2m3"


@settings(max_examples=50, deadline=None)
@given(st.sampled_from([4, 6, 8]), st.integers(0, 4), st.integers(1, 9), st.data())
def test_packing_round_trip(bits: int, rows: int, cols: int, data: st.DataObject):
    codes = st.integers(0, (1 << bits) - 1)
    numbers = data.draw(st.lists(codes, min_size=rows * cols, max_size=rows * cols))
    given = torch.tensor(numbers, dtype=torch.uint8).view(rows, cols)
    packed = pack_codes(given, bits)
    assert packed.shape == (rows, packed_bytes(cols, bits))
    assert torch.equal(unpack_codes(packed, cols, bits), given)
    for row, codes_of_row in zip(packed.tolist(), given.tolist(), strict=True):
        together = sum(code << bits * k for k, code in enumerate(codes_of_row))
        assert row == list(together.to_bytes(packed_bytes(cols, bits), "little"))


def test_packing_puts_the_first_code_in_the_low_bits_and_pads_with_0():
    assert pack_codes(torch.tensor([[1, 2, 15]], dtype=torch.uint8), 4).tolist() == [[0x21, 0x0F]]
    assert pack_codes(torch.tensor([[1, 2, 63, 0, 33]], dtype=torch.uint8), 6).tolist() == [[0x81, 0xF0, 0x03, 0x21]]


# --- integers --------------------------------------------------------------------------------------------------------


def assert_integers_are_the_values(matrix: QuantizedMatrix) -> None:
    integers = matrix.integers()
    assert (integers.weights.dtype, integers.mant.dtype, integers.exp.dtype) == (torch.int32,) * 3
    assert bool(((integers.mant >= 128) & (integers.mant <= 255)).all())
    assert torch.equal(values(integers), matrix.dequantize().double())
    for row in range(len(matrix.codes)):
        for col in range(matrix.codes.shape[1]):
            exact = Fraction(integers.weights[row, col].item()) * integers.mant[row].item()
            exact *= Fraction(2) ** integers.exp[row].item()
            assert exact == Fraction(matrix.dequantize()[row, col].item())


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(FORMATS)), st.integers(-130, 100), st.data())
def test_integers_reproduce_the_values(name: str, exponent: int, data: st.DataObject):
    rows = st.lists(float32s(min_value=-4.0, max_value=4.0), min_size=40, max_size=40)
    w = torch.tensor(data.draw(st.lists(rows, min_size=1, max_size=2)))
    w = torch.where(w.abs() < 2.0**-12, 0.0, w) * 2.0**exponent
    assert_integers_are_the_values(quantize(w, name))


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("value", [SMALLEST, 2.0**-133, 2.0**-127, 1.0, 1.2345e-39, LARGEST_BF16, LARGEST])
def test_integers_reproduce_the_values_at_the_ends_of_the_range(name: str, value: float):
    assert_integers_are_the_values(quantize(torch.tensor([[value, -value], [0.0, 0.0]]), name))


@pytest.mark.parametrize("name", FORMATS)
def test_integers_of_rows_of_zeros(name: str):
    integers = quantize(torch.zeros(3, 33), name).integers()
    assert integers.weights.eq(0).all()
    assert integers.mant.tolist() == [128] * 3
    assert integers.exp.tolist() == [0] * 3


def test_mxfp4_integers_are_doubled_elements_shifted_by_the_block_exponent():
    matrix = quantize(torch.tensor([[6.0, -0.5] + [0.0] * 30 + [24.0, 2.0] + [0.0] * 30]), "mxfp4")
    integers = matrix.integers()
    assert integers.weights[0, [0, 1, 32, 33]].tolist() == [12, -1, 48, 4]
    assert (integers.mant.item(), integers.exp.item(), integers.max_spread) == (128, -8, 2)


@pytest.mark.parametrize(("name", "largest", "exp"), [("mxfp6_e2m3", 60, -10), ("mxfp6_e3m2", 448, -11)])
def test_mxfp6_integers_are_multiples_of_the_smallest_element(name: str, largest: int, exp: int):
    codes = torch.zeros(1, 64, dtype=torch.uint8)
    codes[0, [0, 1, 32]] = torch.tensor([1, 63, 31], dtype=torch.uint8)
    integers = format_rules(name).integers(codes, torch.tensor([[127, 130]], dtype=torch.uint8))
    assert integers.weights[0, [0, 1, 32]].tolist() == [1, -largest, largest * 8]
    assert (integers.mant.item(), integers.exp.item(), integers.max_spread) == (128, exp, 3)


def blocks_apart(spread: int) -> QuantizedMatrix:
    """Rows 0 and 2 plain; in row 1 two blocks `spread` apart, around one of zeros."""
    w = torch.ones(3, 96)
    w[1, :32], w[1, 32:64], w[1, 64:] = 3.0, 0.0, 3.0 * 2.0**-spread
    return QuantizedMatrix("mxfp4", *format_rules("mxfp4").quantize(w), name="layer.q")


def test_block_exponents_may_spread_by_sixteen():
    matrix = blocks_apart(MAX_SPREAD)
    assert matrix.integers().max_spread == MAX_SPREAD == 16
    assert matrix.integers().weights[1, 0] == 12 << 16
    assert_integers_are_the_values(matrix)


def test_block_exponents_that_spread_further_are_refused_by_row():
    with pytest.raises(UserError, match=r"layer\.q: row 1 has block exponents that spread by 17, .* at most 16"):
        blocks_apart(17).integers()
