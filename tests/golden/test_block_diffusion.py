"""How the larger demonstration model is taught: its tasks, its blocks, what is wrong in them, its routers' losses."""

import json
import re
from itertools import islice

import pytest
import torch

from hardloom.golden.checkpoints.families import shape_of
from hardloom.golden.models.float_model import FloatEngine, FloatModel, Routing
from hardloom.golden.models.integer_model import IntegerModel
from hardloom.golden.samplers.sampling import Sampling
from hardloom.golden.shape import ExpertsShape
from hardloom.golden.training.accuracy import exact_match, held_out_problems
from hardloom.golden.training.block_diffusion import Layout
from hardloom.golden.training.corruption import EDIT_WEIGHT, Corruption, mask_rates
from hardloom.golden.training.demo2 import DEMO2 as RECIPE
from hardloom.golden.training.demo2 import Pool, block_length_at
from hardloom.golden.training.prose import prose
from hardloom.golden.training.routing import router_losses
from hardloom.golden.training.worked_tasks import BLOCK_LENGTH, WORKED_TASKS
from hardloom.golden.units.numerics import Numerics
from tests import DEMO2

MASK, EOS, DELETE, SPLIT = 100, 101, 102, 103
MODEL = shape_of(RECIPE.config())


def some(task: str) -> list[tuple[str, str]]:
    chosen = list(islice(WORKED_TASKS.problems(task, 3, held=False), 300))
    assert all(len(problem.prompt) % BLOCK_LENGTH == 0 for problem in chosen)
    return [(problem.prompt.strip().removesuffix("="), problem.answer) for problem in chosen]


def test_sums_are_right_and_so_are_their_carries():
    for prompt, answer in some("sum"):
        a, b = prompt.split("+")
        carries, total = answer.split("=")
        assert int(total) == int(a) + int(b) and len(total) == 4
        below = "0"
        for x, y, carry in reversed(list(zip(a, b, carries, strict=True))):
            assert int(carry) == (int(x) + int(y) + int(below) >= 10)
            below = carry


def test_sorted_digits_are_those_of_the_prompt():
    assert all(answer == "".join(sorted(prompt.removeprefix("sort "))) for prompt, answer in some("sort"))


def test_what_closes_brackets_leaves_nothing_open():
    for prompt, answer in some("close"):
        text = prompt.removeprefix("close ") + answer
        while (shorter := re.sub(r"\(\)|\[\]|\{\}|<>", "", text)) != text:
            text = shorter
        assert text == "" and set(answer) <= set(")]}>") and len(answer) < BLOCK_LENGTH


def test_prose_that_is_held_out_is_not_trained_on():
    trained, held = prose(held=False), prose(held=True)
    assert set(trained + held) <= set(WORKED_TASKS.alphabet)
    assert len(held) == pytest.approx(6000, abs=10) and held[:200] not in trained


def test_the_model_has_what_llada2_has():
    dense, *routed = (layer.mlp for layer in MODEL.layers)
    assert not isinstance(dense, ExpertsShape)
    for experts in routed:
        assert isinstance(experts, ExpertsShape)
        assert (experts.num_experts, experts.groups, experts.top_groups, experts.top_k) == (16, 4, 2, 2)
        assert experts.shared_size and experts.score == "sigmoid"
    attention = MODEL.layers[0].attention
    assert attention.num_heads == 2 * attention.num_key_value_heads
    assert attention.rotary_dim == attention.head_dim // 2 and attention.block_length == BLOCK_LENGTH
    assert MODEL.vocab_size == len(WORKED_TASKS.tokens) == 64


def test_batches_hold_every_task_with_and_without_spaces_before_the_prompt(monkeypatch):
    monkeypatch.setattr("hardloom.golden.training.demo2.POOL", 40)
    sequences, starts = Pool(0).batch(24, 64, torch.Generator().manual_seed(0))
    assert sequences.shape == (64, 24)
    tokens = WORKED_TASKS.tokens
    texts = ["".join(tokens[token] for token in row) for row in sequences.tolist()]
    assert {text.strip()[:4] for text in texts[32:44]} == {"sort"}
    assert {text[0] == " " for text in texts[32:]} == {True, False}
    assert all(tokens[row[start - 1]] == "=" for row, start in zip(sequences.tolist(), starts.tolist(), strict=True))


