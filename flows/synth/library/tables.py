"""Timing tables of a cell: checked, and written so that whatever reads them reads the same.

A table refers to a template of the library for its variables and, where it has none of its own, its indices. Here every
table gets its indices and one row of values a string, so that files with templates of their own can be put together.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from hardloom.flows.synth.library.liberty import Attributes, Group

__all__ = ["DELAYS", "Template", "arcs", "read_templates", "template_groups"]

DELAYS = ("cell_rise", "cell_fall", "rise_transition", "fall_transition")
"""Tables of an arc through a cell."""
CONSTRAINTS = ("rise_constraint", "fall_constraint")
VARIABLES = {
    "input_net_transition": "slew",
    "total_output_net_capacitance": "load",
    "related_pin_transition": "related",
    "constrained_pin_transition": "constrained",
}
"""What tables may depend on, and how it is called in the names of the templates written here."""
SCALAR = "scalar"


@dataclass(frozen=True)
class Template:
    """variables of a table, the outer one first; indices: their points, as the library writes them."""

    variables: tuple[str, ...]
    indices: tuple[str, ...]


def read_templates(library: Group) -> dict[str, Template]:
    """Templates of delays and constraints by name."""
    found = {SCALAR: Template((), ())}
    for group in library.of("lu_table_template"):
        numbers = [number for number in (1, 2, 3) if f"variable_{number}" in group.attributes]
        found[" ".join(group.args)] = Template(
            tuple(group.text(f"variable_{number}") for number in numbers),
            tuple(group.text(f"index_{number}") for number in numbers),
        )
    return found


def template_groups(cells: Iterable[Group]) -> list[Group]:
    """Templates that the tables of `cells`, written by `arcs`, refer to."""
    tables = (
        table for cell in cells for pin in cell.of("pin") for timing in pin.of("timing") for table in timing.groups
    )
    found: dict[str, Group] = {}
    for table in tables:
        if table.args[0] not in found and table.args[0] != SCALAR:
            variables = [
                long for name in table.args[0].split("_")[:-1] for long, short in VARIABLES.items() if short == name
            ]
            named: Attributes = {f"variable_{number}": variable for number, variable in enumerate(variables, 1)}
            axes = {name: value for name, value in table.attributes.items() if name != "values"}
            found[table.args[0]] = Group("lu_table_template", table.args, named | axes)
    return [found[name] for name in sorted(found)]


def arcs(pin: Group, related: Iterable[str], templates: Mapping[str, Template]) -> Iterator[Group]:
    """The `timing` groups of `pin` from the pins `related`, one for each, with tables of delays or constraints.

    Raises ValueError where a table is none.
    """
    wanted = set(related)
    for timing in pin.of("timing"):
        sources = [name for name in timing.text("related_pin").replace(",", " ").split() if name in wanted]
        said: Attributes = {
            name: timing.text(name) for name in ("timing_type", "timing_sense") if name in timing.attributes
        }
        if not all(str(value).isidentifier() for value in said.values()):
            raise ValueError(f"its pin {pin.args[0]} has timing of an unknown kind")
        try:
            tables = [checked(table, templates) for table in timing.of(*DELAYS, *CONSTRAINTS)] if sources else []
        except ValueError as error:
            raise ValueError(f"the timing of its pin {pin.args[0]} from {' '.join(sources)} {error}") from None
        if tables:
            yield from (Group("timing", [], said | {"related_pin": name}, tables) for name in sources)


def checked(table: Group, templates: Mapping[str, Template]) -> Group:
    template = templates.get(" ".join(table.args))
    if template is None:
        raise ValueError(f"has a {table.kind} of the template {' '.join(table.args)[:40]!r}, which is not there")
    if not VARIABLES.keys() >= set(template.variables) or len(template.variables) > 2:
        raise ValueError(f"has a {table.kind} by {', '.join(template.variables)[:80]}, which is not known here")
    indices = [
        values_of(table.text(f"index_{number}") or template.indices[number - 1], table.kind)
        for number in range(1, 1 + len(template.variables))
    ]
    values = values_of(table.text("values"), table.kind)
    if len(values) != math.prod(map(len, indices)):
        raise ValueError(f"has a {table.kind} of {len(values)} values for {' x '.join(map(str, map(len, indices)))}")
    if any(float(low) >= float(high) for index in indices for low, high in pairwise(index)):
        raise ValueError(f"has a {table.kind} whose index does not rise")
    row = len(indices[-1]) if indices else 1
    rows = [", ".join(values[start : start + row]) for start in range(0, len(values), row)]
    held: Attributes = {f"index_{number}": [", ".join(index)] for number, index in enumerate(indices, 1)}
    sizes = "x".join(str(len(index)) for index in indices)
    name = "_".join([*(VARIABLES[variable] for variable in template.variables), sizes]) if indices else SCALAR
    return Group(table.kind, [name], held | {"values": rows})


def values_of(text: str, kind: str) -> list[str]:
    """Numbers in a string, each as it is written there."""
    values = text.replace(",", " ").split()
    try:
        if values and text.isascii() and "_" not in text and math.isfinite(math.fsum(map(float, values))):
            return values
    except (ValueError, OverflowError):
        pass
    raise ValueError(f"has a {kind} with what is no number")
