"""The integer specification objects against big integers and floats, at the bounds that they state."""

import math
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Generator, Tensor

from hardloom.golden.errors import UserError
from hardloom.golden.units.argmax import Argmax
from hardloom.golden.units.attention import Attention
from hardloom.golden.units.combine import Combine
from hardloom.golden.units.fixed import FIXED, SCORE, FixedPoint, bit_length
from hardloom.golden.units.numerics import Numerics
from hardloom.golden.units.quantize import Quantize
from hardloom.golden.units.rescale import Rescale
from hardloom.golden.units.rmsnorm import RMSNorm
from hardloom.golden.units.rope import Rope
from hardloom.golden.units.rounding import round_shift
from hardloom.golden.units.router import Router
from hardloom.golden.units.softmax import SoftmaxNumerator
from hardloom.golden.units.swiglu import SwiGLU
from hardloom.golden.units.table import Exp2, Log2, Reciprocal, Rsqrt, Sigmoid

ONE = 1 << FIXED.frac
WIDE = st.integers(-(1 << 60) + 1, (1 << 60) - 1)
WORDS = st.builds(
    lambda width, frac: FixedPoint(width, frac % min(width, 54 - width)), st.integers(8, 37), st.integers(0, 47)
)


def rounded(x: int, shift: int) -> int:
    """x * 2^-shift, half up, without a bound on either."""
    return (x + (1 << (shift - 1))) >> shift if shift > 0 else x << -shift


def saturated(x: int, word: FixedPoint) -> int:
    return max(word.min, min(word.max, x))


def fixed(x: Tensor) -> Tensor:
    return (x.double() * ONE).round().to(torch.int64).clamp(FIXED.min, FIXED.max)


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=Generator().manual_seed(seed), dtype=torch.float64)


# rounding


@given(WIDE, st.integers(-2, 400))
def test_round_shift_is_the_contract_on_big_integers(x: int, shift: int) -> None:
    assert round_shift(torch.tensor(x), shift).item() == rounded(x, shift)


def test_round_shift_exhaustively_on_small_numbers() -> None:
    x, shift = torch.cartesian_prod(torch.arange(-200, 201), torch.arange(-3, 12)).unbind(1)
    expected = [rounded(a, s) for a, s in zip(x.tolist(), shift.tolist(), strict=True)]
    assert round_shift(x, shift).tolist() == expected


@given(WIDE, st.integers(-300, 300), WORDS)
def test_a_word_rounds_then_saturates_at_any_shift(x: int, shift: int, word: FixedPoint) -> None:
    assert word.round(torch.tensor(x), shift).item() == saturated(rounded(x, shift), word)


@pytest.mark.parametrize("word", [FIXED, SCORE, FixedPoint(8, 0), FixedPoint(32, 16), FixedPoint(37, 16)])
@pytest.mark.parametrize(
    "x", [0, 1, -1, 2, -2, (1 << 60) - 1, 1 - (1 << 60), 4_294_966_077, 1 << 27, -(1 << 27), -(1 << 59)]
)
def test_a_word_rounds_edges_at_every_shift(word: FixedPoint, x: int) -> None:
    shifts = range(-300, 301)
    expected = [saturated(rounded(x, shift), word) for shift in shifts]
    assert word.round(torch.full((601,), x), torch.tensor(shifts)).tolist() == expected


@given(st.integers(0, (1 << 53) - 1))
def test_bit_length_is_pythons(x: int) -> None:
    assert bit_length(torch.tensor(x)).item() == x.bit_length()


def test_bit_length_at_powers_of_two() -> None:
    powers = [max(0, (1 << bits) + step) for bits in range(53) for step in (-1, 0, 1)]
    assert bit_length(torch.tensor(powers)).tolist() == [x.bit_length() for x in powers]


@pytest.mark.parametrize(("width", "frac"), [(7, 0), (38, 12), (36, 18), (48, 0), (16, 16), (16, -1)])
def test_a_word_outside_its_ranges_is_a_users_error(width: int, frac: int) -> None:
    with pytest.raises(UserError, match=f"{width} bits with {frac} fraction bits"):
        FixedPoint(width, frac)


