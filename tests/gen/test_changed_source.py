"""A chip is of one model: what it is made from must not become another while it is made."""

import shutil
from pathlib import Path

import pytest

from hardloom.gen.build.folder import MANIFEST, Build
from hardloom.gen.build.generate import build_chip
from hardloom.gen.design.hardware import HardwareConfig
from hardloom.golden.errors import UserError
from hardloom.golden.quantization.quantized import TENSORS, QuantizedCheckpoint
from tests.gen.test_generate import contents, different


def replaced(source: Path, target: Path) -> None:
    """Every file of a folder by another one's, as a command puts them into their place."""
    for path in source.iterdir():
        shutil.copyfile(path, target / "new")
        (target / "new").replace(target / path.name)


@pytest.mark.parametrize("parts", [3])
def test_a_model_that_is_replaced_meanwhile_is_refused_and_nothing_of_it_stays(
    tiny_quantized: list[Path], tiny_hardware: HardwareConfig, tiny_build: Build, tmp_path: Path, parts: int
) -> None:
    quantized, out = shutil.copytree(tiny_quantized[0], tmp_path / "q"), tmp_path / "chip"
    steps = iter(range(1000))

    def progress(done: int, total: int) -> None:
        if next(steps) == parts:
            replaced(tiny_quantized[1], quantized)

    with pytest.raises(UserError, match="was replaced or written to while it was read; run the command again"):
        build_chip(QuantizedCheckpoint(quantized), out, tiny_hardware, progress)
    assert not (out / MANIFEST).exists()
    replaced(tiny_quantized[0], quantized)
    build_chip(QuantizedCheckpoint(quantized), out, tiny_hardware)
    assert different(contents(out), contents(tiny_build.path)) == []


def test_a_model_that_is_replaced_before_it_is_hashed_is_refused(
    tiny_quantized: list[Path], tiny_hardware: HardwareConfig, tmp_path: Path
) -> None:
    quantized = shutil.copytree(tiny_quantized[0], tmp_path / "q")
    checkpoint = QuantizedCheckpoint(quantized)
    replaced(tiny_quantized[1], quantized)
    with pytest.raises(UserError, match="was replaced or written to"):
        build_chip(checkpoint, tmp_path / "chip", tiny_hardware)
    assert not (tmp_path / "chip").exists()


def test_no_tensor_is_read_from_a_file_that_took_anothers_place(tiny_quantized: list[Path], tmp_path: Path) -> None:
    quantized = shutil.copytree(tiny_quantized[0], tmp_path / "q")
    checkpoint = QuantizedCheckpoint(quantized)
    name = next(iter(checkpoint.model.matrices())).name
    checkpoint.matrix(name)
    replaced(tiny_quantized[0], quantized)
    with pytest.raises(UserError, match=rf"{TENSORS}: was replaced or written to"):
        checkpoint.matrix(name)
