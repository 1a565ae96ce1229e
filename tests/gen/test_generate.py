"""The build folder: same input, same bytes, whatever happened on the way; weights in connections alone; clean text."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from hardloom.flows.chips.hardware_options import HardwareOptions, hardware_config
from hardloom.gen.build.folder import CHIP, MANIFEST, Build
from hardloom.gen.build.generate import build_chip
from hardloom.gen.build.journal import JOURNAL
from hardloom.gen.build.work import CHIP_TEXT, LAYER_TEXTS
from hardloom.gen.design.hardware import ARRAY_KINDS, HardwareConfig
from hardloom.gen.design.queues import Queues
from hardloom.gen.text.waivers import WAIVED
from hardloom.golden.errors import UserError
from hardloom.golden.files import PARTIAL
from hardloom.golden.quantization.integers import IntegerMatrix
from hardloom.golden.quantization.quantized import QuantizedCheckpoint
from hardloom.golden.shape import ModelShape
from hardloom.verif.simulators.verilator import BINARY, lint
from tests.chips import yosys_finds


def contents(folder: Path) -> dict[str, bytes]:
    """Every file that generating makes, without those of other commands, which other tests may have run there."""
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return {name: (folder / name).read_bytes() for name in names if not name.startswith("simulation/")}


def different(a: dict[str, bytes], b: dict[str, bytes]) -> list[str]:
    return sorted(name for name in a.keys() | b.keys() if a.get(name) != b.get(name))


def hardloom_generate(quantized: Path, hardware: HardwareConfig, out: Path) -> list[str]:
    command = "from hardloom.flows.cli.app import app; app()"
    fields = out.with_name("hardware.json")
    fields.write_text(json.dumps(hardware.to_json_dict()))
    return [sys.executable, "-c", command, "generate", str(quantized), "-o", str(out), "--hardware", str(fields)]


def parts_done(out: Path) -> int:
    journal = out / JOURNAL
    return journal.read_bytes().count(b'"part"') if journal.exists() else 0


def kill_after(command: list[str], out: Path, parts: int) -> int:
    """Generate, and kill -9 as soon as so many parts are done; the parts that are."""
    process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL)
    while parts_done(out) < parts:
        assert process.poll() is None, "it ended by itself"
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return parts_done(out)


def test_killed_twice_and_damaged_it_goes_on_and_comes_to_the_same_bytes(
    tiny_quantized: list[Path], tiny_build: Build, tmp_path: Path
) -> None:
    out, journal = tmp_path / "chip", tmp_path / "chip" / JOURNAL
    command = hardloom_generate(tiny_quantized[0], tiny_build.hardware, out)
    first = kill_after(command, out, 5)
    assert not (out / MANIFEST).exists()
    with pytest.raises(UserError, match="hardloom generate"):
        Build(out)
    entries = [line for text in journal.read_text().splitlines() if "part" in (line := json.loads(text))]
    kept, broken = (next(f for f in entry["files"] if "/arrays/" in f) for entry in entries[:2])
    (out / broken).write_bytes((out / broken).read_bytes()[:-9])
    for unfinished in (broken, "chip.f", MANIFEST):
        (out / f"{unfinished}{PARTIAL}").write_text("module")
        (out / f"{unfinished}.12345{PARTIAL}").write_text("module")
    before = (out / kept).stat().st_mtime_ns
    assert kill_after(command, out, first + 3) > first
    with journal.open("a") as file:
        file.write('{"key": "')
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    assert (out / kept).stat().st_mtime_ns == before
    assert different(contents(out), contents(tiny_build.path)) == []
    assert not journal.exists()


def test_a_finished_build_is_left_as_it_is_and_a_changed_file_is_made_again(
    tiny_quantized: list[Path], tiny_build: Build, tmp_path: Path, tiny_hardware: HardwareConfig
) -> None:
    checkpoint = QuantizedCheckpoint(tiny_quantized[0])
    manifest = tiny_build.path / MANIFEST
    before = manifest.stat().st_mtime_ns
    build_chip(checkpoint, tiny_build.path, tiny_hardware)
    assert manifest.stat().st_mtime_ns == before
    copy = tmp_path / "chip"
    shutil.copytree(tiny_build.path, copy, ignore=shutil.ignore_patterns("simulation"))
    changed = copy / "rtl" / "arrays" / "wired_chip_head.v"
    changed.write_bytes(changed.read_bytes().replace(b"0", b"1", 1))
    with pytest.raises(UserError, match=r"wired_chip_head\.v"):
        Build(copy).verilog()


@dataclass
class Watched:
    """A build and what happened on the way: matrices decoded, and at every call of `progress` the work done, its total
    and the last line of the journal."""

    build: Build
    decoded: list[str]
    calls: list[tuple[int, int, str]]


@pytest.fixture(scope="module")
def watched(
    tiny_quantized: list[Path], tiny_hardware: HardwareConfig, tmp_path_factory: pytest.TempPathFactory
) -> Watched:
    """The second checkpoint as a chip."""
    out, decoded, calls = tmp_path_factory.mktemp("watched") / "chip", list[str](), list[tuple[int, int, str]]()

    class Watching(QuantizedCheckpoint):
        def integers(self, name: str, start: int = 0, stop: int | None = None) -> IntegerMatrix:
            assert (start, stop) in ((0, None), (0, self.rows(name)))
            decoded.append(name)
            return super().integers(name, start, stop)

    def progress(done: int, total: int) -> None:
        calls.append((done, total, (out / JOURNAL).read_text().splitlines()[-1]))

    return Watched(build_chip(Watching(tiny_quantized[1]), out, tiny_hardware, progress), decoded, calls)


def test_every_matrix_is_decoded_once(watched: Watched) -> None:
    assert sorted(watched.decoded) == sorted(matrix.name for matrix in watched.build.checkpoint().model.matrices())


def test_progress_is_whole_when_nothing_is_left(watched: Watched) -> None:
    done, totals, lines = zip(*watched.calls, strict=True)
    assert list(done) == sorted(set(done)) and done[0] > 0
    assert set(totals) == {done[-1]} == {watched.build.manifest.weights_hardwired + LAYER_TEXTS + CHIP_TEXT}
    assert [f'"part": "{CHIP}"' in line for line in lines] == [False] * (len(lines) - 1) + [True]


def test_two_checkpoints_differ_in_connections_alone(tiny_build: Build, watched: Watched) -> None:
    other = watched.build
    texts = [{n: t for n, t in contents(b.path).items() if n.startswith("rtl/")} for b in (tiny_build, other)]
    assert texts[0].keys() == texts[1].keys()
    changed = different(*texts)
    assert {name.split("/")[1] for name in changed} == {"arrays", "constants"}
    assert {n for n in texts[0] if n.startswith("rtl/arrays/")} <= set(changed)
    assert tiny_build.path.joinpath("chip.f").read_bytes() == other.path.joinpath("chip.f").read_bytes()


LINT = "verilator --lint-only -Wall -F BUILD/chip.f"
"""What docs/chip.md tells to do, from any folder."""


def test_verilator_lints_the_whole_chip(tiny_build: Build, tmp_path: Path) -> None:
    assert LINT in (Path(__file__).parents[2] / "docs" / "chip.md").read_text()
    words = [word.replace("BUILD", str(tiny_build.path)) for word in LINT.split()]
    done = subprocess.run([str(BINARY), *words[1:]], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_nothing_is_waived_that_no_unit_has(tiny_build: Build) -> None:
    units = ("layer_experts_router", "layer_experts_dispatch")
    modules = {name: Path(name).stem for name in tiny_build.files}
    files = [n for n, module in modules.items() if module.startswith((*units, "hardloom_ram"))]
    found = "".join(lint(unit, files, tiny_build.path, ["MULTITOP"]) for unit in units)
    in_wide_words_alone = {"UNOPTFLAT"}  # those of 36 bits among the benches of units
    assert {*re.findall(r"%Warning-(\w+)", found)} == WAIVED.keys() - in_wide_words_alone


def test_yosys_reads_the_whole_chip_and_finds_nothing_wrong(tiny_build: Build) -> None:
    assert yosys_finds(tiny_build) == []


def test_the_text_names_no_folder_and_no_time(tiny_build: Build) -> None:
    for name, text in contents(tiny_build.path).items():
        if name.endswith((".v", ".f", ".json")):
            assert not re.search(rb"/(home|tmp|work|root|usr)/|\b20\d\d-\d\d-\d\d", text), name


@pytest.mark.parametrize(
    "fields, named",
    [
        ({"lanes": 0}, "lanes"),
        ({"lanes": 3}, "lanes"),
        ({"lanes": 8}, "lanes"),
        ({"lanes": "4"}, "lanes"),
        ({"lanes": 2.0}, "lanes"),
        ({"lanes": True}, "lanes"),
        ({"max_positions": 0}, "max_positions"),
        ({"max_positions": 65536}, "max_positions"),
        ({"max_positions": None}, "max_positions"),
        ({"style": "ram"}, "style"),
        ({"style": ["metal"]}, "style"),
        ({"style": {"o": "ram"}}, "style.o"),
        ({"style": {"o": None}}, "style.o"),
        ({"style": {"gate": "rom"}}, "style"),
        ({"style": {"down": "rom"}}, "slices.down: style rom: 8 inputs a cycle"),
        ({"slices": {"o": 3}}, "slices.o"),
        ({"slices": {"down": 32}}, "slices.down"),
        ({"slices": {"gate": 4}}, "slices"),
        ({"slices": {"o": 0}}, "o"),
        ({"slices": [4]}, "slices"),
        ({"queues": {"residual": 0}}, "queues.residual"),
        ({"queues": {"jobs": True}}, "queues.jobs"),
        ({"queues": {"packets": -1}}, "queues.packets: -1 must be an integer of at least 0"),
        ({"queues": {"results": 0.5}}, "queues.results"),
        ({"queues": {"residual": 10**30}}, f"queues.residual: {10**30} exceeds 65535"),
        ({"routers": 65}, "routers: 65 exceeds 64"),
        ({"queues": {"job": 4}}, "queues"),
        ({"queues": 4}, "queues"),
        ({"lane": 4}, "lane"),
        ({"head_lanes": 3}, "head_lanes: 3 does not divide num_heads = 2"),
        ({"head_lanes": 0}, "head_lanes"),
        ({"expert_groups": 2}, "expert_groups: 2 does not divide num_experts = 3"),
        ({"query_lanes": 65}, "query_lanes: 65 exceeds max_positions = 64"),
        ({"query_lanes": 1.5}, "query_lanes"),
        ({"head_tiles": 0}, "head_tiles"),
        ({"head_tiles": 20}, "head_tiles: 20 exceeds the 19 rows of the head"),
    ],
)
def test_hardware_that_makes_no_sense_is_one_sentence(
    tiny_model: ModelShape, tmp_path: Path, fields: dict, named: str
) -> None:
    file = tmp_path / "hardware.json"
    file.write_text(json.dumps(fields))
    with pytest.raises(UserError) as refused:
        hardware_config(tiny_model, HardwareOptions(file)).check(tiny_model)
    assert named in str(refused.value) and "\n" not in str(refused.value)


def test_more_tiles_than_the_head_has_rows_are_refused_before_arrays_are_listed(
    tmp_path: Path, tiny_quantized: list[Path], tiny_hardware: HardwareConfig
) -> None:
    with pytest.raises(UserError, match="head_tiles: 100000 exceeds the 19 rows of the head; give fewer"):
        build_chip(
            QuantizedCheckpoint(tiny_quantized[0]), tmp_path / "build", replace(tiny_hardware, head_tiles=100000)
        )
    assert not (tmp_path / "build").exists()


@pytest.mark.parametrize("style", ["rom", "shared"])
def test_a_style_that_takes_no_such_weights_is_refused_before_anything_is_written(
    tmp_path: Path, tiny_quantized: list[Path], tiny_hardware: HardwareConfig, style: str
) -> None:
    checkpoint = QuantizedCheckpoint(tiny_quantized[0])
    fields = {"style": tiny_hardware.style | {"head": style}, "slices": tiny_hardware.slices | {"head": 16}}
    hardware = HardwareConfig(**(tiny_hardware.to_json_dict() | fields))
    with pytest.raises(UserError, match=f"style.head: style {style} takes no int8 weights; choose metal or packed"):
        build_chip(checkpoint, tmp_path / "build", hardware)
    assert not (tmp_path / "build").exists()


def test_hardware_without_queues_has_those_of_before_they_could_be_chosen() -> None:
    old = {name: value for name, value in HardwareConfig().to_json_dict().items() if name != "queues"}
    assert HardwareConfig.from_json_dict(old).queues == Queues(residual=8, routing=4, jobs=4, packets=0, results=0)
    deeper = HardwareConfig.from_json_dict(old | {"queues": {"jobs": 6}})
    assert deeper.queues == Queues(jobs=6)
    assert HardwareConfig.from_json_dict(json.loads(json.dumps(deeper.to_json_dict()))) == deeper


@pytest.mark.parametrize("slices", [None, {}, {kind: 1 for kind in ARRAY_KINDS[1:]}])
def test_slices_name_every_kind_of_array(slices: dict | None) -> None:
    with pytest.raises(UserError, match="slices"):
        HardwareConfig.from_json_dict({"slices": slices})
