"""How often a pass leaves a chip that works on several sequences."""

from collections.abc import Callable, Sequence

import numpy as np

from hardloom.flows.design.cycles.forward import Tail, embedding
from hardloom.flows.design.cycles.geometry import Geometry
from hardloom.flows.design.cycles.layer import Layer
from hardloom.flows.design.cycles.passes import Pass
from hardloom.flows.design.cycles.times import Times
from hardloom.golden.shape import LayerShape

__all__ = ["slowest_part"]


def slowest_part(g: Geometry, passes: Sequence[tuple[float, Sequence[Pass]]]) -> float:
    """Cycles that the slowest part of a chip needs for a mix of passes, where another pass always waits.

    A part is a layer, or what is before or behind all layers; between them passes wait for nothing but each other, so
    with enough sequences at once this is what a pass costs. passes: of each kind how many, and some that are sent one
    after the other; the first half of these fills memories and queues.
    """
    found = [[count * cycles for cycles in parts_apart(g, alike)] for count, alike in passes]
    return max(sum(kinds) for kinds in zip(*found, strict=True))


def parts_apart(g: Geometry, alike: Sequence[Pass]) -> list[float]:
    """Cycles from a pass to the next at each part: before the layers, each layer that is like no other, behind them."""
    first, tail = embedding(g), Tail(g)
    distinct: dict[tuple[LayerShape, int], int] = {}
    for number, (shape, chosen) in enumerate(zip(g.model.layers, alike[0].routes, strict=True)):
        distinct.setdefault((shape, id(chosen)), number)
    parts: list[Callable[[Times, Pass], float]] = [
        lambda now, one: float(first.follow(now)[-1]),
        lambda now, one: tail.follow(now, one.met),
        *(through(Layer(g.at(number)), number) for number in distinct.values()),
    ]
    return [apart(part, alike) for part in parts]


def through(layer: Layer, number: int) -> Callable[[Times, Pass], float]:
    """Sends a pass through layer `number`."""
    return lambda now, one: float(layer.follow(now, one.routes[number], one.positions.start, one.kept)[-1])


def apart(part: Callable[[Times, Pass], float], alike: Sequence[Pass]) -> float:
    """Cycles between the last half of some passes that come at once; part: sends one, and says when it has left."""
    left = [part(np.zeros(len(one.positions)), one) for one in alike]
    settled = len(alike) // 2 - 1
    return (left[-1] - left[settled]) / (len(left) - 1 - settled)
