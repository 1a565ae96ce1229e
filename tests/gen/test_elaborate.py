"""Elaborating reads a component and changes nothing in it: twice gives the same netlist."""

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from amaranth.back import rtlil

import hardloom.gen as gen
from hardloom.gen.design.hardware import HardwareConfig
from hardloom.gen.engine.chip import Chip
from hardloom.gen.engine.inventory import chip_parts, parts
from hardloom.gen.stream.component import Component
from hardloom.gen.stream.fold import LanesDelay
from hardloom.gen.stream.stream import PacketDelay, Stage
from hardloom.gen.text.verilog import to_verilog
from hardloom.golden.checkpoints.families import shape_of
from hardloom.golden.units.numerics import Numerics
from hardloom.verif.streams.bench import cases
from tests.checkpoints import tiny_config
from tests.published_models import LLADA

CONFIG = tiny_config(num_hidden_layers=1, num_experts=2, hidden_size=8, expert_intermediate_size=4)
MODEL = shape_of(CONFIG)
HARDWARE = HardwareConfig(lanes=1, max_positions=4, query_lanes=2)
OTHERS = ["adapter", "argmax_tiles", "bias", "clip", "head_gate", "router", "turns"]
"""Units of which the chips have none, or not every part."""

ROOMS = ("units", "engine", "stream")


@pytest.fixture(scope="module")
def one_of_each() -> dict[type[Component], Component]:
    """A component of every class: of three chips, and of the benches of what none of them has."""
    warm = replace(HARDWARE, temperature=True)
    things = [part.thing for chip in (warm, HARDWARE) for part in chip_parts(MODEL, Numerics(), chip, "chip")]
    dense = shape_of(LLADA)
    things += [part.thing for part in chip_parts(dense, Numerics(), HardwareConfig.default(dense), "chip")]
    things += [part.thing for case in cases(OTHERS) for part in parts(case.component(), case.name)]
    return {type(thing): thing for thing in things if isinstance(thing, Component)}


def subclasses(base: type) -> Iterator[type]:
    for cls in base.__subclasses__():
        yield cls
        yield from subclasses(cls)


def test_there_is_a_component_of_every_class(one_of_each):
    rooms = tuple(f"hardloom.gen.{room}." for room in ROOMS)
    ours = {cls for cls in subclasses(Component) if cls.__module__.startswith(rooms)}
    assert ours - set(one_of_each) == {Stage, PacketDelay, LanesDelay}


@pytest.mark.slow
def test_elaborating_twice_gives_the_same_netlist(one_of_each):
    different = []
    for part in one_of_each.values():
        before = dict(vars(part))
        first, second = (rtlil.convert(part, emit_src=False) for _ in range(2))
        if first != second or vars(part) != before:
            different.append(type(part).__name__)
    assert different == []


def test_a_chip_of_one_slot_does_not_look_at_tid(one_of_each):
    """A host of one sequence may leave the port open; one of several slots looks at it."""
    uses = re.compile(r"^ *assign (\w+) = .*\bs_axis_tid\b", re.MULTILINE)
    assert uses.findall(to_verilog(one_of_each[Chip], "chip")) == ["unused_tid"]
    sizes = replace(one_of_each[Chip].sizes, hardware=replace(HARDWARE, sequences=2))
    assert "unused_tid" not in to_verilog(Chip(sizes, 8), "chip")


def test_nothing_but_a_constructor_writes_to_its_object():
    stores = []
    for path in sorted(p for room in ROOMS for p in (Path(inspect.getfile(gen)).parent / room).glob("*.py")):
        methods = [
            node for cls in ast.walk(ast.parse(path.read_text())) if isinstance(cls, ast.ClassDef) for node in cls.body
        ]
        for method in methods:
            if isinstance(method, ast.FunctionDef) and method.name != "__init__":
                stores += [
                    f"{path.name}, {method.name}: {ast.unparse(n)}" for n in ast.walk(method) if writes_to_self(n)
                ]
    assert stores == []


def writes_to_self(node: ast.AST) -> bool:
    """`self.NAME = ...` of any form, and `setattr`."""
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store | ast.Del):
        return isinstance(node.value, ast.Name) and node.value.id == "self"
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "setattr"
