"""What the address-serial styles (`rom`, `shared`) have in common: shell, units in rings, order of the weights.

A unit (`mac`) holds `fold` neurons in a ring and multiplies `columns = fold * inputs / slices` inputs a cycle by the
weights of one of them; the inputs stay for `fold` cycles, one for each neuron. So every column of a unit reads one
weight a cycle, from address 0 to `slices - 1`.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import gcd, isqrt

import numpy as np

from gen.arrays import ports
from gen.arrays.multiplier import digits, magnitude_bits, total_bits
from gen.arrays.plan import ArrayPlan
from golden.errors import UserError

__all__ = [
    "Names",
    "SerialGeometry",
    "array_text",
    "magnitudes_of",
    "prefab_files",
    "ranks_of",
    "serial_fold",
    "width_of",
]

FOLD = 8  # neurons that share a multiply-accumulate unit, where rows and lanes allow
MAX_MAGNITUDES = 64

Names = dict[str, object]
"""What a template is given."""


@dataclass(frozen=True)
class SerialGeometry:
    """What the prefabricated text of a serial array depends on, besides rows, banks and lanes.

    Attributes
    ----------
    slices: addresses; fold: neurons of a unit; columns: weights that a unit reads a cycle.
    magnitudes: all that a column may multiply by but 0, ascending.
    acc_width: bits of the largest possible sum of any row, two's complement.
    """

    slices: int
    fold: int
    columns: int
    magnitudes: tuple[int, ...]
    acc_width: int

    @property
    def compute_cycles(self) -> int:
        """Cycles between the first step of a packet and its first result: one an address."""
        return self.slices

    @property
    def exponents(self) -> tuple[int, ...]:
        """Shifts of the columns' sum, ascending; none where there is but 0."""
        return ()

    @property
    def style(self) -> str:
        """Prefix of the unit's name."""
        raise NotImplementedError

    @property
    def readers(self) -> tuple[str, ...]:
        """Prefabricated modules between the address lines and the units."""
        return ()

    @cached_property
    def mac(self) -> str:
        facts = (self.magnitudes, self.exponents, self.acc_width)
        digest = hashlib.sha256(repr(facts).encode()).hexdigest()
        return f"{self.style}_mac_f{self.fold}_c{self.columns}_w{self.acc_width}_{digest[:8]}"

    @cached_property
    def odds(self) -> list[tuple[int, int]]:
        """Odd multiples of an input's magnitude that units take, and their bits."""
        odds = sorted({f // (f & -f) for f, _ in digits(self.magnitudes).values()})
        return [(odd, magnitude_bits(odd)) for odd in odds]

    @property
    def address_columns(self) -> int:
        """Address lines are the products of that many and ``slices / address_columns`` one-hot lines."""
        return next(c for c in range(isqrt(self.slices), 0, -1) if self.slices % c == 0)

    def prefab_modules(self, plan: ArrayPlan) -> tuple[str, ...]:
        return (_shell(plan), self.mac, *self.readers, "hardloom_clock_gate")


def serial_fold(rows: int, inputs: int, slices: int, lanes: int) -> int:
    """Neurons of a unit: fewer than `FOLD` where rows and lanes ask for it."""
    fold = gcd(FOLD, lanes * slices // inputs, slices)
    while fold > max(1, rows // lanes):
        fold //= 2
    return fold


def magnitudes_of(style: str, found: Iterable[int]) -> tuple[int, ...]:
    """Those of ``found``, ascending, that are not 0. Raises UserError where they are too many."""
    magnitudes = tuple(int(m) for m in found if m) or (1,)
    if len(magnitudes) > MAX_MAGNITUDES:
        raise UserError(
            f"style {style}: {len(magnitudes)} different magnitudes, at most {MAX_MAGNITUDES}; choose style metal"
        )
    return magnitudes


def width_of(sums: Iterable[int], magnitudes: tuple[int, ...], columns: int, exponent: int = 0) -> int:
    """Bits of an accumulator: for the largest of ``sums``, of the magnitudes of a row, and of one step of a unit."""
    return max((127 * max(sums)).bit_length() + 1, total_bits(magnitudes, columns) + exponent)


def ranks_of(plan: ArrayPlan) -> int:
    """Units of a lane."""
    return -(-plan.rows // (plan.lanes * _geometry(plan).fold))


def prefab_files(plan: ArrayPlan, mac: Names) -> Iterator[tuple[str, str, Names]]:
    """Module, template and template names of shell, unit (``mac``: what `multiplier.mac_names` made) and clock gate."""
    serial = _geometry(plan)
    columns, flush = serial.address_columns, serial.fold * ranks_of(plan)
    shell = ports.shell_names(plan) | {
        "name": _shell(plan),
        "slices": serial.slices,
        "fold": serial.fold,
        "columns": serial.columns,
        "odds": serial.odds,
        "row_lines": serial.slices // columns,
        "column_lines": columns,
        "groups": plan.lanes // serial.columns,
        "flush": flush,
        "flush_bits": max(1, (flush - 1).bit_length()),
    }
    yield _shell(plan), "array_shell_serial", shell
    facts = {"name": serial.mac, "style": serial.style, "fold": serial.fold, "acc_width": serial.acc_width}
    yield serial.mac, "serial_mac", mac | facts
    yield "hardloom_clock_gate", "hardloom_clock_gate", {}


def array_text(
    plan: ArrayPlan, readers: str, pins: Callable[[np.ndarray], Iterator[bytes | memoryview]]
) -> Iterator[bytes]:
    """Text of the array module, a unit at a time: shell, ``readers``, and the units.

    pins: from a bank's matrix, the text of the pins of every unit that tell its weights, the closing bracket left out.
    Unit m is rank m // lanes of lane m % lanes: its ring holds rows lane + lanes * (fold * rank + phase); at address t
    it multiplies inputs columns * (t // fold) and on by the weights of phase t % fold.
    """
    serial, number = _geometry(plan), ranks_of(plan) * plan.lanes
    units = [f"m_{bank}_{unit}" for bank in range(plan.banks) for unit in range(number)]
    yield (_head(plan, units) + readers).encode()
    odds = ", ".join(f"x{odd}" for odd, _ in serial.odds)
    for bank in range(plan.banks):
        for unit, text in enumerate(pins(plan.matrices[bank])):
            behind = unit + plan.lanes
            source = f"m_{bank}_{behind}" if behind < number else f"{plan.acc_width}'d0"
            head = f"    {serial.mac} mac_{bank}_{unit} (core_clk, drain, {source}, m_{bank}_{unit}, xs, {odds},"
            yield b"".join((head.encode(), text, b");\n"))
    lanes = [f"m_{bank}_{lane}" for bank in range(plan.banks) for lane in range(plan.lanes)]
    yield (ports.wrapped("    assign out_data = {", lanes[::-1], "};\n") + "endmodule\n").encode()


def _head(plan: ArrayPlan, units: Sequence[str]) -> str:
    """The module up to the shell's end."""
    serial = _geometry(plan)
    lines, odds = [f"a{i}" for i in range(serial.slices)], [f"x{odd}" for odd, _ in serial.odds]
    return (
        ports.module_head(plan, f"{plan.style}, {serial.slices} addresses, {serial.fold} neurons a unit")
        + "    wire core_clk, drain;\n"
        + f"    wire [{serial.columns - 1}:0] xs;\n"
        + "".join(f"    wire [{serial.columns * bits - 1}:0] x{odd};\n" for odd, bits in serial.odds)
        + "    // An address at which all weights are 0 leaves its line unused.\n"
        + "    /* verilator lint_off UNUSEDSIGNAL */\n"
        + ports.wrapped("    wire ", lines, ";\n")
        + "    /* verilator lint_on UNUSEDSIGNAL */\n"
        + ports.wrapped(f"    wire [{plan.acc_width - 1}:0] ", units, ";\n")
        + f"    {_shell(plan)} shell (\n        {ports.STREAM}, core_clk, drain, xs, {', '.join(odds)},\n"
        + ports.wrapped("        ", lines, ");\n")
    )


def _geometry(plan: ArrayPlan) -> SerialGeometry:
    assert isinstance(plan.geometry, SerialGeometry), f"{plan.name} is no serial array"
    return plan.geometry


def _shell(plan: ArrayPlan) -> str:
    serial = _geometry(plan)
    odds = "_".join(str(odd) for odd, _ in serial.odds)
    return f"array_shell_serial_i{plan.inputs}_r{plan.rows}_l{plan.lanes}_t{serial.slices}_f{serial.fold}_x{odds}"
