"""Latencies of the units of `gen/units`: cycles from a packet's last beat in to its last beat out, nobody waiting.

Throughput is one beat a cycle, but for `router`. Each is measured on the unit's bench (`verif.streams.checks.alone`).
"""

__all__ = ["COMBINE", "GAIN", "RESCALE", "RESIDUAL", "SWIGLU", "argmax", "quantize", "rms_norm", "rope", "router"]

RESCALE = 2
SWIGLU = 4
COMBINE = 2
"""From the last beat of a token's last packet."""
RESIDUAL = 1
GAIN = 2


def rms_norm(beats: int) -> int:
    return 2 * beats + 8


def quantize(beats: int) -> int:
    return beats + 2


def rope(beats: int) -> int:
    return beats + 6


def router(num_experts: int) -> int:
    """From the last logit to the choice; a token each `num_experts` cycles."""
    return 2 * num_experts + 9


def argmax(beats: int) -> int:
    """From the last logit to the prediction."""
    return beats + 5
