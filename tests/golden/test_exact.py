"""Integers in floating point: every unit computes in float64 what it computes in int64, up to the ends of its word."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Generator, Tensor

from hardloom.golden.errors import UserError
from hardloom.golden.units.argmax import Argmax
from hardloom.golden.units.attention import Attention
from hardloom.golden.units.exact import ExactMatrix, exact_matmul, power_of_two, tabulated
from hardloom.golden.units.fixed import FIXED, FixedPoint
from hardloom.golden.units.gain import Gain
from hardloom.golden.units.quantize import Quantize
from hardloom.golden.units.rescale import Rescale
from hardloom.golden.units.rmsnorm import RMSNorm
from hardloom.golden.units.rope import Rope
from hardloom.golden.units.rounding import floor_shift, round_shift
from hardloom.golden.units.softmax import SoftmaxNumerator
from hardloom.golden.units.swiglu import SwiGLU
from hardloom.golden.units.table import Exp2, Reciprocal, Rsqrt, Sigmoid

CPU = torch.device("cpu")
WORDS = [FIXED, FixedPoint(24, 12), FixedPoint(32, 12), FixedPoint(36, 17), FixedPoint(37, 16), FixedPoint(27, 26)]


def integers(seed: int, low: int, high: int, *shape: int) -> Tensor:
    """As many of few bits as of many, and both ends."""
    generator = Generator().manual_seed(seed)
    bits = torch.randint(0, 64, shape, generator=generator)
    x = torch.randint(low, high + 1, shape, generator=generator) >> bits.clamp(max=62) % (high.bit_length() + 1)
    x.view(-1)[:2] = torch.tensor([low, high])
    return x


def words(word: FixedPoint, seed: int, *shape: int) -> Tensor:
    return integers(seed, word.min, word.max, *shape)


def same(compute, *args: Tensor) -> None:
    """`compute` gives the same integers, kept in the dtype that it is given."""
    exact, floats = compute(*args), compute(*(x.double() for x in args))
    for a, b in zip(*((y if isinstance(y, tuple) else (y,)) for y in (exact, floats)), strict=True):
        assert a.dtype == torch.int64
        assert torch.equal(a, b.long())


@pytest.mark.parametrize("word", WORDS)
def test_units_agree_in_both_carriers_over_the_whole_word(word: FixedPoint) -> None:
    x, y = words(word, 1, 300, 16), words(word, 2, 300, 16)
    same(RMSNorm(16, 1e-5, word).compute, x)
    same(Quantize(word, 8).compute, x)
    same(Quantize(word, 12).compute, x)
    same(SwiGLU(word).compute, x, y)
    same(Gain(word).compute, x, integers(3, -(1 << 19), (1 << 19) - 1, 16))
    rope = Rope(16, 10000.0, word)
    same(rope.rotate, x, *(part[150:] for part in rope.angles(450)))
    same(rope.scaled, x, integers(4, -(1 << 19), (1 << 19) - 1, 16))
    same(Rescale(word).compute, x, integers(5, 128, 255, 16), integers(6, 0, 40, 16), integers(7, 0, 20, 300, 1))
    same(SoftmaxNumerator(word).compute, x)
    same(lambda z: Argmax(SoftmaxNumerator(word)).compute(z), x)


def test_the_widest_words_are_those_above() -> None:
    for word in WORDS[-3:]:
        assert word.width == FixedPoint.widest(word.frac)


def test_tables_agree_in_both_carriers() -> None:
    same(Exp2().compute, integers(1, 0, 30 << 12, 5000))
    same(Sigmoid(16).compute, words(FIXED, 2, 5000))
    same(Rsqrt(48).compute, integers(3, 1, (1 << 50) - 1, 5000).clamp(min=1))
    same(Reciprocal().compute, integers(4, 1 << 15, (1 << 45) - 1, 5000).clamp(min=1 << 15))


def test_a_function_of_too_many_values_is_computed_by_its_integers() -> None:
    same(Sigmoid(24).compute, words(FixedPoint(28, 24), 1, 5000))
    with pytest.raises(AttributeError):
        tabulated(None, torch.zeros(1, dtype=torch.float64), 0, 1)


@pytest.mark.parametrize("block_length", [None, 1, 4])
@pytest.mark.parametrize("limit", [127, 2047])
def test_attention_agrees_in_both_carriers_and_some_queries_at_a_time(block_length: int | None, limit: int) -> None:
    made = Quantize(width=limit.bit_length() + 1)
    unit = Attention(16, block_length, query=made, key=made, value=made)
    q, k, v = (integers(seed, -limit, limit, 3, 10, 16) for seed in (1, 2, 3))
    scales = [integers(seed, 0, 20, 3, 10, 1).clamp(min=0) for seed in (4, 5, 6)]
    packets = [x for pair in zip((q, k, v), scales, strict=True) for x in pair]
    same(unit.compute, *packets)
    whole = unit.compute(*packets)
    for first, last in ((0, 3), (3, 9), (9, 10)):
        keys = unit.keys_of(last, 10)
        part = unit.compute(*(x[:, first:last] for x in packets[:2]), *(x[:, :keys] for x in packets[2:]), first)
        assert torch.equal(part, whole[:, first:last])


def test_attention_over_many_keys_is_exact() -> None:
    """Sums of values of 12 bits times a reciprocal pass 2^53 here."""
    q, k = torch.zeros(2, 4, dtype=torch.int64), torch.zeros(9001, 4, dtype=torch.int64)
    v, zero = torch.full((9001, 4), 2047) - torch.arange(9001)[:, None] % 7, torch.zeros(9001, 1, dtype=torch.int64)
    same(Attention(4, value=Quantize(width=12)).compute, q, zero[:2], k, zero, v, zero)


@given(st.integers(-(1 << 52) + 1, (1 << 52) - 1), st.integers(-300, 300), st.integers(-300, 300))
def test_round_shift_is_the_same_in_float64(x: int, first: int, second: int) -> None:
    shift = first + second
    exact = (x + (1 << shift - 1)) >> shift if shift > 0 else x << -shift
    assert round_shift(torch.tensor(float(x), dtype=torch.float64), first, second).item() == float(exact)


@given(st.integers(0, (1 << 53) - 1), st.integers(-8, 60))
def test_floor_shift_is_the_same_in_float64(x: int, shift: int) -> None:
    exact = x >> shift if shift > 0 else x << -shift
    assert floor_shift(torch.tensor(float(x), dtype=torch.float64), shift).item() == exact
    assert floor_shift(torch.tensor(x), shift).item() == exact


def test_powers_of_two_are_exact() -> None:
    exponents = range(-1022, 1024)
    assert power_of_two(torch.tensor(exponents)).tolist() == [2.0**e for e in exponents]


# matrices


@pytest.mark.parametrize(("limit", "low", "mant", "dtype"), [
    (127, 12, 128, torch.float32),  # one float32 product, the power of two in it
    (127, 12, 255, torch.float32),  # and with 8 bits of scale
    (2047, 100, 255, torch.float32),  # the scale apart
    (2047, 3000, 129, torch.float64),
])  # fmt: skip
def test_a_matrix_rounds_as_the_rescale_unit(limit: int, low: int, mant: int, dtype: torch.dtype) -> None:
    weights, x = integers(1, -low, low, 9, 40), integers(2, -limit, limit, 50, 40)
    mants, exp = integers(3, 128, mant, 9).clamp(min=mant), integers(4, -30, 0, 9).clamp(max=0)
    scale = integers(5, 0, 21, 50, 1).clamp(min=0)
    matrix = ExactMatrix(weights, mants, exp, limit, CPU)
    product = matrix.product((x * 2.0**scale).float())
    assert matrix.weights.dtype == dtype
    found = FIXED.nearest_(product.double().clone()).long()
    assert torch.equal(found, Rescale().compute(x @ weights.T, mants, -exp, scale))
    part = matrix.product((x * 2.0**scale).float(), slice(2, 5))
    assert torch.equal(part, product[:, 2:5])


def test_a_matrix_of_extreme_scales_is_exact() -> None:
    """float32 has no such powers of two."""
    matrix = ExactMatrix(torch.tensor([[3, 5]]), torch.tensor([128]), torch.tensor([-200]), 127, CPU)
    assert matrix.product(torch.tensor([[1.0, 2.0]])).item() == 13 * 2.0**-193


def test_sums_that_are_not_exact_are_a_users_error() -> None:
    weights = torch.full((1, 4096), 1 << 26)
    with pytest.raises(UserError, match="quantize with a smaller spread"):
        ExactMatrix(weights, torch.tensor([255]), torch.tensor([0]), 127, CPU)


@pytest.mark.parametrize("size", [10, 1 << 13, 1 << 20])
def test_products_of_integers_are_exact_at_any_size(size: int) -> None:
    a, b = integers(1, -size, size, 7, 30), integers(2, -size, size, 30, 8)
    assert torch.equal(exact_matmul(a.double(), b.double(), size**2).long(), a @ b)
