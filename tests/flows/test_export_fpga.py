"""`hardloom export --fpga`: one clock, an enable at every register, and the chip's own bench passes on it."""

import re
import subprocess
from pathlib import Path

import pytest

from hardloom.gen.build.folder import Build
from hardloom.verif.simulators.verilator import BINARY
from tests.command_line import hardloom
from tests.flows.conftest import SHORT
from tests.flows.test_export_bench import run_bench
from tests.icarus import needs_icarus


@pytest.fixture(scope="module")
def for_fpga(tiny_build: Build, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny chip's export for FPGAs."""
    out = tmp_path_factory.mktemp("fpga") / "chip"
    ran = hardloom("export", tiny_build.path, "--to", out, *SHORT, "--fpga")
    assert ran.code == 0, ran.err
    return out


def verilog(folder: Path) -> dict[str, str]:
    return {name: (folder / name).read_text() for name in (folder / "chip.f").read_text().split() if name[-1] == "v"}


def test_every_register_has_the_one_clock_and_an_enable(for_fpga: Path) -> None:
    texts = verilog(for_fpga)
    edges = [edge for text in texts.values() for edge in re.findall(r"(?:pos|neg)edge \w+\)(?: if \((\w+)\))?", text)]
    assert len(edges) > 500 and all(edge.endswith("_ce") for edge in edges)
    assert not [name for name, text in texts.items() if re.search(r"\blatch\b|always @\*\s+if \(!?clk\)", text)]
    gate = texts["rtl/prefab/hardloom_clock_gate.v"]
    assert re.search(r"assign gated = clk, gated_ce = clk_ce & ", gate)


def test_the_chip_has_the_ports_that_it_had(for_fpga: Path, tiny_build: Build) -> None:
    name = "rtl/units/hardloom_chip.v"
    old, new = (text.partition("\n);\n") for text in (tiny_build.text(name), (for_fpga / name).read_text()))
    assert new[0] == old[0] and new[2].startswith("  wire clk_ce = 1'b1;\n")


def test_it_holds_what_an_fpga_wants_and_no_more(for_fpga: Path, tiny_build: Build) -> None:
    assert (for_fpga / "chip.f").read_text() == (tiny_build.path / "chip.f").read_text()
    assert (for_fpga / "constraints" / "chip.sdc").is_file() and (for_fpga / "macros" / "memories.csv").is_file()
    assert not [*for_fpga.rglob("*.upf"), *for_fpga.glob("librelane")]
    for name in ("README.md", "hardloom_chip.core"):
        assert "upf" not in (for_fpga / name).read_text() and "librelane" not in (for_fpga / name).read_text()
    assert subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=for_fpga).returncode == 0


def test_verilator_says_nothing(for_fpga: Path, tmp_path: Path) -> None:
    command = [BINARY, "--lint-only", "-Wall", "--top-module", "hardloom_chip", "-F", for_fpga / "chip.f"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@needs_icarus
def test_its_bench_passes_under_icarus(for_fpga: Path) -> None:
    ran = run_bench(for_fpga, SIM="icarus")
    assert ran.returncode == 0 and "3 tests passed, 0 failed" in ran.stdout, ran.stdout[-3000:] + ran.stderr[-3000:]


def test_an_export_for_silicon_takes_its_place(for_fpga: Path, tiny_build: Build, tmp_path: Path) -> None:
    """And its power intent is back."""
    out = tmp_path / "out"
    assert hardloom("export", tiny_build.path, "--to", out, *SHORT, "--fpga").code == 0
    assert hardloom("export", tiny_build.path, "--to", out, *SHORT).code == 0
    assert verilog(out) == {name: tiny_build.text(name) for name in verilog(for_fpga)}
    assert (out / "constraints" / "chip.upf").is_file()
