"""Each way from a clean folder to a first result, by commands alone."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from hardloom.verif.simulators.verilator import BINARY
from tests import DEMO, ROOT
from tests.checkpoints import write_chip_checkpoint
from tests.icarus import needs_icarus

HERE = Path(__file__).parent

YOSYS = 'import sys; from pyosys import libyosys as y; y.run_pass("script " + sys.argv[1], y.Design())'

COMMANDS = {
    "hardloom": f'exec {sys.executable} -m hardloom "$@"',
    "python": f'exec {sys.executable} "$@"',
    "fusesoc": f'exec {sys.executable} -m fusesoc.main "$@"',
    "verilator": f'exec {BINARY} "$@"',
    "yosys": f"exec {sys.executable} -c '{YOSYS}' \"$@\"",
}
"""What is on a user's path."""


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of these commands."""
    folder = tmp_path_factory.mktemp("bin")
    for name, text in COMMANDS.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(stat.S_IRWXU)
    return folder


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny one, and beside it token ids to calibrate on."""
    folder = write_chip_checkpoint(tmp_path_factory.mktemp("given") / "ckpt", seed=5)
    (folder.parent / "tokens.json").write_text(json.dumps([7 * n * n % 17 for n in range(600)]))
    return folder


def walk(name: str, folder: Path, tools: Path, checkpoint: Path, **variables: str) -> str:
    """Run a script in a clean folder; what it prints."""
    home = folder / "home"
    home.mkdir()
    environment = os.environ | {
        "PATH": f"{tools}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "HOME": str(home),
        "CKPT": str(checkpoint),
        "TOKENS": str(checkpoint.parent / "tokens.json"),
    }
    environment.pop("PYTEST_CURRENT_TEST", None)  # with which cocotb ends the runner itself
    clean = folder / "clean"
    clean.mkdir()
    command = ["bash", "-euo", "pipefail", str(HERE / f"{name}.sh")]
    ran = subprocess.run(command, cwd=clean, env=environment | variables, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
    return ran.stdout


def test_the_architect(tools: Path, checkpoint: Path, tmp_path: Path) -> None:
    out = walk("architect", tmp_path, tools, checkpoint, LIKE="llada-moe-7b", EXPLORED=str(DEMO))
    assert "emitted" in out and "tokens/s" in out


@pytest.mark.slow
def test_the_architect_explores_a_published_model(tools: Path, tmp_path: Path) -> None:
    walk("architect", tmp_path, tools, DEMO, LIKE="llada-moe-7b", EXPLORED="--like llada-moe-7b")


@needs_icarus
def test_the_rtl_engineer(tools: Path, checkpoint: Path, tmp_path: Path) -> None:
    assert "1 tests passed, 0 failed" in walk("rtl_engineer", tmp_path, tools, checkpoint, SIM="icarus")


@needs_icarus
def test_the_verification_engineer(tools: Path, checkpoint: Path, tmp_path: Path) -> None:
    out = walk("verification_engineer", tmp_path, tools, checkpoint, SIM="icarus")
    assert "3 tests passed, 0 failed" in out and out.strip().endswith((".fst", ".vcd"))


@pytest.mark.slow
def test_the_verification_engineer_sees_what_runs_reach(tools: Path, checkpoint: Path, tmp_path: Path) -> None:
    out = walk("verification_engineer", tmp_path, tools, checkpoint)
    assert out.count("toggles") == 2 and out.rstrip().rpartition("all")[2].count(" of ") == 3


def test_who_trains_models(tools: Path, checkpoint: Path, tmp_path: Path) -> None:
    out = walk("model_person", tmp_path, tools, checkpoint)
    assert "KL, nats a token" in out and "steps" in out
