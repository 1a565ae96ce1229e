"""An array on an FPGA: Yosys for its cells, nextpnr (YoWASP, from PyPI) to place and route them."""

import importlib.util
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hardloom.gen.arrays.shells import CLOCK_GATE
from hardloom.gen.text.yosys import SynthesisError, link_sources, run_yosys
from hardloom.golden.errors import UserError

__all__ = ["PUBLISHED_LUTS_A_WEIGHT", "Fpga", "place_and_route"]

PUBLISHED_LUTS_A_WEIGHT = 10.4
"""ITA (arXiv 2511.22889): 170,502 LUTs for a 64 -> 128 -> 64 network, 16,384 weights, fully parallel."""


@dataclass(frozen=True)
class Family:
    """What differs between two families: nextpnr's device, cells that are LUTs, carries, flip-flops; the clock gate."""

    synth: str
    device: tuple[str, ...]
    luts: tuple[str, ...]
    carries: tuple[str, ...]
    flip_flops: tuple[str, ...]
    clock_gate: str


GATE = f"module {CLOCK_GATE.module} (input clk, input enable, input test_enable, output gated); {{}} endmodule\n"
FAMILIES = {
    "ecp5": Family(
        "synth_ecp5",
        ("--85k", "--package", "CABGA756"),
        ("LUT4",),
        ("CCU2C",),
        ("TRELLIS_FF",),
        GATE.format("DCCA u (.CLKI(clk), .CE(enable | test_enable), .CLKO(gated));"),
    ),
    "ice40": Family(
        "synth_ice40",
        ("--hx8k", "--package", "ct256"),
        ("SB_LUT4",),
        ("SB_CARRY",),
        ("SB_DFF",),
        GATE.format("reg open; always @(negedge clk) open <= enable | test_enable; assign gated = clk & open;"),
    ),
}
"""The latch of the clock gate has no place on an FPGA: the ECP5 has a clock buffer with an enable, on the iCE40 a
flip-flop at the falling edge does the same with half a period for the enable."""


@dataclass(frozen=True)
class Fpga:
    """luts: of four inputs; a carry cell of the ECP5 takes two more, counted in `luts_per_weight`."""

    family: str
    luts: int
    carries: int
    flip_flops: int
    weights: int
    luts_per_weight: float
    fmax_mhz: float

    def to_json_dict(self) -> dict[str, Any]:
        return asdict(self) | {"published_luts_per_weight": {"ITA (arXiv 2511.22889)": PUBLISHED_LUTS_A_WEIGHT}}


def place_and_route(sources: Sequence[Path], top: str, weights: int, family: str, timeout_s: float = 900.0) -> Fpga:
    """LUTs and the clock of module `top`, its ports being pins; hold times between gated clocks are not judged.

    Raises UserError for an unknown family or a missing nextpnr, SynthesisError where the array does not fit.
    """
    if family not in FAMILIES:
        raise UserError(f"--fpga: {family!r} is unknown; choose one of {', '.join(FAMILIES)}")
    module = f"yowasp_nextpnr_{family}"
    if importlib.util.find_spec(module) is None:
        raise UserError(f"--fpga: {module.replace('_', '-')} is not installed; run pip install 'hardloom[fpga]'")
    chosen = FAMILIES[family]
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder)
        # behind a prefix, if the build has one
        gates = [path for path in sources if path.stem.endswith(CLOCK_GATE.module)]
        for path in gates:
            (where / path.name).write_text(chosen.clock_gate.replace(CLOCK_GATE.module, path.stem, 1))
        files = [where / path.name if path in gates else path for path in sources]
        commands = [f"read_verilog {link_sources(files, where)}", f"{chosen.synth} -top {top} -json cells.json"]
        run_yosys([f"tee -q -a yosys.log {command}" for command in commands], where, top, timeout_s)
        cells = json.loads((where / "cells.json").read_text())["modules"][top]["cells"].values()
        kinds = Counter(cell["type"] for cell in cells)
        fmax = run_nextpnr(module, chosen, where, top, timeout_s)
    luts, carries, flip_flops = (
        sum(count for kind, count in kinds.items() if kind.startswith(prefixes))
        for prefixes in (chosen.luts, chosen.carries, chosen.flip_flops)
    )
    total = luts + (2 * carries if family == "ecp5" else 0)
    return Fpga(family, luts, carries, flip_flops, weights, round(total / weights, 2), round(fmax, 2))


def run_nextpnr(module: str, family: Family, folder: Path, top: str, timeout_s: float) -> float:
    """Highest clock in MHz of the routed cells in `folder`."""
    report = folder / "report.json"
    pins = ["--lpf-allow-unconstrained"] if "ecp5" in module else ["--pcf-allow-unconstrained"]
    run = f"import sys, {module} as tool; sys.exit(tool.{module.replace('yowasp', 'run')}(sys.argv[1:]))"
    command = [sys.executable, "-c", run]
    command += [*family.device, *pins, "--timing-allow-fail", "--json", "cells.json", "--report", report.name]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=timeout_s)
    except subprocess.TimeoutExpired:
        raise SynthesisError(f"{top}: placing and routing took more than {timeout_s:g} s") from None
    if done.returncode or not report.exists():
        lines = [line for line in (done.stdout + done.stderr).splitlines() if "ERROR" in line]
        raise SynthesisError(f"{top}: {lines[-1] if lines else 'nextpnr failed'}")
    return min(clock["achieved"] for clock in json.loads(report.read_text())["fmax"].values())
