"""Cells of an FPGA placed and routed by nextpnr (YoWASP, from PyPI), every port being a pin where there are so many."""

import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hardloom.flows.synth.fpga import Device, Family
from hardloom.gen.text.yosys import SynthesisError, link_sources, run_yosys
from hardloom.golden.errors import UserError

__all__ = ["Routed", "check_installed", "route"]

SEED = 1


@dataclass(frozen=True)
class Routed:
    """device: name; pins: whether ports are pins; used: of what nextpnr counts, what was used of what there is;
    fmax_mhz: the highest clock; seconds: of placing and routing."""

    device: str
    pins: bool
    used: dict[str, tuple[int, int]]
    fmax_mhz: float
    seconds: float

    def to_json_dict(self) -> dict[str, Any]:
        return asdict(self)


def tool_of(family: Family) -> str:
    return f"yowasp_nextpnr_{family.name}"


def check_installed(family: Family) -> None:
    """Raise UserError where the family's nextpnr is missing."""
    if importlib.util.find_spec(tool_of(family)) is None:
        name = tool_of(family).replace("_", "-")
        raise UserError(f"--fpga: {name} is not installed; run pip install 'hardloom[fpga]'")


def route(netlists: Iterable[Path], top: str, family: Family, candidates: Sequence[Device], timeout_s: float) -> Routed:
    """Place and route module `top` of `netlists`, Verilog of the family's cells, on the first of the `candidates` that
    has pins for its ports; where none has, on the last, ports left where they are.

    Raises SynthesisError where it does not fit, or takes too long.
    """
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder)
        sources = link_sources(list(netlists), where)
        linked = [
            f"read_verilog -lib {family.models}",
            f"read_verilog {sources}",
            f"hierarchy -top {top}",
            "flatten -noscopeinfo",
            "opt_clean -purge",
        ]
        run_yosys([*linked, "blackbox =A:whitebox", "write_json cells.json"], where, top, timeout_s)
        ports = json.loads((where / "cells.json").read_text())["modules"][top]["ports"].values()
        bits = sum(len(port["bits"]) for port in ports)
        device = next((device for device in candidates if device.pins >= bits), candidates[-1])
        begin = time.monotonic()
        report = run_nextpnr(family, device, device.pins >= bits, where, top, timeout_s)
        seconds = round(time.monotonic() - begin, 1)
    used = {name: (found["used"], found["available"]) for name, found in report["utilization"].items() if found["used"]}
    clocks = [clock["achieved"] for clock in report["fmax"].values()]
    return Routed(device.name, device.pins >= bits, used, round(min(clocks), 2), seconds)


def run_nextpnr(family: Family, device: Device, pins: bool, folder: Path, top: str, timeout_s: float) -> dict[str, Any]:
    """The report of nextpnr on cells.json in `folder`; pins: whether ports are."""
    report, module = folder / "report.json", tool_of(family)
    run = f"import sys, {module} as tool; sys.exit(tool.{module.replace('yowasp', 'run')}(sys.argv[1:]))"
    command = [sys.executable, "-c", run, f"--{device.option}", "--package", device.package]
    command += [family.pins if pins else "--out-of-context"]
    command += ["--seed", str(SEED), "--timing-allow-fail", "--json", "cells.json", "--report", report.name]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=timeout_s)
    except subprocess.TimeoutExpired:
        raise SynthesisError(f"{top}: placing and routing took more than {timeout_s:g} s") from None
    if done.returncode or not report.exists():
        lines = [line for line in (done.stdout + done.stderr).splitlines() if "ERROR" in line]
        raise SynthesisError(f"{top}: {lines[-1] if lines else 'nextpnr failed'}")
    return json.loads(report.read_text())
