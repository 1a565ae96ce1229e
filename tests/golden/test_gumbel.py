"""Noise of a temperature: the words that it is looked up by, its distribution, and the tokens that it draws."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hardloom.golden.models.float_model import FloatEngine
from hardloom.golden.models.manners import Manners
from hardloom.golden.samplers.manner import Manner
from hardloom.golden.units.argmax import Argmax
from hardloom.golden.units.fixed import FIXED
from hardloom.golden.units.gumbel import GUMBEL_FRAC, gumbel

WORDS = st.integers(0, (1 << 32) - 1)
ONE = 1 << FIXED.frac


def noise(seed: int, step: int, position: int, token: int) -> int:
    """Once more, word by word."""
    word = 0
    for part in (seed, step, position, token):
        word = (word + part) % 2**32
        for left, right in ((15, 12), (7, 9), (17, 14), (5, 16)):
            word = word * (1 + 2**left) % 2**32
            word ^= word // 2**right
    bits = f"{word:032b}"
    octave = min(bits.find("1") % 33, 31)
    cell = int((bits + "000")[octave + 1 : octave + 4].ljust(3, "0"), 2)
    v = 2.0 ** -(octave + 1) * (1 + (cell + 0.5) / 8)
    return round(-math.log(-math.log(1 - v) if v > 1e-6 else -math.log1p(-v)) * 1024)


@settings(deadline=None)
@given(WORDS, WORDS, st.integers(0, 65535), st.integers(1, 40))
def test_noise_is_a_function_of_seed_step_position_and_token(seed, step, position, vocab_size):
    found = gumbel(*(torch.tensor([part]) for part in (seed, step, position)), vocab_size)
    assert found.tolist() == [[noise(seed, step, position, token) for token in range(vocab_size)]]


def drawn(seed: int, count: int, tokens: int) -> torch.Tensor:
    """Noise of so many positions, of four steps in turn."""
    position = torch.arange(count)
    return gumbel(torch.full((count,), seed), position % 4, position // 4, tokens) / 2**GUMBEL_FRAC


def test_noise_has_the_mean_and_the_spread_of_gumbels_distribution():
    x = drawn(1, 400, 256)
    assert x.mean().item() == pytest.approx(0.5772, abs=0.02)
    assert x.var().item() == pytest.approx(math.pi**2 / 6, abs=0.03)
    neighbours = torch.corrcoef(torch.stack([x[:, :-1].flatten(), x[:, 1:].flatten()]))[0, 1]
    assert abs(neighbours) < 4 / math.sqrt(400 * 255)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_tokens_are_drawn_as_often_as_softmax_says(temperature):
    logits, count = torch.tensor([1.0, 0.0, 2.0, 2.0, -1.0]), 8000
    tokens = (logits + temperature * drawn(7, count, 5)).argmax(-1)
    share = torch.bincount(tokens, minlength=5) / count
    right = (logits / temperature).softmax(-1)
    assert ((share - right).abs() < 4 * (right * (1 - right) / count).sqrt() + 0.01).all()


LOGITS = st.lists(st.sampled_from([0, 1, ONE]) | st.integers(-8 * ONE, 8 * ONE), min_size=2, max_size=9)


@settings(deadline=None)
@given(LOGITS, st.lists(st.sampled_from([0, 1, -ONE]) | st.integers(-4 * ONE, 9 * ONE), min_size=9, max_size=9))
def test_a_drawn_token_is_that_of_the_largest_sum_and_its_spread_that_of_the_logits(logits, noises):
    noises = noises[: len(logits)]
    token, spread = Argmax().compute(torch.tensor(logits), noise=torch.tensor(noises))
    sums = [logit + one for logit, one in zip(logits, noises, strict=True)]
    assert token == sums.index(max(sums))
    chance = math.exp((logits[token] - max(logits)) / ONE)  # of which the exponential has 16 fraction bits
    right = 65536 * sum(math.exp((logit - logits[token]) / ONE) for logit in logits)
    if chance > 2**-10:
        assert int(spread) == pytest.approx(right, rel=2**-11 + 2**-15 / chance)
    plain = Argmax().compute(torch.tensor(logits))
    assert Argmax().compute(torch.tensor(logits), noise=torch.zeros(len(logits), dtype=torch.int64)) == plain


def test_float_draws_what_the_integers_draw_and_only_where_there_is_a_temperature():
    logits = torch.randint(-4, 5, (2, 6, 11), generator=torch.Generator().manual_seed(3)).double()
    manners = Manners([Manner(temperature=3 << 11, seed=9, step=2, suppressed=(4,)), Manner(seed=9, step=2)])
    found = FloatEngine.prediction(logits, manners)
    row, position = torch.ones(2, 6).nonzero().unbind(1)
    fixed = (logits * ONE).long().flatten(0, 1)
    scaled = manners.noise(row, position, 11)
    token, _ = Argmax().compute(
        fixed, manners.suppressed(row, 11), (scaled + (1 << 11)) >> 12 + GUMBEL_FRAC - FIXED.frac
    )
    assert found.tokens.flatten().tolist() == token.tolist()
    assert found.tokens[1].tolist() == logits[1].argmax(-1).tolist() and 4 not in found.tokens[0]
