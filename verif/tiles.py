"""Tiles of a build's arrays, at their real width, in the wiring view under Verilator.

A tile is some neighbouring neurons of one bank with all their inputs. Its neurons are those of the build: the slots in
the text of the tile must be the very text of the build's file, or it is an error.
"""

import random
import re
from dataclasses import dataclass, replace
from pathlib import Path

from gen.array_parts import connection_file
from gen.arrays import ArrayPlan, emit, plan_array
from gen.arrays.capacity import classes
from gen.arrays.metal import MetalGeometry
from gen.build import Build
from golden.errors import UserError
from golden.integers import IntegerMatrix
from verif.arrays import bench_arrays
from verif.extract.errors import ExtractionError

__all__ = ["Tile", "bench_tiles", "choose_tiles", "plan_tile"]

ROWS = 32
NEURON = rb"    (?P<cell>neuron_\w+_c(?P<level>\d+)b(?P<bits>\d+)) neuron_%d_%d \((?:[^,]*,){7}(?P<slots>[^)]*)\);\n"


@dataclass(frozen=True)
class Tile:
    """Rows of one bank of an array: facts as in the manifest, number of the bank, first row, rows."""

    facts: dict
    bank: int
    start: int
    rows: int

    def __str__(self) -> str:
        rows = f"rows {self.start} to {self.start + self.rows - 1}"
        return f"{self.facts['module']}, bank {self.bank}, {rows}, {self.facts['inputs']} inputs"


def choose_tiles(build: Build, count: int, rows: int = ROWS, seed: int = 0) -> list[Tile]:
    """`count` random tiles of the arrays of style metal, an array at most once where there are enough of them."""
    rng = random.Random(seed)
    arrays = [facts for facts in build.arrays if facts["style"] == "metal"]
    if not arrays:
        raise UserError(f"{build.path}: has no array of style metal; tiles are taken of those")
    chosen = rng.sample(arrays, min(count, len(arrays)))
    chosen += rng.choices(arrays, k=count - len(chosen))
    tiles = []
    for facts in chosen:
        size = min(rows, facts["rows"])
        bank, start = rng.randrange(len(facts["matrices"])), rng.randrange(facts["rows"] - size + 1)
        tiles.append(Tile(facts, bank, start, size))
    return tiles


def plan_tile(build: Build, tile: Tile, name: str) -> ArrayPlan:
    """The tile as an array of its own, of the build's neuron cells.

    Raises ExtractionError where its text would not be that of the build, slot by slot.
    """
    facts, checkpoint = tile.facts, build.checkpoint()
    text = build.read(connection_file(facts["module"]))
    rows = range(tile.start, tile.start + tile.rows)
    found = [re.search(NEURON % (tile.bank, row), text) for row in rows]
    if None in found:
        raise ExtractionError(f"{tile}: a neuron is missing or malformed")
    whole = checkpoint.integers(facts["matrices"][tile.bank])
    part = IntegerMatrix(*(getattr(whole, field)[rows.start : rows.stop] for field in ("weights", "mant", "exp")))
    plan = plan_array(name, [part], build.hardware.lanes, facts["slices"], "metal", checkpoint.format)
    level, bits = int(found[0]["level"]), int(found[0]["bits"])
    regions = next(r for r in classes(plan.inputs, plan.slices, plan.format, bits) if r.level == level)
    plan = replace(plan, geometry=MetalGeometry(plan.inputs, plan.slices, plan.format, regions))
    made = emit(plan).connections[f"{name}.v"]
    for row, built in enumerate(found):
        own = re.search(NEURON % (0, row), made)
        if own is None or (own["cell"], own["slots"]) != (built["cell"], built["slots"]):
            raise ExtractionError(f"{tile}: neuron {rows[row]} of the build is not wired as its weights are")
    return plan


def bench_tiles(build: Build, tiles: list[Tile], folder: Path, packets: int = 12) -> int:
    """Simulate `tiles`, one after the other, each in a folder of its own; the number of tests that failed."""
    failed = 0
    for number, tile in enumerate(tiles):
        failed += bench_arrays([plan_tile(build, tile, f"tile_{number}")], folder / f"tile_{number}", packets)
    return failed
