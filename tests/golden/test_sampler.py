"""The sampler: schedule, ties, thresholds and blocks, on engines that predict what a test wants."""

from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from golden.errors import UserError
from golden.models.float_model import FloatEngine
from golden.models.integer_model import IntegerModel
from golden.samplers.denoise import Prediction, SamplerParams, asked, denoise

MASK = 99


class Scripted:
    """Predicts fixed tokens and spreads, whatever the sequence holds; `passes` counts predictions."""

    def __init__(self, tokens, spread):
        self.prediction = Prediction(torch.tensor(tokens), torch.tensor(spread))
        self.passes = 0

    def predict(self, tokens, wanted=None):
        self.passes += 1
        return self.prediction

    @staticmethod
    def spread_limit(threshold):
        return 1 / threshold


def run(tokens, spread, params, prompt=((7,),)):
    engine = Scripted([list(row) for row in tokens], [list(row) for row in spread])
    return list(denoise(engine, torch.tensor(prompt), params, MASK)), engine


def commits(steps, row=0):
    """Positions that each step commits."""
    return [step.committed[row].nonzero().flatten().tolist() for step in steps]


def test_the_most_confident_commit_first_and_ties_go_to_the_lowest_position():
    spread = [[0.0, 3.0, 1.5, 1.5, 2.0]]
    steps, _ = run([[1, 2, 3, 4, 5]], spread, SamplerParams(4, 4, 4))
    assert commits(steps) == [[2], [3], [4], [1]]
    assert steps[0].tokens.tolist() == [[7, MASK, 3, MASK, MASK]]
    assert steps[-1].tokens.tolist() == [[7, 2, 3, 4, 5]]


def test_a_tie_at_the_quota_takes_the_lowest_positions():
    steps, _ = run([[1] * 7], [[0.0] + [2.0] * 6], SamplerParams(6, 6, 3))
    assert commits(steps) == [[1, 2], [3, 4], [5, 6]]


def test_first_steps_take_what_does_not_divide():
    steps, _ = run([[1] * 9], [[0.0, *range(8, 0, -1)]], SamplerParams(8, 8, 3))
    assert [len(c) for c in commits(steps)] == [3, 3, 2]
    assert commits(steps)[0] == [6, 7, 8]


def test_a_block_is_finished_before_the_next_begins():
    spread = [[0.0, 9.0, 9.0, 1.0, 1.0]]
    steps, _ = run([[1] * 5], spread, SamplerParams(4, 2, 4))
    assert commits(steps) == [[1], [2], [3], [4]]
    assert [(step.block, step.step) for step in steps] == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_a_block_ends_early_when_nothing_is_masked():
    steps, engine = run([[1] * 5], [[2.0] * 5], SamplerParams(4, 2, 20))
    assert commits(steps) == [[1], [2], [3], [4]]
    assert engine.passes == 4


def test_by_quota_a_position_that_commits_to_the_mask_stays_masked():
    steps, _ = run([[1, MASK, 3]], [[0.0, 1.0, 2.0]], SamplerParams(2, 2, 2))
    assert commits(steps) == [[1], [1]]
    assert steps[-1].tokens.tolist() == [[7, MASK, MASK]]


@pytest.mark.parametrize("prompt", [[[MASK]], [[7, 8], [MASK, 7]], [[7, 7, MASK]]])
def test_a_prompt_with_the_mask_token_is_refused(prompt):
    with pytest.raises(UserError, match=f"the prompt has the mask token {MASK}"):
        run([[1] * 6], [[0.0] * 6], SamplerParams(2, 2, 2), prompt)


def test_rows_of_a_batch_do_not_influence_each_other():
    tokens, spread = [[1, 2, 3], [4, 5, 6]], [[0.0, 1.0, 2.0], [0.0, 2.0, 1.0]]
    steps, _ = run(tokens, spread, SamplerParams(2, 2, 2), prompt=((7,), (8,)))
    assert commits(steps, 0) == [[1], [2]]
    assert commits(steps, 1) == [[2], [1]]
    assert steps[-1].tokens.tolist() == [[7, 2, 3], [8, 5, 6]]


def test_by_threshold_all_above_it_commit_or_else_the_best_one():
    spread = [[0.0, 1.1, 3.0, 1.2, 2.0]]
    steps, _ = run([[1] * 5], spread, SamplerParams(4, 4, 1, threshold=0.75))
    assert commits(steps) == [[1, 3], [4], [2]]


def test_a_probability_equal_to_the_threshold_does_not_exceed_it():
    steps, _ = run([[1] * 3], [[0.0, 2.0, 2.0]], SamplerParams(2, 2, 1, threshold=0.5))
    assert commits(steps) == [[1], [2]]


def test_by_threshold_the_mask_is_never_committed_and_an_idle_step_ends_the_block():
    steps, _ = run([[1, MASK, 3, 4, 5]], [[0.0, 1.0, 1.5, 1.0, 1.0]], SamplerParams(4, 2, 1, threshold=0.9))
    assert commits(steps) == [[2], [], [3, 4]]
    assert steps[-1].tokens.tolist() == [[7, MASK, 3, 4, 5]]


