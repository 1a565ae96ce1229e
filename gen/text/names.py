"""Names of one module's RTLIL made plain Verilog identifiers, and its ports numbered in their order."""

import re
from collections.abc import Sequence

from gen.text.keywords import KEYWORDS

__all__ = ["plain_names"]

DECLARED = re.compile(r"^  (?:wire|memory|cell) (?:.* )?\\(\S+)$", re.MULTILINE)
NAME = re.compile(r'(\\\\|\\)([^\s"\\]+)')
PORT = re.compile(r"^(  wire .*(?:input|output)) \d+ +((?:signed +)?\\(\S+))$", re.MULTILINE)
UNNAMED = "$"


def plain_names(text: str, ports: Sequence[str]) -> str:
    """RTLIL of one module, as Amaranth writes it, with plain identifiers and `ports` in their order.

    A field of a struct or array (`beat.data[0]`) becomes `beat_data_0`; of signals that share a name, all but the first
    get a number (`rounded_2`); what Python could not name (`$signal`) is left to Yosys, which prefers any other name of
    the same net.

    Raises
    ------
    ValueError: a name is a keyword of Verilog or SystemVerilog.
    """
    names: dict[str, str] = {}
    declared = dict.fromkeys(DECLARED.findall(text))
    taken = {name for name in declared if re.fullmatch(r"\w+", name)}
    if reserved := sorted(taken & KEYWORDS):
        raise ValueError(f"{reserved[0]!r} is a keyword of Verilog or SystemVerilog; name the signal otherwise")
    for name in declared:
        if name.startswith(UNNAMED):
            names[name] = name
        elif name not in taken:
            names[name] = _free(re.sub(r"\W+", "_", re.sub(r"\$\d+", "", name)).strip("_"), taken)

    def renamed(match: re.Match) -> str:
        new = names.get(match[2])
        return match[0] if new is None else new if new.startswith(UNNAMED) else match[1] + new

    numbers = {name: number for number, name in enumerate(ports, 1)}
    text = PORT.sub(lambda match: f"{match[1]} {numbers[match[3]]} {match[2]}", text)
    return NAME.sub(renamed, text)


def _free(base: str, taken: set[str]) -> str:
    """`base`, or with the first number from 2 that nothing else has; then it is taken."""
    name, number = base, 2
    while name in taken or name in KEYWORDS:
        name, number = f"{base}_{number}", number + 1
    taken.add(name)
    return name
