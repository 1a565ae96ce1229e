"""The bench of an export runs where there is nothing of ours, and finds a token that differs."""

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.icarus import needs_icarus

OURS = ("golden", "gen", "verif", "flows", "rtl_templates", "tests", "amaranth", "torch", "numpy")

BLOCKED = f"""\
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {OURS!r}:
            raise ImportError(f"{{name}} is not to be imported here")
sys.meta_path.insert(0, Blocked())
"""


def run_bench(folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """The bench of an export, in a Python that imports nothing of ours."""
    blocked = folder.parent / "blocked"
    blocked.mkdir(exist_ok=True)
    (blocked / "sitecustomize.py").write_text(BLOCKED)
    environment = os.environ | {"PYTHONPATH": str(blocked)} | variables
    environment.pop("PYTEST_CURRENT_TEST", None)  # with which cocotb ends the runner itself
    command = [sys.executable, folder / "bench" / "run.py"]
    return subprocess.run(command, cwd=folder.parent, env=environment, capture_output=True, text=True)


def test_the_bench_imports_nothing_of_ours(exported: Path) -> None:
    for path in exported.rglob("*.py"):
        tree = ast.parse(path.read_text())
        modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        modules |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert not {name.partition(".")[0] for name in modules} & {*OURS}, path


def changed(exported: Path, copy: Path) -> Path:
    """The export with one expected token one higher."""
    shutil.copytree(exported, copy)
    path = copy / "bench" / "expected.json"
    expected = json.loads(path.read_text())
    expected["runs"][0]["tokens"][-1] += 1
    path.write_text(json.dumps(expected))
    return copy


@needs_icarus
def test_the_bench_passes_under_icarus_and_fails_for_a_token_that_differs(exported: Path, tmp_path: Path) -> None:
    copy = tmp_path / "right"
    shutil.copytree(exported, copy)
    ran = run_bench(copy, SIM="icarus")
    assert ran.returncode == 0 and "3 tests passed, 0 failed" in ran.stdout, ran.stdout[-3000:] + ran.stderr[-3000:]
    ran = run_bench(changed(exported, tmp_path / "wrong"), SIM="icarus")
    assert ran.returncode == 1 and "2 tests passed, 1 failed" in ran.stdout, ran.stdout[-3000:]


@needs_icarus
def test_the_bench_passes_with_what_pip_alone_installs(exported: Path, tmp_path: Path) -> None:
    """In a folder and a virtual environment that nothing else is in. It takes packages from an index."""
    asked = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--dest",
        tmp_path / "seen",
        "find-libpython",
    ]
    if subprocess.run(asked, capture_output=True).returncode:
        pytest.skip("pip reaches no package index")
    shutil.copytree(exported, tmp_path / "chip")
    subprocess.run([sys.executable, "-m", "venv", "venv"], cwd=tmp_path, check=True)
    environment = {
        name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTEST_CURRENT_TEST")
    }
    for words in (("-m", "pip", "install", "--quiet", "-r", "chip/bench/requirements.txt"), ("chip/bench/run.py",)):
        command = [tmp_path / "venv" / "bin" / "python", *words]
        ran = subprocess.run(command, cwd=tmp_path, env=environment | {"SIM": "icarus"}, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
    assert "3 tests passed, 0 failed" in ran.stdout


@pytest.mark.slow
def test_the_bench_passes_under_verilator_with_a_waveform(exported: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(exported, copy)
    ran = run_bench(copy, WAVES="1")
    assert ran.returncode == 0 and "3 tests passed, 0 failed" in ran.stdout, ran.stdout[-3000:] + ran.stderr[-3000:]
    head, _, changes = (copy / "bench" / "dump.vcd").read_text().partition("$enddefinitions")
    assert "layer_0" in head and changes.count("\n#") > 1000
