"""Times of packets on a stream."""

from collections import deque
from collections.abc import Callable

import numpy as np

__all__ = ["REUSE", "Queue", "Record", "Times", "Unit", "in_order", "unrecorded"]

Times = np.ndarray
"""float64 [packets]: the cycle in which each packet's last beat is handed over."""


Record = Callable[[str, Times], None]
"""Is told when the packets of a pass pass a probe point, by its name in the integer model."""


def unrecorded(name: str, times: Times) -> None:
    """A `Record` that keeps nothing."""


def in_order(arrivals: Times, latency: float, interval: float | np.ndarray) -> Times:
    """When packets leave a unit: each `latency` after it came, or `interval` after the one before.

    interval: of all packets, or of each from itself to the next, float64 [packets].
    """
    ahead = np.concatenate(([0.0], np.cumsum(np.broadcast_to(interval, arrivals.shape)[:-1])))
    return np.maximum.accumulate(arrivals - ahead) + ahead + latency


class Unit:
    """A unit that takes a packet every `interval` cycles and gives it `latency` later.

    left: when the latest packet did.
    """

    def __init__(self, latency: float, interval: float) -> None:
        self.latency, self.interval, self.left = latency, interval, -np.inf

    def follow(self, arrivals: Times) -> Times:
        """When the packets of a pass leave, behind those of the pass before."""
        earliest = np.concatenate(([self.left + self.interval - self.latency], np.full(len(arrivals) - 1, -np.inf)))
        times = in_order(np.maximum(arrivals, earliest), self.latency, self.interval)
        self.left = times[-1]
        return times


REUSE = 2
"""Cycles from an item's leaving a `Queue` to the next one's entering in its place."""


class Queue:
    """When the latest `depth` items have left: the next one enters when the oldest of them has."""

    def __init__(self, depth: int) -> None:
        self.left = deque([-np.inf] * depth, depth)

    def room(self, ahead: int = 0) -> float:
        """When the next item can enter, behind `ahead` others that have, too, and have not left."""
        return self.left[ahead]

    def leave(self, at: float) -> None:
        self.left.append(at)
