"""Which part of a sequence a pass computes, where keys and values of the other positions are kept."""

from amaranth.hdl import unsigned
from amaranth.lib import data

from gen.text.constant_module import index_width

__all__ = ["span_shape"]


def span_shape(slots: int, max_positions: int) -> data.StructLayout:
    """A pass of the sequence in `slot`, from its position `first` on. One slot alone has no number."""
    return data.StructLayout(
        {"slot": unsigned((slots - 1).bit_length()), "first": unsigned(index_width(max_positions))}
    )
