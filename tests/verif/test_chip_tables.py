"""The table view of a whole chip: the integer model's integers, in the cycles of the wiring view."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hardloom.gen.arrays.styles import STYLES
from hardloom.gen.build.folder import Build
from hardloom.golden.errors import UserError
from hardloom.golden.models.integer_model import IntegerModel
from hardloom.golden.samplers.sampling import Sampling
from hardloom.verif.chip.compare import compare_runs, simulate_runs
from hardloom.verif.chip.simulation import Run, SimulatedChip
from hardloom.verif.chip.table_view import STYLES as TABLED
from hardloom.verif.chip.table_view import ChipTables
from hardloom.verif.simulators.verilator import QUICK_BUILD
from tests.samplers import by_quota, by_threshold

RUNS = [
    Run([3, 16, 12, 0, 9], by_quota(6, 3, 4)),
    Run([1, 2], by_threshold(4, 4, 0.5)),
    Run([7], Sampling.of("left_to_right", gen_length=3)),
]


@pytest.fixture(scope="module")
def tables(tiny_build: Build) -> SimulatedChip:
    return SimulatedChip(tiny_build, QUICK_BUILD, view="table")


@pytest.mark.slow
def test_every_integer_is_the_models_in_the_cycles_of_the_wiring_view(
    tables: SimulatedChip, tiny_chip: SimulatedChip, tiny_integer_model: IntegerModel, tmp_path: Path
) -> None:
    result = compare_runs(tables, tiny_integer_model, runs := [replace(run) for run in RUNS], tmp_path / "taps")
    assert result.scoreboard.first is None and result.scoreboard.compared > 20_000, str(result.scoreboard.first)
    times = [tmp_path / "table", tmp_path / "wiring"]
    for chip, file in zip((tables, tiny_chip), times, strict=True):
        simulate_runs(chip, [again := replace(RUNS[0])], None, times=file)
        assert again.cycles == runs[0].cycles
    assert times[0].read_bytes() == times[1].read_bytes(), "every beat passes every probe point in the same cycle"


@pytest.mark.slow
def test_a_flipped_weight_of_a_table_is_seen(
    tables: SimulatedChip, tiny_integer_model: IntegerModel, tmp_path: Path
) -> None:
    table = tables.folder / "tables" / "wired_layer_1_o.bin"
    before, weights = table.read_bytes(), np.fromfile(table, dtype="<i2")
    place = int(np.flatnonzero(weights)[-1])
    weights[place] = -weights[place]
    try:
        weights.tofile(table)
        board = compare_runs(tables, tiny_integer_model, [replace(RUNS[1])], tmp_path / "taps").scoreboard
    finally:
        table.write_bytes(before)
    assert board.first is not None and board.first.probe == "layer.1.o", str(board.first)


def test_tables_are_written_once_and_again_where_the_text_has_changed(tiny_build: Build, tmp_path: Path) -> None:
    sources = ChipTables(tiny_build, tmp_path).write()
    tables = sorted((tmp_path / "tables").glob("*.bin"))
    assert len(tables) == len(tiny_build.arrays) + len(list(tiny_build.path.glob("rtl/constants/wired_*")))
    assert not [path for path in sources if path.name.startswith("wired_")]
    written = [path.stat().st_mtime_ns for path in tables]
    (tmp_path / "tables" / "wired_chip_head.stamp").write_text("of another text")
    tables[-1].unlink()
    assert ChipTables(tiny_build, tmp_path).write() == sources
    again = [path.stat().st_mtime_ns for path in tables]
    assert [path.stem for path, one, two in zip(tables, written, again, strict=True) if one != two] == [
        "wired_chip_head",
        tables[-1].stem,
    ]


def test_a_style_without_a_table_view_is_one_sentence(tiny_build: Build, tmp_path: Path) -> None:
    assert {*TABLED} < {*STYLES}
    first, *others = tiny_build.arrays
    shared = replace(tiny_build.manifest, arrays=(replace(first, style="shared"), *others))
    build = Build(tiny_build.path)
    build.manifest = shared
    with pytest.raises(UserError, match=f"{first.module} is of style shared, which has no table view; simulate"):
        ChipTables(build, tmp_path)
