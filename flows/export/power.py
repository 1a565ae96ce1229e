"""Power intent (UPF, IEEE 1801): a domain for each unit behind a clock gate, found in the Verilog of a build."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from hardloom.flows.export.templates import render
from hardloom.gen.arrays.shells import CLOCK_GATE
from hardloom.gen.build.folder import Build

__all__ = ["Domain", "domains", "power_intent"]

INSTANCE = re.compile(r"^  (\w+) (\w+) \(\n(?:    \.clk\((\w+)\),?\n)?", re.MULTILINE)
"""Module, name and clock of an instance, as units and netlists have them."""

NETLIST_CLOCK = "__clk"
"""How the net ends by which a half of a layer clocks its arrays, which stand beside it."""


@dataclass(frozen=True)
class Domain:
    """What one clock gate clocks. name: of the domain; elements: paths of instances from the top, `/` between them."""

    name: str
    elements: tuple[str, ...]


@dataclass(frozen=True)
class Instance:
    """In a module: of which module, its name, and the net at its port `clk`; "" where it has none."""

    module: str
    name: str
    clock: str


def instances(text: str) -> list[Instance]:
    return [Instance(*found) for found in INSTANCE.findall(text)]


def domains(build: Build) -> Iterator[Domain]:
    """Every gated unit of the chip, outer ones before those in them."""
    texts = {name: build.text(f"rtl/units/{name}.v") for name in units(build)}
    inside = {name: instances(text) for name, text in texts.items()}
    gate = build.module(CLOCK_GATE.module)

    def below(module: str, path: tuple[str, ...], beside: dict[str, list[str]]) -> Iterator[Domain]:
        gated = {one.name.removesuffix("_gate") for one in inside[module] if one.module == gate}
        clocked: dict[str, list[str]] = {}
        for one in inside[module]:
            if one.clock.endswith(NETLIST_CLOCK):
                clocked.setdefault(one.clock.removesuffix(NETLIST_CLOCK), []).append("/".join([*path, one.name]))
        for one in inside[module]:
            here = (*path, one.name)
            if one.name in gated:
                yield Domain("PD_" + "_".join(here), ("/".join(here), *beside.get(one.name, ())))
            if one.module in inside:
                yield from below(one.module, here, clocked)

    yield from below(build.require_chip(), (), {})


def units(build: Build) -> list[str]:
    """Modules whose text is among the units."""
    names = (name.removeprefix("rtl/units/") for name in build.files if name.startswith("rtl/units/"))
    return sorted(name.removesuffix(".v") for name in names)


def power_intent(build: Build) -> str:
    """Text of the UPF file."""
    return render("chip.upf", top=build.require_chip(), domains=list(domains(build)))
