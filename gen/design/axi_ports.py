"""The chip's host ports as data: hardware and bench read these tables."""

from amaranth.lib.wiring import In, Out

__all__ = ["AXI_LITE", "STREAM_IN", "STREAM_OUT"]

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

STREAM_IN = {"tdata": In(32), "tvalid": In(1), "tready": Out(1), "tlast": In(1)}
"""AXI4-Stream of prompt tokens, one a beat."""

STREAM_OUT = {"tdata": Out(64), "tvalid": Out(1), "tready": In(1), "tlast": Out(1)}
"""AXI4-Stream of commit records, one a beat, a packet a denoising step."""
