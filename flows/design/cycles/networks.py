"""SwiGLU networks: packets through an array of gate and up, what is between, and an array of down."""

import numpy as np

from hardloom.flows.design.cycles.geometry import ArrayCycles, Geometry
from hardloom.flows.design.cycles.times import REUSE, Queue, Record, Times, unrecorded
from hardloom.gen.design.latency import RESCALE, RESIDUAL, SWIGLU, quantize

__all__ = ["QUEUED", "ArrayTimes", "DenseHalf", "Middle", "Network"]


QUEUED = 2
"""Cycles of a beat's way through a queue."""


class ArrayTimes:
    """An array: a packet is taken while the one before it is added up and drained, or, if it is serial, as it is added
    up itself.

    Parameters
    ----------
    packets, results: that wait before and behind it.
    """

    def __init__(self, cycles: ArrayCycles, packets: int = 0, results: int = 0) -> None:
        self.cycles = cycles
        self.waiting = Queue(packets) if packets else None
        self.held = Queue(results) if results else None
        self.open = self.drained = 0.0  # a packet's first beat is taken; the last result has left the array

    @property
    def free(self) -> float:
        """When the next packet's first beat is taken."""
        return self.open if self.waiting is None else self.waiting.room() + REUSE - self.cycles.load

    @property
    def refilled(self) -> float:
        """When a first beat that waits for that is taken: by a buffer the cycle behind, by a serial array at once."""
        return self.free + (not self.cycles.serial)

    @property
    def taking(self) -> float:
        """From a packet's first beat to its last, at the quickest."""
        return self.cycles.taking if self.waiting is None else self.cycles.load - 1

    def load(self, last_beat: float) -> float:
        """A packet whose last beat comes then; when its first result can leave."""
        if self.waiting is not None:
            first = max(last_beat - self.cycles.load + 1 + QUEUED, self.open)
            last_beat = max(last_beat + QUEUED, first + self.cycles.taking)
            self.waiting.leave(last_beat)
        if self.cycles.serial:
            result = last_beat + self.cycles.pace
        else:
            self.open = max(last_beat + 1, self.drained)
            result = self.open + self.cycles.compute
        if self.held is not None:
            result = max(result, self.held.room() + REUSE - self.cycles.drain)
            self.emptied(result + self.cycles.drain)
            result += QUEUED
        return result

    def drain(self, first_beat: float) -> float:
        """Results leave from then on; when the last has left."""
        left = first_beat + self.cycles.drain
        if self.held is None:
            self.emptied(left)
        else:
            self.held.leave(left)
        return left

    def emptied(self, at: float) -> None:
        """The last result leaves the array."""
        self.drained = at
        if self.cycles.serial:
            self.open = at


class Middle:
    """From packets in an array of gate and up to sums of an array of down; what is between makes `beats` of each.

    It is there once, however many pairs of arrays there are: packets stay in order.
    """

    def __init__(self, beats: int) -> None:
        self.beats, self.after = beats, RESCALE + SWIGLU + quantize(beats)
        self.held = Queue(2)  # packets that wait until their scale is known
        self.collected = self.sent = self.summed = -np.inf

    def follow(self, gate_up: ArrayTimes, down: ArrayTimes, loaded: float, sums: float = -np.inf) -> float:
        """A packet whose last beat comes then; when its last sum leaves `down`. sums: the earliest for its first."""
        result = gate_up.load(loaded)
        room = self.held.room() - self.beats - RESCALE - SWIGLU
        self.collected = gate_up.drain(max(result, self.collected, room))
        first = self.collected + self.after - (self.beats - 1)
        self.sent = max(first, self.sent + 1, down.refilled) + down.taking
        self.held.leave(self.sent)
        self.summed = down.drain(max(down.load(self.sent), self.summed, sums))
        return self.summed


class Network:
    """A network that serves every token: `dense` or `shared`."""

    def __init__(self, g: Geometry, name: str) -> None:
        gate_up, down = g.array(f"{name}_gate_up"), g.array(f"{name}_down")
        self.gate_up, self.down, self.middle = ArrayTimes(gate_up), ArrayTimes(down), Middle(down.load)

    def taken(self, packet: float) -> float:
        """When a packet's last beat is taken that, unhindered, comes then."""
        return max(packet - (self.gate_up.cycles.load - 1), self.gate_up.free) + self.gate_up.taking

    def follow(self, taken: float) -> float:
        """A packet whose last beat is taken then; when the last beat of its result leaves."""
        return self.middle.follow(self.gate_up, self.down, taken) + RESCALE


class DenseHalf:
    """The second half of a layer without experts."""

    def __init__(self, g: Geometry, record: Record = unrecorded) -> None:
        self.record = record
        self.hidden, self.normed_after = g.hidden, g.normed
        self.network, self.residual = Network(g, "dense"), Queue(g.queues.residual)
        self.normed = -np.inf

    def follow(self, arrivals: Times) -> Times:
        """Last beats of the residual stream behind the network, by position."""
        normed, left = list[float](), list[float]()
        for at in arrivals.tolist():
            left.append(self.token(at))
            normed.append(self.normed)
        self.record("post_norm", np.array(normed))
        self.record("residual", np.array(left))
        return np.array(left)

    def token(self, arrival: float) -> float:
        """A token whose last beat arrives then; when the last beat of its result leaves."""
        entered = max(arrival, self.residual.room() + REUSE)
        self.normed = max(entered + self.normed_after, self.normed + self.hidden)
        left = self.network.follow(self.network.taken(self.normed)) + RESIDUAL
        self.residual.leave(left)
        return left
