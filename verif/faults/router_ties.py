"""Ties of a router: of an expert with the best places, of a group with the best groups, of an expert with a block's."""

import re
from functools import partial

import torch
from torch import Generator, Tensor

from hardloom.gen.units.router import Router
from hardloom.golden.units.router import Router as RouterSpec
from hardloom.verif.faults.tie_rules import TieRule, TieUnit
from hardloom.verif.streams.bench import Stimulus, packets
from hardloom.verif.streams.stimulus import WithRoms, integers

__all__ = ["tie_router"]

LEVELS = 5
"""Different logits of a token: few, so that scores tie."""


def tie_router(spec: RouterSpec, lanes: int, name: str) -> TieUnit:
    """A router, module `name`, and every comparison of a candidate or of a group's total with a place."""
    biases = torch.tensor([0, 0, 3000, -700])[integers(Generator().manual_seed(1), 0, 3, (spec.num_experts,))]
    unit = WithRoms(Router(spec, lanes), {"bias": ("index", biases.tolist())} if spec.biased else {})
    best = min(spec.top_k, spec.num_experts - 1)
    places = [("place", j) for j in range(best)]
    if spec.top_groups < spec.groups:
        places += [("group_place", j) for j in range(spec.top_groups)]
    places += [("block_place", j) for j in range(spec.capacity if spec.capacity < spec.num_experts else 0)]
    rules = [
        TieRule(
            f"router, {kind} {j} kept against an equal",
            partial(_is_place, kind=kind, place=j),
            partial(_stimulus, spec=spec, biases=biases if spec.biased else None, lanes=lanes, broken=(kind, j)),
        )
        for kind, j in places
    ]
    return TieUnit(name, unit, rules)


def _is_place(match: re.Match, kind: str, place: int) -> bool:
    return match["operator"] == ">" and re.search(rf"\b{kind}_{place}(_total\b| ?\[)", match["right"]) is not None


def _stimulus(
    generator: Generator, spec: RouterSpec, biases: Tensor | None, lanes: int, broken: tuple[str, int]
) -> Stimulus:
    """A pass of a token, or of two of a block, for which a router that is `broken` there chooses otherwise.

    The second token's logits are lower and differ, so that it depends on every expert that the first one has admitted.
    """
    step = 3 * (1 << spec.numerator.word.frac) // LEVELS
    tokens = 2 if spec.capacity and spec.block_length > 1 else 1
    while True:
        logits = integers(generator, 0, LEVELS - 1, (1, spec.num_experts)) * step
        if tokens == 2:
            logits = torch.cat([logits, integers(generator, -LEVELS * step, -step, (1, spec.num_experts))])
        ranking = spec.scores(logits) + (0 if biases is None else biases)
        if _chosen(spec, ranking, broken) != _chosen(spec, ranking, ("", 0)):
            chosen = zip(*(part.tolist() for part in spec.compute(logits, biases)), strict=True)
            padded = torch.nn.functional.pad(logits, (0, -spec.num_experts % lanes))
            ends = {"ends": [[0]] * (tokens - 1) + [[1]]} if spec.capacity else {}
            expected = [[{"experts": experts, "weights": weights}] for experts, weights in chosen]
            return Stimulus({"i": packets(padded, lanes)} | ends, {"o": expected})


def _chosen(spec: RouterSpec, ranking: Tensor, broken: tuple[str, int]) -> list[list[int]]:
    """Experts of a block's tokens by a router whose comparison `broken` takes equality too."""
    of_block = list(range(spec.num_experts))
    if spec.capacity:
        of_block = _sorted_in(ranking.amax(0).tolist(), spec.capacity, _broken_place(broken, "block_place"))
    return [_chosen_by(spec, token, set(of_block), broken) for token in ranking.tolist()]


def _chosen_by(spec: RouterSpec, ranking: list[int], of_block: set[int], broken: tuple[str, int]) -> list[int]:
    admitted = [expert for expert in range(spec.num_experts) if expert in of_block]
    if spec.top_groups < spec.groups:
        size = spec.num_experts // spec.groups
        runs = [ranking[start : start + size] for start in range(0, len(ranking), size)]
        best = _sorted_in(
            [sum(sorted(run)[-2:]) for run in runs], spec.top_groups, _broken_place(broken, "group_place")
        )
        admitted = [expert for expert in admitted if expert // size in best]
    place = _broken_place(broken, "place")
    return [admitted[k] for k in _sorted_in([ranking[expert] for expert in admitted], spec.top_k, place)]


def _broken_place(broken: tuple[str, int], kind: str) -> int | None:
    return broken[1] if broken[0] == kind else None


def _sorted_in(values: list[int], count: int, equal_at: int | None) -> list[int]:
    """Indices of the best values as the places hold them: all of them look at once whether the next one enters."""
    places: list[int] = []
    for index, value in enumerate(values):
        room = range(min(len(places) + 1, count))
        enters = [
            j == len(places) or value > values[places[j]] or (j == equal_at and value == values[places[j]])
            for j in room
        ]
        after = [(places[j - 1] if j and enters[j - 1] else index) if enters[j] else places[j] for j in room]
        places = after
    return places
