"""`hardloom verify --sim --coverage`: what the prompts of a verification reached of the chip's Verilog."""

from pathlib import Path

from hardloom.flows.console.report import Check, table
from hardloom.golden.files import write_file
from hardloom.verif.chip.simulation import SimulatedChip
from hardloom.verif.simulators.coverage import dat, info, read_points, text_table, totals

__all__ = ["with_coverage"]

COLUMNS = ("module", "lines", "branches", "toggles")


def with_coverage(check: Check, chip: SimulatedChip, file: Path) -> Check:
    """The check with a table by module of what all runs of `chip`, which is covered, have reached.

    file: written, a tracefile of lcov where its name ends in `.info`, else one of Verilator.
    """
    points = read_points(chip.coverage or (), chip.folder / chip.simulator)
    written = (info if file.suffix == ".info" else dat)(points)
    write_file(file, (piece.encode() for piece in written))
    modules = totals(points)
    shown = table(COLUMNS, text_table(modules), f"reached by these prompts, as in {file}")
    return Check({"tests": check.figures, "coverage": modules}, [*check.parts, shown], check.passed)
