"""Nets routed on a grid until no two claim one place: a router of our own, named as such.

Negotiated congestion: every net takes its cheapest way, places that several take become dearer, and nets on them are
routed again (PathFinder, McMurchie and Ebeling, 1995). What is found is deterministic.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from hardloom.flows.layout.maze import FREE, GAPS, LAYERS, route_net
from hardloom.flows.layout.technology import STEP

__all__ = ["BLOCKED", "FREE", "Grid", "Routes", "route"]

BLOCKED = -2
"""Owner of a node that no net may use."""
STEPS = STEP[0] / 1000, STEP[1] / 1000
"""um from node to node, in x and in y."""
VIA, LOW = 0.9, 1.3
"""What a via costs, in um of wire; what a um of layer 0 costs, where the pins are."""
FIRST, GROWTH, MOST = 0.5, 1.5, 10.0
"""What another net on a place costs, in um: at first, its growth with every round, and at most."""
HISTORY = 0.4
"""What a round of conflict adds to the price of a place for good, in um."""
ROUNDS, MARGIN = 200, 12
EDGES = 1 << 20


@dataclass
class Grid:
    """Nodes (layer, x, y) and who may use them: `FREE`, `BLOCKED` or the number of a net.

    owner, via_owner: int32[4, nx, ny]; of a node, and of the via between it and the one above.
    """

    owner: np.ndarray
    via_owner: np.ndarray

    @classmethod
    def empty(cls, nx: int, ny: int) -> "Grid":
        return cls(*(np.full((LAYERS, nx, ny), FREE, dtype=np.int32) for _ in range(2)))

    @property
    def shape(self) -> tuple[int, int]:
        return self.owner.shape[1], self.owner.shape[2]

    def nodes(self, places: np.ndarray) -> np.ndarray:
        """Numbers of nodes from rows of layer, x and y."""
        nx, ny = self.shape
        layer, x, y = np.asarray(places, dtype=np.int64).reshape(-1, 3).T
        return (layer * nx + x) * ny + y

    def places(self, nodes: np.ndarray) -> np.ndarray:
        """Layer, x and y in the last dimension."""
        nx, ny = self.shape
        return np.stack([nodes // (nx * ny), nodes // ny % nx, nodes % ny], -1)


@dataclass(frozen=True)
class Routes:
    """edges: of every net, int64[n, 2, 3], from (layer, x, y) to a neighbour; unreached: pins without a way, by net;
    conflicts: places that several nets still claim; rounds: that it took."""

    edges: list[np.ndarray]
    unreached: dict[int, int]
    conflicts: int
    rounds: int


def route(
    grid: Grid, nets: Sequence[Sequence[np.ndarray]], progress: Callable[[int, int], None] = lambda left, nets: None
) -> Routes:
    """Connect the pins of every net; a pin is rows of layer, x and y, of which any will do.

    progress: nets that are to be routed again, of how many.
    """
    state = _State(grid, nets)
    factor, waiting, rounds = FIRST, state.order(), 0
    while len(waiting) and rounds < ROUNDS:
        for net in waiting:
            state.again(net, factor)
        waiting = state.in_conflict()
        factor = min(factor * GROWTH, MOST)
        rounds += 1
        progress(len(waiting), len(nets))
    edges = [grid.places(found) for found in state.edges]
    return Routes(edges, state.unreached, int((state.taken > 1).sum()), rounds)


class _State:
    """All nets' edges and claims, and the scratch memory of the search."""

    def __init__(self, grid: Grid, nets: Sequence[Sequence[np.ndarray]]) -> None:
        self.grid, size = grid, grid.owner.size
        places = GAPS * size // LAYERS
        self.nodes, self.starts = [], []
        for pins in nets:
            ordered = in_order([grid.nodes(pin) for pin in pins], grid)
            self.nodes.append(np.concatenate(ordered))
            self.starts.append(np.cumsum([0, *map(len, ordered)]))
        self.edges = [np.empty((0, 2), np.int64) for _ in nets]
        self.claims = [np.empty(0, np.int64) for _ in nets]
        self.unreached: dict[int, int] = {}
        self.taken, self.history = np.zeros(places, np.int16), np.zeros(places, np.float32)
        self.mine, self.in_tree = np.full(places, -1, np.int32), np.full(size, -1, np.int32)
        self.pin_at = np.full(size, -1, np.int32)
        self.work = (
            *(np.zeros(size, np.float32), np.zeros(size, np.int32), np.zeros(size, np.int64)),
            *(np.zeros(4 * size, np.float32), np.zeros(4 * size, np.int64)),
            *(np.zeros(2, np.int64), np.zeros(1, np.int32)),
        )
        self.found, self.claimed = np.zeros((EDGES, 2), np.int64), np.zeros(4 * EDGES, np.int64)

    def order(self) -> list[int]:
        """Short nets first: they have the fewest ways."""
        spans = [np.ptp(self.grid.places(nodes)[:, 1:], axis=0).sum() for nodes in self.nodes]
        return [int(net) for net in np.argsort(spans, kind="stable") if len(self.starts[net]) > 2]

    def again(self, net: int, factor: float) -> None:
        """Route one net, its claims given back first."""
        self.taken[self.claims[net]] -= 1
        links, count, unreached = route_net(
            net, self.nodes[net], self.starts[net], self.grid.shape, self.grid.owner.ravel(),
            self.grid.via_owner.ravel(), self.taken, self.history, self.mine, self.in_tree, self.pin_at,
            (*STEPS, VIA, LOW), factor, MARGIN, self.work, self.found, self.claimed,
        )  # fmt: skip
        self.edges[net], self.claims[net] = self.found[:links].copy(), self.claimed[:count].copy()
        self.taken[self.claims[net]] += 1
        self.unreached.pop(net, None)
        if unreached:
            self.unreached[net] = unreached

    def in_conflict(self) -> list[int]:
        """Nets that claim a place that another one claims; such places become dearer."""
        crowded = self.taken > 1
        self.history[crowded] += HISTORY * (self.taken[crowded] - 1)
        return [net for net, claims in enumerate(self.claims) if crowded[claims].any()]


def in_order(pins: list[np.ndarray], grid: Grid) -> list[np.ndarray]:
    """Pins as they are to be reached, the first one first: each the nearest to those before it."""
    if len(pins) < 3:
        return pins
    where = np.array([grid.places(pin)[0, 1:] for pin in pins]) * np.array(STEPS)
    away, order = np.full(len(pins), np.inf), [0]
    for _ in range(len(pins) - 1):
        away = np.minimum(away, np.abs(where - where[order[-1]]).sum(1))
        away[order] = np.inf
        order.append(int(np.argmin(away)))
    return [pins[number] for number in order]
