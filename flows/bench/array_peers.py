"""The peers of `hardloom bench arrays`: plain Verilog, and the adder graphs of da4ml."""

import tempfile
import time
from pathlib import Path

import numpy as np

from hardloom.flows.bench.array_figures import Figures, combinational
from hardloom.flows.synth.library.library import Library
from hardloom.gen.text.yosys import SynthesisError
from hardloom.golden.quantization.integers import IntegerMatrix

__all__ = ["da4ml", "plain"]


def plain(matrix: IntegerMatrix, library: Library) -> Figures:
    """`W @ x` as a user would write it: one sum of products with constants a row."""
    start, weights = time.process_time(), np.asarray(matrix.weights)
    neurons, inputs = weights.shape
    width = int(127 * np.abs(weights).sum(axis=1).max()).bit_length() + 1
    rows = [
        f"    assign y[{width * (j + 1) - 1}:{width * j}] = "
        + " + ".join(f"({width}'sd0 + {'-' if w < 0 else ''}{width}'sd{abs(w)} * x{i})" for i, w in enumerate(row) if w)
        + ";"
        for j, row in enumerate(weights.tolist())
    ]
    ports = ", ".join(f"input wire signed [7:0] x{i}" for i in range(inputs))
    text = f"module plain ({ports}, output wire [{neurons * width - 1}:0] y);\n" + "\n".join(rows) + "\nendmodule\n"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "plain.v"
        path.write_text(text)
        return combinational("plain", matrix, library, [path], "plain", time.process_time() - start)


def da4ml(matrix: IntegerMatrix, library: Library) -> Figures:
    """The adder graph of da4ml (TRETS'25), with the pipeline registers of its own two stages."""
    try:
        from da4ml.cmvm import solve
        from da4ml.codegen import VerilogModel
    except ImportError as error:
        raise SynthesisError("da4ml is not installed; install the extra `bench`") from error
    start, weights = time.process_time(), np.asarray(matrix.weights)
    solution = solve(weights.T.astype(np.float32), qintervals=[(-128.0, 127.0, 1.0)] * weights.shape[1])
    with tempfile.TemporaryDirectory() as folder:
        VerilogModel(solution, "peer", folder, print_latency=False).write()
        seconds = time.process_time() - start
        sources = sorted(path for path in Path(folder).rglob("*.v") if path.name != "lookup_table.v")
        return combinational("da4ml", matrix, library, sources, "peer", seconds)
