"""The tasks of the demonstrations, their tokenizers, and the committed checkpoints that were trained on them."""

from itertools import islice

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from hardloom.golden.checkpoints.families import shape_of
from hardloom.golden.models.float_model import FloatEngine, FloatModel
from hardloom.golden.models.integer_model import IntegerModel
from hardloom.golden.samplers.sampling import Sampling
from hardloom.golden.training.accuracy import answer_text, exact_match, expert_load, held_out_problems
from hardloom.golden.training.demo import DEMO as RECIPE
from hardloom.golden.training.demo import Pool
from hardloom.golden.training.problems import EOS, MASK, held_out
from hardloom.golden.training.recipes import RECIPES
from hardloom.golden.units.numerics import Numerics
from tests import DEMO

TASKS = RECIPE.tasks
TOKENIZER = TASKS.tokenizer()
CONFIG = RECIPE.config()
MODEL = shape_of(CONFIG)
EVERY_TASK = [(recipe.tasks, task) for recipe in RECIPES.values() for task in recipe.tasks.draw]


@given(st.text(TASKS.alphabet))
def test_text_comes_back_from_its_tokens_one_a_character(text):
    ids = TOKENIZER.encode(text).ids
    assert len(ids) == len(text)
    assert TOKENIZER.decode(ids) == text


def test_special_tokens_are_where_the_configuration_says():
    assert TOKENIZER.get_vocab_size() == CONFIG["vocab_size"] == 48
    assert TOKENIZER.token_to_id(MASK) == CONFIG["mask_token_id"]
    assert TOKENIZER.token_to_id(EOS) == CONFIG["eos_token_id"]
    assert TOKENIZER.encode("a<mask><eos>").ids == [10, 47, 45]


def test_tokenizer_survives_its_file_form(tmp_path):
    TOKENIZER.save(str(tmp_path / "tokenizer.json"))
    assert (
        Tokenizer.from_file(str(tmp_path / "tokenizer.json")).encode("rev abc=").ids == TOKENIZER.encode("rev abc=").ids
    )


@pytest.mark.parametrize("tasks, task", EVERY_TASK)
def test_training_never_sees_what_is_held_out(tasks, task):
    trained = {problem.prompt for problem in islice(tasks.problems(task, 0, held=False), 3000)}
    measured = {problem.prompt for problem in islice(tasks.problems(task, 0, held=True), 300)}
    assert len(trained) == 3000 and len(measured) == 300
    assert not trained & measured


@pytest.mark.parametrize("tasks, task", EVERY_TASK)
def test_problems_are_a_function_of_the_seed(tasks, task):
    first, again, other = (list(islice(tasks.problems(task, seed, held=True), 20)) for seed in (0, 0, 1))
    assert first == again != other


def test_answers_are_right():
    for problem in islice(TASKS.problems("addition", 3, held=False), 200):
        a, b = problem.prompt.removesuffix("=").split("+")
        assert len(problem.answer) == 3 and int(problem.answer) == int(a) + int(b)
    for problem in islice(TASKS.problems("reversal", 3, held=False), 200):
        assert problem.answer == problem.prompt.removeprefix("rev ").removesuffix("=")[::-1]


def test_addition_ends_when_all_its_problems_were_given():
    held = list(TASKS.problems("addition", 0, held=True))
    every = {f"{a}+{b}=" for a in range(10, 100) for b in range(10, 100)}
    assert {problem.prompt for problem in held} <= every
    assert all(held_out(problem) for problem in held)
    assert 400 < len(held) < 620


def test_batches_are_prompts_of_one_length_and_answers_filled_with_eos(monkeypatch):
    monkeypatch.setattr("hardloom.golden.training.demo.POOL", 200)
    pool = Pool(0)
    random = torch.Generator().manual_seed(0)
    for step in range(6):
        prompt, answer = pool.batch(step, 16, random)
        for p, a in zip(prompt.tolist(), answer.tolist(), strict=True):
            text = TOKENIZER.decode(p)
            right = text[4:-1][::-1] if text.startswith("rev ") else f"{eval(text[:-1]):03d}"
            assert answer_text(a, TOKENIZER, MODEL.eos_token_ids) == right
            assert set(a[len(right) :]) == set(MODEL.eos_token_ids)


def test_an_answer_ends_at_the_first_eos():
    (eos,) = ends = MODEL.eos_token_ids
    assert answer_text([1, 2, eos, 3], TOKENIZER, ends) == "12"
    assert answer_text([1, 2, MODEL.mask_token], TOKENIZER, ends) == "12<mask>"
    assert answer_text([eos], TOKENIZER, ends) == ""
    assert answer_text([1, 2, eos], TOKENIZER, [2, eos]) == "1"


class TestDemoCheckpoint:
    """What is committed; `hardloom bench accuracy` measures more of it."""

    sampling = Sampling.of("llada", gen_length=16, block_length=8, steps=8)
    chosen = tuple(problem for task in TASKS.draw for problem in held_out_problems(TASKS, task, 20))

    def test_it_is_small_and_its_tokenizer_is_that_of_the_tasks(self):
        assert sum(path.stat().st_size for path in DEMO.iterdir()) <= 1_000_000
        assert (DEMO / "tokenizer.json").read_text() == TOKENIZER.to_str(pretty=True)
        assert FloatModel.from_checkpoint(DEMO).shape == MODEL

    @pytest.mark.parametrize("engine", ["float", "golden"])
    def test_it_answers_what_it_never_saw(self, engine):
        float_model = engine == "float" and FloatModel.from_checkpoint(DEMO)
        made = FloatEngine(float_model) if float_model else IntegerModel.from_checkpoint(DEMO, "mxfp4", Numerics())
        shares = exact_match(made, self.chosen, self.sampling, TOKENIZER, MODEL)
        assert all(share >= 0.9 for share in shares.values()), shares

    def test_its_experts_share_the_work(self):
        load = expert_load(FloatModel.from_checkpoint(DEMO), self.chosen, self.sampling, TOKENIZER)
        assert load.shares.sum(1).tolist() == pytest.approx([2] * 2)
        assert load.shares.min() >= 0.02 and load.shares.max() <= 0.40, load
        assert all(1.6 < ratio < 2.1 for ratio in load.in_a_forward), load  # 1.85: docs/benchmarks.md
        assert all(2.5 < ratio <= 4 for ratio in load.among_wanted), load

    def test_experts_that_a_bias_chooses_are_those_that_are_counted(self):
        model, wanted = FloatModel.from_checkpoint(DEMO), [2, 5]
        first = next(module for module in model.modules() if hasattr(module, "expert_bias"))
        first.expert_bias = torch.zeros(8).index_fill(0, torch.tensor(wanted), 2.0)
        load = expert_load(model, self.chosen[:2], self.sampling, TOKENIZER)
        assert load.shares[0].tolist() == [float(expert in wanted) for expert in range(8)]
        assert load.shares[1].max() < 1.0
        assert load.in_a_forward[0] == load.among_wanted[0] == 4  # all at 2 of 8