@pytest.mark.parametrize(
    ("params", "field"),
    [
        (SamplerParams(0, 1, 1), "gen_length"),
        (SamplerParams(8, 0, 1), "block_length"),
        (SamplerParams(8, 4, 0), "steps"),
        (SamplerParams(8, 3, 8), "block_length"),
        (SamplerParams(16, 4, 6), "steps"),
        (SamplerParams(16, 4, 2), "steps"),
        (SamplerParams(8, 4, 8, threshold=0.0), "threshold"),
        (SamplerParams(8, 4, 8, threshold=1.01), "threshold"),
        (SamplerParams(8, 4, 8, threshold=float("nan")), "threshold"),
    ],
)
def test_parameters_that_make_no_sense_are_refused_by_name(params, field):
    with pytest.raises(UserError, match=field):
        params.validate()


def test_by_threshold_steps_need_not_divide():
    SamplerParams(16, 4, 3, threshold=1.0).validate()


def test_float_engine_gives_the_lowest_of_equal_tokens_and_the_reciprocal_of_its_probability():
    logits = torch.tensor([[[0.0, 2.0, 2.0], [-1.0, -1.0, 5.0]]])
    prediction = FloatEngine.prediction(logits)
    assert prediction.tokens.tolist() == [[1, 2]]
    torch.testing.assert_close(1 / prediction.spread, logits.double().softmax(-1).amax(-1))
    assert prediction.spread.dtype == torch.float64


@pytest.mark.parametrize(
    ("wanted", "shift", "expected"),
    [
        ([0, 1, 0, 1, 1], 0, [0, 1, 0, 1, 1]),
        ([0, 1, 0, 1, 1], 1, [1, 0, 1, 1, 0]),
        ([1, 1, 0], 1, [1, 0, 0]),
        ([0, 0, 1, 1], 2, [1, 1, 0, 0]),
    ],
)
def test_logits_are_asked_of_the_positions_that_predict_what_is_wanted(wanted, shift, expected):
    assert asked(torch.tensor([wanted]) == 1, shift).long().tolist() == [expected]


class Hashing:
    """Predicts arbitrary tokens, never the mask, and coarse spreads with many ties, all depending on the sequence."""

    def __init__(self, seed):
        self.seed = seed

    def predict(self, tokens, wanted=None):
        mixed = (tokens + 31 * tokens.roll(1, -1) + 17 * torch.arange(tokens.shape[1]) + self.seed) % 97
        return Prediction(mixed, 65536 + (mixed * 13 % 5) * 30000)

    spread_limit = staticmethod(IntegerModel.spread_limit)


@st.composite
def sensible_params(draw):
    block, blocks = draw(st.integers(1, 9)), draw(st.integers(1, 4))
    threshold = draw(st.none() | st.floats(0.01, 1.0))
    return SamplerParams(block * blocks, block, blocks * draw(st.integers(1, 12)), threshold)


@settings(deadline=None, max_examples=200)
@given(params=sensible_params(), seed=st.integers(0, 1000), length=st.integers(1, 5), rows=st.integers(1, 3))
def test_everything_generated_is_committed_once_and_never_changes(params, seed, length, rows):
    prompt = torch.arange(rows * length).view(rows, length) % 97
    before = torch.nn.functional.pad(prompt, (0, params.gen_length), value=MASK)
    times = torch.zeros_like(before)
    steps = list(denoise(Hashing(seed), prompt, params, MASK))
    for step in steps:
        assert torch.equal(step.tokens[~step.committed], before[~step.committed])
        assert torch.equal(step.tokens[step.committed], step.prediction.tokens[step.committed])
        times, before = times + step.committed.long(), step.tokens
    assert (times[:, :length] == 0).all()
    assert (times[:, length:] == 1).all()
    assert len(steps) <= (params.steps if params.threshold is None else params.gen_length)


@settings(deadline=None, max_examples=100)
@given(params=sensible_params(), seed=st.integers(0, 1000))
def test_commits_agree_with_the_rules_applied_one_position_at_a_time(params, seed):
    engine, sequence = Hashing(seed), [3, 14] + [MASK] * params.gen_length
    expected = []
    for block in range(params.num_blocks):
        inside = range(2 + block * params.block_length, 2 + (block + 1) * params.block_length)
        for step in range(params.block_steps):
            masked = [p for p in inside if sequence[p] == MASK]
            if not masked:
                break
            prediction = engine.predict(torch.tensor([sequence]))
            tokens, spread = prediction.tokens[0].tolist(), prediction.spread[0].tolist()
            ranked = sorted(masked, key=lambda p: (spread[p], p))
            if params.threshold is None:
                base, extra = divmod(params.block_length, params.block_steps)
                ranked = ranked[: base + (step < extra)]
            else:
                ranked = [p for p in masked if Fraction(65536, spread[p]) > params.threshold] or ranked[:1]
            for p in ranked:
                sequence[p] = tokens[p]
            expected.append(sorted(ranked))
    steps = list(denoise(engine, torch.tensor([[3, 14]]), params, MASK))
    assert commits(steps) == expected
    assert steps[-1].tokens[0].tolist() == sequence
