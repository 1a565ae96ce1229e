"""`hardloom verify --sim --coverage`: several runs in one table and one file, as its name asks for."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from hardloom.flows.chips.coverage import with_coverage
from hardloom.flows.console.report import Check, to_json
from hardloom.verif.chip.simulation import SimulatedChip
from hardloom.verif.simulators.coverage import HEADER
from tests import DEMO
from tests.command_line import hardloom

POINT = "C '\x01f\x02unit.v\x01l\x02{line}\x01page\x02v_{kind}/unit\x01o\x02{what}\x01h\x02' {count}\n"


def record(path: Path, bit: int, line: int) -> Path:
    """A file of Verilator with a bit of `unit.v` that rose `bit` times, and a line that ran `line` times."""
    points = [POINT.format(line=1, kind="toggle", what="bit:0->1", count=bit)]
    points.append(POINT.format(line=2, kind="line", what="block", count=line))
    path.write_text(HEADER + "".join(points))
    return path


@pytest.fixture
def chip(tmp_path: Path) -> SimulatedChip:
    """What `with_coverage` asks of one that has run twice."""
    (tmp_path / "verilator").mkdir()
    files = [record(tmp_path / "0.dat", 0, 3), record(tmp_path / "1.dat", 0, 4)]
    return cast(SimulatedChip, SimpleNamespace(coverage=files, folder=tmp_path, simulator="verilator"))


@pytest.mark.parametrize("name, line", [("out.info", "DA:2,7\n"), ("out.dat", "' 7\n")])
def test_both_runs_are_in_the_file(chip: SimulatedChip, tmp_path: Path, name: str, line: str) -> None:
    check = with_coverage(Check([], [], False), chip, tmp_path / name)
    assert (
        line in (tmp_path / name).read_text()
        and str(tmp_path / "verilator" / "unit.v") in (tmp_path / name).read_text()
    )
    figures: Any = json.loads(json.dumps(check.figures, default=to_json))
    assert figures["coverage"]["unit"] == {
        "line": {"hit": 1, "points": 1},
        "branch": {"hit": 0, "points": 0},
        "toggle": {"hit": 0, "points": 1},
    }
    assert not check.passed and len([*check.parts]) == 1


@pytest.mark.parametrize("options", [("--static",), ("--sim", "--tiles", 1), ("--sim", "--view", "table")])
def test_it_goes_with_the_simulated_wiring(tmp_path: Path, options: tuple[object, ...]) -> None:
    ran = hardloom("verify", DEMO, *options, "--coverage", tmp_path / "out.info")
    assert ran.code == 1 and "--coverage: goes with --sim, and without --tiles and --view" in ran.err
