"""Routers of every kind in integers: against a plain statement of the rule, and against the float model's."""

import math
from fractions import Fraction

import pytest
import torch
from torch import Generator, Tensor

from hardloom.golden.errors import UserError
from hardloom.golden.models.float_model import Arithmetic
from hardloom.golden.models.float_model import Router as FloatRouter
from hardloom.golden.shape import ExpertsShape
from hardloom.golden.units.router import Router

ONE = 1 << 16
BLOCK = 4
KINDS = {
    "softmax": ExpertsShape(8, 3, 1),
    "mixed bias": ExpertsShape(8, 3, 1, bias="mixing"),
    "sigmoid": ExpertsShape(8, 3, 1, score="sigmoid"),
    "LLaDA2": ExpertsShape(8, 3, 1, "sigmoid", "selection", 4, 2, renormalise=True, scale=2.5),
    "LLaDA2.2": ExpertsShape(8, 3, 1, "sigmoid", "selection", capacity=5, renormalise=True, scale=2.5),
    "groups of one": ExpertsShape(8, 3, 1, "sigmoid", groups=8, top_groups=5, scale=0.3),
    "all at once": ExpertsShape(8, 2, 1, "softmax", "selection", 2, 1, 6, True, 1.7),
}


def made(shape: ExpertsShape) -> Router:
    return Router(
        shape.num_experts, shape.top_k, shape.bias is not None, shape.bias != "selection", shape.score,
        shape.groups, shape.top_groups, shape.capacity, BLOCK, shape.renormalise, shape.scale,
    )  # fmt: skip


def drawn(seed: int, levels: int) -> tuple[Tensor, Tensor]:
    """Logits of 3 sequences of 11 positions and biases, fixed-point; few levels make many ties."""
    generator = Generator().manual_seed(seed)
    logits = torch.randint(-levels, levels + 1, (3, 11, 8), generator=generator) * (4 * ONE // levels)
    return logits, torch.randint(-2, 3, (8,), generator=generator) * (ONE // 8)


def first(values: list[int], count: int) -> list[int]:
    """Indices of the `count` largest, the lowest index first where they tie."""
    return sorted(range(len(values)), key=lambda index: (-values[index], index))[:count]


def chosen_by_hand(shape: ExpertsShape, ranking: list[list[int]]) -> list[list[int]]:
    """Experts of every token of one sequence, from the scores with their biases."""
    found = []
    for position, row in enumerate(ranking):
        start, size = position // BLOCK * BLOCK, len(row) // shape.groups
        totals = [sum(sorted(row[g * size : (g + 1) * size])[-2:]) for g in range(shape.groups)]
        groups = first(totals, shape.top_groups)
        largest = [max(other[e] for other in ranking[start : start + BLOCK]) for e in range(len(row))]
        admitted = first(largest, shape.capacity or len(row))
        able = [e for e in range(len(row)) if e // size in groups and e in admitted]
        found.append([able[index] for index in first([row[e] for e in able], shape.top_k)])
    return found


@pytest.mark.parametrize("levels", [3, 1000])
@pytest.mark.parametrize("kind", KINDS)
def test_a_router_chooses_and_weighs_as_its_rule_says(kind: str, levels: int) -> None:
    shape, (logits, bias) = KINDS[kind], drawn(1, levels)
    router = made(shape)
    score, added = router.scores(logits), bias if shape.bias else torch.zeros_like(bias)
    experts, weights = router.compute(logits, bias if shape.bias else None)
    for sequence in range(3):
        assert experts[sequence].tolist() == chosen_by_hand(shape, (score[sequence] + added).tolist())
    raw = (score + added if shape.bias == "mixing" else score).gather(-1, experts)
    for found, of in zip(weights.flatten(0, 1).tolist(), raw.flatten(0, 1).tolist(), strict=True):
        for weight, value in zip(found, of, strict=True):
            wanted = Fraction(value) * Fraction(shape.scale) / (Fraction(sum(of), ONE) if shape.renormalise else 1)
            assert abs(weight - wanted) <= Fraction(1, 2) + wanted * Fraction(1, 1 << 12)
            assert 0 <= weight < 1 << router.weight_width or shape.bias == "mixing"


@pytest.mark.parametrize("kind", KINDS)
def test_a_router_is_near_the_float_models(kind: str) -> None:
    shape, generator = KINDS[kind], Generator().manual_seed(2)
    logits, bias = torch.randn(20, 11, 8, generator=generator) * 2, torch.randn(8, generator=generator) * 0.1
    float_router = FloatRouter(8, shape, BLOCK)
    float_router.weight.data = torch.eye(8)
    with torch.inference_mode():
        _, chosen, expected = float_router(logits, torch.ones(8), bias if shape.bias else None, Arithmetic())
    router = made(shape)
    biases = router.biases(bias) if shape.bias else None
    experts, weights = router.compute((logits.double() * ONE).round().long(), biases)
    same = (experts == chosen).all(-1)
    assert same.float().mean() > 0.98
    error = (weights / ONE - expected)[same].abs()
    assert error.max() < 6e-4 * max(1.0, shape.scale)


def test_a_sigmoid_router_tells_large_logits_apart() -> None:
    """The table of SwiGLU ends at 8, where a sigmoid is 0.99966; a router's at 16."""
    logits = torch.tensor([[8.0, 8.5, 9.0, 10.0]]) * ONE
    experts, _ = Router(4, 4, score="sigmoid").compute(logits.long())
    assert experts.tolist() == [[3, 2, 1, 0]]
    x = torch.arange(-20 * ONE, 20 * ONE, 37)
    error = (Router(4, 4, score="sigmoid").scores(x) / ONE - torch.sigmoid(x.double() / ONE)).abs()
    assert error.max() < 6e-5


def test_renormalised_weights_of_vanishing_scores_are_whole() -> None:
    router = Router(4, 2, score="sigmoid", renormalised=True)
    _, weights = router.compute(torch.tensor([[-10, -11, -30, -30], [-30, -30, -30, -30]]) * ONE)
    assert abs(weights[0].sum() - ONE) <= 2 and weights[0].min() > 0
    assert weights[1].tolist() == [0, 0]  # every sigmoid is 0 here


@pytest.mark.parametrize("scale", [0.0, -1.0, 1024.0, math.inf, math.nan])
def test_a_scale_that_weights_have_no_room_for_is_refused(scale: float) -> None:
    with pytest.raises(UserError, match="must lie between 0 and 1024"):
        Router(4, 2, scale=scale)


@pytest.mark.parametrize("of_weights", [{"renormalised": True}, {"scale": 2.0}])
def test_mixed_biases_are_neither_renormalised_nor_scaled(of_weights) -> None:
    with pytest.raises(UserError, match="are not renormalised, for their sum may be zero, nor scaled"):
        Router(4, 2, biased=True, **of_weights)
