"""The slow reader: the same weights through pyverilog's parser, as an independent opinion on small arrays."""

import re
import tempfile
from collections.abc import Mapping
from functools import cache

import numpy as np
from pyverilog.vparser import ast
from pyverilog.vparser.parser import VerilogParser

from verif.extract.errors import ExtractionError

__all__ = ["parse_array"]


def parse_array(text: bytes | str, prefab: Mapping[str, str]) -> np.ndarray:
    """Weights of the metal array in ``text``: int32 [banks, rows, inputs], about 2,000 slots a second."""
    module = _module(text if isinstance(text, str) else text.decode())
    instances = [i for item in module.items if isinstance(item, ast.InstanceList) for i in item.instances]
    neurons = [i for i in instances if i.name.startswith("neuron_")]
    shell = next(i for i in instances if i.name == "shell")
    size = {letter: int(number) for letter, number in re.findall(r"_([a-z])(\d+)", shell.module)}
    inputs, rows, lanes, fold = (size[letter] for letter in "irlf")
    values = {name: _slot_values(_module(prefab[f"{name}.v"])) for name in {neuron.module for neuron in neurons}}
    banks = 1 + max(int(neuron.name.split("_")[1]) for neuron in neurons)
    weights = np.zeros((banks, rows + lanes * fold, inputs), dtype=np.int32)
    for neuron in neurons:
        bank, (rank, lane) = int(neuron.name.split("_")[1]), divmod(int(neuron.name.split("_")[2]), lanes)
        for pin, value in zip(neuron.portlist[7:], values[neuron.module], strict=True):
            name = _name(pin.argname)
            if name != "1'b0":
                i, turn = divmod(int(name[1:]), fold)
                weights[bank, lane + lanes * (fold * rank + turn), i] += {"p": value, "n": -value}[name[0]]
    return weights[:, :rows]


@cache
def _parser() -> VerilogParser:
    """One for all: building its tables takes seconds, and leaves files that nobody wants."""
    with tempfile.TemporaryDirectory() as folder:
        return VerilogParser(outputdir=folder, debug=False)


def _module(text: str) -> ast.ModuleDef:
    return _parser().parse(text).description.definitions[0]


def _name(node: ast.Node) -> str:
    return node.name if isinstance(node, ast.Identifier) else getattr(node, "value", "")


def _slot_values(cell: ast.ModuleDef) -> list[int]:
    """What each slot adds: the neuron's sum evaluated at one slot set, as the rest of the cell sees it."""
    slots = [p.first.name for p in cell.portlist.ports if p.first.name[0] == "s" and p.first.name[1:].isdigit()]
    always = next(item for item in cell.items if isinstance(item, ast.Always))
    block = always.statement.statements[0]
    high = block.false_statement.false_statement.right.var.list[
        0
    ]  # {high part, low part}: (left + (sum ^ ..)) + negate
    counted = high.left.right.left
    weights: dict[str, int] = {}
    _collect(counted, 1, weights)
    if sorted(weights) != sorted(slots):
        raise ExtractionError(f"{cell.name}: its slots are not counted once each")
    return [weights[slot] for slot in slots]


def _collect(node: ast.Node, factor: int, weights: dict[str, int]) -> None:
    """Add every slot below ``node``, counted ``factor`` times, to ``weights``."""
    stack = [(node, factor)]
    while stack:
        here, times = stack.pop()
        if isinstance(here, ast.Identifier):
            if here.name in weights:
                raise ExtractionError(f"slot {here.name} is counted twice")
            weights[here.name] = times
        elif isinstance(here, ast.Times):
            stack.append((here.right, times * int(here.left.value.split("'d")[1])))
        elif isinstance(here, ast.Plus | ast.Or):
            stack += [(here.left, times), (here.right, times)]
        else:
            raise ExtractionError(f"a neuron cell sums {type(here).__name__}")
