"""Static timing of a mapped netlist by OpenSTA, where its command `sta` is installed."""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hardloom.flows.synth.library.library import Library

__all__ = ["Timing", "has_open_sta", "open_sta", "sta_report", "worst_path"]

SCRIPT = """
{reading}
link_design {top}
create_clock -name clk -period {period} [get_ports clk]
set_input_delay 0 -clock clk [all_inputs]
set_output_delay 0 -clock clk [all_outputs]
report_checks -path_delay max -format full -digits 5
report_checks -path_delay max -format end -group_count 1000000 -endpoint_count 1 -digits 5
"""
TIMEOUT_S = 600


@dataclass(frozen=True)
class Timing:
    """longest_ns: the shortest period that meets every setup time; start, end: of that path; tool: whose figure.

    clock_ns: the period asked for, if any.
    """

    tool: str
    longest_ns: float
    start: str = ""
    end: str = ""
    clock_ns: float | None = None

    @property
    def slack_ns(self) -> float | None:
        """Negative where the clock is missed; None without one."""
        return None if self.clock_ns is None else round(self.clock_ns - self.longest_ns, 5)

    @property
    def met(self) -> bool | None:
        """Whether the clock is met; None without one."""
        return None if self.slack_ns is None else self.slack_ns >= 0

    def to_json_dict(self) -> dict[str, Any]:
        return asdict(self) | {"slack_ns": self.slack_ns, "met": self.met}


def has_open_sta() -> bool:
    """Whether its command `sta` is installed."""
    return shutil.which("sta") is not None


def open_sta(netlist: Path, top: str, library: Library, clock_ns: float | None = None) -> Timing | None:
    """Longest path of module `top`, clocked by `clk`; None where `sta` is missing, finds no path or takes too long.

    Wires have no delay; inputs arrive and outputs are due at the clock edge.
    """
    period, unit = clock_ns or 1.0, library.units.nanoseconds
    report = sta_report([netlist], top, library, period)
    return worst_path(report, period, unit, clock_ns) if report else None


def sta_report(netlists: Sequence[Path], top: str, library: Library, period: float, boxes: str = "") -> str | None:
    """OpenSTA's report of the worst path a group and of every end point, in the library's unit of time; None as above.

    netlists: Verilog of `top` and what it instantiates; period: ns; boxes: Liberty of modules that are no netlists.
    """
    command = shutil.which("sta")
    if command is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder)
        library.write(where / "cells.lib")
        (where / "boxes.lib").write_text(boxes)
        for number, netlist in enumerate(netlists):
            (where / f"{number}.v").symlink_to(netlist.resolve())
        lines = [f"read_liberty {name}.lib" for name in ("cells", *(["boxes"] if boxes else []))]
        lines += [f"read_verilog {number}.v" for number in range(len(netlists))]
        script = where / "timing.tcl"
        reading = "\n".join(lines)
        script.write_text(SCRIPT.format(reading=reading, top=top, period=period / library.units.nanoseconds))
        try:
            done = subprocess.run(
                [command, "-no_splash", "-exit", script.name],
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=TIMEOUT_S,
            )
        except subprocess.TimeoutExpired:
            return None
    return done.stdout


def worst_path(report: str, period: float, unit: float, clock_ns: float | None) -> Timing | None:
    """The path of least slack in OpenSTA's report, which has one a group of paths; None where there is none.

    period: in ns; unit: ns of the report's unit.
    """
    paths = []
    for text in report.split("Startpoint: ")[1:]:
        slack = re.search(r"^ +(-?[\d.]+) +slack \((?:MET|VIOLATED)\)", text, re.MULTILINE)
        end = re.search(r"^Endpoint: (\S+)", text, re.MULTILINE)
        if slack and end:
            paths.append((float(slack[1]), text.split(maxsplit=1)[0], end[1]))
    if not paths:
        return None
    slack_units, start, endpoint = min(paths)
    return Timing("OpenSTA", round(period - slack_units * unit, 5), start, endpoint, clock_ns)
