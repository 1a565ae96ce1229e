"""A `hardloom` command as a stage of a measurement: in a process of its own, with what it took."""

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from typing import Any

from hardloom.golden.errors import UserError

__all__ = ["LIMIT_MIB", "Stage", "command"]

LIMIT_MIB = 2048
"""Of resident memory, for every command."""

PROGRAM = "from hardloom.flows.cli.app import app; app()"


@dataclass(frozen=True)
class Stage:
    """One command in a process of its own: wall and CPU seconds, start of Python included, and its peak memory."""

    seconds: float
    cpu_seconds: float
    peak_rss_mib: float
    output: str

    def figures(self, name: str, weights: int) -> dict[str, Any]:
        """Its fields of `Row`."""
        return {
            f"{name}_s": round(self.seconds, 2),
            f"{name}_cpu_s": round(self.cpu_seconds, 2),
            f"{name}_weights_per_s": round(weights / self.seconds),
            f"{name}_mib": round(self.peak_rss_mib),
        }


def command(*arguments: object) -> Stage:
    """Run one `hardloom` command."""
    begin = time.perf_counter()
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen([sys.executable, "-c", PROGRAM, *map(str, arguments)], stdout=output)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        if process.returncode:
            raise UserError(f"hardloom {arguments[0]} failed with code {process.returncode}; see its message above")
        seconds = time.perf_counter() - begin
        return Stage(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, output.read())
