"""Prefabricated modules of arrays that their names tell whole: shells, serial inputs, the clock gate."""

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import isqrt
from typing import Any, ClassVar, NamedTuple

from hardloom.gen.arrays.multiplier import magnitude_bits
from hardloom.gen.text.templates import render

__all__ = [
    "CLOCK_GATE",
    "CellShell",
    "MetalShell",
    "Prefab",
    "SerialShell",
    "Shell",
    "named_prefab",
    "serial_input",
    "stream_names",
]


class Prefab(NamedTuple):
    """A module that no single weight touches: its name, its template in `rtl_templates`, what the template is given."""

    module: str
    template: str
    names: dict[str, object]

    @property
    def text(self) -> str:
        """Its Verilog."""
        return render(self.template, self.names)


SERIAL_INPUT = "hardloom_serial_input_b"
CLOCK_GATE = Prefab("hardloom_clock_gate", "hardloom_clock_gate", {})


def serial_input(width: int) -> Prefab:
    """What holds one input of `width` bits and sends it bit by bit."""
    name = f"{SERIAL_INPUT}{width}"
    return Prefab(name, "hardloom_serial_input", {"name": name, "width": width})


def stream_names(inputs: int, rows: int, lanes: int, width: int, scale_width: int) -> dict[str, object]:
    """Template names of the load buffer and the drain counter, of an array of inputs of `width` bits."""
    beats_in, beats_out = inputs // lanes, -(-rows // lanes)
    return {
        "inputs": inputs,
        "lanes": lanes,
        "width": width,
        "scale_width": scale_width,
        "beats_in": beats_in,
        "beats_out": beats_out,
        "fill_bits": max(1, (beats_in - 1).bit_length()),
        "beat_bits": max(1, (beats_out - 1).bit_length()),
    }


@dataclass(frozen=True)
class Shell(ABC):
    """The module of an array that buffers its inputs and drains its results.

    inputs: of the array; rows: of a bank; lanes: elements of a beat; width, scale_width: bits of an input and of its
    packet's scale.
    """

    template: ClassVar[str]
    shape: ClassVar[re.Pattern[str]]
    """Its name behind the template's, fields as groups."""

    inputs: int
    rows: int
    lanes: int
    width: int
    scale_width: int

    @classmethod
    def kind(cls) -> str:
        """What its template's name says of it: `metal`, `cell` or `serial`."""
        return cls.template.removeprefix("array_shell_")

    @property
    def module(self) -> str:
        """Its name, of which `shape` makes it again."""
        return (
            f"{self.template}_i{self.inputs}_r{self.rows}_l{self.lanes}_{self.turns}_b{self.width}e{self.scale_width}"
        )

    @property
    @abstractmethod
    def turns(self) -> str:
        """What its name says of the style."""

    @property
    def names(self) -> dict[str, object]:
        """What its template is given."""
        return stream_names(self.inputs, self.rows, self.lanes, self.width, self.scale_width) | {"name": self.module}

    @property
    def prefab(self) -> Prefab:
        return Prefab(self.module, self.template, self.names)


def _shape(turns: str, behind: str = "") -> re.Pattern[str]:
    """Of a shell's name: what `turns` and what is `behind` the widths, as its style has them."""
    common = r"_i(?P<inputs>\d+)_r(?P<rows>\d+)_l(?P<lanes>\d+)_", r"_b(?P<width>\d+)e(?P<scale_width>\d+)"
    return re.compile(common[0] + turns + common[1] + behind, re.ASCII)


@dataclass(frozen=True)
class CellShell(Shell):
    """Of style `cell`. acc_width: bits of a result."""

    template = "array_shell_cell"
    shape = _shape(r"a(?P<acc_width>\d+)")

    acc_width: int

    @property
    def turns(self) -> str:
        return f"a{self.acc_width}"

    @property
    def names(self) -> dict[str, object]:
        return super().names | {"acc_width": self.acc_width}


@dataclass(frozen=True)
class TurnsShell(Shell):
    """Of neurons that take turns. slices: steps of a bit plane, turns included, or addresses; fold: neurons of a cell
    or unit."""

    turned: ClassVar[str] = r"t(?P<slices>\d+)_f(?P<fold>\d+)"

    slices: int
    fold: int

    @property
    def turns(self) -> str:
        return f"t{self.slices}_f{self.fold}"

    @property
    def names(self) -> dict[str, object]:
        return super().names | {"slices": self.slices, "fold": self.fold}


@dataclass(frozen=True)
class MetalShell(TurnsShell):
    """Of styles `metal` and `packed`."""

    template = "array_shell_metal"
    shape = _shape(TurnsShell.turned)

    @property
    def names(self) -> dict[str, object]:
        planes = {"plane_bits": (self.width - 1).bit_length(), "serial_input": serial_input(self.width).module}
        return super().names | {"parts": self.slices // self.fold} | planes


@dataclass(frozen=True)
class SerialShell(TurnsShell):
    """Of styles `rom` and `shared`. odds: multiples of an input that it sends, separated by `_`."""

    template = "array_shell_serial"
    shape = _shape(TurnsShell.turned, r"_x(?P<odds>\d+(?:_\d+)*)")

    odds: str

    @property
    def module(self) -> str:
        return f"{super().module}_x{self.odds}"

    @property
    def names(self) -> dict[str, object]:
        columns, lines = self.inputs * self.fold // self.slices, self._column_lines
        flush = self.fold * -(-self.rows // (self.lanes * self.fold))
        return super().names | {
            "columns": columns,
            "odds": [(odd, magnitude_bits(odd, self.width)) for odd in map(int, self.odds.split("_"))],
            "row_lines": self.slices // lines,
            "column_lines": lines,
            "groups": self.lanes // columns,
            "flush": flush,
            "flush_bits": max(1, (flush - 1).bit_length()),
        }

    @property
    def _column_lines(self) -> int:
        """Address lines are the products of that many and `slices` / that many one-hot lines."""
        return next(c for c in range(isqrt(self.slices), 0, -1) if self.slices % c == 0)


def named_prefab(module: str) -> Prefab | None:
    """What the name `module` tells whole; None where it does not. Its text is as long as the numbers in it say."""
    found = _named(module)
    return found if found and found.module == module else None


def _named(module: str) -> Prefab | None:
    """The same, leading zeros of numbers left out."""
    if module == CLOCK_GATE.module:
        return CLOCK_GATE
    if found := re.fullmatch(rf"{SERIAL_INPUT}(\d+)", module, re.ASCII):
        return serial_input(int(found[1]))
    for kind in (CellShell, MetalShell, SerialShell):
        if module.startswith(kind.template) and (found := kind.shape.fullmatch(module, len(kind.template))):
            facts: dict[str, Any] = {n: t if n == "odds" else int(t) for n, t in found.groupdict().items()}
            return kind(**facts).prefab
    return None
