"""Builds with a prefix: other names and nothing else, so that several chips are one design."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hardloom.gen.build import units
from hardloom.gen.build.folder import CHIP, Build
from hardloom.gen.build.generate import build_chip
from hardloom.gen.build.names import FILE_LIST
from hardloom.gen.design.hardware import HardwareConfig
from hardloom.gen.stream.component import Component
from hardloom.gen.text.prefix import check_prefix, with_prefix
from hardloom.gen.text.yosys import link_sources, run_yosys
from hardloom.golden.errors import UserError
from hardloom.golden.quantization.quantized import QuantizedCheckpoint
from hardloom.verif.chip.bench import bench_verilog
from hardloom.verif.proof.static import recover
from hardloom.verif.simulators.verilator import lint
from tests.chips import slang_reads

PREFIXES = ("Soc_A", "R2")

pytestmark = pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")


@pytest.fixture(scope="module")
def chips(
    tiny_quantized: list[Path], tiny_hardware: HardwareConfig, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Build]]:
    """The tiny chip under both prefixes; its units are elaborated once, which takes most of the time."""
    texts: dict[str, str] = {}

    def kept(component: Component, name: str) -> str:
        return texts.get(name) or texts.setdefault(name, to_verilog(component, name))

    to_verilog, checkpoint, new = units.to_verilog, QuantizedCheckpoint(tiny_quantized[0]), tmp_path_factory.mktemp
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(units, "to_verilog", kept)
        yield [build_chip(checkpoint, new(p) / "chip", tiny_hardware, module_prefix=p) for p in PREFIXES]


@pytest.fixture(scope="module")
def both(chips: list[Build], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Verilog of both chips, and of a module `both` that has them in it, each with ports of its own."""
    ports, instances = [], []
    for name, build in zip("ab", chips, strict=True):
        top = build.require_chip()
        head = build.read(f"rtl/units/{top}.v").decode().partition(");")[0]
        found = re.findall(r"^  (input|output) +\w+ (\[.*\] )?(\w+),?$", head, re.MULTILINE)
        ports += [f"  {direction} wire {width}{name}_{port}" for direction, width, port in found]
        instances.append(f"  {top} {name} ({', '.join(f'.{port}({name}_{port})' for *_, port in found)});\n")
    path = tmp_path_factory.mktemp("both") / "both.v"
    path.write_text("module both (\n" + ",\n".join(ports) + "\n);\n" + "".join(instances) + "endmodule\n")
    return [path, *(file for build in chips for file in build.verilog())]


def test_a_prefix_changes_names_alone(tiny_build: Build, chips: list[Build]) -> None:
    for prefix, build in zip(PREFIXES, chips, strict=True):
        assert build.manifest.top == f"{prefix}_{CHIP}" and build.manifest.module_prefix == prefix
        renamed = {re.sub(r"(?<=/)(?=\w+\.v$)", f"{prefix}_", name): name for name in tiny_build.files}
        assert build.files.keys() == renamed.keys()
        for ours, others in (
            (build.arrays, tiny_build.arrays),
            (build.manifest.memories, tiny_build.manifest.memories),
        ):
            assert [facts.module for facts in ours] == [f"{prefix}_{facts.module}" for facts in others]
        for name, plain in renamed.items():
            if name.endswith(".v"):
                module, text = Path(name).stem, build.read(name)
                assert f"\nmodule {module} (".encode() in text and text.startswith(f"// {module}: ".encode())
                assert text.replace(f"{prefix}_".encode(), b"") == tiny_build.read(plain), name


def test_a_chip_with_a_prefix_is_proven_as_one_without(chips: list[Build]) -> None:
    recovery = recover(chips[0])
    assert recovery.complete, recovery.first


def test_a_chip_with_a_prefix_is_what_is_simulated(chips: list[Build]) -> None:
    assert "    Soc_A_hardloom_chip chip (.s_axil_" in bench_verilog(chips[0].require_chip(), [], 1)


def test_verilator_lints_two_chips_in_one_design(chips: list[Build], both: list[Path]) -> None:
    lists = [word for build in chips for word in ("-F", str(build.path / FILE_LIST))]
    assert lint("both", [*lists, both[0].name], both[0].parent) == ""


def test_slang_reads_two_chips_as_one_design(both: list[Path]) -> None:
    assert slang_reads("both", *(f'"{path}"' for path in both))


def test_yosys_reads_two_chips_as_one_design(both: list[Path], tmp_path: Path) -> None:
    commands = (f"read_verilog {link_sources(both, tmp_path)}", "hierarchy -check -top both", "proc", "check -assert")
    run_yosys([f"tee -q -a yosys.log {command}" for command in commands], tmp_path, "both", timeout_s=900)


def test_icarus_compiles_two_chips_as_one_design(both: list[Path]) -> None:
    command = ["iverilog", "-g2005", "-Wall", "-s", "both", "-o", "/dev/null", *map(str, both)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("prefix", ["3d", "a-b", "a b", "_a", "a$", "\\a", "ä", "a\n", "a" * 65])
def test_a_prefix_that_is_no_identifier_is_refused(
    prefix: str, tiny_quantized: list[Path], tiny_hardware: HardwareConfig, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="--prefix"):
        build_chip(QuantizedCheckpoint(tiny_quantized[0]), tmp_path / "chip", tiny_hardware, module_prefix=prefix)
    assert not (tmp_path / "chip").exists()


def test_names_are_found_in_pieces_cut_anywhere() -> None:
    text = b"// m: x\nmodule m (a);\n    n n_0 (a);\n    if (a) b; else if (c) d;\n    else if (c) n (e);\nendmodule\n"
    wanted = text.replace(b"// m", b"// p_m").replace(b"module m", b"module p_m").replace(b"    n n", b"    p_n n")
    for at in range(len(text)):
        assert b"".join(with_prefix(iter([text[:at], text[at:]]), "p")) == wanted
    assert b"".join(with_prefix(text.decode(), "p")) == wanted and with_prefix(text, "") == text
    check_prefix("")
