"""The chip's host ports as data: hardware and bench read these tables."""

from amaranth.hdl import unsigned
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

__all__ = ["ADDRESS_WIDTH", "AXI_LITE", "NO_POSITION", "SLOT_WIDTH", "STREAM_IN", "STREAM_OUT", "commit_record"]

ADDRESS_WIDTH = 8

AXI_LITE = {
    "awaddr": In(ADDRESS_WIDTH),
    "awprot": In(3),
    "awvalid": In(1),
    "awready": Out(1),
    "wdata": In(32),
    "wstrb": In(4),
    "wvalid": In(1),
    "wready": Out(1),
    "bresp": Out(2),
    "bvalid": Out(1),
    "bready": In(1),
    "araddr": In(ADDRESS_WIDTH),
    "arprot": In(3),
    "arvalid": In(1),
    "arready": Out(1),
    "rdata": Out(32),
    "rresp": Out(2),
    "rvalid": Out(1),
    "rready": In(1),
}
"""Signals of a 32-bit AXI4-Lite subordinate, as seen by it."""

SLOT_WIDTH = 8
"""Bits of a slot's number: TID of both streams, and register SLOT."""

STREAM_IN = {"tdata": In(32), "tid": In(SLOT_WIDTH), "tvalid": In(1), "tready": Out(1), "tlast": In(1)}
"""AXI4-Stream of prompt tokens, one a beat, `tid` the slot."""

STREAM_OUT = {"tdata": Out(64), "tid": Out(SLOT_WIDTH), "tvalid": Out(1), "tready": In(1), "tlast": Out(1)}
"""AXI4-Stream of commit records, one a beat, a packet a denoising step, `tid` the slot."""

NO_POSITION = 0xFFFF
"""Position of the one record of a denoising step that commits nothing."""


def commit_record() -> data.StructLayout:
    """One committed token, 64 bits: the beats of the output stream; `position` 0xFFFF where a step commits nothing."""
    return data.StructLayout({"token": unsigned(24), "position": unsigned(16), "spread": unsigned(24)})
