"""Times of packets on a stream."""

import numpy as np

__all__ = ["Times", "in_order"]

Times = np.ndarray
"""float64 [packets]: the cycle in which each packet's last beat is handed over."""


def in_order(arrivals: Times, latency: float, interval: float | np.ndarray) -> Times:
    """When packets leave a unit: each `latency` after it came, or `interval` after the one before.

    interval: of all packets, or of each from itself to the next, float64 [packets].
    """
    ahead = np.concatenate(([0.0], np.cumsum(np.broadcast_to(interval, arrivals.shape)[:-1])))
    return np.maximum.accumulate(arrivals - ahead) + ahead + latency
