"""The expert half of a layer: a token's packet goes to one expert after the other, results come in that order."""

from collections import deque
from collections.abc import Sequence

import numpy as np

from flows.design.cycles.geometry import ArrayCycles, Geometry
from flows.design.cycles.times import Times
from gen.design.latency import COMBINE, RESCALE, RESIDUAL, SWIGLU, quantize

__all__ = ["ExpertHalf", "Routes"]

Routes = Sequence[Sequence[int]]
"""Experts of each position in the order in which it visits them."""

REUSE = 2  # cycles from an item's leaving a queue to the next one's entering in its place


class ExpertArray:
    """An expert's array: a buffer is loaded while the packet before it is added up and drained.

    free: when the buffer takes the next packet's first beat; drained: when the last result has left.
    """

    def __init__(self, cycles: ArrayCycles) -> None:
        self.compute, self.results = cycles.compute, cycles.drain
        self.free = self.drained = 0.0

    def load(self, last_beat: float) -> float:
        """A packet whose last beat comes then; when its first result can leave."""
        self.free = max(last_beat + 1, self.drained)
        return self.free + self.compute

    def drain(self, first_beat: float) -> float:
        """Results leave from then on; when the last has left."""
        self.drained = first_beat + self.results
        return self.drained


class Queue:
    """When the latest `depth` items have left: the next one enters when the oldest of them has."""

    def __init__(self, depth: int) -> None:
        self.left = deque([-np.inf] * depth, depth)

    @property
    def room(self) -> float:
        return self.left[0]

    def leave(self, at: float) -> None:
        self.left.append(at)


class ExpertHalf:
    """State of a layer's expert half while tokens pass."""

    def __init__(self, g: Geometry) -> None:
        self.hidden, self.middle, count = g.hidden, g.middle, g.experts.num_experts
        logits = g.array("router")
        self.normed_after = g.normed
        self.routed_after, self.routed_each = logits.latency + RESCALE + g.router, max(count, logits.packet)
        self.middle_after = RESCALE + SWIGLU + quantize(self.middle)
        gate_up, down = g.array("gate_up"), g.array("down")
        self.gate_up, self.down = ([ExpertArray(kind) for _ in range(count)] for kind in (gate_up, down))
        self.jobs = Queue(g.queues.jobs * g.experts.top_k)
        self.middles = Queue(2)  # packets that are held until their scale is known
        self.residual, self.waiting = Queue(g.queues.residual), Queue(g.queues.routing)
        self.normed = self.routed = self.dispatched = self.collected = self.sent = self.summed = -np.inf

    def follow(self, arrivals: Times, routes: Routes) -> Times:
        """Last beats of the residual stream behind the experts, by position."""
        return np.array([self.token(at, experts) for at, experts in zip(arrivals.tolist(), routes, strict=True)])

    def token(self, arrival: float, experts: Sequence[int]) -> float:
        """A token whose last beat arrives then; when the last beat of its result leaves."""
        entered = max(arrival, self.residual.room + REUSE)
        self.normed = max(entered + self.normed_after, self.normed + self.hidden)
        packet = max(self.normed, self.waiting.room + REUSE)
        self.routed = max(packet + self.routed_after, self.routed + self.routed_each)
        for number, expert in enumerate(experts):
            self.job(self.gate_up[expert], self.down[expert])
            if number == 0:
                self.waiting.leave(self.dispatched)
        left = self.summed + RESCALE + COMBINE + RESIDUAL
        self.residual.leave(left)
        return left

    def job(self, gate_up: ExpertArray, down: ExpertArray) -> None:
        """A token at one expert: posted, sent, collected behind gate and up, sent on, collected behind down."""
        posted = max(self.routed, self.dispatched + 1, self.jobs.room)
        self.dispatched = max(posted + 1, gate_up.free) + self.hidden - 1
        result = gate_up.load(self.dispatched)
        held = self.middles.room - self.middle - RESCALE - SWIGLU
        self.collected = gate_up.drain(max(result, self.collected, held))
        self.sent = max(self.collected + self.middle_after, max(self.sent, down.free) + self.middle)
        self.middles.leave(self.sent)
        result = down.load(self.sent)
        self.summed = down.drain(max(result, self.summed))
        self.jobs.leave(self.summed)
