"""SwiGLU networks: packets through an array of gate and up, what is between, and an array of down."""

import numpy as np

from hardloom.flows.design.cycles.geometry import ArrayCycles, Geometry
from hardloom.flows.design.cycles.times import REUSE, Queue, Record, Times, unrecorded
from hardloom.gen.design.latency import RESCALE, RESIDUAL, SWIGLU, quantize

__all__ = ["QUEUED", "ArrayTimes", "DenseHalf", "Middle", "Network"]


QUEUED = 2
"""Cycles of a beat's way through a queue."""


class ArrayTimes:
    """An array: a buffer is loaded while the packet before it is added up and drained.

    Parameters
    ----------
    packets, results: that wait before and behind it.
    """

    def __init__(self, cycles: ArrayCycles, packets: int = 0, results: int = 0) -> None:
        self.beats, self.compute, self.results = cycles.load, cycles.compute, cycles.drain
        self.waiting = Queue(packets) if packets else None
        self.held = Queue(results) if results else None
        self.open = self.drained = 0.0  # the buffer takes a packet's first beat; the last result has left the array

    @property
    def free(self) -> float:
        """When the next packet's first beat is taken."""
        return self.waiting.room() + REUSE - self.beats if self.waiting else self.open

    def load(self, last_beat: float) -> float:
        """A packet whose last beat comes then; when its first result can leave."""
        if self.waiting:
            last_beat = max(last_beat + QUEUED, self.open + self.beats - 1)
            self.waiting.leave(last_beat)
        self.open = max(last_beat + 1, self.drained)
        result = self.open + self.compute
        if self.held:
            result = max(result, self.held.room() + REUSE - self.results)
            self.drained = result + self.results
            result += QUEUED
        return result

    def drain(self, first_beat: float) -> float:
        """Results leave from then on; when the last has left."""
        left = first_beat + self.results
        if self.held:
            self.held.leave(left)
        else:
            self.drained = left
        return left


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
        self.sent = max(self.collected + self.after, max(self.sent, down.free) + self.beats)
        self.held.leave(self.sent)
        self.summed = down.drain(max(down.load(self.sent), self.summed, sums))
        return self.summed


class Network:
    """A network that serves every token: `dense` or `shared`."""

    def __init__(self, g: Geometry, name: str) -> None:
        gate_up, down = g.array(f"{name}_gate_up"), g.array(f"{name}_down")
        self.gate_up, self.down, self.middle = ArrayTimes(gate_up), ArrayTimes(down), Middle(down.load)
        self.load = gate_up.load

    @property
    def room(self) -> float:
        """The earliest that a packet's last beat is taken."""
        return self.gate_up.free + self.load - 1

    def follow(self, packet: float) -> float:
        """A packet whose last beat can be had from then on; when the last beat of its result leaves."""
        return self.middle.follow(self.gate_up, self.down, max(packet, self.room)) + RESCALE


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
        left = self.network.follow(self.normed) + RESIDUAL
        self.residual.leave(left)
        return left
