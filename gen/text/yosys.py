"""Yosys in a process of its own, within limits of time and memory."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

__all__ = ["SynthesisError", "link_sources", "run_yosys"]


RUN_YOSYS = """
import json, resource, sys, time
job = json.load(sys.stdin)
resource.setrlimit(resource.RLIMIT_AS, (job["memory"], job["memory"]))
from pyosys import libyosys
design = libyosys.Design()
for command in job["commands"]:
    libyosys.Pass.call(design, command)
usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
with open(job["usage"], "w") as file:
    seconds = sum(u.ru_utime + u.ru_stime for u in usage)
    json.dump({"cpu_seconds": seconds, "peak_kib": max(u.ru_maxrss for u in usage)}, file)
"""


NO_MEMORY = ("bad_alloc", "MemoryError", "Cannot allocate memory", "failed to map segment")
"""What Yosys, Python and the system say where a process has no memory left, or never had what Yosys itself is."""


class SynthesisError(RuntimeError):
    """A module was not synthesized: it took too long or too much memory, or Yosys refused it. One sentence."""


def run_yosys(
    commands: list[str], folder: Path, top: str, timeout_s: float, memory_gib: float = 16.0
) -> dict[str, float]:
    """CPU time and peak memory of the commands in a process of their own; what they say in `folder`/yosys.log helps.

    It works in `folder`: commands name its files by their names, so that no path of a user is ever read as a command,
    be it by Yosys or by the shell that starts ABC. Raises SynthesisError that names `top`.
    """
    job = {"commands": commands, "memory": int(memory_gib * 2**30), "usage": "usage.json"}
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", RUN_YOSYS],
        cwd=folder,
        env=os.environ | {"TMPDIR": "."},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        errors, _ = process.communicate(json.dumps(job), timeout=timeout_s)
    except subprocess.TimeoutExpired:
        raise SynthesisError(f"{top}: took more than {timeout_s:g} s") from None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if process.returncode:
        if any(sign in errors for sign in NO_MEMORY):
            raise SynthesisError(f"{top}: took more than {memory_gib:g} GiB")
        log = folder / "yosys.log"
        lines = [*errors.splitlines(), *(log.read_text().splitlines() if log.exists() else [])]
        reason = [line for line in lines if "ERROR" in line]
        raise SynthesisError(f"{top}: {reason[-1] if reason else f'Yosys ended with code {process.returncode}'}")
    return json.loads((folder / "usage.json").read_text())


def link_sources(sources: Sequence[Path], folder: Path, prefix: str = "source") -> str:
    """Names of links in `folder` to Verilog files of any paths, side by side as a command of Yosys takes them."""
    names = [f"{prefix}{number}.v" for number in range(len(sources))]
    for name, path in zip(names, sources, strict=True):
        (folder / name).symlink_to(path.resolve())
    return " ".join(names)