def test_blocks_grow_to_the_whole_sequence_and_shrink_to_that_of_the_attention():
    lengths = [block_length_at(step / 100, 32) for step in range(100)]
    assert list(dict.fromkeys(lengths)) == [1, 2, 4, 8, 32, 16]
    assert lengths[-1] == BLOCK_LENGTH and sorted(lengths[:40]) == lengths[:40]


@pytest.mark.parametrize("first", [0, 8, 12])
def test_a_denoised_block_has_the_logits_of_the_sampler(first):
    """All blocks in one pass are what each is by itself, behind those before it, under the model's own attention."""
    torch.manual_seed(0)
    model = FloatModel(MODEL).eval()
    random = torch.Generator().manual_seed(1)
    sequences, noisy = (torch.randint(64, (3, 24), generator=random) for _ in range(2))
    layout = Layout(24, BLOCK_LENGTH, first)
    with torch.inference_mode():
        tokens = layout.tokens(sequences, noisy[:, layout.start :])
        logits = model.forward_with_routing(tokens, layout.positions(model))[0][:, layout.kept :]
        for start in range(layout.start, 24, BLOCK_LENGTH):
            alone = torch.cat([sequences[:, :start], noisy[:, start : start + BLOCK_LENGTH]], dim=1)
            found = logits[:, start - layout.start :][:, :BLOCK_LENGTH]
            assert torch.allclose(found, model(alone)[:, start:], atol=1e-5)


def test_one_block_as_long_as_the_sequence_sees_all_of_it():
    layout = Layout(24, 24, 8)
    assert layout.start == layout.kept == 0 and layout.mask.all() and layout.places.tolist() == list(range(24))


class TestCorruption:
    rows = 2000
    random_seed = 5

    def corrupted(self, moves: bool, rate: float | None = None):
        random = torch.Generator().manual_seed(self.random_seed)
        sequences = torch.randint(90, (self.rows, 16), generator=random)
        answers = (torch.arange(16) >= torch.randint(1, 9, (self.rows, 1), generator=random)).expand(self.rows, 16)
        rates = mask_rates(self.rows, 2, random) if rate is None else torch.full((self.rows, 2), rate)
        made = Corruption(MASK, EOS, DELETE, SPLIT, moves).corrupt(sequences, answers, rates, random)
        return sequences, answers, rates.repeat_interleave(8, dim=1), made

    def test_prompts_stay_and_weigh_nothing(self):
        sequences, answers, _, made = self.corrupted(moves=True)
        assert torch.equal(made.tokens[~answers], sequences[~answers])
        assert (made.weight[~answers] == 0).all() and (made.weight[answers] > 0).all()

    def test_masks_come_at_their_rate_and_count_its_inverse(self):
        sequences, answers, rates, made = self.corrupted(moves=False)
        masked = made.tokens == MASK
        assert masked[answers].float().mean() == pytest.approx(rates[answers].mean().item(), abs=0.02)
        assert torch.allclose(made.weight[masked], 1 / rates[masked])
        assert (made.weight[answers & ~masked] == EDIT_WEIGHT).all()
        assert torch.equal(made.target, sequences)

    def test_some_visible_tokens_are_wrong_and_the_right_one_is_said(self):
        sequences, answers, _, made = self.corrupted(moves=False, rate=0.02)
        wrong = (made.tokens != sequences) & (made.tokens != MASK)
        assert wrong[answers].float().mean() == pytest.approx(0.1, abs=0.02)
        assert (wrong.any(1)).float().mean() == pytest.approx(0.42, abs=0.08)

    def test_editing_as_said_brings_the_sequence_back(self):
        """Of a block with few masks: replace, then drop what is DELETE, put a mask before what is SPLIT."""
        sequences, _, _, made = self.corrupted(moves=True)
        kinds = set()
        for row in range(self.rows):
            for start in (0, 8):
                target = made.target[row, start : start + 8].tolist()
                shown = made.tokens[row, start : start + 8].tolist()
                right = sequences[row, start : start + 8].tolist()
                kinds |= {DELETE, SPLIT} & {*target}
                edited: list[int | None] = []
                for said, token in zip(target, shown, strict=True):
                    if said == SPLIT:
                        edited += [None, token]
                    elif said != DELETE:
                        edited.append(said)
                    assert (said in (DELETE, SPLIT)) <= (token != MASK)
                assert all(a in (None, b) for a, b in zip(edited, right, strict=False)), (shown, target, right)
        assert kinds == {DELETE, SPLIT}


