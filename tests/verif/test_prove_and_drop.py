"""Arrays that are proven as they are written, and whose text is then dropped: the same hashes, and nothing claimed."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from hardloom.gen.build.arrays import Prover, Written
from hardloom.gen.build.dropped import Dropped
from hardloom.gen.build.folder import MANIFEST, Build
from hardloom.gen.build.generate import build_arrays, build_chip
from hardloom.gen.build.journal import JOURNAL
from hardloom.gen.design.hardware import HardwareConfig
from hardloom.gen.design.matrices import Selection, array_units, selected_units
from hardloom.golden.errors import UserError
from hardloom.golden.files import sha256
from hardloom.golden.quantization.quantized import QuantizedCheckpoint
from hardloom.verif.crosscheck.sample import choose_samples
from hardloom.verif.proof.static import recover
from hardloom.verif.proof.writing import WriteProof
from hardloom.verif.simulators.verilator import BINARY
from tests.command_line import hardloom
from tests.verif.forging import copied, forge, problem

KINDS = "qkv,o,router,gate_up,down,head"


@pytest.fixture(scope="module")
def chip(tiny_quantized: list[Path], tiny_hardware: HardwareConfig, tmp_path_factory: pytest.TempPathFactory) -> Build:
    """The tiny chip, its arrays dropped."""
    checkpoint = QuantizedCheckpoint(tiny_quantized[0])
    units = [*array_units(checkpoint.model, tiny_hardware.head_tiles)]
    prove = WriteProof.of(checkpoint.model, tiny_hardware, units, "")
    return build_chip(checkpoint, tmp_path_factory.mktemp("dropped") / "chip", tiny_hardware, prove=prove)


def texts_of_arrays(folder: Path) -> list[Path]:
    return [*folder.glob("rtl/arrays/*"), *folder.glob(".hardloom-staged/*/*")]


def test_files_hashes_and_facts_are_those_of_the_build_without_the_option(chip: Build, tiny_build: Build) -> None:
    assert not texts_of_arrays(chip.path)
    assert chip.files == tiny_build.files
    whole, dropped = (json.loads((build.path / MANIFEST).read_text()) for build in (tiny_build, chip))
    for manifest in (whole, dropped):
        del manifest["key"], manifest["sha256"]
    assert {name: facts["weights"] for name, facts in dropped.pop("dropped").items()} == {
        f"rtl/arrays/{facts.module}.v": facts.weights for facts in tiny_build.arrays
    }
    assert whole.pop("dropped") == {} and whole == dropped
    assert {name for name in chip.files if (chip.path / name).is_file()} == chip.there.keys()


def test_what_was_proven_when_written_is_never_called_read_back(chip: Build, tiny_build: Build) -> None:
    found = recover(chip)
    in_arrays = sum(facts.weights for facts in chip.arrays)
    assert found.complete, found.first
    assert (found.weights, found.proven_when_written) == (chip.manifest.weights_hardwired, in_arrays)
    assert found.matching == found.weights - in_arrays
    whole = recover(tiny_build)
    assert (found.sampled, found.sampled_when_written, whole.sampled_when_written) == (0, whole.sampled, 0)
    assert found.sampled_when_written >= sum(sample.facts.inputs for sample in choose_samples(tiny_build)) > 0
    printed = hardloom("verify", chip.path, "--static").out
    assert re.search(rf"weights recovered now\W+{found.matching:,}\b", printed)
    assert re.search(rf"proven when they were written, text dropped since\W+{in_arrays:,}\b", printed)


def generate(quantized: Path, out: Path, *options: str) -> list[str]:
    command = "from hardloom.flows.cli.app import app; app()"
    return [sys.executable, "-c", command, "generate", str(quantized), "-o", str(out), "--matrices", KINDS, *options]


def kill_when(command: list[str], out: Path, parts: int) -> None:
    """Generate, and kill -9 as soon as so many parts are done and another one is under way."""
    process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL)
    while not (out / JOURNAL).exists() or (out / JOURNAL).read_bytes().count(b'"part"') < parts:
        assert process.poll() is None, "it ended by itself"
        time.sleep(0.001)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.parametrize("compress", [(), ("--compress", "zstd")], ids=["plain", "compressed"])
def test_killed_again_and_again_it_comes_to_the_same_bytes(
    tiny_quantized: list[Path], tmp_path: Path, compress: tuple[str, ...]
) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    command = generate(tiny_quantized[0], out, "--prove-and-drop", *compress)
    for parts in (1, 4):
        kill_when(command, out, parts)
        assert not (out / MANIFEST).exists()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(generate(tiny_quantized[0], whole, *compress), check=True, stdout=subprocess.DEVNULL)
    assert not texts_of_arrays(out) and not (out / JOURNAL).exists()
    assert Build(out).files == Build(whole).files
    assert all(sha256(out / name) == digest for name, digest in Build(out).there.items())
    assert recover(Build(out)).complete
    before = (out / MANIFEST).stat().st_mtime_ns
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    assert (out / MANIFEST).stat().st_mtime_ns == before
    subprocess.run(generate(tiny_quantized[0], out, *compress), check=True, stdout=subprocess.DEVNULL)
    assert Build(out).manifest == Build(whole).manifest and recover(Build(out)).proven_when_written == 0


class Faulty:
    """A disk or a generator at fault: one wire of one array is moved between writing and proof.

    told: whether the hash is that of the moved wire, as of a generator that writes a wrong one.
    """

    def __init__(self, prove: Prover, module: str, told: bool) -> None:
        self.prove, self.module, self.told = prove, module, told

    def __call__(self, checkpoint: QuantizedCheckpoint, written: Written) -> Dropped:
        if written.facts.module == self.module:
            path = written.paths[written.name]
            text = path.read_bytes()
            *_, slot = re.finditer(rb"\bp(?=\d+,)", text)
            path.write_bytes(text[: slot.start()] + b"n" + text[slot.end() :])
            if self.told:
                written = replace(written, digests=written.digests | {written.name: sha256(path)})
        return self.prove(checkpoint, written)


@pytest.mark.parametrize("told", [True, False], ids=["generator", "disk"])
def test_a_fault_between_writing_and_proof_is_found_and_nothing_is_dropped(
    tiny_quantized: list[Path], tmp_path: Path, told: bool
) -> None:
    checkpoint, selection = QuantizedCheckpoint(tiny_quantized[0]), Selection(matrices=tuple(KINDS.split(",")))
    hardware, out = HardwareConfig.default(checkpoint.model), tmp_path / "build"
    units = selected_units(checkpoint.model, selection)
    prove = WriteProof.of(checkpoint.model, hardware, units, "")
    victim = units[len(units) // 2].module
    reason = r".* expected -?\d+, got -?\d+;" if told else "the file is not the one that was written;"
    with pytest.raises(UserError, match=rf"{victim}\.v: is not proven, so nothing is dropped: {reason}") as raised:
        build_arrays(checkpoint, out, hardware, selection, prove=Faulty(prove, victim, told))
    assert "\n" not in str(raised.value) and "--prove-and-drop" in str(raised.value)
    assert not (out / MANIFEST).exists() and victim not in {
        json.loads(line).get("part") for line in (out / JOURNAL).read_text().splitlines()
    }
    assert recover(build_arrays(checkpoint, out, hardware, selection, prove=prove)).complete


def test_a_text_that_changes_on_the_disk_is_not_the_one_that_was_proven(
    tiny_quantized: list[Path], tmp_path: Path
) -> None:
    """A space behind the end changes no weight."""
    checkpoint, selection = QuantizedCheckpoint(tiny_quantized[0]), Selection(layers=(0,), matrices=("o",))
    hardware = HardwareConfig.default(checkpoint.model)
    prove = WriteProof.of(checkpoint.model, hardware, selected_units(checkpoint.model, selection), "")

    def torn(checkpoint: QuantizedCheckpoint, written: Written) -> Dropped:
        path = written.paths[written.name]
        path.write_bytes(path.read_bytes() + b" ")
        return prove(checkpoint, written)

    with pytest.raises(UserError, match="is not the one that was written"):
        build_arrays(checkpoint, tmp_path / "build", hardware, selection, prove=torn)


COMMANDS = {
    "sim": ("verify", "BUILD", "--sim"),
    "table": ("verify", "BUILD", "--sim", "--view", "table"),
    "tiles": ("verify", "BUILD", "--sim", "--tiles", 1),
    "faults": ("verify", "BUILD", "--faults", 1),
    "against": ("verify", "BUILD", "--against", "BUILD"),
    "tile": ("synth", "BUILD", "--tile", "wired_layer_0_o"),
    "synth": ("synth", "BUILD"),
    "export": ("export", "BUILD", "--to", "OUT"),
    "sample": ("sample", "BUILD", "--engine", "rtl", "--prompt-tokens", "5,9"),
    "report": ("report", "BUILD", "-o", "OUT.html", "--prompt-tokens", "5,9"),
    "chip": ("bench", "chip", "BUILD"),
    "timeline": ("bench", "timeline", "BUILD"),
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_what_needs_a_dropped_text_says_so_in_a_sentence(
    chip: Build, tmp_path: Path, command: tuple[object, ...]
) -> None:
    given = {"BUILD": chip.path, "OUT": tmp_path / "out", "OUT.html": tmp_path / "out.html"}
    found = hardloom(*(given.get(str(word), word) for word in command))
    assert found.code != 0 and "Traceback" not in found.err
    assert re.search(
        r"rtl/arrays/wired_\w+\.v: was dropped when it had been proven, and this needs its text; generate again "
        r"without --prove-and-drop",
        " ".join(found.err.split()),
    )
    assert not any(tmp_path.rglob("*.v")) and not (tmp_path / "out.html").exists()


def test_what_needs_no_text_works_with_a_dropped_one(chip: Build) -> None:
    assert json.loads(hardloom("info", chip.path, "--json").out)["weights"] == chip.manifest.weights_hardwired
    found = hardloom("synth", chip.path, "--unit", "layer_experts_router", "--json")
    assert found.code == 0 and json.loads(found.out)["total"]["ge"] > 0


def test_what_stays_is_exported_with_a_black_box_for_each_array(chip: Build, tiny_build: Build, tmp_path: Path) -> None:
    for build, name in ((chip, "dropped"), (tiny_build, "whole")):
        found = hardloom("export", build.path, "--to", tmp_path / name, "--boxes", "--json")
        assert found.code == 0 and json.loads(found.out)["prompt"] is None, found.err
    out = tmp_path / "dropped"
    sums = [(tmp_path / name / "SHA256SUMS").read_text().splitlines() for name in ("dropped", "whole")]
    assert [line for line in sums[0] if "chip_absolute" not in line] == [
        line for line in sums[1] if "chip_absolute" not in line
    ]
    command = [str(BINARY), "--lint-only", "-Wall", "-F", str(out / "chip.f")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "") and not (out / "bench").exists()
    for array in tiny_build.arrays:
        head, box = (
            (folder / f"rtl/arrays/{array.module}.v").read_text().partition(f"module {array.module} (")[2]
            for folder in (tiny_build.path, out)
        )
        ports, _, rest = box.partition(");\n")
        assert head.startswith(ports + ");\n") and rest.startswith("endmodule\n")
    refused = hardloom("export", chip.path, "--to", tmp_path / "fpga", "--boxes", "--fpga")
    assert refused.code != 0 and "--boxes: has no bench" in refused.err


def test_a_text_that_is_there_again_is_seen(chip: Build, tiny_build: Build, tmp_path: Path) -> None:
    copy, name = copied(chip, tmp_path / "chip"), "rtl/arrays/wired_layer_0_o.v"
    (copy / "rtl/arrays").mkdir()
    (copy / name).write_bytes((tiny_build.path / name).read_bytes())
    assert f"{name}: was dropped" in problem(copy)


FORGED = {
    "fewer weights": (lambda dropped: dropped.update(weights=dropped["weights"] - 1), "weights were dropped of"),
    "another module": (lambda dropped: dropped["modules"].append("hardloom_nothing"), "hardloom_nothing"),
    "another port": (lambda dropped: dropped["ports"].update(in_data=dropped["ports"]["in_data"] + 1), "in_data"),
}


@pytest.mark.parametrize("change", FORGED, ids=FORGED)
def test_what_is_said_of_a_dropped_text_must_fit_the_rest(chip: Build, tmp_path: Path, change: str) -> None:
    copy = copied(chip, tmp_path / "chip")
    apply, reason = FORGED[change]
    forge(copy, lambda manifest: apply(manifest["dropped"]["rtl/arrays/wired_layer_0_o.v"]))
    assert reason in problem(copy)
