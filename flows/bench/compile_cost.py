"""What an array costs in simulation: Verilator time, g++ time and speed of emission styles and compiler flags.

`python -m hardloom.flows.bench.compile_cost` prints the table of docs/arrays.md. The styles are made from the emitted
text by substitution, so that they differ in nothing else. Times are CPU seconds of the tools' processes.
"""

import re
import resource
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from hardloom.gen.arrays import emit, plan_array
from hardloom.golden.quantization.formats import quantize
from hardloom.verif.extract.instances import instances
from hardloom.verif.extract.neuron import CONTROL
from hardloom.verif.simulators.verilator import make_variables, translation, with_this_python

__all__ = ["main"]

Texts = dict[str, str]

MAIN = r"""
#include "Vtop.h"
#include "verilated.h"
#include <algorithm>
#include <cstdio>
#include <ctime>
int main() {
    VerilatedContext context; Vtop top(&context); unsigned long long seed = 88172645463325252ull, check = 0;
    for (int busy = 0; busy < 2; ++busy) {
        const int cycles = 100000; double best = 0;
        for (int again = 0; again < 3; ++again) {
        top.in_valid = 0; top.out_ready = 1; top.rst = 1;
        for (int i = 0; i < 2; ++i) { top.clk = 0; top.eval(); top.clk = 1; top.eval(); }
        top.rst = 0; top.in_valid = busy;
        std::clock_t start = std::clock();
        for (int i = 0; i < cycles; ++i) {
            seed ^= seed << 13; seed ^= seed >> 7; seed ^= seed << 17;
            top.in_data = seed | 0x0101010101010101ull;
            top.clk = 0; top.eval(); top.clk = 1; top.eval(); check = check * 31 + top.out_data[0];
        }
        best = std::max(best, cycles * double(CLOCKS_PER_SEC) / (std::clock() - start));
        }
        std::printf("%.0f ", best);
    }
    std::printf("%llx\n", check);
}
"""


def array_texts(rows: int, banks: int, inputs: int) -> Texts:
    """Files of an array of normal noise in mxfp4, T=1, 8 lanes."""
    generator = torch.Generator().manual_seed(0)
    matrices = [quantize(torch.randn(rows, inputs, generator=generator), "mxfp4").integers() for _ in range(banks)]
    prefab, connections = emit(plan_array("cost", matrices, 8, 1, "metal", "mxfp4"))
    return prefab | {name: text.decode() for name, text in connections.items()}


def vector_lines(texts: Texts) -> Texts:
    """Input wires as two vectors."""
    text = texts["cost.v"]
    start = text.index("    wire p0, n0")
    end = text.index(";\n", start)
    inputs = text[start:end].count("p")
    text = text[:start] + f"    wire [{inputs - 1}:0] p, n" + text[end:]
    return texts | {"cost.v": re.sub(r"\b([pn])(\d+)\b", r"\1[\2]", text)}


def packed_slots(texts: Texts) -> Texts:
    """Slots of a neuron as one vector port, connected by a concatenation."""

    text = texts["cost.v"].encode()
    neurons = [instance for instance in instances(text) if instance.name.startswith("neuron_")]
    for neuron in neurons[::-1]:
        pins, first = neuron.pins, len(CONTROL)
        text = replace(neuron, text=text).replaced([*pins[:first], b"{" + b",".join(pins[: first - 1 : -1]) + b"}"])
    changed = texts | {"cost.v": text.decode()}
    name = next(name for name in texts if name.startswith("neuron"))
    slots = len(re.findall(r"\bs\d+\b", texts[name].split(");")[0].split("//")[-1]))
    cell = re.sub(r"    input  wire s0,.*?\n\);", f"    input  wire [{slots - 1}:0] s\n);", texts[name], flags=re.S)
    return changed | {name: re.sub(r"\bs(\d+)\b", r"s[\1]", cell)}


def separate_cells(texts: Texts) -> Texts:
    """Neurons as C++ objects of one class, not inlined."""
    return {name: text.replace("inline_module", "no_inline_module") for name, text in texts.items()}


def counted_outside(texts: Texts) -> Texts:
    """The count as a wire before the clocked block, evaluated whenever an input changes."""
    name = next(name for name in texts if name.startswith("neuron"))
    total = re.findall(r"\+ \(\((.*?)\n            \) \^", texts[name], re.S)
    wire = f"    wire [31:0] counted = {total[0]};\n    always @(posedge clk)"
    text = texts[name].replace(total[0], "counted").replace("    always @(posedge clk)", wire)
    return texts | {name: text}


def cost(texts: Texts, optimize: str, arguments: list[str]) -> tuple[float, float, float, float]:
    """CPU seconds of Verilator and of g++, cycles/s idle and busy."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        for name, text in (texts | {"main.cpp": MAIN}).items():
            (path / name).write_text(text)
        sources = [path / name for name in sorted(texts)]
        front = cpu_time(translation(sources, "cost", path / "obj", path / "main.cpp", arguments), path / "obj")
        back = cpu_time(["make", "-f", "Vtop.mk", *make_variables(), f"OPT_FAST={optimize}"], path / "obj")
        idle, busy, _ = subprocess.run([path / "obj" / "cost"], capture_output=True, text=True).stdout.split()
        return front, back, float(idle), float(busy)


def cpu_time(command: list[str], folder: Path) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    quiet = subprocess.DEVNULL
    subprocess.run(command, cwd=folder, check=True, stdout=quiet, stderr=quiet, env=with_this_python())
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    same: Callable[[Texts], Texts] = dict
    cases = [
        ("as emitted: scalar wires, a port a slot, inlined", same, "-O1", []),
        ("vector lines", vector_lines, "-O1", []),
        ("one vector port of slots", packed_slots, "-O1", []),
        ("cells not inlined", separate_cells, "-O1", []),
        ("count outside the clocked block", counted_outside, "-O1", []),
        ("as emitted, functions split", same, "-O1", ["--output-split-cfuncs", "500"]),
        ("as emitted, g++ -O0", same, "-O0", []),
        ("as emitted, g++ -Og", same, "-Og", []),
        ("as emitted, g++ -O2", same, "-O2", []),
        ("as emitted, --decorations none", same, "-O1", ["--decorations", "none"]),
    ]
    weights = 3 * 64 * 64
    front, back, _, _ = cost(array_texts(8, 1, 8), "-O1", [])
    print(f"without weights: Verilator {front:.1f} s, g++ {back:.1f} s; the table counts what comes on top")
    print("| emission and flags | Verilator ms/weight | g++ ms/weight | cycles/s busy | idle |")
    print("| --- | --- | --- | --- | --- |")
    texts = array_texts(64, 3, 64)
    for name, change, optimize, arguments in cases:
        verilate, compile_, idle, busy = cost(change(texts), optimize, arguments)
        milliseconds = [f"{1000 * seconds / weights:.2f}" for seconds in (verilate - front, compile_ - back)]
        print(f"| {name} | {milliseconds[0]} | {milliseconds[1]} | {busy:,.0f} | {idle:,.0f} |", flush=True)


if __name__ == "__main__":
    main()
