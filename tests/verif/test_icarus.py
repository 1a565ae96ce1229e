"""Icarus reads the emitted text without a warning, and computes the same."""

import subprocess
from pathlib import Path

from gen.arrays import ArrayPlan, plan_array
from gen.arrays.styles import STYLES
from gen.build.folder import Build
from tests.icarus import needs_icarus
from tests.matrices import noise
from verif.arrays.bench import bench_arrays

pytestmark = needs_icarus


def plan_of(style: str) -> ArrayPlan:
    slices = STYLES[style].small_slices(32)
    return plan_array(f"{style}_array", [noise("mxfp4", 8, 32, bank) for bank in range(2)], 4, slices, style, "mxfp4")


def test_arrays_of_every_style_compute_their_sums(tmp_path: Path) -> None:
    assert bench_arrays([plan_of(style) for style in STYLES], tmp_path, packets=9, simulator="icarus") == 0
    assert (tmp_path / "icarus" / "build.log").read_text() == ""


def test_a_whole_chip_compiles_without_warnings(tiny_build: Build) -> None:
    files = [str(tiny_build.path / name) for name in tiny_build.files if name.endswith(".v")]
    command = ["iverilog", "-g2005", "-Wall", "-s", tiny_build.manifest.top, "-o", "/dev/null", *files]
    result = subprocess.run(command, capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")
