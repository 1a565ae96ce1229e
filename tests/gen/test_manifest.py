"""A manifest says what a build is, is read back as it was written, and a damaged one is one sentence."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hardloom.gen.build.digests import DECIDES_NOTHING
from hardloom.gen.build.folder import MANIFEST, Build
from hardloom.gen.build.generate import build_chip
from hardloom.gen.build.manifest import Manifest
from hardloom.gen.build.seal import sealed
from hardloom.gen.design.hardware import HardwareConfig
from hardloom.golden.errors import UserError
from hardloom.golden.quantization.quantized import QuantizedCheckpoint


def test_a_manifest_is_read_back_as_it_was_written(tiny_build: Build) -> None:
    values = json.loads((tiny_build.path / MANIFEST).read_text())
    assert sealed(tiny_build.manifest.to_json()) == values
    assert Manifest.from_json(values) == tiny_build.manifest


def test_an_array_is_called_by_its_layer_and_its_expert(tiny_build: Build) -> None:
    for facts in tiny_build.arrays:
        within = f"experts.{facts.expert}." if facts.expert is not None else ""
        assert all(within in name for name in facts.matrices)
        assert facts.layer is None or all(f"layers.{facts.layer}." in name for name in facts.matrices)
        assert facts.module == f"wired_{facts.prefix}_{facts.name.replace('.', '_')}"


@pytest.mark.parametrize(
    ("field", "value"),
    [("files", None), ("arrays", [{}]), ("model", {}), ("hardware", {"lane": 4}), ("hardware", 3), ("top", ...)],
)
def test_a_damaged_manifest_is_one_sentence(tiny_build: Build, tmp_path: Path, field: str, value) -> None:
    values = json.loads((tiny_build.path / MANIFEST).read_text())
    if value is ...:
        del values[field]
    else:
        values[field] = value
    (tmp_path / MANIFEST).write_text(json.dumps(values))
    with pytest.raises(UserError, match="is damaged; run `hardloom generate` again"):
        Build(tmp_path)


def test_a_build_with_a_damaged_manifest_is_made_again(
    tiny_build: Build, tiny_quantized: list[Path], tiny_hardware: HardwareConfig, tmp_path: Path
) -> None:
    copy = tmp_path / "chip"
    shutil.copytree(tiny_build.path, copy, ignore=shutil.ignore_patterns("simulation"))
    (copy / MANIFEST).write_text("{")
    assert build_chip(QuantizedCheckpoint(tiny_quantized[0]), copy, tiny_hardware).manifest == tiny_build.manifest


def test_what_the_key_leaves_out_is_not_imported_by_the_generator() -> None:
    code = "import sys, hardloom.gen.build.generate; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    folders = tuple("hardloom." + folder.replace("/", ".") for folder in DECIDES_NOTHING)
    assert "hardloom.golden.units.rope" in modules
    assert [name for name in modules if f"{name}.".startswith(folders)] == []
