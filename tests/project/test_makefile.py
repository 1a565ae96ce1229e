"""A plain `make` takes PyTorch without CUDA, and that of PyPI where it cannot."""

import re
import stat
import subprocess
from pathlib import Path

import pytest

from tests import ROOT

PYTHON = """#!/bin/sh
echo "$@" >> "{log}"
case "$*" in *--index-url*) exit {code};; esac
"""


def installed(folder: Path, code: int, *variables: str) -> tuple[list[str], str]:
    """What a Python is told to do by the target that all others need, and what make says; code: of another index."""
    python, log = folder / "venv" / "bin" / "python", folder / "log"
    python.parent.mkdir(parents=True)
    python.write_text(PYTHON.format(log=log, code=code))
    python.chmod(stat.S_IRWXU)
    command = ["make", f"VENV={folder / 'venv'}", *variables, str(folder / "venv" / "installed-test")]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return log.read_text().splitlines(), ran.stderr


@pytest.mark.parametrize("code", [0, 1])
def test_torch_comes_without_cuda_or_from_pypi(tmp_path: Path, code: int) -> None:
    pinned = re.findall(r'"(torch==[\d.]+)"', (ROOT / "pyproject.toml").read_text())
    (first, then), said = installed(tmp_path, code)
    assert first.endswith(f"--index-url https://download.pytorch.org/whl/cpu {pinned[0]}") and "--no-deps" in first
    assert then.endswith("--editable .[test]") and "--index-url" not in then
    assert ("taking that of PyPI" in said) == bool(code)


def test_no_other_index_is_asked_where_none_is_named(tmp_path: Path) -> None:
    (only,), said = installed(tmp_path, 1, "TORCH_INDEX=")
    assert only.endswith("--editable .[test]") and not said
