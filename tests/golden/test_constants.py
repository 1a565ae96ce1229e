"""Every constant that is made of real numbers, to its last bit: computed anew in long decimals and in fractions."""

import math
from collections.abc import Callable
from decimal import Decimal, localcontext
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from hardloom.golden.checkpoints.families import shape_of
from hardloom.golden.errors import UserError
from hardloom.golden.models.integer_model import IntegerModel
from hardloom.golden.quantization.quantize import quantize_checkpoint
from hardloom.golden.quantization.quantized import QuantizedCheckpoint
from hardloom.golden.samplers.denoise import spread_limit
from hardloom.golden.shape import TensorShape
from hardloom.golden.units.attention import Attention
from hardloom.golden.units.bias import Bias
from hardloom.golden.units.clip import Clip
from hardloom.golden.units.fixed import FIXED
from hardloom.golden.units.gain import Gain
from hardloom.golden.units.numerics import Numerics
from hardloom.golden.units.rmsnorm import RMSNorm
from hardloom.golden.units.rope import Rope
from hardloom.golden.units.router import Router
from hardloom.golden.units.table import LOG2E, Exp2, Reciprocal, Rsqrt, Sigmoid
from tests import ROOT
from tests.published_models import FAMILIES, write_family

DIGITS = 60
PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494459230781640628620899862803")


@pytest.fixture(autouse=True)
def long_decimals():
    with localcontext() as context:
        context.prec = DIGITS
        yield


def nearest(x: Decimal | Fraction) -> int:
    """The integer nearest to x, half up."""
    return math.floor(x + type(x)("0.5"))


def cosine_and_sine(angle: Decimal) -> tuple[Decimal, Decimal]:
    """By their series, of an angle from 0 on."""
    angle %= 2 * PI
    sums, term, n = [Decimal(0), Decimal(0)], Decimal(1), 0
    while n < 2 or abs(term) > Decimal(10) ** (5 - DIGITS):
        sums[n % 2] += -term if n % 4 > 1 else term
        n += 1
        term *= angle / n
    return sums[0], sums[1]


# tables


