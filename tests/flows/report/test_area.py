"""Area: gates of what has been synthesized, each tile as large as its part; else the estimate, which says so."""

import re
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardloom.flows.pictures.treemap import Node, drawn, tiles
from hardloom.flows.report.area import area
from hardloom.flows.report.page import page as page_of
from hardloom.flows.report.subject import Subject
from hardloom.flows.synth.cache import Cache
from hardloom.flows.synth.command import Request, held_synthesis
from hardloom.flows.synth.jobs import ModuleJob
from hardloom.flows.synth.modules import Modules
from hardloom.flows.synth.tree import module_tree
from hardloom.flows.synth.yosys import Synthesis
from hardloom.golden.cache import work_folder
from tests.flows.report.markup import read_page

SIZE = (1000.0, 520.0)


@given(st.lists(st.floats(0.01, 1000), min_size=1, max_size=30))
def test_tiles_are_as_large_as_their_parts_and_fill_their_whole(values):
    root = Node("all", sum(values), parts=tuple(Node(str(n), value) for n, value in enumerate(values)))
    whole, *found = tiles(root, *SIZE)
    room = (whole.width - 4) * (whole.height - 18)
    assert len(found) == len(values)
    for tile in found:
        assert tile.width * tile.height == pytest.approx(room * tile.node.value / root.value, rel=0.02, abs=20)
        assert tile.x >= 1.99 and tile.x + tile.width <= SIZE[0] - 1.98
        assert tile.y >= 15.99 and tile.y + tile.height <= SIZE[1] - 1.98
    for n, one in enumerate(found):
        for other in found[:n]:
            apart_x = one.x + one.width <= other.x + 0.02 or other.x + other.width <= one.x + 0.02
            assert apart_x or one.y + one.height <= other.y + 0.02 or other.y + other.height <= one.y + 0.02


def test_parts_of_one_size_are_in_the_order_of_their_names():
    """Though sums of the same figures in another order differ in their last digit."""
    root = Node("all", 2.0, parts=(Node("layer_1", 0.1 + 0.2 + 0.3), Node("layer_0", 0.3 + 0.2 + 0.1)))
    assert [tile.node.name for tile in tiles(root, *SIZE)] == ["all", "layer_0", "layer_1"]


def test_what_is_drawn_is_named_with_its_share_and_never_read_as_tags():
    text = drawn(Node("whole", 400.0, parts=(Node("a<b>", 300.0, "in full"), Node("c", 100.0))), "GE")
    assert "<title>in full: 300 GE, 75.0%</title>" in text and "a&lt;b&gt; 75.0%" in text and "a<b>" not in text


@pytest.fixture
def synthesized(chip_build):
    """Results of every module of the tiny chip that has logic, in the cache: the n-th of them has n gates."""
    modules, options = Modules(chip_build), Request().options()
    cache = Cache(work_folder(chip_build.path, "synthesis") / "cache")
    assert held_synthesis(chip_build) is None
    gates, kept = dict[str, int](), []
    for number, module in enumerate(modules.below(modules.top), 1):
        if not modules.is_wiring(module):
            gates[module] = number
            made = Synthesis(module, "l", {"g": 1}, 0.0, number, 0, 0, dict(modules.instances(module)))
            cache.put(key := ModuleJob.of(modules, module, modules.top, options).key(cache, options), made)
            kept.append(cache.folder / f"{key}.json")
    yield modules, gates
    for path in kept:
        path.unlink(missing_ok=True)


def total(modules: Modules, gates: dict[str, int], module: str) -> int:
    inner = sum(n * total(modules, gates, name) for name, n in modules.instances(module).items())
    return gates.get(module, 0) + inner


def leaves(node: Node) -> float:
    return sum(map(leaves, node.parts)) if node.parts else node.value


def test_gates_of_what_was_synthesized_are_shown_by_hierarchy(chip_build, synthesized):
    modules, gates = synthesized
    figures, hierarchy = held_synthesis(chip_build)
    tree = module_tree(hierarchy, modules.top, "")
    assert tree.value == leaves(tree) == figures.total["ge"] == total(modules, gates, modules.top)
    layer = next(part for part in tree.parts if part.name == "layer_0")
    assert layer.value == total(modules, gates, "layer_0")
    section = area(Subject.of(chip_build.path), "no estimate", "5nm", chip_build.path)
    assert section.held["kind"] == "synthesized" and section.held["total"] == tree.value


def test_tiles_lead_from_the_page_to_the_text_of_their_modules(chip_build, synthesized, tmp_path):
    """And whatever else the page names is in it."""
    _, gates = synthesized
    found = read_page(page_of("a chip", [area(Subject.of(chip_build.path), "no estimate", "5nm", tmp_path)]))
    links = {one.attributes["href"] for one in found.all("a") if not one.attributes["href"].startswith("#")}
    for link in links:
        path = (tmp_path / unquote(link)).resolve()
        assert path.is_relative_to(chip_build.path.resolve())
        assert re.search(rf"^module {path.stem}\b", path.read_text(), re.MULTILINE)
    assert not any(link.startswith(("/", "http")) for link in links)
    named = {Path(link).stem for link in links}
    assert "hardloom_chip" in named and len(named & gates.keys()) > 10


def test_a_module_that_was_not_synthesized_leaves_no_figure(chip_build, synthesized):
    modules, gates = synthesized
    cache, options = Cache(work_folder(chip_build.path, "synthesis") / "cache"), Request().options()
    job = ModuleJob.of(modules, next(iter(gates)), modules.top, options)
    (cache.folder / f"{job.key(cache, options)}.json").unlink()
    assert held_synthesis(chip_build) is None


def test_without_synthesis_the_areas_are_marked_as_estimated(section):
    text = section("area").text
    assert text.startswith("Area by hierarchy Estimated, not synthesized") and "hardloom synth" in text


def test_without_either_the_command_is_named(chip_build):
    found = area(Subject.of(chip_build.path), "no estimate", "5nm", chip_build.path)
    assert found.missing == f"nothing of it has been synthesized; `hardloom synth {chip_build.path}` does that"
