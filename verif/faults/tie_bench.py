"""Copies of stream units side by side in one simulation, each stimulus played after a reset."""

import re
import subprocess
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from amaranth.hdl import Shape

from hardloom.gen.stream.component import Component
from hardloom.gen.text.ram import with_rams
from hardloom.gen.text.verilog import joined
from hardloom.verif.simulators.verilator import QUICK_BUILD, build_model
from hardloom.verif.streams.bench import Port, Stimulus, pack, ports

__all__ = ["Copy", "outputs"]

TOP = "tie_bench"

SOURCE = """
module tie_source #(parameter WIDTH = 1, parameter WORDS = 1, parameter RUNS = 1, parameter FILE = "",
                    parameter STARTS = "") (
  input clk, input rst, input [31:0] run, output [WIDTH-1:0] payload, output valid, input ready);
  reg [WIDTH-1:0] words [0:WORDS-1];
  reg [31:0] starts [0:RUNS];
  reg [31:0] at;
  initial begin $readmemh(FILE, words); $readmemh(STARTS, starts); end
  assign valid = !rst && at < starts[run + 1];
  assign payload = words[at];
  always @(posedge clk) at <= rst ? starts[run] : at + (valid && ready);
endmodule
"""

MAIN = """
#include "Vtop.h"
#include "verilated.h"
#include <cstdlib>
int main(int argc, char** argv) {
    Vtop top;
    const int runs = std::atoi(argv[1]), cycles = std::atoi(argv[2]);
    for (int run = 0; run < runs; ++run) {
        top.run = run;
        for (int cycle = 0; cycle < cycles; ++cycle) {
            top.rst = cycle < 2;
            top.clk = 0;
            top.eval();
            top.clk = 1;
            top.eval();
        }
    }
    top.final();
    return 0;
}
"""


@dataclass(frozen=True)
class Copy:
    """A unit in the bench.

    name: of the copy; unit: what the modules of `text` start with; component: has streams alone; stimuli: played.
    Of a stimulus' outputs the streams that it names are compared, every beat of them.
    """

    name: str
    unit: str
    text: str
    component: Component
    stimuli: Sequence[Stimulus]


def outputs(copies: Sequence[Copy], folder: Path) -> dict[str, list[bool]]:
    """Builds and runs all copies in `folder`; by copy, whether each stimulus came out as it says."""
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    runs = max(len(copy.stimuli) for copy in copies)
    texts = [re.sub(rf"\b{copy.unit}(?=_|\b)", copy.name, copy.text) for copy in copies]
    instances = "".join(_instance(copy, runs, folder) for copy in copies)
    top = f"module {TOP}(input clk, input rst, input [31:0] run);\n{instances}endmodule\n"
    (folder / "bench.v").write_text(with_rams(joined([*texts, SOURCE, top])))
    (folder / "main.cpp").write_text(MAIN)
    # without cocotb's interface, whose library would take as long to compile as all copies
    build_model([folder / "bench.v"], TOP, folder / "verilator", folder / "main.cpp", QUICK_BUILD)
    cycles = max(_cycles(stimulus) for copy in copies for stimulus in copy.stimuli)
    # run in `folder`: the words' files go by their names alone, for a path may hold what ends a string of Verilog
    command = [str((folder / "verilator" / TOP).resolve()), str(runs), str(cycles)]
    printed = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout
    seen: dict[tuple[str, str, int], list[int]] = defaultdict(list)
    for line in printed.splitlines():
        name, stream, run, payload = line.split()
        seen[name, stream, int(run)].append(int(payload, 16))
    return {copy.name: [_matches(copy, run, seen) for run in range(len(copy.stimuli))] for copy in copies}


def _cycles(stimulus: Stimulus) -> int:
    """More than a stimulus takes: every beat of it several times over, what it says itself, and the units' latency."""
    streams = [*stimulus.inputs.values(), *stimulus.outputs.values()]
    return 100 + (stimulus.cycles or 0) + 6 * sum(len(packet) for stream in streams for packet in stream)


def _matches(copy: Copy, run: int, seen: dict[tuple[str, str, int], list[int]]) -> bool:
    shapes = {port.name: port.shape for port in ports(copy.component)}
    return all(
        seen[copy.name, name, run] == [pack(shapes[name], beat) for packet in packets for beat in packet]
        for name, packets in copy.stimuli[run].outputs.items()
    )


def _instance(copy: Copy, runs: int, folder: Path) -> str:
    """A copy with a source at each input, and its output beats printed; words go to files by unit."""
    text, connected = "", [".clk(clk)", ".rst(rst)"]
    for port in ports(copy.component):
        wires, width = f"{copy.name}__{port.name}", Shape.cast(port.shape).width
        text += f"  wire [{width - 1}:0] {wires}__payload;\n  wire {wires}__valid, {wires}__ready;\n"
        connected += [f".{port.name}__{part}({wires}__{part})" for part in ("payload", "valid", "ready")]
        text += _source(copy, port, wires, runs, folder) if port.is_input else _sink(copy, port, wires)
    return f"{text}  {copy.name} unit_{copy.name} ({', '.join(connected)});\n"


def _source(copy: Copy, port: Port, wires: str, runs: int, folder: Path) -> str:
    words, starts = [], [0]
    for stimulus in copy.stimuli:
        words += [pack(port.shape, beat) for packet in stimulus.inputs[port.name] for beat in packet]
        starts.append(len(words))
    starts += starts[-1:] * (runs + 1 - len(starts))
    parameters = [f".WIDTH({Shape.cast(port.shape).width})", f".WORDS({len(words)})", f".RUNS({runs})"]
    for name, values in (("FILE", words), ("STARTS", starts)):
        file = folder / f"{copy.unit}_{port.name}_{name.lower()}.hex"
        file.write_text("".join(f"{value:x}\n" for value in values))
        parameters.append(f'.{name}("{file.name}")')
    pins = ", ".join(f".{part}({wires}__{part})" for part in ("payload", "valid", "ready"))
    return f"  tie_source #({', '.join(parameters)}) {wires}__source (.clk(clk), .rst(rst), .run(run), {pins});\n"


def _sink(copy: Copy, port: Port, wires: str) -> str:
    return (
        f"  assign {wires}__ready = 1'b1;\n"
        f"  always @(posedge clk) if ({wires}__valid && !rst && run < {len(copy.stimuli)})\n"
        f'    $display("{copy.name} {port.name} %0d %h", run, {wires}__payload);\n'
    )
