"""In which manner the head's logits become predictions: what the sampler tells the head of a pass."""

from amaranth.hdl import ShapeLike, unsigned
from amaranth.lib import data

from hardloom.gen.text.constant_module import index_width
from hardloom.golden.samplers.machine import SUPPRESSED

__all__ = ["WORD", "manner_shape", "packet_manner", "told_manner"]

WORD = 32
"""Bits of a seed, and of what noise is looked up by."""

TEMPERATURE = {"temperature": unsigned(16)}


def manner_shape(vocab_size: int, noise: bool = False) -> data.StructLayout:
    """`golden.samplers.manner.Manner` as far as a program sets it: tokens that are not predicted, as many as are
    `given`; and, where the head has `noise`, `temperature` and `seed`."""
    token: ShapeLike = unsigned(index_width(vocab_size))
    one = data.StructLayout({"given": unsigned(1), "token": token})
    drawn = TEMPERATURE | {"seed": unsigned(WORD)} if noise else {}
    return data.StructLayout({"suppressed": data.ArrayLayout(one, SUPPRESSED), **drawn})


def told_manner(vocab_size: int, noise: bool = False) -> data.StructLayout:
    """Of a pass, and of a packet: where there is noise also `step`, and `position`, the first or the packet's."""
    place = {"step": unsigned(16), "position": unsigned(16)} if noise else {}
    return data.StructLayout({**manner_shape(vocab_size, noise).members, **place})


def packet_manner(vocab_size: int, noise: bool = False) -> data.StructLayout:
    """As the argmax takes it, of a packet: `word` is what has come of the noise's seed, step and position."""
    drawn = TEMPERATURE | {"word": unsigned(WORD)} if noise else {}
    return data.StructLayout({"suppressed": manner_shape(vocab_size).members["suppressed"], **drawn})
