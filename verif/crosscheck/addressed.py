"""Units of addressed styles: a unit at many addresses at once, then for inputs in each of its columns."""

import re

import numpy as np

from hardloom.verif.crosscheck.array_text import ArrayText, connected, inputs_of, instantiated, signed
from hardloom.verif.crosscheck.parser import ast
from hardloom.verif.crosscheck.values import Module, Word

__all__ = ["Addressed"]

INPUT = re.compile(r"xs|x\d+")


class Addressed:
    """Unit `name`, of `columns` inputs, at some `addresses`: what its pins are then, but for those of the inputs."""

    def __init__(self, array: ArrayText, module: ast.ModuleDef, name: str, addresses: np.ndarray, columns: int) -> None:
        self.array, self.name, self.addresses, self.columns = array, name, addresses, columns
        self.tile = Module(module, self._wire)
        self.cell, self.pins = connected(self.tile, name, array)
        self.ports, self.words = inputs_of(self.cell), dict[str, Word]()

    def _wire(self, wire: str) -> Word | None:
        """A wire of the tile but for those of inputs: of control, of an address, or what another instance drives."""
        if wire in ("core_clk", "drain"):
            return Word(1, np.zeros(1, dtype=np.int64))
        if wire[0] == "a":
            return Word(1, (self.addresses == int(wire[1:])).astype(np.int64))
        for instance in self.tile.instances:
            output = instance.portlist[-1].argname
            if instance.name != self.name and isinstance(output, ast.Identifier) and output.name == wire:
                other = instantiated(self.tile, instance.name, self.array)
                return other.signal(self.array.cell(instance.module).portlist.ports[-1].first.name)
        return None

    def _pin(self, port: str) -> Word:
        """What a port is at each address whatever the inputs are."""
        if port not in self.words:
            self.words[port] = Word(self.tile.width(self.pins[port]), self.tile.value(self.pins[port]))
        return self.words[port]

    def products(self, x: int, column: int) -> np.ndarray:
        """What the unit adds at each address, its input being `x` in a `column` and 0 in the others: int64."""

        def given(port: str) -> Word | None:
            if port not in self.ports:
                return None
            if not is_input(pin := self.pins[port]):
                return self._pin(port)
            if pin.name == "xs":
                return Word(self.columns, np.array([(x < 0) << column], dtype=object))
            odd = int(pin.name[1:])
            bits = (self.array.limit * odd).bit_length()
            return Word(self.columns * bits, np.array([odd * abs(x) << (bits * column)], dtype=object))

        return signed(Module(self.cell, given).next("r0"), len(self.addresses))


def is_input(pin: ast.Node) -> bool:
    """Whether a pin is connected to what the shell makes of inputs: their signs, or multiples of their magnitudes."""
    return isinstance(pin, ast.Identifier) and INPUT.fullmatch(pin.name) is not None