def test_exp2_table() -> None:
    wanted = [nearest(2 ** (16 - Decimal(i) / 64)) if i % 64 else 65536 >> i // 64 for i in range(65)]
    assert list(Exp2().table.points) == wanted


def test_sigmoid_table() -> None:
    wanted = [nearest(65536 / (1 + (-Decimal(i) / 16).exp())) if i else 32768 for i in range(129)]
    assert list(Sigmoid().table.points) == wanted


def test_reciprocal_table() -> None:
    assert list(Reciprocal().table.points) == [nearest(Fraction(1 << 22, 64 + i)) for i in range(65)]


@pytest.mark.parametrize("count", [1, 2, 3, 12, 16, 40, 48, 64, 128, 1000, 2048, 4096])
def test_rsqrt_table(count: int) -> None:
    exponent = Rsqrt(count).exponent
    root = Decimal(count * 128).sqrt() * Decimal(2) ** (14 - exponent)
    assert list(Rsqrt(count).table.points) == [nearest(root / Decimal(max(i, 32)).sqrt()) for i in range(129)]


def test_rsqrt_exponent_is_the_smallest() -> None:
    counts = {*range(1, 300), *(4**e + step for e in range(1, 11) for step in (-1, 0, 1))}
    assert all(Rsqrt(c).exponent == next(e for e in range(12) if c <= 4**e) for c in counts)


# scales


def test_log2_of_e() -> None:
    assert nearest(16384 / Decimal(2).ln()) == LOG2E


def test_scale_of_attention_scores() -> None:
    log2_of_e = 16384 / Decimal(2).ln()
    assert all(Attention(d).scale == nearest(log2_of_e / Decimal(d).sqrt()) for d in range(2, 514, 2))


@example(531826, 0.8232385644268299).via("a product of floats is off by one")
@example(1, 2.0**-33).via("half way")
@given(st.integers(1, 1 << 20), st.floats(1e-12, 1.0))
def test_eps_of_any_norm(count: int, eps: float) -> None:
    assert RMSNorm(count, eps).eps_sum == nearest(Fraction(eps) * count * (1 << 32))


@pytest.mark.parametrize("count", [16, 40, 64, 128, 2048, 4096, 999_983])
@pytest.mark.parametrize("eps", [1e-5, 1e-6, 3e-7])
def test_eps_of_norms_like_the_published(count: int, eps: float) -> None:
    assert RMSNorm(count, eps).eps_sum == nearest(Fraction(eps) * count * (1 << 32))


@example(3.613889809242936e-05).via("a quotient of floats is off by one")
@given(st.floats(2**-30, 1.0, exclude_min=True))
def test_limit_of_spreads_for_any_threshold(threshold: float) -> None:
    limit = spread_limit(threshold)
    assert Fraction(65536, limit - 1) > Fraction(threshold) or limit == 65536, "the largest spread that passes"
    assert Fraction(65536, limit) <= Fraction(threshold) or limit == (1 << 32) - 1, "the smallest that does not"


# rotary embedding


@pytest.mark.parametrize("theta", [50000.0, 10000.0, 600000.0, 3e6])
@pytest.mark.parametrize("head_dim", [2, 12, 128])
def test_cosines_and_sines(head_dim: int, theta: float) -> None:
    half, positions = head_dim // 2, [*range(6), 63, 255, 1000, 2047]
    cos, sin = Rope(head_dim, theta).angles(positions[-1] + 1)
    assert cos.shape == sin.shape == (2048, half)
    for i in {0, 1, half // 3, half - 1} & set(range(half)):
        frequency = Decimal(theta) ** (-Decimal(2 * i) / head_dim)
        for p in positions[1:]:
            wanted = [nearest(16384 * x) for x in cosine_and_sine(p * frequency)]
            assert [int(cos[p, i]), int(sin[p, i])] == wanted, (p, i)
    assert cos[0].tolist() == [16384] * half and sin[0].tolist() == [0] * half


# vectors of the checkpoint


def neighbours(frac: int, integers: list[int]) -> list[float]:
    """Float32 numbers half way between those of `frac` fraction bits, at them, and beside both."""
    places = torch.tensor([(k + part) / 2**frac for k in integers for part in (0, 0.5)], dtype=torch.float32)
    beside = [torch.nextafter(places, torch.tensor(end)) for end in (-math.inf, math.inf)]
    return torch.cat([places, *beside]).tolist()


EDGES = [0, 1, 2, 3, 100, 65535, 65536, 524286, -1, -2, -3, -4, -101, -65536, -524287]


Make = Callable[[torch.Tensor], torch.Tensor]


def constants(make: Make, values: list[float]) -> list[int]:
    return make(torch.tensor(values, dtype=torch.float32)).tolist()


@pytest.mark.parametrize("clip", [0.5, 0.9, 1.5 / 65536, 2.5 / 65536, 1.49999 / 65536, 1e6])
def test_the_limit_of_clipped_values_is_rounded_like_every_constant(clip: float) -> None:
    """And beyond the word nothing is clipped."""
    limit = min(nearest(Fraction(clip) * 65536), FIXED.max)
    x = torch.tensor([-FIXED.max, -limit, 0, limit, limit + 1, FIXED.max])
    assert Clip(clip, FIXED).compute(x).tolist() == x.clamp(-limit, limit).tolist()


@pytest.mark.parametrize(
    "make, frac, width",
    [
        (Router(2, 1, biased=True).biases, 16, 24),
        (Rope(2, 1e4).gains, 14, 20),
        (Gain().constants, 12, 20),
        (Bias().constants, 16, 28),
    ],
    ids=["biases of experts", "gains of q and k", "gains behind norms", "biases of projections"],
)
class TestVectors:
    """Constants of `width` bits, half up at every side of a half; beyond the word they are refused, not clamped."""

    def test_beside_halves(self, make: Make, frac: int, width: int) -> None:
        top = min(width - 1, 23)  # float32 has the halves up to there
        edges = [e for e in EDGES if abs(e) < 1 << (top - 1)] + [(1 << top) - 2, -(1 << top) + 1]
        values = neighbours(frac, edges)
        assert constants(make, values) == [nearest(Fraction(v) * 2**frac) for v in values]

    @given(st.data())
    def test_of_any_float(self, make: Make, frac: int, width: int, data: st.DataObject) -> None:
        end = 2.0 ** (width - 1 - frac) - 1
        values = data.draw(st.lists(st.floats(-end, end, width=32), min_size=1, max_size=20))
        assert constants(make, values) == [nearest(Fraction(v) * 2**frac) for v in values]

    def test_at_the_ends_of_the_word(self, make: Make, frac: int, width: int) -> None:
        """From -2^(width - 1), and half a step below, to 2^(width - 1) - 1, and short of half a step above."""
        end, half, largest = 2.0 ** (width - 1 - frac), 2.0 ** -(frac + 1), (1 << (width - 1)) - 1
        held = torch.tensor([-end, -end - half, end - 2 * half, math.nextafter(end - half, 0)], dtype=torch.float64)
        assert make(held).tolist() == [-largest - 1, -largest - 1, largest, largest]
        for value in (end - half, end, math.nextafter(-end - half, -math.inf), -end * 1.001, 1e30):
            with pytest.raises(UserError, match=f"beyond its word, which holds {-end:g} to {end - 2 * half:.10g}"):
                make(torch.tensor([0.0, value], dtype=torch.float64))

    def test_the_ends_are_those_that_the_documentation_names(self, make: Make, frac: int, width: int) -> None:
        text = " ".join((ROOT / "docs" / "numeric.md").read_text().split())
        end = 1 << (width - 1 - frac)
        if width < 28:  # not the wide word, which a contract may change
            assert f"from -{end} to {end} - 2^-{frac}" in text


ENDS = {"q_norm": 32, "k_norm": 32, "q_bias": 2048, "k_bias": 2048, "v_bias": 2048}
"""Of the words of constants, by kind of vector; 128 of the others."""


def constant_cases() -> list[Any]:
    """A vector of every kind: the contract's gains, a family that has it, the vector."""
    found = {}
    for gains in ("folded", "behind"):
        for family in ("LLaDA-MoE", "LLaDA2.0", "Dream"):
            for vector in shape_of(FAMILIES[family][0]).vectors(gains == "behind"):
                found.setdefault((gains, vector.kind), pytest.param(gains, family, vector, id=f"{gains} {vector.kind}"))
    return [*found.values()]


def test_every_kind_of_vector_is_among_the_cases():
    kinds = {case.values[2].kind for case in constant_cases()}
    assert kinds == {*ENDS, "expert_bias", "input_layernorm", "post_attention_layernorm", "norm"}


@pytest.mark.parametrize(("gains", "family", "vector"), constant_cases())
def test_a_constant_that_no_word_holds_is_refused_before_anything_is_written(
    tmp_path: Path, gains: str, family: str, vector: TensorShape
):
    """And the largest one that a word holds is taken, by quantization and by the integer model."""
    end, numerics = ENDS.get(vector.kind, 128), Numerics(gains=gains)
    for value in (float(end), -1.25 * end):
        folder = write_family(tmp_path / f"{value}", family, {vector.name: value})
        with pytest.raises(
            UserError, match=rf"{vector.name}: .* is {value:g}, beyond its word, which holds -{end} to {end - 1}\.99"
        ):
            quantize_checkpoint(folder, tmp_path / "out", "mxfp4", numerics)
    assert not (tmp_path / "out").exists()
    quantize_checkpoint(write_family(tmp_path / "in", family, {vector.name: -end}), tmp_path / "out", "mxfp4", numerics)
    IntegerModel(QuantizedCheckpoint(tmp_path / "out"))
