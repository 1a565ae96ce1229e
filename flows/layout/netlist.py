"""A tile as cells and nets: mapped by our own synthesis, and wired as the emitted text says.

A style whose cells are prefabricated is mapped module by module, so that weights are wires and nothing else; any other
one is flattened first, so that what its weights do not need is gone.
"""

import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hardloom.flows.layout.access import access
from hardloom.flows.layout.cells import LIBRARY, Cells
from hardloom.flows.synth.library.library import Library
from hardloom.flows.synth.modules import instances_in
from hardloom.flows.synth.yosys import Adders, Options, attempt
from hardloom.golden.errors import UserError

__all__ = ["GROUND", "SUPPLY", "Instance", "Netlist", "map_tile", "names_in_files", "placeable"]

INPUTS = 3
"""Of a gate, at most: pins of larger ones stand too close together for wires."""
SUPPLY, GROUND = "VPWR", "VGND"
"""Nets of constants, which are the rails of the cells."""
UNUSABLE = re.compile(rf"{LIBRARY}__(lpflow|dly|probe|clkdly|sdf|sedf|df[^x]|edf|dfxbp|einv|ebuf|clkinvlp)")
FEED = re.compile(r"[pn]\d+")
"""Names, in an array's text, of wires that go to the slots that its weights have."""


@dataclass
class Instance:
    """A cell. pins: nets by pin; state: names of what it stores, if anything, in the emitted text."""

    cell: str
    pins: dict[str, str]
    state: frozenset[str] = frozenset()


@dataclass
class Netlist:
    """A module of cells alone.

    ports: direction and net of every bit, by a name like `in_data[3]`; instances: by name, one in a module behind the
    module's own name and a dot. outputs: pins by cell. weights: nets that go where the weights say.
    abc_ns: the longest path of any module by ABC, which sees neither full adders nor wires.
    """

    name: str
    ports: dict[str, tuple[str, str]]
    instances: dict[str, Instance]
    outputs: Mapping[str, frozenset[str]] = field(repr=False)
    weights: frozenset[str] = frozenset()
    abc_ns: float | None = None

    def driver(self) -> dict[str, tuple[str, str]]:
        """Instance and pin that drive each net; of a port, no instance and its name."""
        found = {net: ("", port) for port, (direction, net) in self.ports.items() if direction == "input"}
        for name, instance in self.instances.items():
            found |= {net: (name, pin) for pin, net in instance.pins.items() if pin in self.outputs[instance.cell]}
        return found

    def sinks(self) -> dict[str, list[tuple[str, str]]]:
        """Instances and pins that each net goes to; of a port, no instance and its name."""
        found: dict[str, list[tuple[str, str]]] = {}
        for name, instance in self.instances.items():
            for pin, net in instance.pins.items():
                if pin not in self.outputs[instance.cell]:
                    found.setdefault(net, []).append((name, pin))
        for port, (direction, net) in self.ports.items():
            if direction == "output":
                found.setdefault(net, []).append(("", port))
        return found


def placeable(library: Library, cells: Cells) -> Library:
    """The library without what has no place in a tile: large gates, and cells that the router does not reach."""
    kept = {}
    for name, cell in library.cells.items():
        is_small = len(cell.inputs) <= INPUTS or cell.kind == "clock gate"
        if name.startswith(LIBRARY) and is_small and not UNUSABLE.match(name):
            try:
                access(cells.macro(name))
            except UserError:
                continue
            kept[name] = cell
    if not kept:
        raise UserError(
            f"--liberty: the cells of {library.files} are not of {LIBRARY}, which are placed; give the Liberty file of "
            "those"
        )
    return replace(library, cells=kept)


def map_tile(name: str, files: Mapping[str, Path], apart: bool, library: Library) -> Netlist:
    """Module `name` of `files`, by module, mapped to cells; apart: each module by itself.

    Raises UserError or SynthesisError as synthesis does.
    """
    with tempfile.TemporaryDirectory() as folder:
        modules, delays = dict[str, Any](), list[float]()
        inside = {
            module: instances_in(path.read_text()).keys() & files.keys() - {module} for module, path in files.items()
        }
        for number, module in enumerate(files if apart else [name]):
            path = Path(folder) / f"{number}.json"
            boxes = [files[inner] for inner in sorted(inside[module])] if apart else []
            sources = [files[module]] if apart else list(files.values())
            result = attempt(sources, module, Options(library, timeout_s=1800.0, memory_gib=16.0), Adders.RIPPLE,
                    black_boxes=boxes, connections=path, named=True)  # fmt: skip
            delays.append(result.abc_delay_ns or 0.0)
            modules[module] = json.loads(path.read_text())["modules"][module]
    found = replace(flattened(name, modules, library), abc_ns=max(delays) or None)
    return found if apart else replace(found, weights=frozenset())


