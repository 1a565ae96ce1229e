"""One cell of a Liberty file: understood and written anew for the tools that map to it, or left out with a reason."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from hardloom.flows.synth.library.boolean import expression, names, truth_table
from hardloom.flows.synth.library.liberty import Attributes, Group
from hardloom.flows.synth.library.tables import DELAYS, Template, arcs
from hardloom.gen.text.keywords import KEYWORDS

__all__ = ["DONT_USE", "Cell", "has_logic", "read_cell"]

NAME = re.compile(r"[A-Za-z_]\w{0,199}", re.ASCII)
DONT_USE = "is marked dont_use"
"""Why a cell is left out that was understood."""
SPECIAL = ("is_isolation_cell", "is_level_shifter", "is_clock_isolation_cell", "pad_cell", "retention_cell")
"""Flags of cells that stand where a design has several supplies, or its pads: no gates, whatever their function is."""
BUSES = ("bus", "bundle", "ff_bank", "latch_bank")
FUNCTIONS = ("clocked_on", "next_state", "clear", "preset", "enable", "data_in")
"""Of a state: what is a function of the pins."""
STATE_WORDS = ("clear_preset_var1", "clear_preset_var2")
LIMITS = ("max_capacitance", "max_transition", "rise_capacitance", "fall_capacitance")
GATE_PINS = ("clock_gate_clock_pin", "clock_gate_enable_pin", "clock_gate_test_pin", "clock_gate_out_pin")
ABC_INPUTS = 6
"""ABC maps to gates of as many inputs."""


@dataclass(frozen=True)
class Pin:
    """direction: `input`, `output` or `internal`; capacitance: in the library's unit; function: of the other pins, or
    of the state, as Liberty writes it; group: everything else that the file says."""

    name: str
    direction: str
    capacitance: float
    function: str
    group: Group = field(repr=False, compare=False)


@dataclass(frozen=True)
class Cell:
    """A cell that may be used.

    Attributes
    ----------
    area: in the library's unit; leakage: likewise.
    kind: `flip-flop`, `latch`, `clock gate` or `gate`.
    state: the Liberty group of what it stores, None of a gate; its functions are in canonical form.
    gating: what kind of clock gate it is.
    group: what timing, mapping and synthesis read of it.
    """

    name: str
    area: float
    leakage: float
    kind: str
    pins: tuple[Pin, ...]
    state: Group | None = field(repr=False, compare=False)
    gating: str
    group: Group = field(repr=False)

    @property
    def inputs(self) -> list[Pin]:
        return [pin for pin in self.pins if pin.direction == "input"]

    @property
    def outputs(self) -> list[Pin]:
        return [pin for pin in self.pins if pin.direction == "output"]

    def truth(self, inputs: Sequence[str]) -> dict[str, int]:
        """Truth table of every output over `inputs`, as `truth_table` gives it."""
        return {pin.name: truth_table(pin.function, inputs) for pin in self.outputs}


def has_logic(group: Group) -> bool:
    """Whether a `cell` group has an output: fillers, taps and antennas have none, and are no cells of a netlist."""
    return any(pin.text("direction") == "output" for pin in group.of("pin")) or any(group.of(*BUSES))


def read_cell(group: Group, templates: Mapping[str, Template], input_capacitance: float | None = None) -> Cell:
    """The cell in a `cell` group of a library with these templates and this capacitance of inputs that state none.

    Raises ValueError with the reason where it can't be used.
    """
    if group.says("dont_use") or group.says("set_dont_use"):
        raise ValueError(DONT_USE)
    for flag in SPECIAL:
        if group.says(flag):
            raise ValueError(f"is marked {flag}")
    if found := next(group.of(*BUSES), None):
        raise ValueError(f"has a {found.kind}")
    name = plain(" ".join(group.args), "name")
    pins = tuple(read_pins(group, input_capacitance))
    area, leakage = group.number("area"), leakage_of(group)
    if area is None or area <= 0 or leakage < 0:
        raise ValueError("has no area" if area is None or area <= 0 else "has a negative leakage")
    states = list(group.of("ff", "latch"))
    gating = group.text("clock_gating_integrated_cell")
    if len(states) > 1:
        raise ValueError("has several states")
    kind = "clock gate" if gating else {"ff": "flip-flop", "latch": "latch"}[states[0].kind] if states else "gate"
    state = read_state(states[0], {pin.name for pin in pins}) if states and not gating else None
    known = {pin.name for pin in pins if pin.direction == "input"} | set(state.args if state else ())
    pins = tuple(pin if kind == "clock gate" else understood(pin, known) for pin in pins)
    cell = Cell(name, area, leakage, kind, pins, state, gating, Group("cell", [name]))
    return replace(cell, group=written(cell, templates))


def plain(name: str, what: str) -> str:
    """A name that Verilog takes as it is: netlists and models of cells hold it. Raises ValueError for another."""
    if name in KEYWORDS:
        raise ValueError(f"has the {what} {name}, which is a word of Verilog")
    if not NAME.fullmatch(name):
        raise ValueError(f"has the {what} {name[:40]!r}, which is no plain identifier")
    return name


def listed(args: Sequence[str]) -> list[str]:
    """Names in the brackets of a group, which may be one string."""
    return [name for arg in args for name in arg.replace(",", " ").split()]


def read_pins(cell: Group, input_capacitance: float | None) -> Iterator[Pin]:
    """Every pin, those of a list one by one."""
    seen: set[str] = set()
    for group in cell.of("pin"):
        for name in listed(group.args) or [""]:
            if plain(name, "pin") in seen:
                raise ValueError(f"has the pin {name} twice")
            seen.add(name)
            direction = group.text("direction")
            if direction not in ("input", "output", "internal"):
                raise ValueError(f"has the pin {name} of direction {direction[:40]!r}")
            if "three_state" in group.attributes:
                raise ValueError(f"has the three-state output {name}")
            yield Pin(name, direction, capacitance_of(group, name, input_capacitance), group.text("function"), group)


def leakage_of(cell: Group) -> float:
    """The cell's; where it is not stated, the sum over supplies of each one's own, or of its mean over states."""
    if (whole := cell.number("cell_leakage_power")) is not None:
        return whole
    supplies: dict[str, list[Group]] = {}
    for group in cell.of("leakage_power"):
        supplies.setdefault(group.text("related_pg_pin"), []).append(group)
    total = 0.0
    for groups in supplies.values():
        chosen = [group for group in groups if "when" not in group.attributes] or groups
        total += sum(group.number("value") or 0.0 for group in chosen) / len(chosen)
    return total


def capacitance_of(pin: Group, name: str, default: float | None) -> float:
    """Its own, or the mean of both edges', or the library's for inputs; 0 of what is no input."""
    values = [pin.number(f"{edge}capacitance") for edge in ("", "rise_", "fall_")]
    edges = [value for value in values[1:] if value is not None]
    found = values[0] if values[0] is not None else sum(edges) / len(edges) if edges else default
    if pin.text("direction") != "input":
        return 0.0
    if found is None or found < 0:
        raise ValueError(f"has no capacitance of its pin {name}")
    return found


def read_state(state: Group, pins: set[str]) -> Group:
    """A group `ff` or `latch` with nothing but what is known of it."""
    held = listed(state.args)
    if len(set(held)) != 2 or pins & set(held):
        raise ValueError(f"has the {state.kind} ({', '.join(held)[:40]}), which is not two names of its own")
    found = Group(state.kind, [plain(name, "state") for name in held])
    for name, value in state.attributes.items():
        if name in FUNCTIONS:
            found.attributes[name] = expression(value if isinstance(value, str) else " ".join(value))
            if unknown := names(found.text(name)) - pins - set(held):
                raise ValueError(f"has a {name} of {', '.join(sorted(unknown))}")
        elif name in STATE_WORDS:
            found.attributes[name] = plain(state.text(name), name)
        elif name != "power_down_function":
            raise ValueError(f"has a {state.kind} with {name[:40]}")
    needed = ("clocked_on", "next_state") if state.kind == "ff" else ("enable", "data_in")
    if missing := [name for name in needed if name not in found.attributes]:
        raise ValueError(f"has a {state.kind} without {missing[0]}")
    return found


def understood(pin: Pin, known: set[str]) -> Pin:
    """The pin with its function in canonical form, checked to be one of `known` names."""
    if pin.direction != "output":
        return replace(pin, function="")
    if not pin.function:
        raise ValueError(f"has no function of its output {pin.name}")
    function = expression(pin.function)
    if unknown := names(function) - known:
        raise ValueError(f"has an output {pin.name} of {', '.join(sorted(unknown))}, which is no input")
    return replace(pin, function=function)


def written(cell: Cell, templates: Mapping[str, Template]) -> Group:
    """What mapping and timing read of a cell."""
    group = Group("cell", [cell.name], {"area": f"{cell.area:.12g}", "cell_leakage_power": f"{cell.leakage:.12g}"})
    if cell.gating:
        group.attributes["clock_gating_integrated_cell"] = plain(cell.gating, "kind of clock gate")
    if cell.state:
        group.groups.append(cell.state)
    outside = [pin for pin in cell.pins if pin.direction != "internal"]
    inputs = [pin.name for pin in cell.inputs]
    for pin in outside:
        said: Attributes = {"direction": pin.direction}
        if pin.direction == "input":
            said["capacitance"] = f"{pin.capacitance:.12g}"
        if pin.function and cell.kind != "clock gate":
            said["function"] = pin.function
        said |= {name: f"{value:.12g}" for name in LIMITS if (value := pin.group.number(name)) is not None}
        said |= {name: "true" for name in ("clock", *GATE_PINS) if pin.group.says(name)}
        sources = sorted(names(pin.function)) if cell.kind == "gate" and pin.function else [p.name for p in outside]
        timing = list(arcs(pin.group, sources, templates))
        group.groups.append(Group("pin", [pin.name], said, timing))
    if cell.kind == "gate":
        check_gate(cell, group, inputs)
    return group


def check_gate(cell: Cell, group: Group, inputs: Sequence[str]) -> None:
    """Raises ValueError where ABC could not map to a gate: it must do something, and all of its arcs must be there."""
    for pin in cell.outputs if inputs else ():
        drawn = next(found for found in group.of("pin") if found.args == [pin.name])
        used = sorted(names(pin.function))
        if len(used) <= ABC_INPUTS and truth_table(pin.function, used) in (0, (1 << (1 << len(used))) - 1):
            raise ValueError(f"has an output {pin.name} that is constant")
        for source in used:
            found = [arc for arc in drawn.groups if arc.text("related_pin") == source]
            if not found:
                raise ValueError(f"has no timing from {source} to {pin.name}")
            lacking = [kind for arc in found for kind in DELAYS if not any(arc.of(kind))]
            if lacking:
                raise ValueError(f"has no {lacking[0]} from {source} to {pin.name}")
