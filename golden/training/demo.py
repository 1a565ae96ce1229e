"""The small demonstration model, of LLaDA-MoE's shape: masked diffusion of answers behind their prompts."""

from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from hardloom.golden.models.float_model import FloatModel, Routing
from hardloom.golden.training.problems import EOS, MASK
from hardloom.golden.training.recipe import Lesson, Recipe, TrainingParams
from hardloom.golden.training.short_tasks import SHORT_TASKS

__all__ = ["DEMO", "Pool", "masked_loss"]

# Steps take one task and one answer length, eos included, in turn. Short windows teach more a second.
TURNS = (
    ("addition", 4),
    ("reversal", 8),
    ("addition", 8),
    ("addition", 4),
    ("reversal", 16),
    ("addition", 16),
)
POOL = 40_000  # problems of a task, at most


@dataclass(frozen=True)
class DemoRecipe(Recipe):
    """Router losses as LLaDA-MoE has them, then quantization-aware."""

    def config(self) -> dict[str, Any]:
        """Geometry of the model: 237 thousand parameters, 88 thousand active."""
        tokens = self.tasks.tokens
        return {
            "architectures": ["LLaDAMoEModelLM"],
            "model_type": "llada",
            "vocab_size": len(tokens),
            "hidden_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 4,
            "expert_intermediate_size": 64,
            "num_experts": 8,
            "num_experts_per_tok": 2,
            "qk_layernorm": True,
            "hidden_act": "silu",
            "rope_theta": 50000.0,
            "rms_norm_eps": 1e-5,
            "max_position_embeddings": 64,
            "mask_token_id": tokens.index(MASK),
            "eos_token_id": tokens.index(EOS),
            "tie_word_embeddings": False,
        }

    def lesson(self, params: TrainingParams) -> Lesson:
        return partial(taught, Pool(params.seed), params.rows)


def taught(pool: "Pool", rows: int, model: FloatModel, step: int, random: Generator) -> tuple[Tensor, list[Routing]]:
    return masked_loss(model, *pool.batch(step, rows, random), random)


class Pool:
    """Problems to train on, as token ids: a list of (prompts [count, length], answers [count, 16]) for each task."""

    def __init__(self, seed: int):
        tokenizer = SHORT_TASKS.tokenizer()
        window = max(window for _, window in TURNS)
        tokenizer.enable_padding(length=window, pad_id=tokenizer.token_to_id(EOS))
        self.groups: dict[str, list[tuple[Tensor, Tensor]]] = {}
        for task in SHORT_TASKS.draw:
            chosen = list(islice(SHORT_TASKS.problems(task, seed, held=False), POOL))
            prompt, answer = (
                torch.tensor([encoding.ids for encoding in tokenizer.encode_batch(texts)])
                for texts in ([p.prompt for p in chosen], [p.answer for p in chosen])
            )
            length = torch.tensor([len(p.prompt) for p in chosen])
            self.groups[task] = [(prompt[length == n, :n], answer[length == n]) for n in length.unique().tolist()]

    def batch(self, step: int, rows: int, random: Generator) -> tuple[Tensor, Tensor]:
        """Prompts [rows, length], all of one length, and answers [rows, window] of the step's task, drawn evenly."""
        task, window = TURNS[step % len(TURNS)]
        groups = self.groups[task]
        prompt, answer = groups[int(torch.randint(len(groups), (), generator=random))]
        row = torch.randint(len(prompt), (rows,), generator=random)
        return prompt[row], answer[row, :window]


def masked_loss(model: FloatModel, prompt: Tensor, answer: Tensor, random: Generator) -> tuple[Tensor, list[Routing]]:
    """Masked-diffusion cross entropy, and how the pass was routed.

    Each row of `answer` [batch, window] has its tokens masked with its own probability t, spread evenly over (0, 1);
    masked tokens count 1 / t.
    """
    rows, mask_id = len(answer), model.shape.mask_token
    t = (torch.randperm(rows, generator=random) + torch.rand(rows, generator=random)) / rows
    t = 0.001 + 0.999 * t[:, None]
    masked = torch.rand(answer.shape, generator=random) < t
    tokens = torch.cat([prompt, answer.masked_fill(masked, mask_id)], dim=1)
    logits, routings = model.forward_with_routing(tokens)
    logits = logits[:, prompt.shape[1] :]
    cross_entropy = F.cross_entropy(logits.flatten(0, 1), answer.flatten(), reduction="none").view_as(answer)
    return (cross_entropy * masked / t).sum() / answer.numel(), routings


DEMO = DemoRecipe("demo", SHORT_TASKS, TrainingParams(turns=len(TURNS)))
