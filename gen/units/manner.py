"""In which manner the head's logits become predictions: what the sampler tells the head of a pass."""

from amaranth.hdl import ShapeLike, unsigned
from amaranth.lib import data

from hardloom.gen.text.constant_module import index_width
from hardloom.golden.samplers.machine import SUPPRESSED

__all__ = ["manner_shape"]


def manner_shape(vocab_size: int) -> data.StructLayout:
    """`golden.samplers.manner.Manner`: tokens that are not predicted, as many as are `given`."""
    token: ShapeLike = unsigned(index_width(vocab_size))
    return data.StructLayout(
        {"suppressed": data.ArrayLayout(data.StructLayout({"given": unsigned(1), "token": token}), SUPPRESSED)}
    )
