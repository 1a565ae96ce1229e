"""`hardloom bench equivalence`: Yosys proves small arrays of every style equal to their behavioural description.

The emitted text is read as it is. Its clock gates become enables (`formalff -declockgate`); a driver sends two packets;
all cycles from a reset on are laid out one behind the other, and with the control constant what is left is a function
of the two packets. `sat` then proves every result of the second packet, for all values of both and whatever the
registers held before the reset.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from hardloom.gen.arrays import ArrayPlan, emit, plan_array
from hardloom.gen.arrays.styles import STYLES
from hardloom.gen.text.yosys import run_yosys
from hardloom.golden.quantization.formats import quantize
from hardloom.golden.units.quantize import Quantize
from hardloom.verif.proof.behaviour import behaviour_verilog, driver_verilog, miter_verilog
from hardloom.verif.proof.unroll import unroll

__all__ = ["Proof", "prove", "small_plan"]

SOLVER_S, PROCESS_S, MEMORY_GIB = 300, 3600, 8.0
SIZE = re.compile(r"Solving problem with (\d+) variables and (\d+) clauses")
INPUT = re.compile(r"^ *\\x +\S+ +\S+ +([01]+) *$", re.MULTILINE)


@dataclass(frozen=True)
class Proof:
    """One array.

    Attributes
    ----------
    cycles: laid out one behind the other.
    variables, clauses: of the largest problem given to the solver, one a row.
    proven: rows whose result was proven; difference: a row that differs and the inputs for which it does, or what the
        solver did not get done, or None.
    """

    style: str
    format: str
    rows: int
    inputs: int
    slices: int
    cycles: int
    variables: int
    clauses: int
    proven: int
    cpu_s: float
    peak_mib: float
    difference: str | None


def small_plan(
    style: str, format: str, rows: int, inputs: int, lanes: int, activation: Quantize = Quantize()
) -> ArrayPlan:
    """An array of normal weights in which slices and, where the style has them, addresses are more than one."""
    values = np.random.default_rng(0).standard_normal((rows, inputs))
    slices = STYLES[style].small_slices(inputs)
    return plan_array(
        "array",
        [quantize(torch.from_numpy(values).float(), format).integers()],
        lanes,
        slices,
        style,
        format,
        activation,
    )


def prove(plan: ArrayPlan, folder: Path, texts: dict[str, bytes] | None = None) -> Proof:
    """Prove the array `plan`, of its emitted `texts` by default, in `folder`. Raises `SynthesisError`."""
    emission = emit(plan)
    texts = texts or {n: t.encode() for n, t in emission.prefab.items()} | emission.connections
    for name, text in (texts | {"driver.v": driver_verilog(plan).encode()}).items():
        (folder / name).write_bytes(text)
    read = [f"read_verilog {name}" for name in [*texts, "driver.v"]]
    # not after `opt`: of a flip-flop whose reset it has found, `formalff` would gate all but the reset
    flat = ["hierarchy -check -top driver", "proc", "flatten", "opt_clean", "formalff -declockgate", "opt -full"]
    flat += ["dffunmap", "opt_expr", "opt_clean", "write_json driver.json"]
    first = run_yosys([f"tee -q -o yosys.log {c}" for c in read + flat], folder, plan.name, PROCESS_S)
    netlist = json.loads((folder / "driver.json").read_text())["modules"]["driver"]
    cycles = 16 + plan.beats_in + plan.rows + 2 * plan.cycles_per_packet
    unrolled, registers = unroll(netlist, cycles, {"clk": "0", "rst": "1"}, {"clk": "0", "rst": "0"})
    (folder / "unrolled.json").write_text(json.dumps({"creator": "hardloom", "modules": {"unrolled": unrolled}}))
    (folder / "miter.v").write_text(behaviour_verilog(plan) + miter_verilog(plan, registers))
    steps = ["read_json unrolled.json", "opt -full", "wreduce", "opt -full"]
    steps += ["read_verilog miter.v", "hierarchy -check -top miter", "proc", "flatten", "opt -full"]
    solve = f"sat -timeout {SOLVER_S} -set legal 1 -show x -prove done 1 -prove"
    rows = range(plan.banks * plan.rows)
    steps += [f"tee -q -o row_{row}.log {solve} same[{row}] 1" for row in rows]
    second = run_yosys(steps, folder, plan.name, PROCESS_S, MEMORY_GIB)
    logs = [(folder / f"row_{row}.log").read_text() for row in rows]
    sizes = [tuple(map(int, size.groups())) for log in logs if (size := SIZE.search(log))]
    found = [difference(row, log, plan.inputs, plan.activation.width) for row, log in enumerate(logs)]
    return Proof(
        style=plan.style.name,
        format=plan.formats[0],
        rows=plan.banks * plan.rows,
        inputs=plan.inputs,
        slices=plan.slices,
        cycles=cycles,
        variables=max((size[0] for size in sizes), default=0),
        clauses=max((size[1] for size in sizes), default=0),
        proven=found.count(None),
        cpu_s=round(first["cpu_seconds"] + second["cpu_seconds"], 1),
        peak_mib=round(max(first["peak_kib"], second["peak_kib"]) / 1024),
        difference=next((what for what in found if what is not None), None),
    )


def difference(row: int, log: str, inputs: int, width: int) -> str | None:
    """What a solver's log says against one row, None if it is proven."""
    if "no model found: SUCCESS!" in log:
        return None
    model = INPUT.search(log)
    if "model found: FAIL!" not in log or model is None:
        return f"row {row} is not decided within {SOLVER_S} s"
    number, sign = int(model[1], 2), 1 << (width - 1)
    x = [((number >> width * i & (2 * sign - 1)) ^ sign) - sign for i in range(inputs)]
    return f"row {row} differs for x = {x}"
