"""`hardloom export`: every file is read by a tool that it is for, and the bench runs where there is nothing of ours."""

import json
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from systemrdl import RDLCompiler
from systemrdl.node import FieldNode

from hardloom.flows.export.power import domains
from hardloom.gen.build.folder import Build
from hardloom.gen.build.generate import build_chip
from hardloom.gen.design.axi_ports import NO_POSITION, commit_record
from hardloom.gen.design.hardware import HardwareConfig
from hardloom.gen.design.registers import IDENTIFICATION, REGISTERS, ErrorCode
from hardloom.golden.quantization.quantized import QuantizedCheckpoint
from hardloom.verif.simulators.verilator import BINARY
from tests.command_line import hardloom
from tests.flows.conftest import SHORT

ACCESS = {"ro": (True, False), "wo": (False, True), "rw": (True, True)}
"""Whether software reads and writes."""


def names_of(listed: Path) -> list[str]:
    return listed.read_text().splitlines()


def test_the_lists_name_the_files_and_no_other(exported: Path, tiny_build: Build) -> None:
    relative = names_of(exported / "chip.f")
    assert relative == names_of(tiny_build.path / "chip.f")
    assert names_of(exported / "chip_absolute.f") == [str(exported.resolve() / name) for name in relative]
    there = {path.relative_to(exported).as_posix() for path in (exported / "rtl").rglob("*") if path.is_file()}
    assert {*relative} == there | {"waivers.vlt"}
    assert all((exported / name).read_bytes() == (tiny_build.path / name).read_bytes() for name in relative)


def test_the_sums_are_those_of_all_files(exported: Path) -> None:
    assert subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=exported).returncode == 0
    there = {path.relative_to(exported).as_posix() for path in exported.rglob("*") if path.is_file()}
    assert {line[66:] for line in names_of(exported / "SHA256SUMS")} == there - {"SHA256SUMS", ".hardloom"}


@pytest.mark.parametrize("option, listed", [("-f", "chip_absolute.f"), ("-F", "chip.f")])
def test_verilator_says_nothing_from_another_folder(exported: Path, tmp_path: Path, option: str, listed: str) -> None:
    command = [BINARY, "--lint-only", "-Wall", "--top-module", "hardloom_chip", option, exported / listed]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_core_is_one_of_fusesoc_with_the_files_of_the_list(exported: Path, tmp_path: Path) -> None:
    head, _, rest = (exported / "hardloom_chip.core").read_text().partition("\n")
    sets = yaml.safe_load(rest)["filesets"]
    assert head == "CAPI=2:" and sets["rtl"]["files"] == names_of(exported / "chip.f")[1:]
    others = [name for one in ("waivers", "constraints") for file in sets[one]["files"] for name in file]
    assert all((exported / name).is_file() for name in others)
    command = [sys.executable, "-m", "fusesoc.main", "--cores-root", exported, "core-info"]
    done = subprocess.run(
        [*command, "hardloom:chips:hardloom_chip"], cwd=tmp_path, capture_output=True, text=True, env=home(tmp_path)
    )
    assert done.returncode == 0 and "lint" in done.stdout, done.stderr