# tables: the bounds that their docstrings state


def test_exp2_over_every_fraction() -> None:
    d = torch.arange(20 << 12)
    y = Exp2().compute(d)
    assert (y - 65536 * torch.exp2(-d.double() / 4096)).abs().max() < 2
    assert y[0] == 65536
    assert (y[18 << 12 :] == 0).all()
    assert (y.diff() <= 0).all()


def test_sigmoid_over_every_gate() -> None:
    g = torch.arange(-9 * ONE, 9 * ONE + 1)
    y, reference = Sigmoid().compute(g), torch.sigmoid(g.double() / ONE)
    error, inside = (y / 65536 - reference).abs(), g.abs() < 8 * ONE
    assert error.max() < 3.5e-4
    assert error[inside].max() < 6e-5
    assert (y[g >= 8 * ONE] == 65536).all()
    assert (y[g <= -8 * ONE] == 0).all()
    assert (y + y.flip(0) == 65536).all()


def spread(low: int, high: int, seed: int) -> Tensor:
    """Integers of every length: every mantissa of 16 bits, and random ones of up to `high` bits."""
    generator = Generator().manual_seed(seed)
    bits = torch.randint(low, high, (20000,), generator=generator)
    random = (torch.rand(20000, generator=generator, dtype=torch.float64) + 1) * 2.0 ** (bits - 1)
    return torch.cat([torch.arange(1 << (low - 1), 1 << 17), random.to(torch.int64)])


@pytest.mark.parametrize("count", [1, 2, 3, 12, 16, 48, 64, 1024, 2048])
def test_rsqrt_relative_error(count: int) -> None:
    table, x = Rsqrt(count), spread(1, 50, count)
    r, half = table.compute(x)
    y = r * torch.exp2((table.exponent - 14 - half).double())
    assert (y * x.double().sqrt() / math.sqrt(count) - 1).abs().max() < 2**-11
    assert r.max() <= 1 << 15


def test_reciprocal_relative_error() -> None:
    x = spread(16, 52, 0)
    r, bits = Reciprocal().compute(x)
    assert (r * torch.exp2((-15 - bits).double()) * x.double() - 1).abs().max() < 2**-13
    assert r.min() >= 1 << 15
    assert r.max() <= 1 << 16


def test_log2_error_and_powers_of_two() -> None:
    x = spread(1, 47, 1)
    assert (Log2().compute(x) * 2.0**-16 - x.double().log2()).abs().max() < 2**-13
    assert Log2().compute(1 << torch.arange(47)).tolist() == [places << 16 for places in range(47)]


# units


@given(st.lists(st.integers(FIXED.min, FIXED.max), min_size=1, max_size=8))
def test_quantize_takes_the_smallest_scale_that_fits(x: list[int]) -> None:
    q, scale = (t.tolist() for t in Quantize().compute(torch.tensor(x)))
    bits = max(abs(v) for v in x).bit_length()
    assert scale == [max(0, bits - 7)]
    assert q == [max(-127, min(127, rounded(v, scale[0]))) for v in x]


@given(st.integers(-(1 << 50), 1 << 50), st.integers(128, 255), st.integers(-256, 255), st.integers(0, 31))
def test_rescale_is_the_contract_on_big_integers(acc: int, mant: int, shift: int, scale: int) -> None:
    y = Rescale().compute(*(torch.tensor([v]) for v in (acc, mant, shift, scale)))
    assert y.tolist() == [saturated(rounded(acc * mant, shift - scale), FIXED)]


@given(st.lists(st.tuples(st.integers(FIXED.min, FIXED.max), st.integers(0, 65536)), min_size=1, max_size=8))
def test_combine_rounds_the_exact_sum_once(terms: list[tuple[int, int]]) -> None:
    total = sum(x * weight for x, weight in terms)
    assert Combine().compute(torch.tensor(total)).item() == saturated(rounded(total, 16), FIXED)


