"""Compile Verilog for a simulator and run cocotb tests on it."""

import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from pathlib import Path

from cocotb_tools.runner import get_runner

from hardloom.golden.errors import UserError
from hardloom.verif.simulators.links import linked
from hardloom.verif.simulators.verilator import verilate

__all__ = ["SIMULATORS", "build_and_test", "compile_icarus", "run_tests"]

SIMULATORS = ("verilator", "icarus")


def build_and_test(
    sources: Sequence[Path],
    top: str,
    test_module: str,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    arguments: Sequence[str] = (),
    blocks: Sequence[str] = (),
    simulator: str = "verilator",
) -> int:
    """Build `sources` in `folder`, run the cocotb tests of `test_module`; the number of tests that failed.

    JUnit results are left in `folder`/results.xml, what the simulator prints in `folder`/simulation.log. arguments,
    blocks: of `verilate`. simulator: one of `SIMULATORS`.
    """
    if simulator == "icarus":
        compile_icarus(sources, top, folder.resolve() / simulator)
    else:
        verilate(sources, top, folder.resolve() / simulator, arguments, blocks=blocks)
    return run_tests(top, test_module, folder, environment, simulator=simulator)


def compile_icarus(sources: Sequence[Path], top: str, folder: Path) -> None:
    """A simulation of Verilog-2005 `sources` for Icarus, where cocotb looks for it. Raises UserError without Icarus."""
    binary = shutil.which("iverilog")
    if binary is None:
        raise UserError(
            "iverilog is not installed; on Debian run: apt-get install iverilog, or simulate with Verilator"
        )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cmds.f").write_text("+timescale+1ns/1ps\n")
    log, command = folder / "build.log", [binary, "-g2005", "-Wall", "-s", top, "-o", "sim.vvp", "-f", "cmds.f"]
    with log.open("w") as output:
        command += linked(sources, folder)
        if subprocess.run(command, cwd=folder, stdout=output, stderr=subprocess.STDOUT).returncode:
            sys.stderr.write(log.read_text()[-4000:])
            raise RuntimeError(f"Icarus did not compile {top}, see {log}")


def run_tests(
    top: str,
    test_module: str,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    build: Path | None = None,
    plusargs: Sequence[str] = (),
    log: Path | None = None,
    simulator: str = "verilator",
) -> int:
    """Run the cocotb tests of `test_module` on what was built for `simulator`; the number of tests that failed.

    build: where the executable is, `folder`/`simulator` by default; log: a file for what the simulator prints,
    `folder`/simulation.log by default, named on standard error where a test fails.
    """
    log = log or folder / "simulation.log"
    results = get_runner(simulator).test(
        hdl_toplevel=top,
        hdl_toplevel_lang="verilog",
        test_module=test_module,
        build_dir=build or folder.resolve() / simulator,
        test_dir=folder.resolve(),
        results_xml=str(folder.resolve() / "results.xml"),
        extra_env=dict(environment or {}),
        plusargs=list(plusargs),
        log_file=log,
    )
    tests = ElementTree.parse(results).getroot().iter("testcase")
    failed = sum(1 for test in tests if test.find("failure") is not None or test.find("error") is not None)
    if failed:
        print(f"{failed} tests of {test_module} failed, see {log}", file=sys.stderr)
    return failed