def test_a_router_that_is_even_has_balance_one_and_one_that_is_not_has_more():
    experts = ExpertsShape(4, 1, 8, score="sigmoid")
    logits = torch.zeros(4, 4)
    even = router_losses(Routing(logits, torch.arange(4)[:, None], torch.ones(4, 1)), experts)
    assert even.balance.item() == pytest.approx(1) and even.load.tolist() == [0.25] * 4
    assert even.z.item() == pytest.approx(torch.tensor(4.0).log().item() ** 2)
    leaning = torch.tensor([3.0, -3.0, -3.0, -3.0]).expand(4, 4)
    uneven = router_losses(Routing(leaning, torch.zeros(4, 1, dtype=torch.int64), torch.ones(4, 1)), experts)
    share = torch.sigmoid(leaning[0]) / torch.sigmoid(leaning[0]).sum()
    assert uneven.balance.item() == pytest.approx(4 * share[0].item())
    assert uneven.weighted.item() == pytest.approx(0.01 * uneven.balance.item() + 0.001 * uneven.z.item())


class TestDemo2Checkpoint:
    """What is committed; docs/training.md says more of it."""

    def test_it_is_the_recipes_and_small(self):
        assert sum(path.stat().st_size for path in DEMO2.iterdir()) <= 1_000_000
        assert (DEMO2 / "tokenizer.json").read_text() == WORKED_TASKS.tokenizer().to_str(pretty=True)
        assert FloatModel.from_checkpoint(DEMO2).shape == MODEL

    @pytest.mark.parametrize("engine", ["float", "golden"])
    def test_it_answers_what_it_never_saw(self, engine):
        float_model = engine == "float" and FloatModel.from_checkpoint(DEMO2)
        made = FloatEngine(float_model) if float_model else IntegerModel.from_checkpoint(DEMO2, "mxfp4", Numerics())
        chosen = [problem for task in WORKED_TASKS.draw for problem in held_out_problems(WORKED_TASKS, task, 20)]
        sampling = Sampling.of("block_diffusion", gen_length=16, block_length=BLOCK_LENGTH, threshold=0.9)
        shares = exact_match(made, chosen, sampling, WORKED_TASKS.tokenizer(), MODEL)
        assert all(share >= 0.95 for share in shares.values()), shares

    def test_its_experts_shared_the_work_of_the_last_phase(self):
        history = json.loads((DEMO2 / "training.json").read_text())
        assert history[-1]["step"] == RECIPE.params.steps
        last = torch.tensor([entry["shares"] for entry in history if 2 * entry["step"] > RECIPE.params.steps])
        assert last.min() > 0.02 and last.max() < 0.40

    def test_it_is_sure_of_answers_and_not_of_prose(self):
        model, tokenizer = FloatModel.from_checkpoint(DEMO2), WORKED_TASKS.tokenizer()
        texts = ["358+467=", "my bedfellow - as"[:16]]
        with torch.inference_mode():
            sure, unsure = (
                model(torch.tensor([tokenizer.encode(text).ids + [MODEL.mask_token] * 8]))[0, -8:].softmax(-1).amax(-1)
                for text in texts
            )
        assert sure.mean() > 0.9 and unsure.mean() < 0.5
