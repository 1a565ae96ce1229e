"""The bench around the chip: its ports, and taps that record from inside what passes probe points, and when."""

from pathlib import Path

from hardloom.gen.design.axi_ports import AXI_LITE, STREAM_IN, STREAM_OUT
from hardloom.gen.stream.probe import Probe

__all__ = ["BENCH", "PROTOCOL_CHECKER", "bench_verilog"]

BENCH = "hardloom_bench"

PROTOCOL_CHECKER = Path(__file__).parent / "protocol_checker.v"
"""Verilog of the module that watches the chip's ports."""


def _ports(prefix: str, members: dict) -> list[tuple[str, str, int]]:
    return [(f"{prefix}_{name}", member.flow.name, member.shape) for name, member in members.items()]


def bench_verilog(top: str, probes: list[Probe], sequences: int) -> str:
    """Verilog of the bench's top: chip `top` of so many slots, the checker of its ports, and taps of all probes.

    With `+taps=FILE` a tap writes `NUMBER HEX` for every beat that is accepted, NUMBER counting the probes from 0; with
    `+times=FILE` it writes `NUMBER CYCLE`. `host_rst` is for the bus models, which sleep while it is high; `violations`
    counts what the checker finds.
    """
    ports = [*_ports("s_axil", AXI_LITE), *_ports("s_axis", STREAM_IN), *_ports("m_axis", STREAM_OUT)]
    lines = [f"module {BENCH} (", "    input wire clk,", "    input wire rst,", "    input wire host_rst,"]
    for name, flow, width in ports:
        direction = "input " if flow == "In" else "output"
        lines.append(f"    {direction} wire [{width - 1}:0] {name},")
    lines += ["    output wire irq,", "    output wire [31:0] violations", ");"]
    connections = [(name, name) for name, _, _ in ports] + [("clk", "clk"), ("rst", "rst"), ("irq", "irq")]
    chip = [*connections, ("test_enable", "1'b0")]
    lines.append(f"    {top} chip (" + ", ".join(f".{a}({b})" for a, b in chip) + ");")
    connections.append(("violations", "violations"))
    lines.append(
        f"    protocol_checker #({sequences}) checker_ (" + ", ".join(f".{a}({b})" for a, b in connections) + ");"
    )
    lines += [*_recorder("taps"), *_recorder("times"), "    integer cycle = 0;"]
    lines += ["    always @(posedge clk) cycle <= rst ? 0 : cycle + 1;"]
    for name, form, value in (("taps", "%h", "chip.{path}_value"), ("times", "%0d", "cycle")):
        lines.append(f"    always @(posedge clk) if ({name} != 0 && !rst) begin")
        for number, probe in enumerate(probes):
            written = f'$fwrite({name}, "{number} {form}\\n", {value.format(path=probe.path)})'
            lines.append(f"        if (chip.{probe.path}) {written};")
        lines.append("    end")
    return "\n".join([*lines, "endmodule", ""])


def _recorder(name: str) -> list[str]:
    """A file that is written where the plusarg of that name gives one."""
    opened = f'    initial if ($value$plusargs("{name}=%s", {name}_file)) {name} = $fopen({name}_file, "w");'
    return [f"    integer {name} = 0;", f"    reg [8*512-1:0] {name}_file;", opened]
