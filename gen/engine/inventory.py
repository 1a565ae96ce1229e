"""What a chip holds once it is elaborated, each thing with its place: components, memories, probe points."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from amaranth.hdl import Fragment, Instance

from hardloom.gen.design.hardware import ARRAY_KINDS, HardwareConfig
from hardloom.gen.design.layer_sizes import LayerSizes, engine_module, layer_prefix
from hardloom.gen.engine.chip import Chip
from hardloom.gen.engine.layer import LayerEngine
from hardloom.gen.engine.netlist import UNITS
from hardloom.gen.stream.component import Component
from hardloom.gen.stream.probe import Probe, ProbeMark
from hardloom.golden.shape import ModelShape
from hardloom.golden.units.numerics import Numerics

__all__ = ["chip_parts", "chip_probes", "parts"]

ANY_WIDTH = 8
"""Of sums and of the embedding's weights, on which no part that is looked for depends."""


@dataclass(frozen=True)
class Part:
    """Something that was elaborated.

    Attributes
    ----------
    thing: as its unit made it: a component, a table, a mark; or an `Instance` of a module that is written elsewhere.
    top: Verilog module that was elaborated on its own: chip or layer engine; path: instances from there down to it.
    layers: numbers of the layers that have it, each its own; none around the layers.
    """

    thing: Any
    top: str
    path: tuple[str, ...]
    layers: tuple[int, ...] = ()

    @property
    def module(self) -> str:
        """Verilog module of a component; what a memory or a mark would have if it were one."""
        return "_".join((self.top, *self.path))


def parts(component: Component, top: str, layers: tuple[int, ...] = ()) -> Iterator[Part]:
    """All that `component` elaborates to, as Verilog module `top`; what is within something comes after it."""
    return walk(Fragment.get(component, None), Part(component, top, (), layers))


def walk(fragment: Any, place: Part) -> Iterator[Part]:
    things = [*(fragment.origins or ()), *([fragment] if isinstance(fragment, Instance) else ())]
    yield from (replace(place, thing=thing) for thing in things)
    for inner, name, _ in fragment.subfragments:
        yield from walk(inner, replace(place, path=(*place.path, name or "")))


def any_sizes(model: ModelShape, numerics: Numerics, hardware: HardwareConfig, layer: int | None) -> LayerSizes:
    tiles = [f"head.{tile}" for tile in range(hardware.head_tiles)]
    return LayerSizes(model, numerics, hardware, layer, dict.fromkeys((*ARRAY_KINDS, *tiles), ANY_WIDTH))


def chip_parts(model: ModelShape, numerics: Numerics, hardware: HardwareConfig, top: str) -> Iterator[Part]:
    """All that a chip, Verilog module `top`, elaborates to: around the layers, then in each layer engine."""
    yield from parts(Chip(any_sizes(model, numerics, hardware, None), ANY_WIDTH), top)
    engines: dict[str, list[int]] = {}
    for layer in range(len(model.layers)):
        engines.setdefault(engine_module(model, layer), []).append(layer)
    for engine, layers in engines.items():
        yield from parts(LayerEngine(any_sizes(model, numerics, hardware, layers[0])), engine, tuple(layers))


def chip_probes(model: ModelShape, numerics: Numerics, hardware: HardwareConfig) -> list[Probe]:
    """Every probe point of a chip: `name` with its layer (`layer.0.q`), `path` from the chip down."""
    found = list(chip_parts(model, numerics, hardware, ""))
    instances: list[tuple[Any, tuple[str, ...]]] = [(p.thing, p.path) for p in found if isinstance(p.thing, Instance)]
    modules = {instance.type: path for instance, path in instances}
    probes = []
    for part in (part for part in found if isinstance(part.thing, ProbeMark)):
        probe, inside = part.thing.probe, part.path[:-1]
        if not part.layers:
            probes.append(replace(probe, path=".".join((*inside, probe.path))))
        for layer in part.layers:
            path = ".".join((*modules[layer_prefix(layer)], UNITS, *inside, probe.path))
            probes.append(replace(probe, name=f"layer.{layer}.{probe.name}", path=path))
    return probes
