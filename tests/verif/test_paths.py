"""No part of a path becomes a command of Yosys, make or a shell, and no executable comes from a build folder."""

import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from hardloom.gen.build.folder import Build
from hardloom.gen.build.generate import build_arrays
from hardloom.gen.design.hardware import HardwareConfig
from hardloom.gen.design.matrices import Selection
from hardloom.golden.cache import cache_folder, work_folder
from hardloom.golden.errors import UserError
from hardloom.golden.quantization.quantized import QuantizedCheckpoint
from hardloom.verif.chip.simulation import SimulatedChip
from hardloom.verif.simulators.links import is_plain, linked
from hardloom.verif.simulators.runner import compile_icarus
from hardloom.verif.simulators.verilator import QUICK_BUILD, verilate

HOSTILE = ["a b", 'x"; exec -- touch PWN; read_verilog "z', "$(touch PWN)", "`touch PWN`;", "it's", "ü", "#a", "-o"]

INNER = "module inner(input clk, input a, output reg b); always @(posedge clk) b <= !a; endmodule\n"
OUTER = "module outer(input clk, input a, output b); inner inner (.clk(clk), .a(a), .b(b)); endmodule\n"


def planted(folder: Path) -> list[Path]:
    return [*folder.rglob("PWN*"), *Path.cwd().glob("PWN*")]


@pytest.mark.parametrize("name", HOSTILE)
def test_links_are_plain_words_that_lead_to_the_files(tmp_path: Path, name: str) -> None:
    for folder in (tmp_path / name, tmp_path / "other" / name):
        folder.mkdir(parents=True)
        (folder / f"{name}.v").write_text(str(folder))
    paths = [tmp_path / name / f"{name}.v", tmp_path / "other" / name / f"{name}.v", tmp_path / name / f"{name}.v"]
    for _ in range(2):
        names = linked(paths, tmp_path / "work")
        assert len({*names}) == 3 and all(re.fullmatch(r"[\w./-]+", each, re.ASCII) for each in names)
        assert [(tmp_path / "work" / each).read_text() for each in names] == [path.read_text() for path in paths]


def test_a_path_is_plain_where_it_truly_is(tmp_path: Path) -> None:
    (tmp_path / "a b").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "a b")
    assert is_plain(tmp_path) and not is_plain(tmp_path / "link")


@pytest.mark.parametrize("simulator", ["verilator", "icarus"])
def test_simulators_are_built_in_any_folder_of_files_from_any_other(tmp_path: Path, simulator: str) -> None:
    if simulator == "icarus" and shutil.which("iverilog") is None:
        pytest.skip("iverilog is not installed")
    name = "a b; $(touch PWN) `touch PWN` 'ü' \"#"
    (tmp_path / name).mkdir()
    sources = [tmp_path / name / "inner -o.v", tmp_path / name / "outer.v"]
    for source, text in zip(sources, (INNER, OUTER), strict=True):
        source.write_text(text)
    folder = tmp_path / name / simulator
    if simulator == "icarus":
        compile_icarus(sources, "outer", folder)
        made = folder / "sim.vvp"
    else:
        verilate(sources, "outer", folder, QUICK_BUILD, blocks=["inner"])
        made = folder / "outer"
    assert made.is_file() and not planted(tmp_path)


def test_verilator_is_built_where_nothing_is_called_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sources = [tmp_path / "inner.v", tmp_path / "outer.v"]
    for source, text in zip(sources, (INNER, OUTER), strict=True):
        source.write_text(text)
    (tools := tmp_path / "tools").mkdir()
    for folder in os.environ["PATH"].split(os.pathsep)[::-1]:
        for tool in Path(folder).glob("*"):
            if not tool.name.startswith("python"):
                (tools / tool.name).unlink(missing_ok=True)
                (tools / tool.name).symlink_to(tool.resolve())
    (interpreter := tmp_path / "of mine" / "interpreter").parent.mkdir()
    interpreter.symlink_to(sys.executable)
    monkeypatch.setenv("PATH", str(tools))
    monkeypatch.setattr(sys, "executable", str(interpreter))
    assert shutil.which("python") is None
    verilate(sources, "outer", tmp_path / "made", QUICK_BUILD, blocks=["inner"])
    assert (tmp_path / "made" / "outer").is_file()


def test_generating_works_whatever_the_folders_are_called(
    tiny_quantized: list[Path], tiny_hardware: HardwareConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    router = Selection(layers=(0,), matrices=("router",))
    for name in HOSTILE:
        (tmp_path / name / "tmp").mkdir(parents=True)
        monkeypatch.setenv("TMPDIR", str(tmp_path / name / "tmp"))
        quantized = shutil.copytree(tiny_quantized[0], tmp_path / name / "quantized")
        build = build_arrays(QuantizedCheckpoint(quantized), tmp_path / name / "build", tiny_hardware, router)
        assert build.file("rtl/arrays/wired_layer_0_router.v") and not planted(tmp_path)


def test_line_breaks_in_paths_are_refused(
    tiny_quantized: list[Path], tiny_hardware: HardwareConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match="a path of several lines") as refused:
        build_arrays(QuantizedCheckpoint(tiny_quantized[0]), tmp_path / "a\nb", tiny_hardware, Selection())
    assert "\n" not in str(refused.value) and not [*tmp_path.iterdir()]
    monkeypatch.setenv("HARDLOOM_CACHE", str(tmp_path / "a\nb"))
    with pytest.raises(UserError, match="a path of several lines; set HARDLOOM_CACHE"):
        cache_folder()


def test_no_executable_of_a_build_folder_runs(tiny_build: Build, tiny_chip: SimulatedChip, tmp_path: Path) -> None:
    ignored = shutil.ignore_patterns("verify.*")
    copy = Build(shutil.copytree(tiny_build.path, tmp_path / "chip", ignore=ignored))
    assert work_folder(copy.path, "chip") != tiny_chip.folder == work_folder(tiny_build.path, "chip")
    assert not tiny_chip.folder.is_relative_to(tiny_build.path)
    ours = work_folder(copy.path, "chip")
    shutil.copytree(tiny_chip.folder, ours, symlinks=True)
    for name in ("simulation/hardloom_bench", "simulation/verilator/hardloom_bench", "hardloom_bench"):
        (copy.path / name).parent.mkdir(parents=True, exist_ok=True)
        (copy.path / name).write_text(f"#!/bin/sh\ntouch {tmp_path}/PWN\n")
        (copy.path / name).chmod(0o755)
    assert SimulatedChip(copy, QUICK_BUILD).folder == ours and not planted(tmp_path)
    changed = copy.path / "rtl" / "units" / "hardloom_chip.v"
    changed.write_text(changed.read_text() + "\n")
    with pytest.raises(UserError, match=r"hardloom_chip\.v: differs from manifest\.json"):
        SimulatedChip(copy, QUICK_BUILD)
