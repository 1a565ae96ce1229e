"""The placed netlist proven to be the emitted text: every register and latch, and every output, the same function.

Yosys turns both into gates, each by itself. What they store is taken out of both, each bit by its name; what is left is
without memory, and ABC's `cec`, which comes with Yosys, proves it equal.
"""

import json
import subprocess
import tempfile
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Any

from hardloom.flows.layout.netlist import Netlist
from hardloom.flows.synth.library.library import Library
from hardloom.flows.synth.library.models import cell_models
from hardloom.gen.text.yosys import SynthesisError, link_sources, run_yosys
from hardloom.golden.errors import UserError

__all__ = ["is_equivalent"]

TO_GATES = (
    *("proc", "flatten", "opt_clean", "opt_expr", "opt_dff", "opt_expr", "opt_clean", "memory -nomap", "memory_map"),
    *("techmap", "opt_expr", "opt_clean", "dfflegalize -cell $_DFF_P_ x -cell $_DLATCH_P_ x", "simplemap", "opt_expr"),
    "opt_clean",
)
STORED = {"$_DFF_P_": ("D", "C", "Q"), "$_DLATCH_P_": ("D", "E", "Q")}
"""What stores a bit: its data, what lets it in, and its output."""
INSIDE = (".IQ", ".hardloom_open")
"""What stores the bit in models of cells."""
TIMEOUT_S = 1800


def is_equivalent(
    netlist: Netlist, verilog: str, names: Mapping[str, str], sources: Sequence[Path], library: Library
) -> bool:
    """Whether the netlist's Verilog does what the emitted `sources` do.

    Raises UserError where a register of one has no like in the other, SynthesisError where Yosys fails.
    """
    top = netlist.name
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder)
        (where / "tile.v").write_text(verilog)
        used = {instance.cell for instance in netlist.instances.values()}
        (where / "models.v").write_text(cell_models(library, used))
        gold = gates(link_sources(sources, where), top, where)
        gate = gates("tile.v models.v", top, where)
        stored = {names[name]: instance.state for name, instance in netlist.instances.items() if instance.state}
        text = aliases(gold)
        by_name = {name: number for number, state in enumerate(states(gold)) for name in text[state[2]]}
        known, order, count = aliases(gate), [], len(states(gold))
        for _, _, output in states(gate):
            owners = [alias.split(".")[0] for alias in known[output] if alias.endswith(INSIDE)]
            order.append(next((by_name[name] for name in stored[owners[0]] if name in by_name), -1))
        if -1 in order or len({*order}) != len(order):
            raise UserError(f"{top}: the netlist has registers that the text has not; nothing is proven")
        for name, module, numbers in (("gold", gold, range(count)), ("gate", gate, order)):
            (where / f"{name}.json").write_text(json.dumps({"modules": {top: cut(module, numbers, {*order})}}))
            run_yosys([f"tee -q read_json {name}.json", f"tee -q write_blif {name}.blif"], where, top, TIMEOUT_S)
        return proven(where, top)


def gates(sources: str, top: str, where: Path) -> dict[str, Any]:
    """A module of Verilog files as gates, as `write_json` describes it."""
    commands = [f"read_verilog {sources}", f"hierarchy -check -top {top}", *TO_GATES, "write_json gates.json"]
    run_yosys([f"tee -q {command}" for command in commands], where, top, TIMEOUT_S)
    return json.loads((where / "gates.json").read_text())["modules"][top]


def states(module: dict[str, Any]) -> list[tuple[int, int, int]]:
    """Data, enable and output of what stores a bit."""
    found = [cell for cell in module["cells"].values() if cell["type"] in STORED]
    return [tuple(cell["connections"][pin][0] for pin in STORED[cell["type"]]) for cell in found]  # type: ignore[misc]


def aliases(module: dict[str, Any]) -> dict[int, list[str]]:
    """Names of every bit; of one that is a whole wire, also as if the wire had several."""
    found: dict[int, list[str]] = {}
    for name, wire in module["netnames"].items():
        for place, bit in enumerate(wire["bits"], wire.get("offset", 0)):
            found.setdefault(bit, []).extend([f"{name}[{place}]", *([name] if len(wire["bits"]) == 1 else [])])
    return found


def cut(module: dict[str, Any], numbers: Sequence[int], both: Set[int]) -> dict[str, Any]:
    """Without what stores bits: their data and enables become outputs, their outputs inputs, numbered.

    both: those that the netlist has, too; others are left without a value, so nothing may depend on them.
    """
    ports = dict(module["ports"])
    for number, state in sorted(zip(numbers, states(module), strict=True)):
        roles = zip("dcq", ("output", "output", "input"), state, strict=True)
        for role, direction, bit in roles if number in both else []:
            ports[f"stored_{number}_{role}"] = {"direction": direction, "bits": [bit]}
    cells = {name: cell for name, cell in module["cells"].items() if cell["type"] not in STORED}
    return {"attributes": {"top": 1}, "ports": dict(sorted(ports.items())), "cells": cells, "netnames": {}}


def proven(where: Path, top: str) -> bool:
    """What ABC says of gold.blif and gate.blif."""
    import pyosys

    command = [str(Path(pyosys.__file__).parent / "yosys-abc"), "-c", f"cec -T {TIMEOUT_S} gold.blif gate.blif"]
    done = subprocess.run(command, cwd=where, capture_output=True, text=True, timeout=2 * TIMEOUT_S)
    if "Networks are equivalent" in done.stdout:
        return True
    if "NOT EQUIVALENT" in done.stdout:
        return False
    raise SynthesisError(f"{top}: equivalence is neither proven nor refuted: {done.stdout.strip().splitlines()[-1:]}")
