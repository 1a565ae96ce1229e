"""Weight formats: mxfp4 against a scalar reference in exact fractions, int4 and ternary against their stated rules."""

import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from golden.errors import UserError
from golden.quantization.formats import (
    FORMATS,
    QuantizedMatrix,
    fake_quantize,
    format_rules,
    pack_codes,
    quantize,
    unpack_codes,
)
from golden.quantization.integers import MAX_SPREAD
from tests.matrices import values

E2M1 = [Fraction(n, 2) for n in (0, 1, 2, 3, 4, 6, 8, 12)]
SMALLEST = 2.0**-149
LARGEST = torch.finfo(torch.float32).max
LARGEST_BF16 = torch.finfo(torch.bfloat16).max


# --- an independent mxfp4, one number at a time (OCP MX v1.0, sections 5.3, 6.3) -------------------------------------


def reference_scale(block: list[float]) -> int:
    """The stored E8M0 byte of a block."""
    largest = max(abs(Fraction(w)) for w in block)
    if largest == 0:
        return 0
    exponent = -200
    while Fraction(2) ** (exponent + 1) <= largest:
        exponent += 1
    return min(max(exponent - 2, -127), 127) + 127


def reference_code(w: float, scale: int, block_is_zero: bool) -> int:
    """The E2M1 code: nearest, a tie to the even mantissa, beyond the largest to the largest."""
    magnitude = min(abs(Fraction(w)) / Fraction(2) ** (scale - 127), E2M1[-1])
    best = min(range(8), key=lambda code: (abs(E2M1[code] - magnitude), code & 1))
    return best | (8 if math.copysign(1, w) < 0 and not block_is_zero else 0)


def reference_row(row: list[float]) -> tuple[list[int], list[int]]:
    codes, scales = [], []
    for start in range(0, len(row), 32):
        block = row[start : start + 32]
        scales.append(reference_scale(block))
        codes += [reference_code(w, scales[-1], not any(block)) for w in block]
    return codes, scales


def assert_as_reference(row: list[float]) -> None:
    matrix = quantize(torch.tensor([row]), "mxfp4")
    codes, scales = reference_row(row)
    assert matrix.scales.tolist() == [scales]
    assert matrix.codes.tolist() == [codes]
    for value, code, scale in zip(
        matrix.dequantize()[0].tolist(), codes, (s for s in scales for _ in range(32)), strict=False
    ):
        assert Fraction(value) == (-1 if code & 8 else 1) * E2M1[code & 7] * Fraction(2) ** (scale - 127)


def float32s(**limits: float) -> st.SearchStrategy[float]:
    return st.floats(width=32, allow_nan=False, allow_infinity=False, **limits)


@settings(max_examples=150, deadline=None)
@given(st.lists(float32s(), min_size=1, max_size=70))
def test_mxfp4_of_any_row(row: list[float]):
    assert_as_reference(row)


@settings(max_examples=150, deadline=None)
@given(st.integers(-149, 120), st.lists(st.integers(-256, 256), min_size=1, max_size=40))
def test_mxfp4_of_rows_full_of_ties(exponent: int, numerators: list[int]):
    assert_as_reference([n * 2.0**exponent for n in numerators if abs(n) * 2.0**exponent <= LARGEST] or [0.0])


@pytest.mark.parametrize("exponent", [-127, -126, -20, 0, 7, 125])
def test_every_mxfp4_code_is_its_own_nearest(exponent: int):
    values = format_rules("mxfp4").values * 2.0**exponent
    matrix = quantize(values[None], "mxfp4")
    assert matrix.codes.tolist() == [list(range(16))]
    assert matrix.scales.tolist() == [[exponent + 127]]
    assert torch.equal(matrix.dequantize()[0], values)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("exponent", [-120, 0, 120])
def test_mxfp4_ties_and_their_neighbours(sign: int, exponent: int):
    half_way = torch.tensor([0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0])
    below, above = torch.nextafter(half_way, torch.tensor(0.0)), torch.nextafter(half_way, torch.tensor(9.0))
    row = torch.cat((half_way, below, above, torch.tensor([4.0]))) * sign * 2.0**exponent
    magnitudes = quantize(row[None], "mxfp4").codes[0, :-1].view(3, 7) & 7
    assert magnitudes.tolist() == [[0, 2, 2, 4, 4, 6, 6], [0, 1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6, 7]]


def test_mxfp4_saturates_at_six():
    row = [4.0, 5.0, 5.000001, 6.0, 6.999999, 7.0, 7.999999]
    matrix = quantize(torch.tensor([row]), "mxfp4")
    assert matrix.scales.tolist() == [[127]]
    assert matrix.dequantize().tolist() == [[4, 4, 6, 6, 6, 6, 6]]


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
def test_mxfp4_at_the_ends_of_the_range(row: list[float]):
    assert_as_reference(row)


