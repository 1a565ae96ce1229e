"""Chosen parts of a model as a build: the chip's own bytes, compressed or not, resumable, read back."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hardloom.gen.build.folder import MANIFEST, Build
from hardloom.gen.build.generate import build_arrays, build_chip
from hardloom.gen.build.journal import JOURNAL
from hardloom.gen.build.names import connection_file
from hardloom.gen.build.seal import sealed
from hardloom.gen.design.hardware import HardwareConfig
from hardloom.gen.design.matrices import Selection, array_units, selected_units
from hardloom.golden.errors import UserError
from hardloom.golden.files import PARTIAL, sha256, write_file
from hardloom.golden.quantization.quantized import QuantizedCheckpoint
from hardloom.golden.shape import ModelShape
from hardloom.verif.proof.static import recover
from tests.texts import text_of


def arrays(folder: Path) -> dict[str, bytes]:
    """Texts of connection files by module."""
    return {path.name.split(".")[0]: text_of(path) for path in (folder / "rtl" / "arrays").iterdir()}


@pytest.mark.parametrize("compress", [False, True])
def test_parts_are_the_bytes_of_the_chip(
    tiny_quantized: list[Path], tiny_build: Build, tiny_hardware: HardwareConfig, tmp_path: Path, compress: bool
) -> None:
    selection = Selection(layers=(1,), experts=(0, 2), matrices=("qkv", "gate_up"))
    checkpoint = QuantizedCheckpoint(tiny_quantized[0])
    build = build_arrays(checkpoint, tmp_path / "parts", tiny_hardware, selection, compress)
    chip, parts = arrays(tiny_build.path), arrays(build.path)
    assert sorted(parts) == [
        "wired_layer_1_expert_0_gate_up",
        "wired_layer_1_expert_2_gate_up",
        "wired_layer_1_qkv",
    ]
    assert all(text == chip[module] for module, text in parts.items())
    recovery = recover(build)
    assert recovery.complete and recovery.weights == recovery.matching == sum(a.weights for a in build.arrays)
    assert recovery.constants == 2 * 3 * 16  # mantissa and exponent of every row of q, k and v
    with pytest.raises(UserError, match="no chip"):
        build.require_chip()
    if compress:
        with pytest.raises(UserError, match="--compress"):
            build.verilog()


@pytest.mark.slow
def test_a_compressed_chip_has_the_text_of_the_chip(
    tiny_quantized: list[Path], tiny_build: Build, tiny_hardware: HardwareConfig, tmp_path: Path
) -> None:
    build = build_chip(QuantizedCheckpoint(tiny_quantized[0]), tmp_path / "chip", tiny_hardware, compress=True)
    packed = {name for name in build.files if name.endswith(".zst")}
    embedding = "rtl/constants/wired_chip_embedding.v.zst"
    assert packed == {connection_file(facts.module, compress=True) for facts in build.arrays} | {embedding}
    for name in build.files:
        if name.startswith("rtl/"):
            assert text_of(build.path / name) == text_of(tiny_build.path / name.removesuffix(".zst")), name
    recovery = recover(build)
    assert recovery.complete and recovery.weights == tiny_build.manifest.weights_hardwired


def test_a_moved_wire_is_found_in_a_compressed_file(
    tiny_quantized: list[Path], tiny_hardware: HardwareConfig, tmp_path: Path
) -> None:
    checkpoint, selection = QuantizedCheckpoint(tiny_quantized[0]), Selection(matrices=("head",))
    build = build_arrays(checkpoint, tmp_path / "parts", tiny_hardware, selection, compress=True)
    path = build.path / "rtl" / "arrays" / "wired_chip_head.v.zst"
    text = text_of(path)
    place = text.index(b"p1,", text.index(b" neuron_0_3 "))
    row = int(re.findall(rb" neuron_0_(\d+) ", text[:place])[-1])
    write_file(path, text[:place] + b"n1," + text[place + 3 :])
    with pytest.raises(UserError, match=r"wired_chip_head\.v\.zst"):
        recover(build)
    manifest = json.loads((build.path / MANIFEST).read_text())
    manifest["files"]["rtl/arrays/wired_chip_head.v.zst"] = sha256(path)
    (build.path / MANIFEST).write_text(json.dumps(sealed(manifest)))
    recovery = recover(Build(build.path))
    assert recovery.matching == recovery.weights - 1
    assert f"wired_chip_head.v: at [0, {row}, 1]" in recovery.first


def test_killed_parts_go_on_and_come_to_the_same_bytes(
    tiny_quantized: list[Path], tiny_hardware: HardwareConfig, tmp_path: Path
) -> None:
    whole = build_arrays(
        QuantizedCheckpoint(tiny_quantized[0]), tmp_path / "whole", tiny_hardware, Selection(layers=(0, 1)), True
    )
    out = tmp_path / "parts"
    program = "from hardloom.flows.cli.app import app; app()"
    hardware = tmp_path / "hardware.json"
    hardware.write_text(json.dumps(tiny_hardware.to_json_dict()))
    options = ["-o", str(out), "--hardware", str(hardware), "--layers", "0-1", "--compress", "zstd"]
    run = [sys.executable, "-c", program, "generate", str(tiny_quantized[0]), *options]
    journal = out / JOURNAL
    process = subprocess.Popen(run, start_new_session=True, stdout=subprocess.DEVNULL)
    while not journal.exists() or journal.read_bytes().count(b'"part"') < 4:
        assert process.poll() is None, "it ended by itself"
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (out / MANIFEST).exists()
    entries = [json.loads(line) for line in journal.read_text().splitlines() if '"part"' in line]
    kept = next(out / name for name in entries[0]["files"] if "/arrays/" in name)
    before = kept.stat().st_mtime_ns
    kept.with_name(f"{kept.name}.140{PARTIAL}").write_bytes(b"half")
    subprocess.run(run, check=True, stdout=subprocess.DEVNULL)
    assert kept.stat().st_mtime_ns == before
    texts = [{p.relative_to(f): p.read_bytes() for p in f.rglob("*") if p.is_file()} for f in (whole.path, out)]
    assert texts[0] == texts[1]


def test_another_choice_in_the_same_folder_leaves_nothing_of_the_first(
    tiny_quantized: list[Path], tiny_hardware: HardwareConfig, tmp_path: Path
) -> None:
    checkpoint, out = QuantizedCheckpoint(tiny_quantized[0]), tmp_path / "parts"
    for kind in ("o", "down"):
        build = build_arrays(checkpoint, out, tiny_hardware, Selection(layers=(0,), matrices=(kind,)))
        assert all(kind in module for module in arrays(out))
        assert {a.kind for a in build.arrays} == {kind}


def test_the_checkpoint_in_a_build_outlives_its_source(
    tiny_quantized: list[Path], tiny_hardware: HardwareConfig, tmp_path: Path
) -> None:
    shutil.copytree(tiny_quantized[0], tmp_path / "q")
    build = build_arrays(
        QuantizedCheckpoint(tmp_path / "q"), tmp_path / "parts", tiny_hardware, Selection(matrices=("router",))
    )
    shutil.rmtree(tmp_path / "q")
    assert recover(build).complete


def test_what_is_chosen(tiny_model: ModelShape) -> None:
    units = list(array_units(tiny_model))
    assert selected_units(tiny_model, Selection()) == units
    chosen = selected_units(tiny_model, Selection(layers=(0,), experts=(1,)))
    assert [unit.name for unit in chosen] == ["qkv", "o", "router", "expert.1.gate_up", "expert.1.down"]


@pytest.mark.parametrize(
    ("selection", "sentence"),
    [
        (Selection(layers=(2,)), "--layers: 2 does not exist, the model has 0 to 1"),
        (Selection(experts=(3,)), "--experts: 3 does not exist"),
        (Selection(matrices=("gate",)), "--matrices: 'gate' is not one of qkv"),
        (Selection(layers=(0,), matrices=("head",)), "choose no array"),
    ],
)
def test_a_choice_that_makes_no_sense_is_one_sentence(
    tiny_model: ModelShape, selection: Selection, sentence: str
) -> None:
    with pytest.raises(UserError) as refused:
        selected_units(tiny_model, selection)
    assert sentence in str(refused.value)
