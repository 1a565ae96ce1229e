"""Names made plain Verilog identifiers: of one module's RTLIL, its ports numbered in their order, and of functions."""

import re
from collections.abc import Sequence

from hardloom.gen.text.keywords import KEYWORDS

__all__ = ["plain_names", "with_named_functions"]

DECLARED = re.compile(r"^  (?:wire|memory|cell) (?:.* )?\\(\S+)$", re.MULTILINE)
NAME = re.compile(r'(\\\\|\\)([^\s"\\]+)')
PORT = re.compile(r"^(  wire .*(?:input|output)) \d+ +((?:signed +)?\\(\S+))$", re.MULTILINE)
UNNAMED = "$"

MODULE = re.compile(r"^module .*?^endmodule\n", re.MULTILINE | re.DOTALL)
FUNCTION = re.compile(r"^  function .*?(_\d+_);$", re.MULTILINE)


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


def with_named_functions(verilog: str) -> str:
    """`verilog`, as Yosys writes it, with its functions, multiplexers of one-hot selects, called `select_14`.

    Yosys numbers them with the wires; so a function would hide a wire of the module around its own.

    Raises
    ------
    ValueError: something else has such a name.
    """
    return MODULE.sub(_named_functions, verilog)


def _named_functions(module: re.Match) -> str:
    functions = set(FUNCTION.findall(module[0]))
    if taken := re.search(r"\bselect_\d+\b", module[0]):
        raise ValueError(f"{taken[0]!r} is the name of a function; name the signal otherwise")
    return re.sub(r"\b_\d+_\b", lambda use: f"select{use[0][:-1]}" if use[0] in functions else use[0], module[0])


def _free(base: str, taken: set[str]) -> str:
    """`base`, or with the first number from 2 that nothing else has; then it is taken."""
    name, number = base, 2
    while name in taken or name in KEYWORDS:
        name, number = f"{base}_{number}", number + 1
    taken.add(name)
    return name
