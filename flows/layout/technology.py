"""The metal stack of sky130_fd_sc_hd as the router uses it: one grid for four layers. Lengths are nanometres."""

from hardloom.flows.layout.cells import Rect

__all__ = [
    "CONTACT", "CONTACT_PADS", "CUTS", "GDS", "LEAST", "METALS", "OFFSET", "PADS", "ROW", "SITE", "SPACING", "STEP",
    "VIAS", "WIDTH", "at", "grown",
]  # fmt: skip

SITE, ROW = 460, 2720
STEP = 460, 340
"""From node to node, in x and in y; a row is 8 nodes high."""
OFFSET = 230, 170
"""Of the first node. Tracks of met3 and met4 lie on every other one of met1 and met2, not where the LEF has them."""
METALS = "met1", "met2", "met3", "met4"
WIDTH = 140, 140, 300, 300
SPACING = 140, 140, 300, 300
CUTS = "via", "via2", "via3"
VIAS = "M1M2_PR", "M2M3_PR", "M3M4_PR"
"""Of the technology's LEF, between a layer and the one above."""
PADS = (((160, 130), (130, 160)), ((140, 185), (165, 165)), ((190, 160), (165, 165)))
"""Half of width and height of each of these vias' pads, on the layer below and on the one above."""
LEAST = 380
"""Of met3 on either side of a via down and a via up with no wire between them, for the least area."""
CONTACT = 85
"""Half the side of a contact between li1 and met1."""
CONTACT_PADS = {"L1M1_PR": (145, 115), "L1M1_PR_R": (115, 145)}
"""Half of width and height of the pads of met1 on a contact, by via of the technology's LEF."""
GDS = {
    "li1": (67, 20), "mcon": (67, 44), "met1": (68, 20), "via": (68, 44), "met2": (69, 20), "via2": (69, 44),
    "met3": (70, 20), "via3": (70, 44), "met4": (71, 20),
}  # fmt: skip
"""Layer and datatype by name."""


def at(x: int, y: int) -> tuple[int, int]:
    """Where a node is, in nm."""
    return OFFSET[0] + STEP[0] * x, OFFSET[1] + STEP[1] * y


def grown(rect: Rect, x: int, y: int) -> Rect:
    """A rectangle that is larger on every side."""
    return rect[0] - x, rect[1] - y, rect[2] + x, rect[3] + y
