"""Which part of a sequence a pass computes, where keys and values of the other positions are kept."""

from typing import Any

from amaranth.hdl import unsigned
from amaranth.lib import data, stream
from amaranth.lib.wiring import In

from hardloom.gen.text.constant_module import index_width

__all__ = ["span_shape", "span_streams"]


def span_shape(slots: int, max_positions: int) -> data.StructLayout:
    """A pass of the sequence in `slot`: of its positions from `first` to before `stop`, which see those before `seen`.
    One slot alone has no number."""
    slot, count = unsigned((slots - 1).bit_length()), unsigned(max_positions.bit_length())
    return data.StructLayout(
        {"slot": slot, "first": unsigned(index_width(max_positions)), "stop": count, "seen": count}
    )


def span_streams(slots: int, max_positions: int, *names: str) -> dict[str, Any]:
    """Streams of `span_shape`, one a pass, in, of a component that must know them: none where there are no `slots`."""
    return dict.fromkeys(names, In(stream.Signature(span_shape(slots, max_positions)))) if slots else {}
