"""What the address-serial styles (`rom`, `shared`) have in common: shell, units in rings, order of the weights.

A unit (`mac`) holds `fold` neurons in a ring and multiplies `columns = fold * inputs / slices` inputs a cycle by the
weights of one of them; the inputs stay for `fold` cycles, one for each neuron. So every column of a unit reads one
weight a cycle, from address 0 to `slices - 1`.
"""

import hashlib
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import gcd
from typing import ClassVar, TypeVar

from hardloom.gen.arrays import ports
from hardloom.gen.arrays.multiplier import digits, magnitude_bits, total_bits
from hardloom.gen.arrays.shells import CLOCK_GATE, Prefab, SerialShell
from hardloom.gen.arrays.style import ArrayPlan, Style
from hardloom.golden.errors import UserError

__all__ = ["Names", "SerialForm", "SerialStyle", "magnitudes_of", "ranks_of", "serial_fold", "width_of"]

FOLD = 8  # neurons that share a multiply-accumulate unit, where rows and lanes allow
MAX_MAGNITUDES = 64

Names = dict[str, object]
"""What a template is given."""


@dataclass(frozen=True)
class SerialForm:
    """What the prefabricated text of a serial array depends on, besides rows, banks and lanes.

    Attributes
    ----------
    slices: addresses; fold: neurons of a unit; columns: weights that a unit reads a cycle; width: bits
        of an input.
    magnitudes: all that a column may multiply by but 0, ascending.
    acc_width: bits of the largest possible sum of any row, two's complement.
    """

    unit: ClassVar[str] = "serial"
    """Prefix of the unit's name."""

    slices: int
    fold: int
    columns: int
    width: int
    magnitudes: tuple[int, ...]
    acc_width: int

    @property
    def steps(self) -> int:
        """Cycles in which a packet is added up: one an address."""
        return self.slices

    @property
    def compute_cycles(self) -> int:
        """Cycles between the first step of a packet and its first result."""
        return self.steps

    @property
    def exponents(self) -> tuple[int, ...]:
        """Shifts of the columns' sum, ascending; none where there is but 0."""
        return ()

    @cached_property
    def mac(self) -> str:
        facts = (self.width, self.magnitudes, self.exponents, self.acc_width)
        digest = hashlib.sha256(repr(facts).encode()).hexdigest()
        return f"{self.unit}_mac_f{self.fold}_c{self.columns}_w{self.acc_width}_{digest[:8]}"

    @cached_property
    def odds(self) -> list[tuple[int, int]]:
        """Odd multiples of an input's magnitude that units take, and their bits."""
        odds = sorted({f // (f & -f) for f, _ in digits(self.magnitudes, self.width).values()})
        return [(odd, magnitude_bits(odd, self.width)) for odd in odds]


S = TypeVar("S", bound=SerialForm)


class SerialStyle(Style[S]):
    """Weights are read by address: what the units of a style are like, and what tells them their weights."""

    shells = SerialShell
    addressed = True
    refused = frozenset({"int8"})

    @abstractmethod
    def mac_names(self, form: S) -> Names:
        """What `multiplier.mac_names` makes of the style's columns."""

    @abstractmethod
    def pins(self, plan: ArrayPlan[S], bank: int) -> Iterator[memoryview]:
        """For every unit of a bank, the text of the pins that tell its weights, the closing bracket left out.

        Unit m is rank m // lanes of lane m % lanes: its ring holds rows lane + lanes * (fold * rank + phase); at
        address t it multiplies inputs columns * (t // fold) and on by the weights of phase t % fold.
        """

    def between(self, form: S) -> str:
        """Text of what stands between the address lines and the units."""
        return ""

    def shell(self, plan: ArrayPlan[S]) -> SerialShell:
        odds = "_".join(str(odd) for odd, _ in plan.form.odds)
        return SerialShell(**plan.stream, slices=plan.form.slices, fold=plan.form.fold, odds=odds)

    def prefab(self, plan: ArrayPlan[S]) -> Iterator[Prefab]:
        form = plan.form
        yield self.shell(plan).prefab
        facts = {"name": form.mac, "style": self.name, "fold": form.fold, "acc_width": form.acc_width}
        yield Prefab(form.mac, "serial_mac", self.mac_names(form) | facts)
        yield CLOCK_GATE

    def connections(self, plan: ArrayPlan[S]) -> Iterator[bytes]:
        """A unit at a time: shell, what stands between, and the units."""
        form, number = plan.form, ranks_of(plan) * plan.lanes
        units = [f"m_{bank}_{unit}" for bank in range(plan.banks) for unit in range(number)]
        yield (_head(plan, units) + self.between(form)).encode()
        odds = ", ".join(f"x{odd}" for odd, _ in form.odds)
        for bank in range(plan.banks):
            for unit, text in enumerate(self.pins(plan, bank)):
                behind = unit + plan.lanes
                source = f"m_{bank}_{behind}" if behind < number else f"{plan.acc_width}'d0"
                head = f"    {form.mac} mac_{bank}_{unit} (core_clk, drain, {source}, m_{bank}_{unit}, xs, {odds},"
                yield b"".join((head.encode(), text, b");\n"))
        lanes = [f"m_{bank}_{lane}" for bank in range(plan.banks) for lane in range(plan.lanes)]
        yield (ports.wrapped("    assign out_data = {", lanes[::-1], "};\n") + "endmodule\n").encode()


def serial_fold(rows: int, inputs: int, slices: int, lanes: int) -> int:
    """Neurons of a unit: fewer than `FOLD` where rows and lanes ask for it."""
    fold = gcd(FOLD, lanes * slices // inputs, slices)
    while fold > max(1, rows // lanes):
        fold //= 2
    return fold


def magnitudes_of(style: str, found: Iterable[int]) -> tuple[int, ...]:
    """Those of `found`, ascending, that are not 0. Raises UserError where they are too many."""
    magnitudes = tuple(int(m) for m in found if m) or (1,)
    if len(magnitudes) > MAX_MAGNITUDES:
        raise UserError(
            f"style {style}: {len(magnitudes)} different magnitudes, at most {MAX_MAGNITUDES}; choose style metal"
        )
    return magnitudes


def width_of(sums: Iterable[int], magnitudes: tuple[int, ...], columns: int, width: int, exponent: int = 0) -> int:
    """Bits of an accumulator: for the largest of `sums`, of the magnitudes of a row, and of one step of a unit.

    width: bits of an input.
    """
    limit = (1 << (width - 1)) - 1
    return max((limit * max(sums)).bit_length() + 1, total_bits(magnitudes, columns, width) + exponent)


def ranks_of(plan: ArrayPlan[S]) -> int:
    """Units of a lane."""
    return -(-plan.rows // (plan.lanes * plan.form.fold))


def _head(plan: ArrayPlan[S], units: Sequence[str]) -> str:
    """The module up to the shell's end."""
    form = plan.form
    lines, odds = [f"a{i}" for i in range(form.slices)], [f"x{odd}" for odd, _ in form.odds]
    return (
        ports.module_head(plan, f"{plan.style.name}, {form.slices} addresses, {form.fold} neurons a unit")
        + "    wire core_clk, drain;\n"
        + f"    wire [{form.columns - 1}:0] xs;\n"
        + "".join(f"    wire [{form.columns * bits - 1}:0] x{odd};\n" for odd, bits in form.odds)
        + "    // An address at which all weights are 0 leaves its line unused.\n"
        + "    /* verilator lint_off UNUSEDSIGNAL */\n"
        + ports.wrapped("    wire ", lines, ";\n")
        + "    /* verilator lint_on UNUSEDSIGNAL */\n"
        + ports.wrapped(f"    wire [{plan.acc_width - 1}:0] ", units, ";\n")
        + f"    {plan.shell} shell (\n        {ports.STREAM}, core_clk, drain, xs, {', '.join(odds)},\n"
        + ports.wrapped("        ", lines, ");\n")
    )
