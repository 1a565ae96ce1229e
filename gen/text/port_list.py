"""Heads of modules as an engineer writes them: direction, width and name of each port in the list, one a line."""

import re

__all__ = ["with_port_lists"]

MODULE = re.compile(r"^module (\w+)\(([^)]*)\);\n(.*?)^endmodule\n", re.MULTILINE | re.DOTALL)
PORT = re.compile(
    r"^  (input|output)((?: signed)?(?: \[\d+:0\])?) (\w+);\n  (wire|reg)\2 \3( = [^;]+)?;\n", re.MULTILINE
)
INSTANCE = re.compile(r"^(  (\w+) \w+ \(\n)((?:    \.\w+\(.*\),?\n)+)  \);\n", re.MULTILINE)


def with_port_lists(verilog: str) -> str:
    """`verilog`, as Yosys writes it, with the declarations of ports moved into the heads of their modules.

    Instances of its own modules are connected in the order of those heads.
    """
    orders = {match[1]: "".join(match[2].split()).split(",") for match in MODULE.finditer(verilog)}

    def connected(match: re.Match) -> str:
        order = orders.get(match[2])
        if order is None:
            return match[0]
        pins = {pin.split("(", 1)[0].strip(" ."): pin.rstrip(",") for pin in match[3].splitlines()}
        return match[1] + ",\n".join(pins[port] for port in order if port in pins) + "\n  );\n"

    return INSTANCE.sub(connected, MODULE.sub(lambda match: _module(match, orders[match[1]]), verilog))


def _module(match: re.Match, order: list[str]) -> str:
    found = {port[3]: port for port in PORT.finditer(match[3])}
    head = ",\n".join(_declaration(found[name]) for name in order)
    return f"module {match[1]} (\n{head}\n);\n{PORT.sub('', match[3])}endmodule\n"


def _declaration(port: re.Match) -> str:
    direction, shape, name, kind, value = port.groups(default="")
    return f"  {direction:6} {kind:4}{shape} {name}{value}"
