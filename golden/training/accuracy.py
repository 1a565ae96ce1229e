"""Held-out exact match of an engine, and how evenly a model uses its experts."""

from collections import defaultdict
from collections.abc import Container, Iterator
from itertools import islice

import torch
from tokenizers import Tokenizer
from torch import Tensor

from golden.models.float_model import FloatEngine, FloatModel
from golden.samplers.denoise import Engine, Prediction, SamplerParams, denoise
from golden.shape import ExpertsShape
from golden.training.tasks import TASKS, Problem, problems

__all__ = ["answer_text", "answers", "exact_match", "expert_load", "held_out_problems"]


def held_out_problems(task: str, count: int, seed: int = 0) -> list[Problem]:
    """The first `count` held-out problems of a task; addition has 8,100 / 16, about 500, in all."""
    return list(islice(problems(task, seed, held=True), count))


def answer_text(tokens: list[int], tokenizer: Tokenizer, ends: Container[int]) -> str:
    """Generated tokens up to the first eos, as text."""
    end = next((place for place, token in enumerate(tokens) if token in ends), len(tokens))
    return tokenizer.decode(tokens[:end], skip_special_tokens=False)


def answers(
    engine: Engine, chosen: list[Problem], params: SamplerParams, tokenizer: Tokenizer, mask_token_id: int
) -> Iterator[tuple[list[Problem], Tensor]]:
    """Sample all problems, batched by length of the prompt.

    Yields problems and their final tokens, int64 [problems, positions].
    """
    groups = defaultdict(list)
    for problem in chosen:
        groups[len(problem.prompt)].append(problem)
    for group in groups.values():
        prompt = torch.tensor([tokenizer.encode(problem.prompt).ids for problem in group])
        *_, last = denoise(engine, prompt, params, mask_token_id)
        yield group, last.tokens


def exact_match(
    engine: Engine,
    chosen: list[Problem],
    params: SamplerParams,
    tokenizer: Tokenizer,
    mask_token_id: int,
    ends: Container[int],
) -> dict[str, float]:
    """Share of problems answered exactly, for each task that occurs."""
    right, total = dict.fromkeys(TASKS, 0), dict.fromkeys(TASKS, 0)
    for group, tokens in answers(engine, chosen, params, tokenizer, mask_token_id):
        for problem, row in zip(group, tokens[:, -params.gen_length :].tolist(), strict=True):
            total[problem.task] += 1
            right[problem.task] += answer_text(row, tokenizer, ends) == problem.answer
    return {task: right[task] / total[task] for task in TASKS if total[task]}


class CountingEngine(FloatEngine):
    """A float engine that counts the tokens that each expert serves."""

    def __init__(self, model: FloatModel):
        super().__init__(model)
        self.tokens = 0
        self.experts = [layer.mlp for layer in model.shape.layers if isinstance(layer.mlp, ExpertsShape)]
        self.served = torch.zeros(len(self.experts), max(e.num_experts for e in self.experts), dtype=torch.int64)

    @torch.inference_mode()
    def predict(self, tokens: Tensor) -> Prediction:
        logits, router_logits = self.model.forward_with_router(tokens)
        self.tokens += tokens.numel()
        for served, experts, ranking in zip(self.served, self.experts, router_logits, strict=True):
            chosen = torch.sort(ranking, dim=-1, descending=True, stable=True).indices[:, : experts.top_k]
            served += chosen.flatten().bincount(minlength=len(served))
        return self.prediction(logits)


def expert_load(model: FloatModel, chosen: list[Problem], params: SamplerParams, tokenizer: Tokenizer) -> Tensor:
    """Share of all tokens of all denoising steps that each expert serves: float32 [layers, experts], rows sum to k."""
    engine = CountingEngine(model)
    for _ in answers(engine, chosen, params, tokenizer, model.shape.mask_token):
        pass
    return engine.served / engine.tokens
