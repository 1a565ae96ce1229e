"""Verilog of a build for FPGAs: where clocks were gated, registers have enables, and all of them one clock."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from hardloom.gen.arrays.shells import CLOCK_GATE

__all__ = ["enabled_chip", "with_clock_enables"]

ENABLE = "_ce"
"""Behind a clock's name, that of its enable: every module has an input `clk_ce` beside `clk`."""

EDGE = re.compile(r"\bposedge (\w+)\)")
NAMED = re.compile(r"\b(?:\w+_)?clk\b")
GATE = """// {name}: in place of a clock gate, the enable of the registers behind it.
module {name} (
    input  wire clk, clk_ce,
    input  wire enable,
    input  wire test_enable,
    output wire gated, gated_ce
);
    assign gated = clk, gated_ce = clk_ce & (enable | test_enable);
endmodule
"""


def with_clock_enables(file: Path, text: str) -> str:
    """The Verilog `text` of `file`, one module of a build, its clocks in pairs with enables.

    A clock gate passes the clock on and puts its enable, which it would have sampled before the edge, beside it; a
    register moves at an edge of the clock where that enable is 1: at the edges that the gated clock would have had. So
    every register holds in every cycle what it held before. The enable `clk_ce` of the top module is to be tied to 1.
    """
    if file.stem.endswith(CLOCK_GATE.module):
        return GATE.format(name=file.stem)
    clocks = {*NAMED.findall(text), *EDGE.findall(text)}
    if not clocks:
        return text
    return places(clocks).sub(in_pairs, text)


def enabled_chip(top: str, files: Iterable[tuple[Path, str]]) -> Iterator[str]:
    """Of every file of a chip with its text what `with_clock_enables` makes; the module `top` keeps its ports, and its
    enable is 1."""
    for file, text in files:
        found = with_clock_enables(file, text)
        if file.stem == top:
            head, end, body = found.replace(f"wire clk, clk{ENABLE},", "wire clk,", 1).partition("\n);\n")
            found = f"{head}{end}  wire clk{ENABLE} = 1'b1;\n{body}"
        yield found


def places(clocks: set[str]) -> re.Pattern[str]:
    """Where clocks stand: named ports, edges, one clock assigned to another, and lists of ports, wires or pins.

    Comments are found first, so that nothing in them is.
    """
    any_clock = "|".join(sorted(clocks))
    return re.compile(
        "//[^\n]*"
        rf"|\.(?P<port>\w+)\((?P<pin>{any_clock})\)"
        rf"|posedge (?P<edge>{any_clock})\)"
        rf"|assign (?P<left>{any_clock}) = (?P<right>{any_clock});"
        rf"|(?<![\w.$])(?P<listed>{any_clock})(?=[,;\n])"
    )


def in_pairs(place: re.Match[str]) -> str:
    """What stands there with enables."""
    if clock := place["pin"]:
        return f".{place['port']}({clock}), .{place['port']}{ENABLE}({clock}{ENABLE})"
    if clock := place["edge"]:
        return f"posedge {clock}) if ({clock}{ENABLE})"
    if left := place["left"]:
        return f"assign {left} = {place['right']}, {left}{ENABLE} = {place['right']}{ENABLE};"
    if clock := place["listed"]:
        return f"{clock}, {clock}{ENABLE}"
    return place[0]