def flattened(top: str, modules: Mapping[str, Any], library: Library) -> Netlist:
    """The netlist of `top`, of what `write_json` says of every module in it."""
    flat = _Flat(modules, library)
    ports = {}
    for port, facts in modules[top]["ports"].items():
        for place, bit in enumerate(facts["bits"]):
            name = port if len(facts["bits"]) == 1 else f"{port}[{place}]"
            ports[name] = facts["direction"], flat.net("", bit)
    flat.visit(top, "", [])
    ports = {port: (direction, flat.root(net)) for port, (direction, net) in ports.items()}
    for instance in flat.instances.values():
        instance.pins = {pin: flat.root(net) for pin, net in instance.pins.items()}
        q = next((net for pin, net in instance.pins.items() if pin in flat.outputs[instance.cell]), None)
        if library.cells[instance.cell].kind == "flip-flop" and q is not None:
            instance.state = frozenset(flat.names.get(q, ()))
    weights = frozenset(net for net, names in flat.names.items() if any(map(FEED.fullmatch, names)))
    return by_driver(Netlist(top, ports, flat.instances, flat.outputs, weights))


def by_driver(netlist: Netlist) -> Netlist:
    """With every net called after what drives it, so that it has the same name whatever else the netlist holds."""
    names = {net: f"{name}/{pin}" for net, (name, pin) in netlist.driver().items()}
    names |= {SUPPLY: SUPPLY, GROUND: GROUND}
    for instance in netlist.instances.values():
        instance.pins = {pin: names.setdefault(net, f"?/{net}") for pin, net in instance.pins.items()}
    ports = {port: (direction, names.setdefault(net, f"?/{net}")) for port, (direction, net) in netlist.ports.items()}
    return replace(netlist, ports=ports, weights=frozenset(names[net] for net in netlist.weights if net in names))


class _Flat:
    """Instances of all modules, and their nets: `path/bit`, several of which may be one."""

    def __init__(self, modules: Mapping[str, Any], library: Library) -> None:
        self.modules, self.library = modules, library
        self.instances: dict[str, Instance] = {}
        self.outputs = {name: frozenset(pin.name for pin in cell.outputs) for name, cell in library.cells.items()}
        self.same: dict[str, str] = {}
        self.names: dict[str, set[str]] = {}

    def net(self, path: str, bit: int | str) -> str:
        """Net of a bit of the module at `path`; constants are rails, and an unknown bit is 0."""
        return f"{path}/{bit}" if isinstance(bit, int) else SUPPLY if bit == "1" else GROUND

    def root(self, net: str) -> str:
        while net in self.same:
            net = self.same[net]
        return net

    def visit(self, module: str, path: str, around: Sequence[tuple[str, str]]) -> None:
        """Everything in `module`; around: nets of its ports inside, and outside."""
        facts = self.modules[module]
        for inner, outer in around:
            a, b = self.root(inner), self.root(outer)
            if a != b:
                keep, lose = (a, b) if a in (SUPPLY, GROUND) else (b, a)
                self.same[lose] = keep
        for name, cell in sorted(facts["cells"].items()):
            self.add(path, plain(name), cell)
        for name, wire in facts["netnames"].items():
            if not wire.get("hide_name"):
                for place, bit in enumerate(wire["bits"]):
                    where = name if len(wire["bits"]) == 1 else f"{name}[{place + wire.get('offset', 0)}]"
                    self.names.setdefault(self.root(self.net(path, bit)), set()).add(path + where)

    def add(self, path: str, name: str, cell: dict[str, Any]) -> None:
        """A cell of the module at `path`, or everything in an instance of another one."""
        kind, pins = cell["type"], cell["connections"]
        if kind not in self.modules:
            nets = {pin: self.net(path, bits[0]) for pin, bits in pins.items()}
            is_gate = self.library.cells[kind].kind == "clock gate"
            self.instances[path + name] = Instance(kind, nets, frozenset([gated(path + name)] if is_gate else []))
            return
        inner = f"{path}{name}."
        around = [
            (self.net(inner, own), self.net(path, bit))
            for pin, bits in pins.items()
            for own, bit in zip(self.modules[kind]["ports"][pin]["bits"], bits, strict=True)
        ]
        self.visit(kind, inner, around)


def gated(name: str) -> str:
    """The latch of a clock gate in the emitted text, by the name of the cell that it has become."""
    return name.removesuffix(".u") + ".open"


def plain(name: str) -> str:
    return name.removeprefix("\\")


def names_in_files(netlist: Netlist) -> dict[str, str]:
    """Names of instances and nets in Verilog, DEF and SPEF: of a net at a port the port's, else plain words."""
    found = {SUPPLY: SUPPLY, GROUND: GROUND}
    for port, (_, net) in netlist.ports.items():
        found.setdefault(net, port)
    taken = {re.sub(r"\[\d+\]$", "", name) for name in found.values()}
    nets = {net for instance in netlist.instances.values() for net in instance.pins.values()}
    for name in [*netlist.instances, *sorted(nets - found.keys())]:
        is_state = name in netlist.instances and netlist.instances[name].state
        wanted = min(netlist.instances[name].state, key=lambda one: (len(one), one)) if is_state else name
        short = re.sub(r"\W+", "_", wanted.replace("$", "")).strip("_")
        short = short if re.match(r"[A-Za-z]", short) else f"n{short}"
        tried, number = short, 0
        while tried in taken:
            number += 1
            tried = f"{short}_{number}"
        taken.add(tried)
        found[name] = tried
    return found
