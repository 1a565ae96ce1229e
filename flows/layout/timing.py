"""The least period of a placed tile by OpenSTA, without wires and with them."""

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hardloom.flows.synth.library.library import Library
from hardloom.flows.synth.timing import worst_path
from hardloom.golden.errors import UserError

__all__ = ["Periods", "least_period"]

SCRIPT = """
read_liberty cells.lib
read_verilog tile.v
link_design {top}
create_clock -name clk -period {period} [get_ports clk]
set_propagated_clock [get_clocks clk]
set_input_delay 0 -clock clk [all_inputs]
set_output_delay 0 -clock clk [all_outputs]
{wires}
report_checks -path_delay max -format full -digits 5 -from [all_registers -clock_pins] -to [all_registers -data_pins]
puts "hold [worst_slack -min]"
"""
TIMEOUT_S = 600


@dataclass(frozen=True)
class Periods:
    """longest_ns: the least period; start, end: of that path; hold_ns: the worst slack of a hold time."""

    longest_ns: float
    start: str
    end: str
    hold_ns: float | None


def least_period(verilog: str, spef: str | None, top: str, library: Library) -> Periods | None:
    """The worst path from register to register, the clock's tree in it; None without OpenSTA.

    spef: wires; None for wires without resistance and capacitance. Raises UserError where OpenSTA finds no path.
    """
    command = shutil.which("sta")
    if command is None:
        return None
    unit, period = library.units.nanoseconds, 10.0
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder)
        library.write(where / "cells.lib")
        (where / "tile.v").write_text(verilog)
        (where / "tile.spef").write_text(spef or "")
        reading = "read_spef tile.spef" if spef is not None else ""
        (where / "time.tcl").write_text(SCRIPT.format(top=top, period=period / unit, wires=reading))
        done = subprocess.run(
            [command, "-no_splash", "-exit", "time.tcl"], cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_S
        )
    found = worst_path(done.stdout, period, unit, None)
    if found is None:
        why = [line for line in (done.stdout + done.stderr).splitlines() if "rror" in line]
        raise UserError(f"{top}: OpenSTA finds no path between registers{': ' + why[0] if why else ''}")
    hold = re.search(r"^hold (-?[\d.]+)", done.stdout, re.MULTILINE)
    return Periods(found.longest_ns, found.start, found.end, round(float(hold[1]) * unit, 3) if hold else None)
