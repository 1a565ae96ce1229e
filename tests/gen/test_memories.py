"""Memories of a chip are modules of one family, listed with their geometry, and start with nothing."""

import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from amaranth.hdl import Instance

from hardloom.gen.build.folder import CHIP, Build
from hardloom.gen.build.memories import MemoryFacts, memories_of
from hardloom.gen.engine.inventory import chip_parts
from hardloom.gen.text.ram import RamGeometry, is_ram, with_rams
from hardloom.golden.checkpoints.families import shape_of
from tests.icarus import needs_icarus

ARRAY_OF_REGISTERS = re.compile(r"^ *reg\b[^;=]*?(\S+) +\[\d+:\d+\];", re.MULTILINE)


def texts(build: Build, folder: str) -> dict[str, str]:
    """Verilog by module."""
    return {Path(n).stem: build.read(n).decode() for n in build.files if n.startswith(f"rtl/{folder}/")}


def test_every_memory_is_a_module_of_the_family(tiny_build: Build) -> None:
    for module, text in (texts(tiny_build, "units") | texts(tiny_build, "prefab")).items():
        assert ARRAY_OF_REGISTERS.findall(text) == ["stored"] * is_ram(module), module


def test_nothing_in_a_chip_has_an_initial_value(tiny_build: Build) -> None:
    chip = {n: tiny_build.text(n) for n in tiny_build.files if n.endswith(".v")}
    assert len(chip) > 200
    assert [name for name, text in chip.items() if re.search(r"\binitial\b", re.sub("//.*", "", text))] == []


def test_the_manifest_lists_every_geometry_as_often_as_the_chip_has_it(tiny_build: Build) -> None:
    numerics = tiny_build.checkpoint().numerics
    parts = chip_parts(shape_of(tiny_build.manifest.model), numerics, tiny_build.hardware, CHIP)
    instances = Counter[str]()
    for part in parts:
        if isinstance(part.thing, Instance):
            instances[part.thing.type] += max(1, len(part.layers))  # one in each of the layers that have it
    expected = {name: count for name, count in instances.items() if is_ram(name)}
    memories = tiny_build.manifest.memories
    assert {facts.geometry.module: facts.count for facts in memories} == expected
    assert {facts.geometry.module for facts in memories} == set(filter(is_ram, texts(tiny_build, "prefab")))
    heads = next(facts for facts in memories if facts.geometry.parts > 1)
    assert heads.to_json() == {
        "module": "hardloom_ram_1r1w_128x64_w32",  # two passes of 32 positions, two heads
        "depth": 128,
        "width": 64,
        "write_width": 32,
        "count": 6,
    }


@pytest.mark.parametrize(
    "module", ["hardloom_ram_1r1w_64", "hardloom_ram_1r1w_0x4", "hardloom_ram_2r1w_4x4", "ram", ""]
)
def test_what_is_no_memory_of_the_family_is_refused(module: str) -> None:
    assert not is_ram(module)
    with pytest.raises(ValueError, match="no memory of the family"):
        MemoryFacts.from_json({"module": module, "count": 1}, "")


def test_memories_are_counted_in_a_unit_that_is_no_text(tmp_path: Path) -> None:
    """A journal may say that such a unit is done; the proof shows what is wrong with it."""
    (tmp_path / "rtl/units").mkdir(parents=True)
    (tmp_path / "rtl/units/chip.v").write_bytes(b"module chip;\n  hardloom_ram_1r1w_8x4 a (\n\xff\x80);\nendmodule\n")
    assert memories_of(tmp_path, ["rtl/units/chip.v"], "chip", "") == (MemoryFacts(RamGeometry(8, 4, 4), 1, ""),)


PLAY = """
module play;
    reg clk = 0, write_enable = 0, read_enable = 0;
    reg [1:0] write_address = 0, read_address = 0, write_mask = 3;
    reg [7:0] write_data = 0;
    wire [7:0] read_data, whole;
    hardloom_ram_1r1w_3x8_w4 masked (
        clk, write_enable, write_address, write_data, write_mask, read_enable, read_address, read_data);
    hardloom_ram_1r1w_3x8 plain (clk, write_enable, write_address, write_data, read_enable, read_address, whole);
    task step; begin #1 clk = 1; #1 $display("%b %b", read_data, whole); clk = 0; end endtask
    initial begin
        read_enable = 1; step;                                              // never written: unknown
        read_enable = 0; write_enable = 1; write_data = 8'ha5; step;        // nothing is read: as before
        write_mask = 2'b01; write_data = 8'hff; step;                       // half of it again
        write_enable = 0; write_data = 8'h00; read_enable = 1; step;        // read
        read_enable = 0; read_address = 2; step;                            // it stays
        read_enable = 1; step;                                              // another word
    end
endmodule
"""


@needs_icarus
def test_a_memory_reads_after_a_cycle_writes_parts_and_starts_unknown(tmp_path: Path) -> None:
    (tmp_path / "play.v").write_text(with_rams(PLAY))
    subprocess.run(["iverilog", "-g2005", "-Wall", "-o", "play", "play.v"], cwd=tmp_path, check=True)
    shown = subprocess.run(["vvp", "-n", "play"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    unknown, half = "xxxxxxxx xxxxxxxx", "10101111 11111111"
    assert shown.split("\n")[:-1] == [unknown, unknown, unknown, half, half, unknown]


def test_a_geometry_is_told_by_its_name() -> None:
    for geometry in (RamGeometry(1, 1, 1), RamGeometry(64, 28, 28), RamGeometry(32, 64, 16)):
        assert RamGeometry.of(geometry.module) == geometry
        assert f"module {geometry.module} (" in geometry.verilog()
