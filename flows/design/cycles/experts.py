"""The expert half of a layer: a token's packet goes to all its experts at once, results of a group come in order."""

from collections.abc import Sequence

import numpy as np

from hardloom.flows.design.cycles.geometry import Geometry
from hardloom.flows.design.cycles.networks import QUEUED, ArrayTimes, Middle, Network
from hardloom.flows.design.cycles.times import REUSE, Queue, Record, Times, unrecorded
from hardloom.gen.design.latency import COMBINE, RESCALE, RESIDUAL, WEIGHTED_SUM

__all__ = ["ExpertHalf", "Routes"]

Routes = Sequence[Sequence[int]]
"""Experts of each position, best first."""

TOTAL = 1  # a sum's way through the sum over groups


POINTS = ("post_norm", "router.logits", "router.experts", "moe")
"""Probe points on a token's way to its sum over experts."""


class Group:
    """State of a group of experts while tokens pass: their jobs follow one another through what they share."""

    def __init__(self, g: Geometry) -> None:
        self.middle, self.jobs = Middle(g.array("down").load), Queue(g.queues.jobs * g.experts.top_k)
        self.sums, self.hidden = Queue(g.queues.sums if g.expert_groups > 1 else 1), g.hidden
        self.summed = -np.inf

    def job(self, gate_up: ArrayTimes, down: ArrayTimes, dispatched: float) -> None:
        """A token at one expert, whose packet's last beat comes then."""
        room = self.sums.room() + REUSE - RESCALE - WEIGHTED_SUM - self.hidden
        self.summed = self.middle.follow(gate_up, down, dispatched, room)
        self.jobs.leave(self.summed)


class ExpertHalf:
    """State of a layer's expert half while tokens pass."""

    def __init__(self, g: Geometry, record: Record = unrecorded) -> None:
        self.record = record
        experts, logits, gate_up, down = g.experts, g.array("router"), g.array("gate_up"), g.array("down")
        self.g, self.hidden, self.count = g, g.hidden, experts.num_experts
        taken = self.count if experts.capacity else g.beats(self.count)  # by a router of blocks, by one that has time
        self.logits_after, self.logits_each = logits.latency + RESCALE, max(taken, logits.packet)
        self.routers = Queue(g.routers)
        waiting = g.queues.packets, g.queues.results
        self.gate_up, self.down = ([ArrayTimes(kind, *waiting) for _ in range(self.count)] for kind in (gate_up, down))
        self.groups = [Group(g) for _ in range(g.expert_groups)]
        self.shared = Network(g, "shared") if experts.shared_size else None
        self.block = (g.attention.block_length or 1) if experts.capacity else 1
        held = 2 * self.block if experts.capacity else 0
        self.residual, self.waiting = Queue(g.queues.residual + held), Queue(g.queues.routing + held)
        self.normed = self.logits = self.routed = self.dispatched = self.combined = self.mixed = -np.inf

    def follow(self, arrivals: Times, routes: Routes) -> Times:
        """Last beats of the residual stream behind the experts, by position.

        A router by blocks chooses for all tokens of one when it has the logits of them all.
        """
        left, passed = list[float](), {name: list[float]() for name in POINTS}
        for first in range(0, len(arrivals), self.block):
            block = arrivals[first : first + self.block].tolist()
            shared = []
            for ahead, arrival in enumerate(block):
                shared.append(self.enter(arrival, ahead))
                passed["post_norm"].append(self.normed)
                passed["router.logits"].append(self.logits)
            chosen = self.logits + self.g.router(len(block))
            for number, beside in enumerate(shared):
                ready = chosen - (len(block) - 1 - number) * self.count
                self.routed = max(ready, self.routers.room() + self.count, self.routed + 1)
                self.routers.leave(self.routed)
                left.append(self.leave(routes[first + number], beside))
                passed["router.experts"].append(self.routed)
                passed["moe"].append(self.mixed)
        for name, times in (passed | {"residual": left}).items():
            self.record(name, np.array(times))
        return np.array(left)

    def enter(self, arrival: float, ahead: int) -> float:
        """A token whose last beat arrives then, up to its logits; when the shared expert's result, if any, has left.

        ahead: tokens of its block before it.
        """
        entered = max(arrival, self.residual.room(ahead) + REUSE)
        self.normed = max(entered + self.g.normed, self.normed + self.hidden)
        packet, shared = max(self.normed, self.waiting.room(ahead) + REUSE), -np.inf
        if self.shared is not None:  # router, queue and shared expert take a packet together
            packet = self.shared.taken(packet)
            shared = self.shared.follow(packet)
        self.logits = max(packet + self.logits_after, self.logits + self.logits_each)
        return shared

    def leave(self, experts: Sequence[int], shared: float) -> float:
        """A token through its experts; when the last beat of its result leaves. shared: as `enter` gives it."""
        groups = [self.groups[expert % len(self.groups)] for expert in experts]
        self.dispatch(experts, groups)
        for expert, group in zip(experts, groups, strict=True):
            group.job(self.gate_up[expert], self.down[expert], self.dispatched)
        self.mixed = self.combine(groups)
        left = self.mixed + RESIDUAL
        if self.shared is not None:
            left = max(left, shared + 1) + RESIDUAL
        self.residual.leave(left)
        return left

    def dispatch(self, experts: Sequence[int], groups: Sequence[Group]) -> None:
        """A token's packet goes to all of its experts at once, its last beat when all jobs are posted, one a cycle."""
        start = posted = max(self.routed, self.dispatched + 1)
        for group in groups:
            posted = max(posted, group.jobs.room()) + 1
        arrays = [self.gate_up[expert] for expert in experts]
        ready = max(start, *(array.free for array in arrays))
        self.dispatched = max(ready + arrays[0].taking, posted)
        self.waiting.leave(self.dispatched)

    def combine(self, groups: Sequence[Group]) -> float:
        """When the last beat of a token's sum over its experts leaves, in which these groups have a share."""
        summed = max(group.summed for group in groups) + RESCALE + WEIGHTED_SUM
        if len(self.groups) == 1:
            return summed + COMBINE
        self.combined = max(summed + QUEUED, self.combined + self.hidden)
        for group in {id(group): group for group in groups}.values():
            group.sums.leave(self.combined)
        return self.combined + TOTAL + COMBINE