def test_mxfp4_blocks_of_zeros_have_code_0_and_the_smallest_scale():
    matrix = quantize(torch.tensor([[0.0, -0.0] * 16 + [1.0]]), "mxfp4")
    assert matrix.codes.tolist() == [[0] * 32 + [6]]
    assert matrix.scales.tolist() == [[0, 125]]


# --- int4 and ternary ------------------------------------------------------------------------------------------------


def test_int4_rounds_half_to_even_and_saturates_at_seven():
    steps = [7.0, -7.0, 0.5, 1.5, 2.5, -0.5, -1.5, 6.5, 5.5, 0.51, 3.499]
    matrix = quantize(torch.tensor([steps]) * 2.0**-9, "int4")
    assert matrix.scales.tolist() == [2.0**-9]
    assert (matrix.dequantize() * 2.0**9).tolist() == [[7, -7, 0, 2, 2, 0, -2, 6, 6, 1, 3]]
    assert matrix.codes.tolist() == [[7, 9, 0, 2, 2, 0, 14, 6, 6, 1, 3]]


@settings(max_examples=150, deadline=None)
@given(st.lists(float32s(), min_size=1, max_size=20))
def test_int4_of_any_row(row: list[float]):
    matrix = quantize(torch.tensor([row]), "int4")
    wanted = torch.tensor(max(map(abs, row))) / 7
    scale = wanted.bfloat16() if not any(row) else wanted.clamp(min=2.0**-133).bfloat16()
    assert matrix.scales.tolist() == [scale.item()]
    for w, value in zip(row, matrix.dequantize()[0].tolist(), strict=True):
        quotient = Fraction(w) / Fraction(scale.item()) if any(row) else Fraction(0)
        assert Fraction(value) == min(max(round(quotient), -7), 7) * Fraction(scale.item())


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
    assert Fraction(quantize(row[None] * 7, "int4").scales.item()) == rounded(
        rounded(rounded(max(exact) * 7, 24) / 7, 24), 8
    )


def test_neighbours_of_every_tie_of_every_scale_fall_to_their_sides():
    scale = torch.arange(128, 256)[:, None] / 128
    tie = scale * (torch.arange(7) + 0.5)
    below, above = torch.nextafter(tie, torch.tensor(0.0)), torch.nextafter(tie, torch.tensor(99.0))
    matrix = quantize(torch.cat((scale * 7, below, tie, above), dim=1), "int4")
    assert torch.equal(matrix.scales.float(), scale[:, 0])
    assert (matrix.codes == torch.tensor([7, *range(7), 0, 2, 2, 4, 4, 6, 6, *range(1, 8)])).all()


@pytest.mark.parametrize("name", ["int4", "ternary"])
@pytest.mark.parametrize("row", [[SMALLEST, 0.0], [SMALLEST] * 8, [LARGEST, LARGEST], [LARGEST_BF16, -1.0]])
def test_row_scales_stay_positive_and_finite(name: str, row: list[float]):
    matrix = quantize(torch.tensor([row]), name)
    assert 2.0**-133 <= matrix.scales.item() <= LARGEST_BF16
    assert torch.isfinite(matrix.dequantize()).all()


@pytest.mark.parametrize("name", ["int4", "ternary"])
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


@pytest.mark.parametrize("name", ["mxfp4", "int4"])  # of ternary rows, the mean falls with every zero
def test_what_is_quantized_stays_when_quantized_again(name: str):
    once = fake_quantize(torch.randn(16, 96, generator=torch.Generator().manual_seed(2)), name)
    assert torch.equal(fake_quantize(once, name), once)


def test_fake_quantization_has_no_gradient():
    assert not fake_quantize(torch.ones(2, 2, requires_grad=True), "mxfp4").requires_grad


def test_an_unknown_format_is_refused():
    with pytest.raises(UserError, match="format 'fp3' is not known; choose one of mxfp4, int4, ternary"):
        quantize(torch.zeros(1, 1), "fp3")


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 4), st.integers(1, 9), st.data())
def test_packing_round_trip(rows: int, cols: int, data: st.DataObject):
    numbers = data.draw(st.lists(st.integers(0, 15), min_size=rows * cols, max_size=rows * cols))
    codes = torch.tensor(numbers, dtype=torch.uint8).view(rows, cols)
    packed = pack_codes(codes)
    assert packed.shape == (rows, (cols + 1) // 2)
    assert torch.equal(unpack_codes(packed, cols), codes)


def test_packing_puts_the_first_code_in_the_low_nibble_and_pads_with_0():
    assert pack_codes(torch.tensor([[1, 2, 15]], dtype=torch.uint8)).tolist() == [[0x21, 0x0F]]


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
