"""Coverage of a simulation: counted as Verilator says, added up over runs, by module and for lcov."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from hardloom.verif.simulators import coverage
from hardloom.verif.simulators.coverage import ARGUMENTS, Covered, configuration, dat, info, read_points, totals
from hardloom.verif.simulators.verilator import QUICK_BUILD, build_model

COUNTER = """\
module counter (input wire clk, input wire stop, output reg [2:0] value);
    always @(posedge clk)
        if (stop) begin
            value <= 3'd0;
        end else begin
            value <= value + 3'd1;
        end
endmodule
"""

MAIN = """\
#include <cstdlib>
#include "Vtop.h"
#include "verilated_cov.h"
int main(int, char** words) {
    Vtop top;
    top.stop = *words[2] == 's';
    top.eval();
    for (int edge = 0; edge < 2 * atoi(words[1]); ++edge) {
        top.clk = !top.clk;
        top.eval();
    }
    VerilatedCov::write(words[3]);
}
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A counter that counts two clock edges, and one that is stopped for five."""
    folder = tmp_path_factory.mktemp("covered")
    for name, text in {"counter.v": COUNTER, "main.cpp": MAIN, "coverage.vlt": configuration()}.items():
        (folder / name).write_text(text)
    sources = [folder / "coverage.vlt", folder / "counter.v"]
    build_model(sources, "counter", folder / "made", folder / "main.cpp", [*QUICK_BUILD, *ARGUMENTS])
    for edges, what, name in (("2", "counts", "first.dat"), ("5", "stopped", "second.dat")):
        subprocess.run([folder / "made" / "counter", edges, what, folder / name], check=True)
    return [folder / "first.dat", folder / "second.dat"]


def test_a_run_reaches_what_it_must(runs: list[Path]) -> None:
    """Two clocks up to 2: of the value's bits one rises and falls, one rises, one stays."""
    kinds = totals(read_points(runs[:1]))["counter"]
    assert kinds["branch"] == Covered(1, 2) and kinds["line"] == Covered(1, 1)
    assert kinds["toggle"] == Covered(2 + 0 + 3, 2 + 2 + 6)  # of clk, stop, value


def test_runs_are_added_up_and_sources_named_in_full(runs: list[Path]) -> None:
    folder = runs[0].parent
    points = read_points(runs, folder / "made")
    assert sorted(count for point, count in points.items() if point.kind == "branch") == [2, 5]
    assert {point.file for point in points} == {str(folder / "counter.v")}
    assert totals(points)["counter"]["branch"] == Covered(2, 2)


def test_what_is_written_is_read_again(runs: list[Path], tmp_path: Path) -> None:
    points = read_points(runs)
    (tmp_path / "both.dat").write_text("".join(dat(points)))
    assert read_points([tmp_path / "both.dat"]) == points


def test_a_line_of_lcov_counts_as_often_as_its_least_reached_point(runs: list[Path]) -> None:
    text = "".join(info(read_points(runs[:1], runs[0].parent / "made")))
    assert text.startswith(f"TN:\nSF:{runs[0].parent / 'counter.v'}\n") and text.endswith("end_of_record\n")
    counts = dict(line[3:].split(",") for line in text.splitlines() if line.startswith("DA:"))
    assert counts["4"] == "0" and counts["6"] == "2" and counts["1"] == "0"
    values = [line for line in text.splitlines() if line.startswith("BRDA:1,")]
    assert len(values) == 10 and sum(not line.endswith(",0") for line in values) == 5


def test_the_table_has_what_misses_most_and_adds_up(capsys: pytest.CaptureFixture[str], runs: list[Path]) -> None:
    coverage.main([*map(str, runs), str(runs[0].parent / "counter.info")])
    rows = [line.split("  ") for line in capsys.readouterr().out.splitlines()]
    assert rows[0][0] == "module" and "counter" in rows[1][0] and rows[2][0].strip() == "all"
    modules = {
        "a": {kind: Covered(1, 2) for kind in coverage.KINDS},
        "b": {kind: Covered(0, 2) for kind in coverage.KINDS},
    }
    assert [row[0] for row in coverage.text_table(modules, 1)] == ["b", "1 more modules", "all"]
    assert coverage.text_table(modules, 1)[2][1] == "1 of 4"


def test_what_is_no_coverage_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("mine\n")
    with pytest.raises(ValueError, match="notes: is no coverage of Verilator"):
        read_points([tmp_path / "notes"])


def test_it_needs_nothing_that_is_not_in_python() -> None:
    tree = ast.walk(ast.parse(Path(coverage.__file__).read_text()))
    names = {node.module for node in tree if isinstance(node, ast.ImportFrom)}
    assert {str(name).partition(".")[0] for name in names} <= sys.stdlib_module_names
