"""How often a pass leaves a chip that works on several sequences."""

from collections.abc import Callable, Sequence

import numpy as np

from flows.design.cycles.experts import Routes
from flows.design.cycles.forward import Tail, embedding
from flows.design.cycles.geometry import Geometry
from flows.design.cycles.layer import Layer
from flows.design.cycles.times import Times
from golden.shape import LayerShape

__all__ = ["slowest_part"]

SETTLED = 3
"""Passes behind one another after which a part's memories and queues are as full as they get."""


def slowest_part(g: Geometry, routes: Sequence[Routes | None], positions: int, wanted: Sequence[int]) -> float:
    """Cycles from one pass to the next at the slowest part of a chip where another pass always waits.

    A part is a layer, or what is before or behind all layers; between them passes wait for nothing but each other, so
    with enough sequences at once this is what a pass of any costs. routes: of each layer, None where it has no experts.
    """
    now, first, tail = np.zeros(positions), embedding(g), Tail(g)
    parts: list[Callable[[], float]] = [lambda: float(first.follow(now)[-1]), lambda: tail.follow(now, wanted)]
    distinct: dict[tuple[LayerShape, int], int] = {}
    for number, (shape, chosen) in enumerate(zip(g.model.layers, routes, strict=True)):
        distinct.setdefault((shape, id(chosen)), number)
    parts += [sender(Layer(g.at(number)), now, routes[number]) for number in distinct.values()]
    return max(apart(part) for part in parts)


def sender(layer: Layer, now: Times, routes: Routes | None) -> Callable[[], float]:
    """Sends a pass through a layer, all positions at once."""
    return lambda: float(layer.follow(now, routes)[-1])


def apart(part: Callable[[], float]) -> float:
    """Cycles between the last two of several passes that come at once; part: sends one, and says when it has left."""
    left = [part() for _ in range(SETTLED + 1)]
    return left[-1] - left[-2]
