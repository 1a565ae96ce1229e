"""The larger demonstration model, of LLaDA2's shape, trained as that line is, in small.

Block diffusion in three phases (arXiv 2512.15745): blocks that grow from one token, whole sequences, blocks that shrink
to the length of the model's attention. Blocks also have wrong tokens to correct (arXiv 2602.08676), in the last phase
the model's own, and tokens too many or too few (LLaDA2.2). Both router losses; then quantization-aware.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from hardloom.golden.models.float_model import FloatModel, Routing
from hardloom.golden.training.block_diffusion import Layout
from hardloom.golden.training.corruption import EDIT_WEIGHT, Corrupted, Corruption, mask_rates
from hardloom.golden.training.problems import EOS, MASK, Problem
from hardloom.golden.training.prose import prose
from hardloom.golden.training.recipe import Lesson, Recipe, TrainingParams
from hardloom.golden.training.worked_tasks import BLOCK_LENGTH, DELETE, SPLIT, WORKED_TASKS

__all__ = ["DEMO2", "block_length_at"]

TURNS = (24, 24, 32, 24, 24, None)
"""What steps take in turn: all tasks together, in sequences of so many positions, or prose."""
SHARES = {"sum": 16, "sort": 6, "close": 10}
"""Of the rows of all tasks together, in thirty-seconds: what takes longest to learn has most."""
DRAFTED = 1
"""The turn that has the model's own wrong tokens, in the last phase."""
PROSE = 40  # positions
SHORTEST_PROMPT = BLOCK_LENGTH
POOL = 40_000  # problems of a task, at most

PHASES = ((0.04, 1), (0.08, 2), (0.14, 4), (0.2, BLOCK_LENGTH), (0.45, None), (0.5, 0.5))
"""Until which share of the steps blocks have which length, or which share of a sequence (None: all of it); after them,
they have that of attention."""


def block_length_at(progress: float, length: int) -> int:
    """Tokens of a block in training; progress: share of the steps that is done; length: of the sequence."""
    for until, block in PHASES:
        if progress < until:
            return length if block is None else int(length * block) if isinstance(block, float) else block
    return BLOCK_LENGTH


@dataclass(frozen=True)
class Demo2Recipe(Recipe):
    """See the module."""

    def config(self) -> dict[str, Any]:
        """Geometry of the model: 211 thousand parameters, 79 thousand active."""
        tokens = self.tasks.tokens
        return {
            "architectures": ["LLaDA2MoeModelLM"],
            "model_type": "llada2_moe",
            "vocab_size": len(tokens),
            "hidden_size": 48,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 16,
            "intermediate_size": 128,
            "moe_intermediate_size": 32,
            "first_k_dense_replace": 1,
            "num_experts": 16,
            "num_experts_per_tok": 2,
            "num_shared_experts": 1,
            "n_group": 4,
            "topk_group": 2,
            "routed_scaling_factor": 2.5,
            "score_function": "sigmoid",
            "norm_topk_prob": True,
            "use_qk_norm": True,
            "hidden_act": "silu",
            "partial_rotary_factor": 0.5,
            "rope_theta": 100.0,
            "rms_norm_eps": 1e-6,
            "max_position_embeddings": 64,
            "block_size": BLOCK_LENGTH,
            "mask_token_id": tokens.index(MASK),
            "eos_token_id": tokens.index(EOS),
            "delete_token_id": tokens.index(DELETE),
            "split_token_id": tokens.index(SPLIT),
            "tie_word_embeddings": False,
        }

    def lesson(self, params: TrainingParams) -> Lesson:
        return BlockLesson(params, Pool(params.seed))


