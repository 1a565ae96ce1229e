"""The expert half of a layer: a token's packet goes to one expert after the other, results come in that order."""

from collections.abc import Sequence

import numpy as np

from flows.design.cycles.geometry import Geometry
from flows.design.cycles.networks import ArrayTimes, Middle, Network
from flows.design.cycles.times import REUSE, Queue, Times
from gen.design.latency import COMBINE, RESCALE, RESIDUAL

__all__ = ["ExpertHalf", "Routes"]

Routes = Sequence[Sequence[int]]
"""Experts of each position in the order in which it visits them."""


class ExpertHalf:
    """State of a layer's expert half while tokens pass."""

    def __init__(self, g: Geometry) -> None:
        experts, logits, gate_up, down = g.experts, g.array("router"), g.array("gate_up"), g.array("down")
        self.g, self.hidden, self.count = g, g.hidden, experts.num_experts
        self.logits_after, self.logits_each = logits.latency + RESCALE, max(self.count, logits.packet)
        self.gate_up, self.down = ([ArrayTimes(kind) for _ in range(self.count)] for kind in (gate_up, down))
        self.middle = Middle(down.load)
        self.shared = Network(g, "shared") if experts.shared_size else None
        self.block = (g.attention.block_length or 1) if experts.capacity else 1
        held = 2 * self.block if experts.capacity else 0
        self.jobs = Queue(g.queues.jobs * experts.top_k)
        self.residual, self.waiting = Queue(g.queues.residual + held), Queue(g.queues.routing + held)
        self.normed = self.logits = self.routed = self.dispatched = -np.inf

    def follow(self, arrivals: Times, routes: Routes) -> Times:
        """Last beats of the residual stream behind the experts, by position.

        A router by blocks chooses for all tokens of one when it has the logits of them all.
        """
        left = list[float]()
        for first in range(0, len(arrivals), self.block):
            block = arrivals[first : first + self.block].tolist()
            shared = [self.enter(arrival, ahead) for ahead, arrival in enumerate(block)]
            chosen = self.logits + self.g.router(len(block))
            for number, beside in enumerate(shared):
                self.routed = max(chosen - (len(block) - 1 - number) * self.count, self.routed + self.count)
                left.append(self.leave(routes[first + number], beside))
        return np.array(left)

    def enter(self, arrival: float, ahead: int) -> float:
        """A token whose last beat arrives then, up to its logits; when the shared expert's result, if any, has left.

        ahead: tokens of its block before it.
        """
        entered = max(arrival, self.residual.room(ahead) + REUSE)
        self.normed = max(entered + self.g.normed, self.normed + self.hidden)
        packet, shared = max(self.normed, self.waiting.room(ahead) + REUSE), -np.inf
        if self.shared is not None:  # router, queue and shared expert take a packet together
            packet = max(packet, self.shared.room)
            shared = self.shared.follow(packet)
        self.logits = max(packet + self.logits_after, self.logits + self.logits_each)
        return shared

    def leave(self, experts: Sequence[int], shared: float) -> float:
        """A token through its experts; when the last beat of its result leaves. shared: as `enter` gives it."""
        summed = [self.job(expert, number == 0) for number, expert in enumerate(experts)][-1]
        left = summed + RESCALE + COMBINE + RESIDUAL
        if self.shared is not None:
            left = max(left, shared + 1) + RESIDUAL
        self.residual.leave(left)
        return left

    def job(self, expert: int, first: bool) -> float:
        """A token at one expert, posted, then sent; when its last sum leaves. first: of its experts."""
        gate_up = self.gate_up[expert]
        posted = max(self.routed, self.dispatched + 1, self.jobs.room())
        self.dispatched = max(posted + 1, gate_up.free) + self.hidden - 1
        summed = self.middle.follow(gate_up, self.down[expert], self.dispatched)
        self.jobs.leave(summed)
        if first:
            self.waiting.leave(self.dispatched)
        return summed
