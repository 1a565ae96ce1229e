"""Embedding style `rom`: an address-serial logic ROM and few multiply-accumulate units, for the least area.

A unit (`mac`) holds `fold` neurons in a ring and multiplies `columns = fold * inputs / slices` inputs a cycle by the
weights of one of them; the inputs stay for `fold` cycles, one for each neuron. So every column of a unit reads one
weight a cycle, from address 0 to `slices - 1`. Two columns are read together: all addresses at which a pair of columns
holds the same two weights are one OR of address lines, a node; the unit turns nodes into two weights.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import gcd, isqrt

import numpy as np

from gen.arrays import ports
from gen.arrays.plan import ArrayPlan
from golden.errors import UserError

__all__ = ["RomGeometry", "columns_of", "connections", "geometry", "prefab"]

FOLD = 4  # neurons that share a multiply-accumulate unit, where rows and lanes allow
TERMS_A_LINE = 16
WEIGHTS_AT_ONCE = 1 << 21  # bounds the memory of one pass over units
MAX_MAGNITUDES = 64


@dataclass(frozen=True)
class RomGeometry:
    """What the prefabricated text of a rom array depends on, besides rows, banks and lanes.

    Attributes
    ----------
    slices: addresses; fold: neurons of a unit; columns: weights that a unit reads a cycle.
    magnitudes: all that occur in the matrices but 0, ascending.
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
    def values(self) -> tuple[int, ...]:
        """Weights by code: 0, then each magnitude, then each with a minus."""
        return (0, *self.magnitudes, *(-m for m in self.magnitudes))

    @property
    def pairs(self) -> tuple[int, ...]:
        """Columns (2, or 1 at the end of an odd number) of every group that is read together."""
        return (2,) * (self.columns // 2) + (1,) * (self.columns % 2)

    @cached_property
    def mac(self) -> str:
        digest = hashlib.sha256(repr((self.magnitudes, self.acc_width)).encode()).hexdigest()
        return f"rom_mac_f{self.fold}_c{self.columns}_w{self.acc_width}_{digest[:8]}"

    @cached_property
    def odds(self) -> tuple[int, ...]:
        """Odd parts of the magnitudes."""
        return tuple(sorted({m // (m & -m) for m in self.magnitudes}))

    @property
    def address_columns(self) -> int:
        """Address lines are the products of that many and ``slices / address_columns`` one-hot lines."""
        return next(c for c in range(isqrt(self.slices), 0, -1) if self.slices % c == 0)

    def prefab_modules(self, plan: ArrayPlan) -> tuple[str, ...]:
        return (_shell(plan), self.mac, "hardloom_clock_gate")


def geometry(matrices: tuple[np.ndarray, ...], slices: int, format: str, lanes: int) -> RomGeometry:
    """Geometry of ``matrices``, int32 [rows, inputs] each. Raises UserError where they do not go into this style."""
    rows, inputs = matrices[0].shape
    wide = inputs // slices
    magnitudes = np.unique(np.concatenate([np.unique(np.abs(matrix)) for matrix in matrices]))
    magnitudes = tuple(int(m) for m in magnitudes if m) or (1,)
    if len(magnitudes) > MAX_MAGNITUDES:
        raise UserError(
            f"style rom: {len(magnitudes)} different magnitudes, at most {MAX_MAGNITUDES}; choose style metal"
        )
    fold = gcd(FOLD, lanes // wide, slices)
    while fold > max(1, rows // lanes):
        fold //= 2
    largest = 127 * max(int(np.abs(matrix).sum(axis=1, dtype=np.int64).max()) for matrix in matrices)
    width = max(largest, 127 * magnitudes[-1] * wide * fold).bit_length() + 1
    return RomGeometry(slices, fold, wide * fold, magnitudes, width)


def prefab(plan: ArrayPlan) -> Iterator[tuple[str, str, dict[str, object]]]:
    """Module, template and template names of what single weights do not touch."""
    rom = _geometry(plan)
    columns = rom.address_columns
    shell = ports.shell_names(plan) | {
        "name": _shell(plan),
        "slices": rom.slices,
        "fold": rom.fold,
        "columns": rom.columns,
        "odds": _odds(rom),
        "row_lines": rom.slices // columns,
        "column_lines": columns,
        "groups": plan.lanes // rom.columns,
        "flush": rom.fold * _ranks(plan),
        "flush_bits": max(1, (rom.fold * _ranks(plan) - 1).bit_length()),
    }
    yield _shell(plan), "array_shell_rom", shell
    yield rom.mac, "rom_mac", _mac_names(rom)
    yield "hardloom_clock_gate", "hardloom_clock_gate", {}


def connections(plan: ArrayPlan) -> Iterator[bytes]:
    """Text of the array module, some units at a time: shell, units, and the address lines of every node."""
    rom = _geometry(plan)
    lines = [f"a{i}" for i in range(rom.slices)]
    odds = [f"x{odd}" for odd in rom.odds]
    head = (
        ports.module_head(plan, f"rom, {rom.slices} addresses, {rom.fold} neurons a unit")
        + "    wire core_clk, drain;\n"
        + f"    wire [{rom.columns - 1}:0] xs;\n"
        + "".join(f"    wire [{rom.columns * w - 1}:0] x{odd};\n" for odd, w in _odds(rom))
        + "    // An address at which all weights are 0 leaves its line unused.\n"
        + "    /* verilator lint_off UNUSEDSIGNAL */\n"
        + ports.wrapped("    wire ", lines, ";\n")
        + "    /* verilator lint_on UNUSEDSIGNAL */\n"
        + ports.wrapped(f"    wire [{plan.acc_width - 1}:0] ", _units(plan), ";\n")
        + f"    {_shell(plan)} shell (\n        {ports.STREAM}, core_clk, drain, xs, {', '.join(odds)},\n"
        + ports.wrapped("        ", lines, ");\n")
    )
    yield head.encode()
    for bank in range(plan.banks):
        yield from _macs(plan, bank)
    lanes = [f"m_{bank}_{lane}" for bank in range(plan.banks) for lane in range(plan.lanes)]
    yield (ports.wrapped("    assign out_data = {", lanes[::-1], "};\n") + "endmodule\n").encode()


def columns_of(matrix: np.ndarray, rom: RomGeometry, lanes: int) -> np.ndarray:
    """Weights by unit, column and address: [units, columns, slices], rows after the last being 0.

    Unit m is rank m // lanes of lane m % lanes: its ring holds rows lane + lanes * (fold * rank + phase); at address t
    it multiplies inputs columns * (t // fold) and on by the weights of phase t % fold.
    """
    rows, inputs = matrix.shape
    ranks = -(-rows // (lanes * rom.fold))
    padded = np.zeros((ranks * rom.fold * lanes, inputs), dtype=matrix.dtype)
    padded[:rows] = matrix
    shape = (ranks, rom.fold, lanes, inputs // rom.columns, rom.columns)
    return padded.reshape(shape).transpose(0, 2, 4, 3, 1).reshape(ranks * lanes, rom.columns, rom.slices)


def _geometry(plan: ArrayPlan) -> RomGeometry:
    assert isinstance(plan.geometry, RomGeometry), f"{plan.name} is no rom array"
    return plan.geometry


def _ranks(plan: ArrayPlan) -> int:
    """Units of a lane."""
    return -(-plan.rows // (plan.lanes * _geometry(plan).fold))


def _shell(plan: ArrayPlan) -> str:
    rom = _geometry(plan)
    odds = "_".join(str(odd) for odd in rom.odds)
    return f"array_shell_rom_i{plan.inputs}_r{plan.rows}_l{plan.lanes}_t{rom.slices}_f{rom.fold}_x{odds}"


def _odds(rom: RomGeometry) -> list[tuple[int, int]]:
    """Odd multiples of an input's magnitude and their bits."""
    return [(odd, (127 * odd).bit_length()) for odd in rom.odds]


def _units(plan: ArrayPlan) -> list[str]:
    """Result wires of all units."""
    return [f"m_{bank}_{unit}" for bank in range(plan.banks) for unit in range(_ranks(plan) * plan.lanes)]


def _mac_names(rom: RomGeometry) -> dict[str, object]:
    """Names of the unit's template: for every column its classes (a weight each), and the planes made of them."""
    values, columns = rom.values, []
    nodes = [np.flatnonzero(group).tolist() for group in _nodes(rom)]
    for column in range(rom.columns):
        group, place = divmod(column, 2)
        stride = 1 if place else len(values)
        classes = [
            {
                "name": f"w{column}_{'m' if value < 0 else 'p'}{abs(value)}",
                "value": value,
                "nodes": [f"n{group}_{n}" for n in nodes[group] if n // stride % len(values) == code],
            }
            for code, value in enumerate(values)
            if value
        ]
        columns.append({"number": column, "classes": classes, **_planes(rom, classes)})
    product = (127 * rom.magnitudes[-1]).bit_length()
    return {
        "name": rom.mac,
        "fold": rom.fold,
        "columns": columns,
        "acc_width": rom.acc_width,
        "odds": _odds(rom),
        "odd_bits": max(bits for _, bits in _odds(rom)),
        "product_bits": product,
        "sum_bits": (((1 << product) - 1) * rom.columns).bit_length(),
        "minus_bits": rom.columns.bit_length(),
        "nodes": [f"n{group}_{n}" for group, numbers in enumerate(nodes) for n in numbers],
    }


def _planes(rom: RomGeometry, classes: list[dict]) -> dict[str, object]:
    """The classes that are negative, that have each odd part, and each shift."""
    odd = {c["name"]: abs(c["value"]) // (c["value"] & -c["value"]) for c in classes}
    shift = {c["name"]: (c["value"] & -c["value"]).bit_length() - 1 for c in classes}
    return {
        "negative": [c["name"] for c in classes if c["value"] < 0],
        "odd_planes": [(o, bits, [n for n in odd if odd[n] == o]) for o, bits in _odds(rom)],
        "shift_planes": [(s, [n for n in shift if shift[n] == s]) for s in sorted(set(shift.values()))],
    }


def _nodes(rom: RomGeometry) -> np.ndarray:
    """Whether a group of columns has the node of each pair of codes: bool [groups, codes squared]."""
    number = np.arange(len(rom.values) ** 2)
    single = number % len(rom.values) == 0
    return np.stack([(single if size == 1 else np.ones_like(single)) & (number > 0) for size in rom.pairs])


def _macs(plan: ArrayPlan, bank: int) -> Iterator[bytes]:
    """Instances of the units of one bank, some at a time."""
    rom = _geometry(plan)
    columns = columns_of(plan.matrices[bank], rom, plan.lanes)
    tokens = _tokens(rom.slices)
    step = max(1, WEIGHTS_AT_ONCE // (rom.columns * rom.slices))
    odds = ", ".join(f"x{odd}" for odd in rom.odds)
    for start in range(0, len(columns), step):
        for unit, text in enumerate(_node_text(columns[start : start + step], rom, tokens), start):
            behind = unit + plan.lanes
            chain = f"m_{bank}_{behind}" if behind < len(columns) else f"{plan.acc_width}'d0"
            yield (
                f"    {rom.mac} mac_{bank}_{unit} (core_clk, drain, {chain}, m_{bank}_{unit}, xs, {odds},".encode()
                + text.tobytes()
                + b");\n"
            )


def _tokens(slices: int) -> np.ndarray:
    """Terms of a node as fixed-width text uint8 [1 + slices, width]: none, then each address line; a place for what
    stands before and after."""
    width = max(4, 1 + len(str(slices - 1)))
    text = "".join(f" {name:>{width}}|" for name in ["1'b0", *(f"a{i}" for i in range(slices))])
    return np.frombuffer(text.encode(), dtype=np.uint8).reshape(1 + slices, width + 2)


def _node_text(columns: np.ndarray, rom: RomGeometry, tokens: np.ndarray) -> list[np.ndarray]:
    """Pins of the nodes of every unit, uint8 text: the address lines of a node in a row, commas between nodes."""
    values, size = np.array(rom.values), len(rom.values) ** 2
    order = np.argsort(values)
    column = order[np.searchsorted(values[order], columns)]
    code = column[:, 0::2] * len(values)
    code[:, : rom.columns // 2] += column[:, 1::2]
    units, groups, slices = code.shape
    code = code.reshape(units * groups, slices)
    counts = np.bincount((np.arange(len(code))[:, None] * size + code).ravel(), minlength=len(code) * size)
    counts = counts.reshape(len(code), size)
    items = np.maximum(counts, _nodes(rom)[np.arange(len(code)) % groups])
    items[:, 0] = 0
    ends = np.cumsum(items.ravel()).reshape(items.shape)
    address = np.argsort(code, axis=1, kind="stable")
    ranked = np.take_along_axis(code, address, axis=1)
    first = np.cumsum(counts, axis=1) - counts
    rank = np.arange(slices) - np.take_along_axis(first, ranked, axis=1)
    place = np.take_along_axis(ends - items, ranked, axis=1) + rank
    token = np.zeros(int(ends[-1, -1]), dtype=np.int64)
    used = ranked > 0
    token[place[used]] = 1 + address[used]
    text = tokens[token]
    text[ends[items > 0] - 1, -1] = ord(",")
    text[::TERMS_A_LINE, 0] = ord("\n")
    cuts = ends[groups - 1 :: groups, -1]
    return [part.reshape(-1)[:-1] for part in np.split(text, cuts[:-1])]