def home(folder: Path) -> dict[str, str]:
    """The environment with a home of its own: tools keep what they have seen there."""
    return os.environ | {"HOME": str(folder), "XDG_CACHE_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}


def test_the_rdl_compiles_to_the_registers(exported: Path) -> None:
    compiler = RDLCompiler()
    compiler.compile_file(str(exported / "registers" / "hardloom.rdl"))
    found = {node.inst_name: node for node in compiler.elaborate().top.registers()}
    assert {name: node.absolute_address for name, node in found.items()} == {r.name: r.address for r in REGISTERS}
    for r in REGISTERS:
        fields = {node.inst_name: node for node in found[r.name].fields()}
        assert {n: (f.low, f.width) for n, f in fields.items()} == {f.name: (f.lsb, f.width) for f in r.fields}
        assert all((f.is_sw_readable, f.is_sw_writable) == ACCESS[r.access] for f in fields.values())
        assert {n: f.get_property("desc") for n, f in fields.items()} == {f.name: f.doc for f in r.fields}
    assert reset(found["ID"].get_child_by_name("VALUE")) == IDENTIFICATION
    assert reset(found["MAX_POSITIONS"].get_child_by_name("VALUE")) == 32
    codes = found["STATUS"].get_child_by_name("CODE").get_property("encode")
    assert {code.name: code.value for code in codes} == {code.name: int(code) for code in ErrorCode}


def reset(field: FieldNode) -> int:
    return field.get_property("reset")


def test_the_ip_xact_has_the_registers(exported: Path) -> None:
    root = ElementTree.parse(exported / "registers" / "hardloom.xml").getroot()
    space = root.tag.partition("}")[0] + "}"
    found = {
        register.findtext(f"{space}name"): register.findtext(f"{space}addressOffset")
        for register in root.iter(f"{space}register")
    }
    offsets = {name: int(re.sub("^'h", "0x", text or ""), 0) for name, text in found.items()}
    assert offsets == {r.name: r.address for r in REGISTERS}
    assert len(list(root.iter(f"{space}field"))) == sum(len(r.fields) for r in REGISTERS)


def test_the_header_compiles_and_says_the_same(exported: Path, tmp_path: Path) -> None:
    wanted = {f"HARDLOOM_{r.name}_OFFSET": r.address for r in REGISTERS}
    for r in REGISTERS:
        wanted |= {f"HARDLOOM_{r.name}_{f.name}_LSB": f.lsb for f in r.fields}
        wanted |= {f"HARDLOOM_{r.name}_{f.name}_MASK": f.mask for f in r.fields}
    wanted |= {f"HARDLOOM_ERROR_{code.name}": int(code) for code in ErrorCode}
    wanted |= {f"HARDLOOM_RECORD_{name.upper()}_LSB": part.offset for name, part in commit_record()}
    wanted |= {"HARDLOOM_NO_POSITION": NO_POSITION, "HARDLOOM_ID_FIXED": IDENTIFICATION}
    checks = "".join(f'_Static_assert({name} == {value}ull, "{name}");\n' for name, value in wanted.items())
    (tmp_path / "check.c").write_text(f'#include "hardloom.h"\n{checks}')
    command = ["gcc", "-std=c11", "-Wall", "-Werror", "-c", "check.c", "-o", "check.o", "-I", exported / "registers"]
    assert subprocess.run(command, cwd=tmp_path).returncode == 0


@pytest.fixture(scope="module")
def driver(exported: Path) -> ModuleType:
    """The Python driver."""
    module = ModuleType("hardloom_registers")
    sys.modules[module.__name__] = module  # where dataclasses look
    exec((exported / "registers" / "hardloom_registers.py").read_text(), module.__dict__)
    return module


def test_the_driver_has_the_registers(driver: ModuleType) -> None:
    found = {r.name: (r.address, r.access, [(f.name, f.lsb, f.width) for f in r.fields]) for r in driver.REGISTERS}
    assert found == {r.name: (r.address, r.access, [(f.name, f.lsb, f.width) for f in r.fields]) for r in REGISTERS}
    assert {code.name: int(code) for code in driver.ErrorCode} == {code.name: int(code) for code in ErrorCode}


def test_the_driver_packs_and_unpacks_fields(driver: ModuleType) -> None:
    assert driver.PROGRAM.encode(FIRST=5, WORDS=7) == 5 | 7 << 16
    assert driver.STATUS.decode(0x0306) == {"BUSY": 0, "ERROR": 1, "DONE": 1, "CODE": 3}
    for values in ({"FIRST": 1 << 16}, {"FIRST": -1}, {"LAST": 0}):
        with pytest.raises(ValueError, match="PROGRAM"):
            driver.PROGRAM.encode(**values)
    assert driver.record(3 | 9 << 24 | 65536 << 40) == (9, 3, 65536)
    assert driver.record(NO_POSITION << 24) is None


def test_the_table_of_memories_is_that_of_the_manifest(exported: Path, tiny_build: Build) -> None:
    head, *rows = [line.split(",") for line in names_of(exported / "macros" / "memories.csv")]
    wanted = [
        (m.module, m.geometry.depth, m.geometry.width, m.geometry.write_width) for m in tiny_build.manifest.memories
    ]
    assert head[-1] == "macro" and [tuple(row[:4]) for row in rows] == [tuple(map(str, row)) for row in wanted]
    assert [int(row[5]) for row in rows] == [m.count for m in tiny_build.manifest.memories]
    assert ["128", "64", "32", "2"] in [row[1:5] for row in rows]


def test_the_librelane_configuration_names_files_that_are_there(exported: Path) -> None:
    fields = json.loads((exported / "librelane" / "config.json").read_text())
    named = [*fields["VERILOG_FILES"], fields["PNR_SDC_FILE"], fields["SIGNOFF_SDC_FILE"]]
    paths = [exported / "librelane" / name.removeprefix("dir::") for name in named]
    assert all(name.startswith("dir::") for name in named) and all(path.is_file() for path in paths)
    assert len(fields["VERILOG_FILES"]) == len(names_of(exported / "chip.f")) - 1


def walk(build: Build, module: str, path: str = "") -> Iterator[tuple[str, str]]:
    """Path and module of every instance of a chip, those of memories and arrays with them."""
    name = f"rtl/units/{module}.v"
    for inner, instance in re.findall(r"^  (\w+) (\w+) \($", build.text(name) if name in build.files else "", re.M):
        yield path + instance, inner
        yield from walk(build, inner, f"{path}{instance}/")


def test_the_domains_of_the_power_intent_are_the_gated_units(exported: Path, tiny_build: Build) -> None:
    there = dict(walk(tiny_build, "hardloom_chip"))
    gates = {path for path, module in there.items() if module == "hardloom_clock_gate"}
    found = list(domains(tiny_build))
    assert {one.elements[0] + "_gate" for one in found} == gates
    elements = [element for one in found for element in one.elements]
    assert {*elements} <= there.keys() and len({*elements}) == len(elements)
    arrays = {path for path, module in there.items() if "wired_layer" in module and "/units" not in path}
    clocked = {path for path in arrays if f"rtl/arrays/{there[path]}.v" in tiny_build.files}
    assert clocked and clocked <= {*elements}


@pytest.mark.skipif(shutil.which("tclsh") is None, reason="tclsh is not installed")
def test_the_power_intent_is_tcl_of_known_commands(exported: Path, tmp_path: Path) -> None:
    known = ("upf_version", "set_design_top", "create_supply_port", "create_supply_net", "connect_supply_net")
    stubs = "".join(f"proc {name} args {{}}\n" for name in (*known, "create_supply_set"))
    stubs += "proc create_power_domain {name _ elements _ supply} {global n; incr n [expr {[llength $elements] > 0}]}\n"
    (tmp_path / "read.tcl").write_text(f"{stubs}set n 0\nsource {exported}/constraints/chip.upf\nputs $n\n")
    done = subprocess.run(["tclsh", "read.tcl"], cwd=tmp_path, capture_output=True, text=True)
    text = (exported / "constraints" / "chip.upf").read_text()
    assert (done.stderr, int(done.stdout)) == ("", text.count("create_power_domain"))


def test_an_export_is_made_again_in_its_own_folder_and_what_is_stale_goes(
    exported: Path, tiny_build: Build, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(exported, copy)
    stale, kept = copy / "rtl" / "stale.v", copy / "notes.txt"
    stale.write_text("")
    kept.write_text("mine")
    with (copy / "SHA256SUMS").open("a") as sums:
        sums.write(f"{'0' * 64}  rtl/stale.v\n{'0' * 64}  ../outside\n")
    (tmp_path / "outside").write_text("precious")
    assert hardloom("export", tiny_build.path, "--to", copy, *SHORT).code == 0
    assert kept.read_text() == "mine" and (tmp_path / "outside").read_text() == "precious" and not stale.exists()
    assert (copy / "SHA256SUMS").read_text().count("chip_absolute.f") == 1


def test_what_cannot_be_exported_is_one_sentence(tiny_build: Build, tmp_path: Path) -> None:
    ran = hardloom("export", tiny_build.path, "--to", tmp_path / "out", "--gen-length", 304)
    assert ran.code == 1 and "holds 32 positions" in ran.err and not (tmp_path / "out").exists()
    ran = hardloom("export", tiny_build.path, "--to", tmp_path / "a folder")
    assert ran.code == 1 and "tools split a file list" in ran.err and not (tmp_path / "a folder").exists()


def test_a_compressed_chip_with_a_prefix_is_exported_unpacked(
    tiny_quantized: list[Path], tiny_hardware: HardwareConfig, tiny_build: Build, tmp_path: Path
) -> None:
    checkpoint = QuantizedCheckpoint(tiny_quantized[0])
    build_chip(checkpoint, tmp_path / "chip", tiny_hardware, compress=True, module_prefix="left")
    assert hardloom("export", tmp_path / "chip", "--to", tmp_path / "out").code == 0
    names = names_of(tmp_path / "out" / "chip.f")
    assert len(names) == len(names_of(tiny_build.path / "chip.f")) and not [n for n in names if n.endswith(".zst")]
    assert (tmp_path / "out" / "left_hardloom_chip.core").is_file()
    assert "module left_wired_layer_0_o" in (tmp_path / "out" / "rtl" / "arrays" / "left_wired_layer_0_o.v").read_text()
    assert json.loads((tmp_path / "out" / "bench" / "expected.json").read_text())["top"] == "left_hardloom_chip"
