"""An Amaranth component taken apart: each component in it a module of its own, whose ports are its signature.

Amaranth itself gives a submodule the nets that cross its border, in the order in which it meets them. Here a component
within another becomes an instance of a module with a signature, and is converted by itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from amaranth.hdl import ClockDomain, ClockSignal, Fragment, Instance, ResetSignal, Signal, Value
from amaranth.hdl._ir import PortDirection
from amaranth.hdl._xfrm import DomainCollector
from amaranth.lib.wiring import Component, In

from hardloom.gen.text.constant_table import ConstantTable

__all__ = ["ModulePart", "modules"]

Port = tuple[str, Signal, PortDirection]


@dataclass(frozen=True)
class ModulePart:
    """One module, ready to be converted.

    Attributes
    ----------
    name: of the module. fragment: what is in it, its components as instances.
    ports: `clk` and `rst` where anything in it is clocked, then the signature's members in order, joined by double
        underscores (`i__payload`); none of width 0.
    tables: that it has instances of.
    """

    name: str
    fragment: Fragment
    ports: list[Port]
    tables: list[ConstantTable] = field(default_factory=list)


def modules(component: Component, name: str) -> Iterator[ModulePart]:
    """`component` as module `name`, then all components in it, as `name`_ and their path: each to be converted at once,
    since a signal has another name in the module within than in the one around it.

    Raises ValueError where a component has no name in the one around it, or is clocked by two clocks.
    """
    yield from _take_apart(Fragment.get(component, None), component, name)


def _take_apart(fragment: Any, component: Component, name: str) -> Iterator[ModulePart]:
    parts: list[tuple[Fragment, Component, str]] = []
    for place, (part, instance, where) in enumerate(fragment.subfragments):
        if inner := _component(part):
            if instance is None:
                raise ValueError(f"{name}: {inner!r} in it needs a name; add it as m.submodules.NAME")
            parts.append((part, inner, f"{name}_{instance}"))
            fragment.subfragments[place] = _instance(fragment, part, inner, parts[-1][2], instance), instance, where
    origins = (origin for part, *_ in fragment.subfragments for origin in part.origins or ())
    tables = [origin for origin in origins if isinstance(origin, ConstantTable)]
    yield ModulePart(name, fragment, _ports(fragment, component, name), tables)
    for inside in parts:
        yield from _take_apart(*inside)


def _component(fragment: Any) -> Component | None:
    """The component that became `fragment`; one without ports, as Amaranth's memories are, is none."""
    origins = [] if isinstance(fragment, Instance) else fragment.origins or ()
    return next((thing for thing in origins if isinstance(thing, Component) and list(thing.signature.members)), None)


def _members(component: Component) -> Iterator[Port]:
    """The signature's members, each under its name as a port."""
    for path, member, value in component.signature.flatten(component):
        signal = Value.cast(value)
        if isinstance(signal, Signal) and len(signal):
            direction = PortDirection.Input if member.flow == In else PortDirection.Output
            yield "__".join(map(str, path)), signal, direction


def _domain(fragment: Any, name: str) -> str | None:
    """The clock domain that `fragment`, to be module `name`, takes from around it."""
    collector: Any = DomainCollector()
    collector(fragment)
    used = collector.used_domains - collector.defined_domains - {"comb"}
    if len(used) > 1:
        raise ValueError(f"{name}: has {len(used)} clocks, {', '.join(sorted(used))}; a module has one")
    return next(iter(used), None)


def _instance(outside: Any, inside: Fragment, component: Component, module: str, name: str) -> Instance:
    """The instance `name` of `module`, which `inside` becomes; what it drives is called after it."""
    connections: dict[str, Value] = {}
    if domain := _domain(inside, module):
        connections |= {"i_clk": ClockSignal(domain), "i_rst": ResetSignal(domain)}
        if domain in outside.domains:
            outside.domains[domain].clk.name, outside.domains[domain].rst.name = f"{name}_clk", f"{name}_rst"
    for port, signal, direction in _members(component):
        signal.name = f"{name}_{port}"
        connections[("i_" if direction is PortDirection.Input else "o_") + port] = signal
    return Instance(module, **connections)


def _ports(fragment: Fragment, component: Component, name: str) -> list[Port]:
    """The module's ports; their signals get the same names, and the clock domain from outside becomes `clk`, `rst`."""
    ports: list[Port] = []
    if domain := _domain(fragment, name):
        clock: Any = ClockDomain(domain)
        clock.clk.name, clock.rst.name = "clk", "rst"
        fragment.add_domains(clock)
        ports += [("clk", clock.clk, PortDirection.Input), ("rst", clock.rst, PortDirection.Input)]
    for port in _members(component):
        port[1].name = port[0]
        ports.append(port)
    return ports
