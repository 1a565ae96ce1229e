"""Static timing of a mapped netlist by OpenSTA, where its command `sta` is installed."""

import re
import shutil
import subprocess
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from flows.synth.library.library import Library

__all__ = ["Timing", "open_sta"]

SCRIPT = """
{libraries}
read_verilog {netlist}
link_design {top}
create_clock -name clk -period {period} [get_ports clk]
set_input_delay 0 -clock clk [all_inputs]
set_output_delay 0 -clock clk [all_outputs]
report_checks -path_delay max -format full -digits 5
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


def open_sta(netlist: Path, top: str, library: Library, clock_ns: float | None = None) -> Timing | None:
    """Longest path of module `top`, clocked by `clk`; None where `sta` is missing, finds no path or takes too long.

    Wires have no delay; inputs arrive and outputs are due at the clock edge.
    """
    command = shutil.which("sta")
    if command is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        libraries = "\n".join(f"read_liberty {path}" for path in library.write(Path(folder)))
        unit = {"1ns": 1.0, "1ps": 0.001, "10ps": 0.01, "100ps": 0.1}[library.head.text("time_unit", "1ns")]
        period = 1.0 if clock_ns is None else clock_ns
        script = Path(folder) / "timing.tcl"
        names = {"libraries": libraries, "netlist": netlist.resolve(), "top": top, "period": period / unit}
        script.write_text(SCRIPT.format(**names))
        try:
            done = subprocess.run(
                [command, "-no_splash", "-exit", str(script)], capture_output=True, text=True, timeout=TIMEOUT_S
            )
        except subprocess.TimeoutExpired:
            return None
    slack = re.search(r"^ +(-?[\d.]+) +slack \((?:MET|VIOLATED)\)", done.stdout, re.MULTILINE)
    ends = [re.search(rf"^{name}: (\S+)", done.stdout, re.MULTILINE) for name in ("Startpoint", "Endpoint")]
    if slack is None:
        return None
    start, end = (found[1] if found else "" for found in ends)
    return Timing("OpenSTA", round(period - float(slack[1]) * unit, 5), start, end, clock_ns)
