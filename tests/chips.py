"""Chips of the tests: built as `gen.build.generate` builds them, and read by slang and Yosys."""

import re
import subprocess
import sys
from typing import Any

from pyslang.driver import Driver

from hardloom.gen.build.folder import CHIP, Build
from hardloom.gen.build.generate import build_chip

__all__ = ["built_chip", "slang_reads", "yosys_finds"]

HARMLESS = (
    r"Warning: Encountered `parallel_case' comment!",
    r"Warning: Latch inferred for signal `\\hardloom_clock_gate\.\\open'",
)
"""Yosys warnings that say nothing new: its own way to write a case; the latch that a clock gate is made of."""


def slang_reads(top: str, *sources: str) -> bool:
    """Whether slang parses and elaborates module `top` of `sources` (options too), without an error or a warning that
    it gives by default; what it says goes to stderr."""
    driver: Any = Driver()
    driver.addStandardArgs()
    words = ["slang", "-Wno-case-too-complex", "--top", top, *sources]
    read = driver.parseCommandLine(" ".join(words)) and driver.processOptions()
    return read and driver.parseAllSources() and driver.runFullCompilation(True) and driver.diagEngine.numWarnings == 0


def built_chip(*arguments: Any, **options: Any) -> Build:
    """`build_chip`, the file list of which slang reads whole."""
    build = build_chip(*arguments, **options)
    assert slang_reads(build.require_chip(), f'-F "{build.path / "chip.f"}"')
    return build


def yosys_finds(build: Build) -> list[str]:
    """Warnings of Yosys against a whole chip that are not `HARMLESS`; AssertionError where it does not read it."""
    files = " ".join((build.path / "chip.f").read_text().split())
    commands = (f"read_verilog {files}", f"hierarchy -check -top {CHIP}", "proc", "check -assert")
    script = "import sys\nfrom pyosys import libyosys\nd = libyosys.Design()\n"
    script += "for command in sys.argv[1:]:\n    libyosys.Pass.call(d, command)\n"
    done = subprocess.run([sys.executable, "-c", script, *commands], cwd=build.path, capture_output=True, text=True)
    said = done.stdout + done.stderr
    assert done.returncode == 0 and "Found and reported 0 problems." in said, said[-4000:]
    warnings = set(re.findall(r"Warning: .*", said))
    return [w for w in sorted(warnings) if not any(re.match(pattern, w) for pattern in HARMLESS)]
