"""Train the demonstration model from scratch: masked diffusion, both router losses, then quantization-aware.

Every batch is a function of (seed, step), so a run that was killed goes on from its last saved state and ends with the
weights it would have had.
"""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from golden.checkpoints.families import shape_of
from golden.errors import UserError
from golden.files import replacing
from golden.models.float_model import Arithmetic, FloatModel
from golden.shape import ExpertsShape
from golden.training.fake_quant import FakeQuant
from golden.training.tasks import ALPHABET, EOS, MASK, SPECIAL, TASKS, build_tokenizer, problems

__all__ = ["TrainingParams", "demo_config", "masked_loss", "train"]

BALANCE_WEIGHT, Z_WEIGHT = 0.01, 0.001
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
SAVE_EVERY = 200  # steps


@dataclass(frozen=True)
class TrainingParams:
    """Everything that decides the trained weights, besides the model's geometry."""

    seed: int = 0
    steps: int = 4800
    quantized_from: int = 2400
    rows: int = 160
    learning_rate: float = 2e-3
    warmup: int = 100
    weight_decay: float = 0.01
    weight_format: str = "mxfp4"

    def validate(self) -> None:
        """Raise `UserError` for values that make no sense."""
        for name in ("steps", "rows"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}; give a positive number")
        if not 0 <= self.quantized_from <= self.steps:
            raise UserError(f"quantized_from is {self.quantized_from}; give a step from 0 to steps, {self.steps}")

    def numerics(self, step: int) -> Arithmetic:
        """Exact at first; then two of three steps quantized, one exact so that the float model stays as good.

        A turn of three and the six of `TURNS`, shifted against each other, bring every combination about.
        """
        quantized = step >= self.quantized_from and (step + step // len(TURNS)) % 3 > 0
        return FakeQuant(self.weight_format) if quantized else Arithmetic()

    def rate(self, step: int) -> float:
        """Learning rate of a step: linear warm-up, then a cosine down to a hundredth."""
        if step < self.warmup:
            return self.learning_rate * (step + 1) / self.warmup
        progress = (step - self.warmup) / (self.steps - self.warmup)
        return self.learning_rate * (0.01 + 0.99 * (1 + math.cos(math.pi * progress)) / 2)


def demo_config() -> dict[str, Any]:
    """Geometry of the demonstration model: 237 thousand parameters, 88 thousand active."""
    tokens = [*ALPHABET, *SPECIAL]
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


class Pool:
    """Problems to train on, as token ids: a list of (prompts [count, length], answers [count, 16]) for each task."""

    def __init__(self, seed: int):
        tokenizer = build_tokenizer()
        window = max(window for _, window in TURNS)
        tokenizer.enable_padding(length=window, pad_id=tokenizer.token_to_id(EOS))
        self.groups: dict[str, list[tuple[Tensor, Tensor]]] = {}
        for task in TASKS:
            chosen = list(islice(problems(task, seed, held=False), POOL))
            prompt, answer = (
                torch.tensor([encoding.ids for encoding in tokenizer.encode_batch(texts)])
                for texts in ([p.prompt for p in chosen], [p.answer for p in chosen])
            )
            length = torch.tensor([len(p.prompt) for p in chosen])
            self.groups[task] = [(prompt[length == n, :n], answer[length == n]) for n in length.unique().tolist()]

    def batch(self, step: int, rows: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
        """Prompts [rows, length], all of one length, and answers [rows, window] of the step's task, drawn evenly."""
        task, window = TURNS[step % len(TURNS)]
        groups = self.groups[task]
        prompt, answer = groups[int(torch.randint(len(groups), (), generator=random))]
        row = torch.randint(len(prompt), (rows,), generator=random)
        return prompt[row], answer[row, :window]


def masked_loss(model: FloatModel, prompt: Tensor, answer: Tensor, random: torch.Generator) -> Tensor:
    """Masked-diffusion cross entropy plus router losses.

    Each row of `answer` [batch, window] has its tokens masked with its own probability t, spread evenly over (0, 1);
    masked tokens count 1 / t.
    """
    rows, mask_id = len(answer), model.shape.mask_token
    t = (torch.randperm(rows, generator=random) + torch.rand(rows, generator=random)) / rows
    t = 0.001 + 0.999 * t[:, None]
    masked = torch.rand(answer.shape, generator=random) < t
    tokens = torch.cat([prompt, answer.masked_fill(masked, mask_id)], dim=1)
    logits, router_logits = model.forward_with_router(tokens)
    logits = logits[:, prompt.shape[1] :]
    cross_entropy = F.cross_entropy(logits.flatten(0, 1), answer.flatten(), reduction="none").view_as(answer)
    loss = (cross_entropy * masked / t).sum() / answer.numel()
    return loss + sum(map(router_loss, router_logits, experts_of(model)))


def experts_of(model: FloatModel) -> list[ExpertsShape]:
    """Of the layers that have experts."""
    return [layer.mlp for layer in model.shape.layers if isinstance(layer.mlp, ExpertsShape)]


def router_loss(logits: Tensor, experts: ExpertsShape) -> Tensor:
    """Load balance (experts * sum of load share * mean probability) and z-loss of a layer."""
    probability = logits.softmax(-1)
    load = F.one_hot(probability.topk(experts.top_k).indices, experts.num_experts).sum(1).float().mean(0)
    balance = experts.num_experts * (load / experts.top_k * probability.mean(0)).sum()
    return BALANCE_WEIGHT * balance + Z_WEIGHT * logits.logsumexp(-1).square().mean()


def train_step(
    model: FloatModel, optimizer: torch.optim.Optimizer, params: TrainingParams, pool: Pool, step: int
) -> float:
    """One update; returns the loss."""
    random = torch.Generator().manual_seed(params.seed * 1_000_003 + step)
    model.arithmetic = params.numerics(step)
    for group in optimizer.param_groups:
        group["lr"] = params.rate(step)
    optimizer.zero_grad()
    loss = masked_loss(model, *pool.batch(step, params.rows, random), random)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss.item()


def train(
    config: dict[str, Any], params: TrainingParams, state_file: Path, progress: Callable[[int, float], None]
) -> FloatModel:
    """Train from scratch, or go on from `state_file`, which is rewritten on the way.

    `progress` is called with the steps done and the loss. Raises `UserError` if the state belongs to another run.
    """
    torch.manual_seed(params.seed)
    model = FloatModel(shape_of(config)).train()
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=params.weight_decay, betas=(0.9, 0.98), fused=True)
    run = config | asdict(params)
    pool = Pool(params.seed)
    for step in range(restore(state_file, run, model, optimizer), params.steps):
        loss = train_step(model, optimizer, params, pool, step)
        progress(step + 1, loss)
        if (step + 1) % SAVE_EVERY == 0 or step + 1 == params.steps:
            save(state_file, run, model, optimizer, step + 1)
    return model.eval()


def save(path: Path, run: dict, model: FloatModel, optimizer: torch.optim.Optimizer, steps: int) -> None:
    """Write everything the run needs to go on from here, all of it or nothing."""
    state = {"run": run, "steps": steps, "model": model.state_dict(), "optimizer": optimizer.state_dict()}
    with replacing(path) as partial:
        torch.save(state, partial)


def restore(path: Path, run: dict, model: FloatModel, optimizer: torch.optim.Optimizer) -> int:
    """Load what `save` wrote, if it is there, and return the steps done."""
    if not path.exists():
        return 0
    try:
        state = torch.load(path, weights_only=True)
    except (OSError, RuntimeError, EOFError, UnpicklingError) as error:
        raise UserError(f"{path}: is no state of a run ({str(error).splitlines()[0]}); remove it") from None
    if state["run"] != run:
        different = [name for name in run if state["run"].get(name) != run[name]]
        raise UserError(
            f"{path}: holds a run with another {different[0]}; remove the file or give the options of that run"
        )
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return state["steps"]
