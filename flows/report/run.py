"""A prompt on the integer model, with what its page shows of every step."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hardloom.flows.bench.cycles import Routed, pass_of
from hardloom.flows.design.cycles.experts import Routes
from hardloom.flows.design.cycles.passes import Pass
from hardloom.flows.models.sample import load_engine
from hardloom.flows.report.subject import Subject
from hardloom.golden.models.integer_model import IntegerModel
from hardloom.golden.samplers.denoise import CERTAIN, Denoising, Step, check_prompt
from hardloom.golden.samplers.sampling import Sampling, denoise

__all__ = ["Candidate", "GoldenRun", "Taken", "check_run", "golden_run"]

TOPS = 3
"""Tokens that a position's candidates are shown with."""


@dataclass(frozen=True)
class Candidate:
    """Tokens that a position may become, the most probable first, with their probabilities; the first is what the
    sampler is told. taken: the step wrote to the position."""

    position: int
    tops: tuple[tuple[int, float], ...]
    taken: bool


@dataclass(frozen=True)
class Taken:
    """A denoising step.

    Attributes
    ----------
    records: position, token and spread of everything that it wrote, in order.
    candidates: of every position that the sampler asked for, ascending.
    routes: of every layer the experts of each position, best first; None where it has no experts.
    """

    records: tuple[tuple[int, int, int], ...]
    candidates: tuple[Candidate, ...]
    routes: tuple[Routes | None, ...]


@dataclass(frozen=True)
class GoldenRun:
    """prompt: token ids; steps: in order; saturated: elements that did not fit their word, by site; first: what the
    first step is for the chip, None where there is none."""

    prompt: list[int]
    sampling: Sampling
    steps: list[Taken]
    saturated: dict[str, int]
    first: Pass | None


class Probes:
    """The latest integers of the probe points that are watched, by name."""

    watched = ("logits", "argmax.spread")

    def __init__(self) -> None:
        self.latest: dict[str, Tensor] = {}

    def __call__(self, name: str, value: Tensor) -> None:
        if name in self.watched:
            self.latest[name] = value[0].cpu()


def check_run(subject: Subject, prompt: list[int], sampling: Sampling) -> None:
    """Raise `UserError` where the model, or the chip, does not take the prompt or the sampler."""
    sampling.program(subject.model)
    check_prompt(torch.tensor(prompt), subject.model.mask_token)
    positions = len(prompt) + sampling.gen_length
    subject.model.check_positions(positions, "--gen-length")
    if subject.build is not None and subject.is_chip:
        subject.build.check_positions(positions)


def golden_run(subject: Subject, prompt: list[int], sampling: Sampling) -> GoldenRun:
    """Run the integer model of the subject's checkpoint."""
    model, probes = load_engine(subject.folder, "golden"), Probes()
    assert isinstance(model, IntegerModel)
    engine = Routed(model, subject.model, probes)
    run = denoise(engine, torch.tensor([prompt]), sampling, subject.model)
    steps, first = [], None
    for step in run:
        if first is None and subject.build is not None and subject.is_chip:
            first = pass_of(subject.build, engine, run, step)
        found = candidates(run, step, engine.wanted, probes, subject.model.shift, model.numerics.word.frac)
        steps.append(Taken(step.records[0], found, tuple(engine.routes)))
    return GoldenRun(prompt, sampling, steps, dict(model.saturations), first)


def candidates(
    run: Denoising, step: Step, met: Sequence[int], probes: Probes, shift: int, frac: int
) -> tuple[Candidate, ...]:
    """Of the positions that the step's pass was asked for.

    met: positions whose logits there are; frac: fraction bits of these. Behind a most probable token that noise,
    guidance or credit has chosen there are no others, for the logits do not say them.
    """
    one = step.passes[0]
    if one is None:
        return ()
    written = {position for position, _, _ in step.records[0]}
    logits = probes.latest["logits"].double()
    logits[:, list(one.manner.suppressed)] = -torch.inf
    rows = {position: row for row, position in enumerate(met)}
    plain = not (one.manner.temperature or one.manner.guidance or one.manner.credit)
    found = []
    for position in one.wanted:
        token, spread = (int(part[0, position]) for part in (step.prediction.tokens, step.prediction.spread))
        tops = [(token, CERTAIN / spread)]
        if plain:
            tops += others(logits[rows[max(position - shift, 0)]], token, CERTAIN / spread, frac)
        found.append(Candidate(position, tuple(tops), position in written))
    return tuple(found)


def others(logits: Tensor, token: int, probability: float, frac: int) -> list[tuple[int, float]]:
    """The tokens next in probability to the one that has the most, with theirs; logits: float64 [vocabulary], with
    `frac` fraction bits."""
    best = float(logits[token])
    values, tokens = logits.index_fill(0, torch.tensor([token]), -torch.inf).topk(min(TOPS, len(logits)) - 1)
    chances = probability * torch.exp((values - best) * 2.0**-frac)
    return [(int(t), float(p)) for t, p in zip(tokens, chances, strict=True) if p > 0]