class Pool:
    """Token ids to train on: `rows` and `starts` of answers, for each task, and prose, all int64."""

    def __init__(self, seed: int):
        tokenizer = WORKED_TASKS.tokenizer()
        longest = max(length for length in TURNS if length)
        tokenizer.enable_padding(length=longest, pad_id=tokenizer.token_to_id(EOS))
        self.tasks: list[tuple[Tensor, Tensor]] = []
        for task in SHARES:
            chosen = list(islice(WORKED_TASKS.problems(task, seed, held=False), POOL))
            texts = list(self._texts(chosen))
            rows = torch.tensor([encoding.ids for encoding in tokenizer.encode_batch([p + a for p, a in texts])])
            self.tasks.append((rows, torch.tensor([len(prompt) for prompt, _ in texts])))
        tokenizer.no_padding()
        self.prose = torch.tensor(tokenizer.encode(prose(held=False)).ids)

    @staticmethod
    def _texts(chosen: list[Problem]) -> Iterator[tuple[str, str]]:
        """Prompts and answers; every second prompt without the spaces before it, as a user may write it."""
        for number, problem in enumerate(chosen):
            bare = number % 2 and len(problem.prompt.lstrip()) >= SHORTEST_PROMPT
            yield problem.prompt.lstrip() if bare else problem.prompt, problem.answer

    def batch(self, length: int | None, rows: int, random: Generator) -> tuple[Tensor, Tensor]:
        """Sequences [rows, length] and where their answers start [rows]; prose starts at 0, and has fewer rows."""
        if length is None:
            rows = rows * min(n for n in TURNS if n) // PROSE
            start = torch.randint(len(self.prose) - PROSE, (rows, 1), generator=random)
            return self.prose[start + torch.arange(PROSE)], torch.zeros(rows, dtype=torch.int64)
        parts = []
        for (sequences, starts), share in zip(self.tasks, SHARES.values(), strict=True):
            chosen = torch.randint(len(sequences), (rows * share // 32,), generator=random)
            parts.append((sequences[chosen, :length], starts[chosen]))
        return torch.cat([part for part, _ in parts]), torch.cat([starts for _, starts in parts])


@dataclass(frozen=True)
class BlockLesson:
    """Cross entropy of masked and visible tokens of answers, as `Corruption` weighs them."""

    params: TrainingParams
    pool: Pool
    ids: dict[str, int] = field(default_factory=lambda: {t: n for n, t in enumerate(WORKED_TASKS.tokens)})

    def __call__(self, model: FloatModel, step: int, random: Generator) -> tuple[Tensor, list[Routing]]:
        turn = TURNS[step % len(TURNS)]
        sequences, starts = self.pool.batch(turn, self.params.rows, random)
        length = sequences.shape[1]
        progress = step / self.params.steps
        layout = Layout(length, block_length_at(progress, length), 0 if turn is None else SHORTEST_PROMPT)
        answers = (torch.arange(length) >= starts[:, None])[:, layout.start :]
        corrupted = self._corruption(layout).corrupt(
            sequences[:, layout.start :],
            answers,
            mask_rates(len(sequences), (length - layout.start) // layout.block_length, random),
            random,
        )
        if progress >= PHASES[-1][0] and step % len(TURNS) == DRAFTED:
            corrupted = drafted(model, layout, sequences, corrupted, self.ids[MASK], random)
        logits, routings = predict(model, layout, sequences, corrupted.tokens)
        cross_entropy = F.cross_entropy(logits.flatten(0, 1), corrupted.target.flatten(), reduction="none")
        return (cross_entropy * corrupted.weight.flatten()).sum() / answers.sum(), routings

    def _corruption(self, layout: Layout) -> Corruption:
        named = {name: self.ids[token] for name, token in NAMED.items()}
        return Corruption(**named, moves=layout.block_length >= BLOCK_LENGTH)


NAMED = {"mask": MASK, "eos": EOS, "delete": DELETE, "split": SPLIT}


def predict(model: FloatModel, layout: Layout, sequences: Tensor, noisy: Tensor) -> tuple[Tensor, list[Routing]]:
    """Logits of the noisy part, [rows, positions, vocabulary], and how the pass was routed."""
    logits, routings = model.forward_with_routing(layout.tokens(sequences, noisy), layout.positions(model))
    return logits[:, layout.kept :], routings


@torch.no_grad()
def drafted(
    model: FloatModel, layout: Layout, sequences: Tensor, given: Corrupted, mask: int, random: Generator
) -> Corrupted:
    """A share of each row's masks, drawn evenly, filled with what the model takes for most probable, right or wrong."""
    logits, _ = predict(model, layout, sequences, given.tokens)
    share = torch.rand(len(sequences), 1, generator=random)
    filled = (given.tokens == mask) & (given.weight > 0) & (torch.rand(given.tokens.shape, generator=random) < share)
    tokens = torch.where(filled, logits.argmax(-1), given.tokens)
    return Corrupted(tokens, given.target, given.weight.masked_fill(filled, EDIT_WEIGHT))


DEMO2 = Demo2Recipe(
    "demo2",
    WORKED_TASKS,
    TrainingParams(steps=3000, quantized_from=1500, rows=192, learning_rate=3e-3, turns=len(TURNS)),
)
