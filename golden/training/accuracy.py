"""Held-out exact match of an engine, and how evenly a model uses its experts."""

from collections import defaultdict
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor

from hardloom.golden.models.float_model import FloatEngine, FloatModel
from hardloom.golden.samplers.denoise import Engine, Prediction
from hardloom.golden.samplers.interpreter import Machine
from hardloom.golden.samplers.kept import Kept
from hardloom.golden.samplers.manner import Manner
from hardloom.golden.samplers.sampling import Sampling, denoise
from hardloom.golden.shape import ExpertsShape, ModelShape
from hardloom.golden.training.problems import Problem, Tasks

__all__ = ["answer_text", "answers", "exact_match", "expert_load", "held_out_problems"]


def held_out_problems(tasks: Tasks, task: str, count: int, seed: int = 0) -> list[Problem]:
    """The first `count` held-out problems of a task; addition has 8,100 / 16, about 500, in all."""
    return list(islice(tasks.problems(task, seed, held=True), count))


def answer_text(tokens: list[int], tokenizer: Tokenizer, ends: Container[int]) -> str:
    """Generated tokens up to the first eos, as text."""
    end = next((place for place, token in enumerate(tokens) if token in ends), len(tokens))
    return tokenizer.decode(tokens[:end], skip_special_tokens=False)


def answers(
    engine: Engine, chosen: Sequence[Problem], sampling: Sampling, tokenizer: Tokenizer, model: ModelShape
) -> Iterator[tuple[list[Problem], list[Machine]]]:
    """Sample all problems, batched by length of the prompt.

    Yields problems and the sampler's machine of each, which has ended.
    """
    groups = defaultdict(list)
    for problem in chosen:
        groups[len(problem.prompt)].append(problem)
    for group in groups.values():
        prompt = torch.tensor([tokenizer.encode(problem.prompt).ids for problem in group])
        run = denoise(engine, prompt, sampling, model)
        for _ in run:
            pass
        yield group, run.machines


def exact_match(
    engine: Engine, chosen: list[Problem], sampling: Sampling, tokenizer: Tokenizer, model: ModelShape
) -> dict[str, float]:
    """Share of problems answered exactly, for each task that occurs."""
    tasks = sorted({problem.task for problem in chosen})
    right, total = dict.fromkeys(tasks, 0), dict.fromkeys(tasks, 0)
    for group, machines in answers(engine, chosen, sampling, tokenizer, model):
        for problem, machine in zip(group, machines, strict=True):
            total[problem.task] += 1
            right[problem.task] += answer_text(machine.answered, tokenizer, model.eos_token_ids) == problem.answer
    return {task: right[task] / total[task] for task in tasks}


@dataclass(frozen=True)
class ExpertLoad:
    """How a model's tokens fall on its experts.

    Attributes
    ----------
    shares: of all tokens of all denoising steps that each expert serves, float32 [layers, experts], rows sum to k.
    in_a_forward: tokens of the busiest expert over the mean of all, within one forward pass of one sequence, the mean
        over these; float32 [layers]. among_wanted: the same of the positions whose logits are wanted.
    """

    shares: Tensor
    in_a_forward: Tensor
    among_wanted: Tensor


class CountingEngine(FloatEngine):
    """A float engine that counts the tokens that each expert serves, as the routers choose them.

    served: int64 [layers, experts]; tokens: of all passes; forwards: of single sequences; busiest: the busiest expert's
    tokens of each over the mean expert's, summed, float32 [2, layers], of all positions and of the wanted. `close`
    takes the counters off the model again.
    """

    def __init__(self, model: FloatModel):
        super().__init__(model)
        self.tokens = self.forwards = 0
        self.wanted: Tensor | None = None
        experts = [layer.mlp for layer in model.shape.layers if isinstance(layer.mlp, ExpertsShape)]
        self.served = torch.zeros(len(experts), max(e.num_experts for e in experts), dtype=torch.int64)
        self.busiest = torch.zeros(2, len(experts))
        gates = [module for name, module in model.named_modules() if name.endswith(".gate")]
        self.hooks = [gate.register_forward_hook(partial(self._count, n)) for n, gate in enumerate(gates)]

    def _count(self, layer: int, router: torch.nn.Module, given: Any, result: tuple[Tensor, Tensor, Tensor]) -> None:
        _, chosen, _ = result
        met = torch.zeros(*chosen.shape[:2], self.served.shape[1]).scatter_(-1, chosen.cpu(), 1.0)
        self.served[layer] += met.sum((0, 1)).long()
        wanted = torch.ones(met.shape[:2]) if self.wanted is None else self.wanted.cpu()
        for row, positions in enumerate((torch.ones(met.shape[:2]), wanted)):
            counts = (met * positions[..., None]).sum(1)
            self.busiest[row, layer] += (counts.amax(-1) / counts.mean(-1)).sum()

    def predict(
        self,
        tokens: Tensor,
        wanted: Tensor | None = None,
        manners: Sequence[Manner] | None = None,
        kept: Sequence[Kept] | None = None,
    ) -> Prediction:
        self.tokens, self.forwards, self.wanted = self.tokens + tokens.numel(), self.forwards + len(tokens), wanted
        return super().predict(tokens, wanted, manners, kept)

    def close(self) -> None:
        for hook in self.hooks:
            hook.remove()


def expert_load(model: FloatModel, chosen: list[Problem], sampling: Sampling, tokenizer: Tokenizer) -> ExpertLoad:
    """How the tokens of all denoising steps fall on a model's experts."""
    engine = CountingEngine(model)
    for _ in answers(engine, chosen, sampling, tokenizer, model.shape):
        pass
    engine.close()
    return ExpertLoad(engine.served / engine.tokens, *(engine.busiest / engine.forwards))