@pytest.mark.parametrize("count", [3, 12, 16, 64, 256])
@pytest.mark.parametrize("size", [1e-3, 1.0, 100.0])
def test_rmsnorm_is_near_the_float_norm(count: int, size: float) -> None:
    x = fixed(normal(count, 400, count) * size)
    value = x / ONE
    reference = value / (value.square().mean(-1, keepdim=True) + 1e-5).sqrt()
    error = (RMSNorm(count, 1e-5).compute(x) / ONE - reference).abs()
    top = reference.abs().amax(-1, keepdim=True)
    assert (error <= reference.abs() * 2**-11 + top * 2**-14 + 2**-16).all()


def test_rmsnorm_of_zeros_is_zero_even_without_eps() -> None:
    for eps in (0.0, 1e-5):
        assert (RMSNorm(16, eps).compute(torch.zeros(2, 16, dtype=torch.int64)) == 0).all()


@pytest.mark.parametrize("head_dim", [2, 12, 16, 64])
def test_rope_is_near_the_float_rotation(head_dim: int) -> None:
    spec, positions, half = Rope(head_dim, 10000.0), 40, head_dim // 2
    gain = normal(1, head_dim).abs() + 0.5
    x = fixed(normal(2, 8, positions, head_dim) * 4)
    y = spec.compute(x, spec.gains(gain), *spec.angles(positions)) / ONE
    angle = torch.outer(torch.arange(positions).double(), 10000.0 ** (-torch.arange(half).double() / half))
    first, second = (x / ONE * gain).chunk(2, -1)
    reference = torch.cat([first * angle.cos() - second * angle.sin(), second * angle.cos() + first * angle.sin()], -1)
    bound = (reference.abs().max() + 1) * 2**-12
    assert (y - reference).abs().max() < bound


def test_rope_at_position_zero_applies_the_gain_alone() -> None:
    spec, x = Rope(16, 10000.0), fixed(normal(3, 5, 16))
    gains = spec.gains(normal(4, 16))
    assert torch.equal(spec.compute(x, gains, *(a[0] for a in spec.angles(1))), FIXED.round(x * gains, 14))


def test_swiglu_is_near_float() -> None:
    gate, up = fixed(normal(5, 4000) * 5), fixed(normal(6, 4000) * 5)
    g, u = gate / ONE, up / ONE
    reference = (g * torch.sigmoid(g) * u).clamp(FIXED.min / ONE, FIXED.max / ONE)
    error = (SwiGLU().compute(gate, up) / ONE - reference).abs()
    assert (error <= 3.5e-4 * (g * u).abs() + (u.abs() + 1) * 2**-16).all()


@dataclass(frozen=True)
class Packets:
    """int8 packets of float vectors, and the floats that they stand for."""

    x: Tensor

    @property
    def packet(self) -> tuple[Tensor, Tensor]:
        return Quantize().compute(fixed(self.x))

    @property
    def value(self) -> Tensor:
        q, scale = self.packet
        return q * torch.exp2(scale.double() - FIXED.frac)


def test_attention_is_near_float_softmax_of_the_same_packets() -> None:
    q, k, v = (Packets(normal(seed, 3, 20, 16) * size) for seed, size in ((7, 2), (8, 2), (9, 1)))
    y = Attention(16).compute(*q.packet, *k.packet, *v.packet) / ONE
    reference = torch.softmax(q.value @ k.value.mT / 4, -1) @ v.value
    assert (y - reference).abs().max() < 2e-3


def test_router_probabilities_are_near_softmax() -> None:
    logits = fixed(normal(10, 500, 8) * 2)
    error = Router(8, 2).probabilities(logits) / 65536 - torch.softmax(logits / ONE, -1)
    assert error.abs().max() < 3e-4


def test_router_selects_and_weighs_by_probability_plus_bias() -> None:
    router, logits = Router(4, 2, biased=True), torch.tensor([[3, 2, 1, 0]]) * ONE
    p = router.probabilities(logits)[0].tolist()
    experts, weights = router.compute(logits, router.biases(torch.tensor([-2.0, -1.5, -2.0, 1.0])))
    assert experts.tolist() == [[3, 1]]
    assert weights.tolist() == [[p[3] + 65536, p[1] - 98304]]


