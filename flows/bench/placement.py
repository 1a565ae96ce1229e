"""A whole array mapped and placed by Coloquinte: how much wire it takes, beside what its plan predicts.

Lengths are in roots of a NAND2's area (`flows.synth.wirelength`).
"""

import json
import tempfile
from dataclasses import dataclass
from math import sqrt
from pathlib import Path

from hardloom.flows.assumptions.assumptions import Assumptions
from hardloom.flows.design.cost.quantities import count
from hardloom.flows.design.cost.wires import wires_of
from hardloom.flows.synth.arrays import limits, write
from hardloom.flows.synth.closure import synthesize
from hardloom.flows.synth.library.library import Library
from hardloom.flows.synth.wirelength import UTILISATION, net_lengths
from hardloom.gen.arrays import ArrayPlan

__all__ = ["Placement", "place_array"]


@dataclass(frozen=True)
class Placement:
    """Of a whole array, shell and all.

    cells, nets: of its netlist, the clock's net left out; area: of the die, in NAND2s; length, predicted: of all wires,
    as placed and as in `flows.design.cost.wires`; tracks: length of wire that there is room for on an area of 1 with
    ASAP7's stack.
    """

    cells: int
    nets: int
    area: float
    length: float
    predicted: float
    tracks: float

    @property
    def track_share(self) -> float:
        """Wires over all tracks of the metal stack, none kept for power or set aside for the router."""
        return self.length / (self.area * self.tracks)

    @property
    def predicted_share(self) -> float:
        return self.predicted / (self.area * self.tracks)


def place_array(plan: ArrayPlan, library: Library) -> Placement:
    """Map an array flattened and place it on a square.

    Raises UserError without Coloquinte, SynthesisError as `synthesize`.
    """
    with tempfile.TemporaryDirectory() as folder:
        files, netlist = write(plan, Path(folder) / "whole"), Path(folder) / "netlist.json"
        found = synthesize(list(files.values()), plan.name, limits(library), connections=netlist)
        module = json.loads(netlist.read_text())["modules"][plan.name]
    lengths = net_lengths(module, library, frozenset(module["ports"]["clk"]["bits"]))
    nand = library.nand2.area
    gates, area = found.area / nand, found.area / nand / UTILISATION
    predicted = wires_of(plan.style.name, plan.slices, count(plan), gates).placed * sqrt(area)
    seven = Assumptions.of("7nm").entries
    tracks = seven["tracks_per_um"].value * sqrt(seven["gate_um2"].high)
    return Placement(len(module["cells"]), len(lengths), area, sum(lengths.values()), predicted, tracks)
