"""Timing from register to register through every module between them: netlists of a hierarchy linked, not flattened."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from hardloom.flows.synth.cache import Cache
from hardloom.flows.synth.hierarchy import synthesized_netlist
from hardloom.flows.synth.library.library import Library
from hardloom.flows.synth.modules import Modules
from hardloom.flows.synth.timing import Timing, sta_report, worst_path
from hardloom.flows.synth.yosys import Options
from hardloom.gen.text.prefix import unprefixed
from hardloom.gen.text.ram import is_ram
from hardloom.golden.errors import UserError

__all__ = ["hierarchy_paths", "longest_by_unit"]

PORT = re.compile(r"^ *(input|output) +(?:wire|reg)? *(?:\[(\d+):0\])? *(\w+(?: *, *\w+)*) *,?$", re.MULTILINE)
END = re.compile(r"^(\S+) \(\S+\) +\S+ +\S+ +(-?[\d.]+) \(", re.MULTILINE)
"""An end point of OpenSTA's report, and its slack."""

EDGE = 'timing () {{ related_pin : "clk"; timing_type : {kind}; {tables} }}'
GIVEN = ("cell_rise", "cell_fall", "rise_transition", "fall_transition")
TAKEN = ("rise_constraint", "fall_constraint")


def hierarchy_paths(modules: Modules, top: str, options: Options, cache: Cache) -> tuple[Timing, dict[str, float]]:
    """Longest path of `top` and all in it, and the longest one that ends in each unit, in ns, the longest first.

    Memories and the cells of arrays are boxes, which give and take at the clock edge in no time: an SRAM macro's times
    are its own, and cells are timed as arrays (`--tile`). Raises UserError without OpenSTA, or where it finds no path.
    """
    assert options.library is not None
    period, unit = options.clock_ns or 1.0, options.library.units.nanoseconds
    cells = {name for array in modules.arrays for name in modules.instances(array) if is_cell(modules, name)}
    boxes, netlists = dict[str, str](), list[Path]()
    for module in modules.below(top):
        if module in cells or is_ram(unprefixed(module, modules.build.manifest.module_prefix)):
            boxes[module] = modules.text(module)
        elif module in modules.arrays and modules.is_wiring(module):
            netlists.append(modules.path(module))
        else:
            netlists.append(synthesized_netlist(modules, module, top, options, cache))
    report = sta_report(netlists, top, options.library, period, box_liberty(options.library, boxes))
    timing = worst_path(report, period, unit, options.clock_ns) if report else None
    if timing is None or report is None:
        raise UserError(
            "--timing: OpenSTA finds no path, or takes too long; install it (Debian: opensta), or name a --unit"
        )
    return timing, longest_by_unit(report, period, unit)


def is_cell(modules: Modules, name: str) -> bool:
    """Whether what an array instantiates is neither its shell nor prefabricated for all arrays."""
    plain = unprefixed(name, modules.build.manifest.module_prefix)
    return not plain.startswith(("array_shell", "hardloom_"))


def longest_by_unit(report: str, period: float, unit: float) -> dict[str, float]:
    """Of the end points of OpenSTA's report, ns by the instance that they are in, layers taken together."""
    found: dict[str, float] = {}
    for end, slack in END.findall(report):
        where = re.sub(r"layer_\d+", "layer", "/".join(end.split("/")[:-2])) or "(ports and registers of the top)"
        found[where] = max(found.get(where, 0.0), round(period - float(slack) * unit, 5))
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def box_liberty(library: Library, texts: dict[str, str]) -> str:
    """Liberty of modules, by their Verilog, in which everything happens at the edge of `clk`."""
    ports = {name: list(ports_of(text)) for name, text in texts.items()}
    widths = sorted({width for found in ports.values() for _, width, _ in found if width > 1})
    types = [
        f"type (bus{w}) {{ base_type : array; data_type : bit; bit_width : {w}; bit_from : {w - 1}; bit_to : 0; "
        "downto : true; }"
        for w in widths
    ]
    units = library.units.attributes()
    head = [
        f'time_unit : "{units["time_unit"]}";',
        f"capacitive_load_unit ({', '.join(units['capacitive_load_unit'])});",
    ]
    cells = [f"cell ({name}) {{ area : 0; {' '.join(map(port_text, found))} }}" for name, found in ports.items()]
    return (
        "\n".join(["library (boxes) { delay_model : table_lookup;", *head, *types, *cells, "}"]) + "\n" if ports else ""
    )


def ports_of(text: str) -> Iterator[tuple[str, int, str]]:
    """Direction, bits and name of every port in the head of a module."""
    for direction, top, names in PORT.findall(text[: text.index(");")]):
        yield from ((direction, int(top or 0) + 1, name) for name in re.findall(r"\w+", names))


def port_text(port: tuple[str, int, str]) -> str:
    direction, width, name = port
    kind = f"bus ({name}) {{ bus_type : bus{width};" if width > 1 else f"pin ({name}) {{"
    if name == "clk":
        return f"{kind} direction : input; clock : true; capacitance : 0; }}"
    names, edge = (GIVEN, "rising_edge") if direction == "output" else (TAKEN, "setup_rising")
    return f"{kind} direction : {direction}; {capacitance(direction)}{EDGE.format(kind=edge, tables=tables(names))} }}"


def capacitance(direction: str) -> str:
    return "capacitance : 0; " if direction == "input" else ""


def tables(names: Iterable[str]) -> str:
    return " ".join(f'{name} (scalar) {{ values ("0"); }}' for name in names)