def test_biased_weights_are_near_the_float_scores() -> None:
    router, logits, bias = Router(8, 3, biased=True), fixed(normal(12, 500, 8) * 2), normal(13, 8)
    experts, weights = router.compute(logits, router.biases(bias))
    score = torch.softmax(logits / ONE, -1) + bias
    assert (weights / 65536 - score.gather(-1, experts)).abs().max() < 3e-4 + 2**-17
    assert (weights / 65536 - score.topk(3, -1).values).abs().max() < 3e-4 + 2**-17


def test_a_biased_weight_has_25_bits_with_a_sign() -> None:
    router, level = Router(2, 2, biased=True), torch.zeros(1, 2, dtype=torch.int64)
    largest = (1 << 23) - 1
    _, weights = router.compute(level, router.biases(torch.tensor([-largest / 65536, largest / 65536])))
    assert weights.tolist() == [[largest + 32768, 32768 - largest]]
    assert router.weight_width == 25 and Router(2, 2).weight_width == 17
    assert largest + 65536 < 1 << 24


def test_sums_of_biased_weights_stay_exact() -> None:
    for width, most in ((28, 2048), (36, 8)):
        numerator = SoftmaxNumerator(FixedPoint(width, 16))
        with pytest.raises(UserError, match=f"num_experts_per_tok {most + 1} is more than the {most}"):
            Router(3000, most + 1, biased=True, numerator=numerator)
        largest = (1 << 23) + 65536
        assert most * largest * -numerator.word.min < 1 << 62
        assert Router(3000, most + 1, numerator=numerator).top_k == most + 1


@pytest.mark.parametrize("word", [(15, 8), (28, 3)])
def test_words_that_units_are_not_made_for_are_refused(word: tuple[int, int]) -> None:
    with pytest.raises(UserError, match=f"word of {word[0]} bits with {word[1]} fraction bits is narrower"):
        Numerics(FixedPoint(*word))


def test_scores_of_fewer_fraction_bits_give_the_same_exponentials() -> None:
    with pytest.raises(UserError, match="score has 13 fraction bits"):
        Numerics(score=FixedPoint(24, 13))
    coarse, fine = (Attention(4, score=FixedPoint(24, frac)) for frac in (9, 12))
    t, v = torch.tensor([[[0, -512, 512], [700, 0, 1], [-3, 9, 60]]]), torch.arange(12).reshape(1, 3, 4)
    scale = torch.zeros(1, 3, 1, dtype=torch.int64)
    assert torch.equal(coarse.mix(t, v, scale), fine.mix(t << 3, v, scale))


def test_ties_go_to_the_lowest_index() -> None:
    level = torch.zeros(1, 6, dtype=torch.int64)
    assert Router(6, 3).compute(level)[0].tolist() == [[0, 1, 2]]
    logits = torch.tensor([[5, 9, 9, 1, 9], [7, 7, 7, 7, 7]])
    assert Argmax().compute(logits)[0].tolist() == [1, 0]


LOGITS = st.lists(st.sampled_from([FIXED.min, FIXED.max, 0, 1, ONE]) | st.integers(-8 * ONE, 8 * ONE), min_size=1)


@given(LOGITS.filter(bool), st.sets(st.integers(0, 12)))
def test_a_suppressed_token_is_as_if_it_were_not_there(logits: list[int], suppressed: set[int]) -> None:
    left = [token for token in range(len(logits)) if token not in suppressed]
    off = torch.tensor([token in suppressed for token in range(len(logits))])
    token, spread = Argmax().compute(torch.tensor(logits), off)
    if left:
        among, right = Argmax().compute(torch.tensor([logits[one] for one in left]))
        assert (token, spread) == (left[among], right)
    else:
        assert (token, spread) == (0, 0)


def test_spread_is_the_sum_of_exponentials_below_the_largest() -> None:
    logits = fixed(normal(11, 200, 40) * 3)
    _, spread_of = Argmax().compute(logits)
    value = logits / ONE
    reference = (value - value.amax(-1, keepdim=True)).exp().sum(-1) * 65536
    assert (spread_of - reference).abs().max() < 40 * 6
    assert spread_of.min() >= 65536
