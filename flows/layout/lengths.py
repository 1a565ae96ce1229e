"""How long the nets of a placed tile are before any is routed: Steiner trees, as `bench arrays --place` takes them."""

import numpy as np

from hardloom.flows.layout.fabric import Fabric
from hardloom.flows.layout.netlist import Netlist
from hardloom.flows.layout.place import Places, nets_of
from hardloom.flows.layout.technology import ROW, SITE, STEP
from hardloom.flows.synth.wirelength import tree_length

__all__ = ["between_cells", "between_pins"]


def between_cells(netlist: Netlist, places: Places) -> float:
    """um between middles of cells, of every net of several of them; no port, no clock and no rail."""
    names = list(netlist.instances)
    x = np.array([places.site[name] + places.sites[name] / 2 for name in names]) * SITE / 1000
    y = np.array([places.row[name] + 0.5 for name in names]) * ROW / 1000
    return sum(tree_length(x[cells], y[cells]) for cells in nets_of(netlist))


def between_pins(fabric: Fabric) -> dict[str, float]:
    """um between the pins of every net that is routed, by net, ports among them; no rail."""
    return {
        net: tree_length(*(np.array([spot.nodes[0, 1:] for spot in spots]) * STEP / 1000).T)
        for net, spots in list(zip(fabric.nets, fabric.spots, strict=True))[2:]
        if len(spots) > 1
    }
