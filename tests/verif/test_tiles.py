"""Tiles of a build's arrays and a whole expert, simulated; and what ties them to the text of the build."""

import re
import shutil
from pathlib import Path

import pytest

from hardloom.flows.chips.verify_tiles import verify_tiles
from hardloom.gen.build.folder import Build
from hardloom.gen.build.generate import build_arrays
from hardloom.gen.design.hardware import HardwareConfig
from hardloom.gen.design.matrices import Selection
from hardloom.golden.errors import UserError
from hardloom.golden.files import sha256
from hardloom.golden.quantization.quantized import QuantizedCheckpoint
from hardloom.verif.arrays.expert import bench_expert, experts_of
from hardloom.verif.arrays.tiles import bench_tile, choose_tiles, plan_tile
from hardloom.verif.extract.errors import ExtractionError
from tests.icarus import needs_icarus


@pytest.fixture(scope="module")
def parts(tiny_quantized: list[Path], tiny_hardware: HardwareConfig, tmp_path_factory: pytest.TempPathFactory) -> Build:
    selection = Selection(layers=(1,), experts=(2,), matrices=("gate_up", "down"))
    folder = tmp_path_factory.mktemp("tiles") / "parts"
    return build_arrays(QuantizedCheckpoint(tiny_quantized[0]), folder, tiny_hardware, selection)


def test_a_tile_of_the_build_computes_its_rows(parts: Build, tmp_path: Path) -> None:
    (tile,) = choose_tiles(parts, 1, rows=5)
    assert bench_tile(parts, tile, tmp_path, packets=9) == 0


@needs_icarus
def test_a_tile_computes_its_rows_in_icarus(parts: Build, tmp_path: Path) -> None:
    (tile,) = choose_tiles(parts, 1, rows=5)
    assert bench_tile(parts, tile, tmp_path, packets=5, simulator="icarus") == 0
    assert (tmp_path / "icarus" / "build.log").read_text() == ""


def test_without_icarus_one_sentence_says_what_to_install(
    parts: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(UserError, match="apt-get install iverilog"):
        verify_tiles(parts.path, 1, "icarus")
    with pytest.raises(UserError, match="'vcs' is unknown; choose of verilator, icarus"):
        verify_tiles(parts.path, 1, "vcs")


def test_an_expert_is_the_integer_models(parts: Build, tmp_path: Path) -> None:
    assert experts_of(parts) == [("layer_1", 2)]
    assert bench_expert(parts, "layer_1", 2, tmp_path) == 0


def test_tiles_differ_and_are_chosen_again_by_their_seed(parts: Build) -> None:
    tiles = choose_tiles(parts, 6, rows=4)
    assert tiles == choose_tiles(parts, 6, rows=4) != choose_tiles(parts, 6, rows=4, seed=1)
    assert {tile.facts.kind for tile in tiles} == {"gate_up", "down"}
    assert all(0 <= row < tile.facts.rows for tile in tiles for cell in tile.cells for row in cell)


def test_a_tile_whose_wires_were_moved_is_refused(parts: Build) -> None:
    (tile,) = choose_tiles(parts, 1, rows=4)
    assert plan_tile(parts, tile, "tile").rows == 4
    path = parts.path / "rtl" / "arrays" / f"{tile.facts.module}.v"
    text, name = path.read_bytes(), path.relative_to(parts.path).as_posix()
    place = re.compile(rb"\bp\d").search(text, text.index(b" neuron_%d_%d " % (tile.bank, tile.start + 1))).start()
    try:
        path.write_bytes(text[:place] + b"n" + text[place + 1 :])
        parts.files[name] = sha256(path)
        with pytest.raises(ExtractionError, match=f"cell {tile.start + 1} of the build"):
            plan_tile(parts, tile, "tile")
    finally:
        path.write_bytes(text)
        parts.files[name] = sha256(path)
