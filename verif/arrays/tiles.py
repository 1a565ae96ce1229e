"""Tiles of a build's arrays, at their real width, in the wiring view under Verilator or Icarus.

A tile is some neighbouring neuron cells of one bank with all their inputs. They are those of the build: the slots in
the text of the tile must be the very text of the build's file, or it is an error.
"""

import random
import re
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path

import numpy as np

from hardloom.gen.arrays import ArrayPlan, emit, plan_array
from hardloom.gen.arrays.capacity import classes
from hardloom.gen.arrays.metal import NeuronKind, of_regions
from hardloom.gen.arrays.rings import fold_of, rings
from hardloom.gen.build.folder import Build
from hardloom.gen.build.manifest import ArrayFacts
from hardloom.gen.build.names import connection_file
from hardloom.golden.errors import UserError
from hardloom.golden.quantization.integers import IntegerMatrix
from hardloom.verif.arrays.bench import bench_arrays
from hardloom.verif.extract.errors import ExtractionError
from hardloom.verif.extract.instances import Instance, instances
from hardloom.verif.extract.neuron import CONTROL
from hardloom.verif.simulators.verilator import QUICK_BUILD

__all__ = ["Tile", "bench_tile", "choose_tiles", "plan_tile"]

ROWS = 32
CELL = re.compile(r"neuron_\w+_c(?P<level>\d+)b(?P<bits>\d+)_w\d+")


@dataclass(frozen=True)
class Tile:
    """Neuron cells of one bank of an array: facts as in the manifest, number of the bank, first cell, and rows of
    each cell."""

    facts: ArrayFacts
    bank: int
    start: int
    cells: tuple[tuple[int, ...], ...]

    def __str__(self) -> str:
        cells = f"cells {self.start} to {self.start + len(self.cells) - 1} of {len(self.cells[0])} neurons"
        return f"{self.facts.module}, bank {self.bank}, {cells}, {self.facts.inputs} inputs"


def choose_tiles(build: Build, count: int, rows: int = ROWS, seed: int = 0) -> list[Tile]:
    """`count` random tiles of the arrays of style metal, of the widest and each other width in turn; an array at most
    once where there are enough of them."""
    rng = random.Random(seed)
    arrays = [facts for facts in build.arrays if facts.style == "metal"]
    if not arrays:
        raise UserError(f"{build.path}: has no array of style metal; tiles are taken of those")
    widths = sorted({facts.inputs for facts in arrays}, reverse=True)
    groups = [[facts for facts in arrays if facts.inputs == width] for width in widths]
    for group in groups:
        rng.shuffle(group)
    in_turn = [facts for some in zip_longest(*groups) for facts in some if facts is not None]
    chosen = [in_turn[number % len(in_turn)] for number in range(count)]
    return [_choose_tile(build, facts, rows, rng) for facts in chosen]


def _choose_tile(build: Build, facts: ArrayFacts, rows: int, rng: random.Random) -> Tile:
    """Cells of a random place that have all their neurons, as many as hold `rows` rows, or one."""
    lanes, inputs = build.hardware.lanes, facts.inputs
    cells = rings(facts.rows, lanes, fold_of(facts.rows, inputs, lanes, facts.slices))
    whole = max(1, int((cells[:, -1] >= 0).sum()))
    fitting = [n for n in range(1, whole + 1) if inputs % n == 0 and n * cells.shape[1] <= rows]
    size = max(fitting, default=1)
    start = rng.randrange(whole - size + 1)
    chosen = tuple(map(tuple, cells[start : start + size].tolist()))
    return Tile(facts, rng.randrange(len(facts.matrices)), start, chosen)


def plan_tile(build: Build, tile: Tile, module: str) -> ArrayPlan:
    """The tile as an array of its own, of the build's neuron cells, a lane each.

    Raises ExtractionError where its text would not be that of the build, slot by slot.
    """
    facts, checkpoint = tile.facts, build.checkpoint()
    built = neurons(build.read(connection_file(facts.module)), tile.bank, tile.start, len(tile.cells))
    cell = CELL.fullmatch(built[0].module)
    if cell is None:
        raise ExtractionError(f"{tile}: {built[0].module} is not a neuron cell of style metal")
    name, rows = facts.matrices[tile.bank], np.array(tile.cells).T.ravel()
    whole = checkpoint.integers(name, *facts.span(checkpoint.rows(name)))
    part = IntegerMatrix(*(getattr(whole, field)[rows[rows >= 0]] for field in ("weights", "mant", "exp")))
    activation = facts.activation(checkpoint.numerics)
    format = checkpoint.format_of(name)
    plan = plan_array(module, [part], len(tile.cells), facts.slices, "metal", format, activation)
    level, bits = int(cell["level"]), int(cell["bits"])
    fold = len(tile.cells[0])
    regions = next(r for r in classes(plan.inputs, plan.slices // fold, format, bits) if r.level == level)
    plan = replace(
        plan, form=of_regions(plan.inputs, plan.slices, fold, [NeuronKind(format, regions)], activation.width)
    )
    made = neurons(emit(plan).connections[f"{module}.v"], 0, 0, len(tile.cells))
    for u, (ours, theirs) in enumerate(zip(made, built, strict=True)):
        if (ours.module, ours.pins[len(CONTROL) :]) != (theirs.module, theirs.pins[len(CONTROL) :]):
            raise ExtractionError(f"{tile}: cell {tile.start + u} of the build is not wired as its weights are")
    return plan


def neurons(text: bytes, bank: int, start: int, count: int) -> list[Instance]:
    """`count` neuron cells of an array's text from number `start` of a bank on.

    Raises ExtractionError where one is missing.
    """
    found = {instance.name: instance for instance in instances(text)}
    names = [f"neuron_{bank}_{cell}" for cell in range(start, start + count)]
    if missing := [name for name in names if name not in found]:
        raise ExtractionError(f"there is no cell {missing[0]}")
    return [found[name] for name in names]


def bench_tile(build: Build, tile: Tile, folder: Path, packets: int = 12, simulator: str = "verilator") -> int:
    """Simulate `tile` in `folder`; the number of tests that failed."""
    plan = plan_tile(build, tile, "tile")
    return bench_arrays([plan], folder, packets, arguments=QUICK_BUILD, simulator=simulator)
