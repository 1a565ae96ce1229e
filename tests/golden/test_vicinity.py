"""Passes that compute a block and its vicinity: which positions, and against models that compute all of them."""

from collections import defaultdict
from pathlib import Path

import pytest
import torch

from hardloom.golden.errors import UserError
from hardloom.golden.models import float_model
from hardloom.golden.models.float_model import FloatEngine, FloatModel
from hardloom.golden.models.integer_layers import AttentionEngine
from hardloom.golden.models.integer_model import IntegerModel
from hardloom.golden.samplers.denoise import Prediction
from hardloom.golden.samplers.interpreter import Machine
from hardloom.golden.samplers.machine import HeadWord, Instruction, Op, Program
from hardloom.golden.samplers.sampling import Sampling, denoise
from hardloom.golden.samplers.spans import span
from tests.golden.samplers.engines import Hashing, Tokens
from tests.published_models import write_family

PROMPTS = torch.tensor([[3, 1, 5], [2, 4, 4], [9, 17, 30], [7, 7, 1]])


class Frozen:
    """Passes of all positions, one sequence after the other; keys and values of positions that are not of the span are
    put back as they were. Knows nothing of places, batches or slices."""

    def __init__(self, engine, layers: int, shift: int) -> None:
        self.engine, self.layers, self.shift = engine, layers, shift
        self.memory: dict = defaultdict(dict)
        self.run, self.span, self.calls = None, None, 0

    def predict(self, tokens, wanted, manners, kept):
        rows = []
        for row, (one, manner) in enumerate(zip(kept, manners, strict=True)):
            self.run, self.calls = one, 0
            self.span = one.span and range(max(0, one.span.start - self.shift), one.span.stop)
            rows.append(self.engine.predict(tokens[row : row + 1], wanted[row : row + 1], [manner]))
        return Prediction(*(torch.cat([getattr(one, name) for one in rows]) for name in ("tokens", "spread")))

    def frozen(self, parts, scale=None):
        """`parts` [1, heads, positions, n] as the queries see them, and the largest `scale` since all were computed."""
        held = self.memory[id(self.run)].setdefault(self.calls, {})
        self.calls += 1
        count = parts[0].shape[2]
        if self.span is None or len(self.span) == count:
            held |= {"parts": parts, "seen": []}
        within = torch.tensor([self.span is None or p in self.span for p in range(count)])[:, None]
        held["parts"] = tuple(torch.where(within, new, old) for new, old in zip(parts, held["parts"], strict=True))
        if scale is not None:
            held["seen"].append(torch.where(within, scale, 0))
            scale = torch.stack(held["seen"]).amax(0).amax(2, keepdim=True)
        return held["parts"], scale


