"""A clocked netlist unrolled in time: its outputs after some cycles as a function of inputs that are held."""

import re
from collections.abc import Mapping
from itertools import count
from typing import Any

__all__ = ["unroll"]

Bit = int | str
Module = dict[str, Any]
"""A module of Yosys' JSON: flat, combinational cells and `$dff`s on one clock."""


def unroll(module: Module, steps: int, first: Mapping[str, str], after: Mapping[str, str]) -> tuple[Module, int]:
    """The module's outputs in cycle `steps` without flip-flops, and how many bits of registers there were.

    first, after: bits of some inputs in cycle 0 and from then on ("0" or "1"); the others are held throughout and
    stay inputs. What registers hold before cycle 0 is the input `registers`. Raises ValueError for other cells that
    hold something.
    """
    fresh = count(2)
    ports, registers = module["ports"], [c for c in module["cells"].values() if c["type"] == "$dff"]
    gates = {n: c for n, c in module["cells"].items() if c["type"] not in ("$dff", "$scopeinfo")}
    if held_by := sorted({c["type"] for c in gates.values() if re.search(r"ff|latch|mem|sr$", c["type"])}):
        raise ValueError(f"cannot unroll cells {', '.join(held_by)}")
    held = {n: p["bits"] for n, p in ports.items() if p["direction"] == "input" and n not in first}
    inputs = {bit: next(fresh) for bits in held.values() for bit in bits}
    pairs = [pair for c in registers for pair in zip(c["connections"]["Q"], c["connections"]["D"], strict=True)]
    state: list[Bit] = [next(fresh) for _ in pairs]
    made = {n: {"direction": "input", "bits": [inputs[bit] for bit in bits]} for n, bits in held.items()}
    made["registers"] = {"direction": "input", "bits": list(state)}
    cells: dict[str, Any] = {}
    for step in range(steps):
        bits: dict[Bit, Bit] = {"0": "0", "1": "1", "x": "x"} | inputs
        for name, value in (first if step == 0 else after).items():
            bits.update(zip(ports[name]["bits"], value, strict=True))
        bits.update((q, value) for (q, _), value in zip(pairs, state, strict=True))

        def renamed(old: list[Bit], bits: dict[Bit, Bit] = bits) -> list[Bit]:
            return [bits[bit] if bit in bits else bits.setdefault(bit, next(fresh)) for bit in old]

        for name, cell in gates.items():
            pins = {pin: renamed(old) for pin, old in cell["connections"].items()}
            cells[f"cycle_{step}.{name}"] = cell | {"connections": pins}
        state = renamed([d for _, d in pairs])
        outputs = {n: renamed(p["bits"]) for n, p in ports.items() if p["direction"] == "output"}
    made |= {n: {"direction": "output", "bits": bits} for n, bits in outputs.items()}
    names = {n: {"hide_name": 0, "bits": p["bits"], "attributes": {}} for n, p in made.items()}
    return {"attributes": {}, "ports": made, "cells": cells, "netnames": names}, len(pairs)
