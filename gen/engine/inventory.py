"""What a chip holds once it is elaborated, each thing with its place: components, memories, probe points."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from amaranth.hdl import Fragment, Instance

from gen.design.hardware import HardwareConfig
from gen.design.layer_sizes import LayerSizes, layer_prefix
from gen.design.matrices import array_units
from gen.engine.chip import Chip
from gen.engine.layer import LayerEngine
from gen.stream.component import Component
from gen.stream.probe import Probe, ProbeMark
from golden.shape import ModelShape
from golden.units.numerics import Numerics

__all__ = ["chip_parts", "chip_probes", "parts"]

ANY_WIDTH = 8
"""Of sums and of the embedding's weights, on which no part that is looked for depends."""


@dataclass(frozen=True)
class Part:
    """Something that was elaborated.

    Attributes
    ----------
    thing: as its unit made it: a component, a memory, a mark; or an `Instance` of a module that is written elsewhere.
    top: Verilog module that was elaborated on its own: the chip or a layer; path: instances from there down to it.
    layer: number of the layer that it is in.
    """

    thing: Any
    top: str
    path: tuple[str, ...]
    layer: int | None = None

    @property
    def module(self) -> str:
        """Verilog module of a component; what a memory or a mark would have if it were one."""
        return "_".join((self.top, *self.path))


def parts(component: Component, top: str, layer: int | None = None) -> Iterator[Part]:
    """All that `component` elaborates to, as Verilog module `top`; what is within something comes after it."""
    return walk(Fragment.get(component, None), Part(component, top, (), layer))


def walk(fragment: Any, place: Part) -> Iterator[Part]:
    things = [fragment] if isinstance(fragment, Instance) else fragment.origins or ()
    yield from (replace(place, thing=thing) for thing in things)
    for inner, name, _ in fragment.subfragments:
        yield from walk(inner, replace(place, path=(*place.path, name or "")))


def any_sizes(model: ModelShape, numerics: Numerics, hardware: HardwareConfig, layer: int | None) -> LayerSizes:
    widths = {unit.name: ANY_WIDTH for unit in array_units(model) if unit.layer == layer}
    return LayerSizes(model, numerics, hardware, layer, widths)


def chip_parts(model: ModelShape, numerics: Numerics, hardware: HardwareConfig, top: str) -> Iterator[Part]:
    """All that a chip, Verilog module `top`, elaborates to: around the layers, then in each layer.

    Layers are alike: the first is elaborated, which takes seconds, and stands for all.
    """
    yield from parts(Chip(any_sizes(model, numerics, hardware, None), ANY_WIDTH), top)
    first = list(parts(LayerEngine(any_sizes(model, numerics, hardware, 0)), layer_prefix(0)))
    for layer in range(len(model.layers)):
        yield from (replace(part, top=layer_prefix(layer), layer=layer) for part in first)


def chip_probes(model: ModelShape, numerics: Numerics, hardware: HardwareConfig) -> list[Probe]:
    """Every probe point of a chip: `name` with its layer (`layer.0.q`), `path` from the chip down."""
    found = list(chip_parts(model, numerics, hardware, ""))
    instances: list[tuple[Any, tuple[str, ...]]] = [(p.thing, p.path) for p in found if isinstance(p.thing, Instance)]
    engines = {instance.type: path for instance, path in instances}
    probes = []
    for part in found:
        if isinstance(part.thing, ProbeMark):
            probe, outside = part.thing.probe, () if part.layer is None else engines[part.top]
            path = ".".join((*outside, *part.path[:-1], probe.path))
            name = probe.name if part.layer is None else f"layer.{part.layer}.{probe.name}"
            probes.append(replace(probe, name=name, path=path))
    return probes
