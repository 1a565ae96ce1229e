"""Timing constraints of a whole chip, `chip.sdc`, for synthesis, place and route, and static timing analysis."""

from collections.abc import Iterator

from amaranth.lib.wiring import Flow, Member

from hardloom.gen.design.axi_ports import AXI_LITE, STREAM_IN, STREAM_OUT

__all__ = ["constraints"]

TEXT = """\
# Timing constraints of a hardloom chip, the same for every chip. Times are in ns. A flow that has set `hardloom_period`
# (of the clock) or `hardloom_io` (the share of it that the world outside takes) before keeps its own.
if {{![info exists hardloom_period]}} {{set hardloom_period 1.0}}
if {{![info exists hardloom_io]}} {{set hardloom_io 0.5}}

# Every register is clocked by the rising edge of `clk`, or of `clk` behind a clock gate, which passes it on as it is.
create_clock -name clk -period $hardloom_period [get_ports clk]

# No path goes from an input to an output. Reset is synchronous: an input like the others.
set outside [expr {{$hardloom_io * $hardloom_period}}]
set_input_delay $outside -clock clk [get_ports {{{inputs}}}]
set_output_delay $outside -clock clk [get_ports {{{outputs}}}]

# Scan alone keeps gated clocks running. There is no other static input, no false path and no path of several cycles:
# whatever a register takes it may take in any cycle.
set_case_analysis 0 [get_ports test_enable]
"""


def ports(flow: Flow) -> Iterator[str]:
    """Of the host's side, in one direction."""
    groups: dict[str, dict[str, Member]] = {"s_axil": AXI_LITE, "s_axis": STREAM_IN, "m_axis": STREAM_OUT}
    for prefix, signals in groups.items():
        yield from (f"{prefix}_{name}*" for name, member in signals.items() if member.flow is flow)


def constraints() -> str:
    """The text of `chip.sdc`: clock, delays of all ports, what is static. The star stands for the bits of a bus."""
    inputs, outputs = ["rst", "test_enable", *ports(Flow.In)], [*ports(Flow.Out), "irq"]
    return TEXT.format(inputs=" ".join(inputs), outputs=" ".join(outputs))
