"""A sampler's run: schedule, ties, thresholds and blocks, on engines that predict what a test wants."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hardloom.golden.errors import UserError
from hardloom.golden.models.float_model import FloatEngine
from hardloom.golden.samplers.denoise import asked
from hardloom.golden.samplers.sampling import Sampling
from tests.golden.samplers.engines import MASK, Hashing, Scripted, Tokens, commits, steps_of


def run(tokens, spread, sampling, prompt=((7,),)):
    engine = Scripted([list(row) for row in tokens], [list(row) for row in spread])
    return steps_of(engine, prompt, sampling), engine


def by_quota(gen_length, block_length, steps):
    return Sampling.of("llada", gen_length, block_length=block_length, steps=steps)


def by_threshold(gen_length, block_length, threshold):
    return Sampling.of("threshold", gen_length, block_length=block_length, threshold=threshold)


def test_the_most_confident_commit_first_and_ties_go_to_the_lowest_position():
    spread = [[0.0, 3.0, 1.5, 1.5, 2.0]]
    steps, _ = run([[1, 2, 3, 4, 5]], spread, by_quota(4, 4, 4))
    assert commits(steps) == [[2], [3], [4], [1]]
    assert steps[0].tokens.tolist() == [[7, MASK, 3, MASK, MASK]]
    assert steps[-1].tokens.tolist() == [[7, 2, 3, 4, 5]]


def test_a_tie_at_the_quota_takes_the_lowest_positions():
    steps, _ = run([[1] * 7], [[0.0] + [2.0] * 6], by_quota(6, 6, 3))
    assert commits(steps) == [[1, 2], [3, 4], [5, 6]]


def test_first_steps_take_what_does_not_divide():
    steps, _ = run([[1] * 9], [[0.0, *range(8, 0, -1)]], by_quota(8, 8, 3))
    assert [len(c) for c in commits(steps)] == [3, 3, 2]
    assert commits(steps)[0] == [6, 7, 8]


def test_a_block_is_finished_before_the_next_begins():
    spread = [[0.0, 9.0, 9.0, 1.0, 1.0]]
    steps, _ = run([[1] * 5], spread, by_quota(4, 2, 4))
    assert commits(steps) == [[1], [2], [3], [4]]
    assert [step.number for step in steps] == [0, 1, 2, 3]
    assert [(one.start, one.end) for step in steps for one in step.passes] == [(1, 3), (1, 3), (3, 5), (3, 5)]


def test_a_block_ends_early_when_nothing_is_masked():
    steps, engine = run([[1] * 5], [[2.0] * 5], by_quota(4, 2, 20))
    assert commits(steps) == [[1], [2], [3], [4]]
    assert engine.passes == 4


def test_by_quota_a_position_that_commits_to_the_mask_stays_masked():
    steps, _ = run([[1, MASK, 3]], [[0.0, 1.0, 2.0]], by_quota(2, 2, 2))
    assert commits(steps) == [[1], [1]]
    assert steps[-1].tokens.tolist() == [[7, MASK, MASK]]


@pytest.mark.parametrize("prompt", [[[MASK]], [[7, 8], [MASK, 7]], [[7, 7, MASK]]])
def test_a_prompt_with_the_mask_token_is_refused(prompt):
    with pytest.raises(UserError, match=f"the prompt has the mask token {MASK}"):
        run([[1] * 6], [[0.0] * 6], by_quota(2, 2, 2), prompt)


def test_rows_of_a_batch_do_not_influence_each_other():
    tokens, spread = [[1, 2, 3], [4, 5, 6]], [[0.0, 1.0, 2.0], [0.0, 2.0, 1.0]]
    steps, _ = run(tokens, spread, by_quota(2, 2, 2), prompt=((7,), (8,)))
    assert commits(steps, 0) == [[1], [2]]
    assert commits(steps, 1) == [[2], [1]]
    assert steps[-1].tokens.tolist() == [[7, 2, 3], [8, 5, 6]]


def test_by_threshold_all_above_it_commit_or_else_the_best_one():
    spread = [[0.0, 1.1, 3.0, 1.2, 2.0]]
    steps, _ = run([[1] * 5], spread, by_threshold(4, 4, 0.75))
    assert commits(steps) == [[1, 3], [4], [2]]


def test_a_probability_equal_to_the_threshold_does_not_exceed_it():
    steps, _ = run([[1] * 3], [[0.0, 2.0, 2.0]], by_threshold(2, 2, 0.5))
    assert commits(steps) == [[1], [2]]


def test_by_threshold_the_mask_is_never_committed_and_an_idle_step_ends_the_block():
    steps, _ = run([[1, MASK, 3, 4, 5]], [[0.0, 1.0, 1.5, 1.0, 1.0]], by_threshold(4, 2, 0.9))
    assert commits(steps) == [[2], [], [3, 4]]
    assert steps[-1].tokens.tolist() == [[7, MASK, 3, 4, 5]]


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: by_quota(0, 1, 1), "gen_length"),
        (lambda: by_quota(8, 0, 1), "block_length"),
        (lambda: by_quota(8, 4, 0), "steps"),
        (lambda: by_quota(8, 3, 8), "gen_length 8 is no multiple of block_length 3"),
        (lambda: by_quota(16, 4, 6), "steps 6 is not a multiple of the 4 blocks"),
        (lambda: by_quota(16, 4, 2), "steps"),
        (lambda: by_threshold(8, 4, -0.5), "threshold"),
        (lambda: by_threshold(8, 4, 1.01), "threshold"),
        (lambda: by_threshold(8, 4, float("nan")), "threshold"),
        (lambda: Sampling.of("threshold", 8, steps=3), "no parameter steps; there are block_length, threshold"),
        (lambda: Sampling.of("greedy", 8), "'greedy' is not known; choose one of llada, "),
    ],
)
def test_parameters_that_make_no_sense_are_refused_by_name(make, field):
    with pytest.raises(UserError, match=field):
        make().program(Tokens())


def test_float_engine_gives_the_lowest_of_equal_tokens_and_the_reciprocal_of_its_probability():
    logits = torch.tensor([[[0.0, 2.0, 2.0], [-1.0, -1.0, 5.0]]])
    prediction = FloatEngine.prediction(logits)
    assert prediction.tokens.tolist() == [[1, 2]]
    assert prediction.spread.tolist() == [[round(65536 * (2 + math.exp(-2))), round(65536 * (1 + 2 * math.exp(-6)))]]


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


@st.composite
def sensible(draw):
    block, blocks = draw(st.integers(1, 9)), draw(st.integers(1, 4))
    if draw(st.booleans()):
        return by_threshold(block * blocks, block, draw(st.floats(0.0, 1.0)))
    return by_quota(block * blocks, block, blocks * draw(st.integers(1, 12)))


@settings(deadline=None, max_examples=100)
@given(sampling=sensible(), seed=st.integers(0, 1000), length=st.integers(1, 5), rows=st.integers(1, 3))
def test_everything_generated_is_committed_once_and_never_changes(sampling, seed, length, rows):
    prompt = torch.arange(rows * length).view(rows, length) % 97
    before = torch.nn.functional.pad(prompt, (0, sampling.gen_length), value=MASK)
    times = torch.zeros_like(before)
    steps = steps_of(Hashing(seed), prompt.tolist(), sampling)
    for step in steps:
        assert torch.equal(step.tokens[~step.committed], before[~step.committed])
        assert torch.equal(step.tokens[step.committed], step.prediction.tokens[step.committed])
        times, before = times + step.committed.long(), step.tokens
    assert (times[:, :length] == 0).all()
    assert (times[:, length:] == 1).all()


@settings(deadline=None, max_examples=30)
@given(sampling=sensible(), seed=st.integers(0, 1000))
def test_rows_run_as_each_would_alone(sampling, seed):
    prompts = [[3, 14], [7, 7], [1, 80]]
    together = steps_of(Hashing(seed), prompts, sampling)
    for row, prompt in enumerate(prompts):
        alone = steps_of(Hashing(seed), [prompt], sampling)
        assert [step.records[0] for step in alone] == [step.records[row] for step in together if step.passes[row]]
        assert torch.equal(alone[-1].tokens[0], together[-1].tokens[row])
