"""Times of packets on a stream."""

import numpy as np

__all__ = ["Times", "in_order"]

Times = np.ndarray
"""float64 [packets]: the cycle in which each packet's last beat is handed over."""


def in_order(arrivals: Times, latency: float, interval: float) -> Times:
    """When packets leave a unit: each `latency` after it came, or `interval` after the one before."""
    ahead = interval * np.arange(len(arrivals))
    return np.maximum.accumulate(arrivals - ahead) + ahead + latency