@pytest.fixture(scope="module", params=["LLaDA-MoE", "LLaDA", "Dream"])
def folder(request, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_family(tmp_path_factory.mktemp("vicinity") / "c", request.param)


def stepped(engine, model, **values):
    sampling = Sampling.of("threshold", 12, block_length=4, threshold=0.1, **values)
    return list(denoise(engine, PROMPTS, sampling, model))


def assert_same(found, right, near: int) -> None:
    assert len(found) == len(right)
    for one, other in zip(found, right, strict=True):
        assert torch.equal(one.tokens, other.tokens)
        for row, asked in enumerate(one.passes):
            for p in asked.wanted if asked else ():
                assert abs(one.prediction.spread[row, p] - other.prediction.spread[row, p]) <= near
                assert one.prediction.tokens[row, p] == other.prediction.tokens[row, p]


@pytest.mark.parametrize("values", [{"vicinity": 0}, {"vicinity": 1}, {"vicinity": 3, "guidance": 1.5}])
def test_integers_are_those_of_a_model_that_puts_keys_and_values_back(folder: Path, monkeypatch, values):
    model = IntegerModel.from_checkpoint(folder)
    found = stepped(model, model.shape, **values)
    frozen, mixed = Frozen(model, len(model.layers), model.shape.shift), AttentionEngine.mixed

    def put_back(self, queries, keys, values, top):
        assert top is None
        (k, k_scale, v, v_scale), top = frozen.frozen((*keys, *values), values[1])
        return mixed(self, queries, (k, k_scale), (v, v_scale), top)

    monkeypatch.setattr(AttentionEngine, "mixed", put_back)
    assert_same(found, stepped(frozen, model.shape, **values), 0)


@pytest.mark.parametrize("values", [{"vicinity": 0}, {"vicinity": 2}, {"vicinity": 1, "guidance": 1.5}])
def test_the_float_model_is_one_that_puts_keys_and_values_back(folder: Path, monkeypatch, values):
    model = FloatModel.from_checkpoint(folder)
    engine = FloatEngine(model)
    found = stepped(engine, model.shape, **values)
    frozen, attention = Frozen(engine, len(model.shape.layers), model.shape.shift), torch.nn.functional

    class PutBack:
        silu, linear, embedding = attention.silu, attention.linear, attention.embedding

        @staticmethod
        def scaled_dot_product_attention(q, k, v, attn_mask):
            return attention.scaled_dot_product_attention(q, *frozen.frozen((k, v))[0], attn_mask=attn_mask)

    monkeypatch.setattr(float_model, "F", PutBack)
    assert_same(found, stepped(frozen, model.shape, **values), 40)


def test_a_vicinity_of_all_positions_changes_nothing_and_a_smaller_one_does(folder: Path):
    model = IntegerModel.from_checkpoint(folder)
    plain, all_of_them, narrow = (stepped(model, model.shape, **v) for v in ({}, {"vicinity": 15}, {"vicinity": 0}))
    assert all(one is None or one.span is None for step in all_of_them for one in step.passes)
    assert_same(plain, all_of_them, 0)
    assert any(len({one.span for one in step.passes if one}) > 1 for step in narrow)  # rows of a batch differ
    with pytest.raises(AssertionError):
        assert_same(plain, narrow, 0)


def machine(*body: Instruction) -> Machine:
    """Of a prompt of 2 and 10 tokens behind it."""
    program = Program.of("p", [*body, Instruction(Op.END)])
    return Machine(program, [1, 2], 10, 99, 100)


def spans(one: Machine) -> list[tuple[int, int] | None]:
    found = []
    while one.run():
        found.append(one.span and (one.span.start, one.span.stop))
    return found


def to(register: int, value: int) -> Instruction:
    return Instruction(Op.SET, register, imm=value)


BLOCK, PREDICT = Instruction(Op.BLOCK, 2, 3), Instruction(Op.PREDICT)
NEAR = Instruction(Op.HEAD, 4, imm=HeadWord.VICINITY)


def test_all_positions_are_computed_behind_a_block_a_token_outside_it_and_a_new_vicinity():
    within, before, behind = (Instruction(Op.PUT, 7, register) for register in (2, 5, 6))
    last = [to(2, 7), to(3, 9), to(4, 4), to(5, 6), to(6, 9), to(7, 0)]
    run = [NEAR, BLOCK, PREDICT, PREDICT, within, PREDICT, before, PREDICT, PREDICT, behind, PREDICT, PREDICT]
    again = [BLOCK, PREDICT, PREDICT, to(4, 1), NEAR, PREDICT, PREDICT, to(4, 12), NEAR, PREDICT]
    near, closer, whole = (3, 12), (6, 10), (0, 12)
    found = spans(machine(*last, *run, *again))
    assert found == [whole, near, near, whole, near, whole, near, whole, near, whole, closer, None]


def test_a_pass_computes_what_logits_before_their_positions_want_too():
    sampling = Sampling.of("llada", 12, block_length=4, steps=6, vicinity=2)
    steps = list(denoise(Hashing(3), torch.tensor([[5, 6, 7]]), sampling, Tokens()))
    found = [[span(None, step.passes[0], 15, shift) for step in steps] for shift in (0, 1)]
    assert found[0] == [range(15), range(1, 9), range(15), range(5, 13), range(15), range(9, 15)]
    assert found[1] == [range(15), range(0, 9), range(15), range(4, 13), range(15), range(8, 15)]


def test_a_model_whose_attention_goes_by_blocks_has_no_vicinity():
    sampling = Sampling.of("block_diffusion", 8, block_length=4, vicinity=4)
    with pytest.raises(UserError, match=r"vicinity is of models in which all positions see each other.*leave it out"):
        sampling.program(Tokens(bidirectional=False))
    assert Sampling.of("block_diffusion", 8, block_length=4).program(Tokens(bidirectional=False))
