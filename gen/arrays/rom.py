"""Style `rom`: an address-serial logic ROM and few multiply-accumulate units, for the least area.

Two columns of a unit are read together: all addresses at which a pair of columns holds the same two weights are one OR
of address lines, a node; the unit turns nodes into two weights.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hardloom.gen.arrays.multiplier import column_names, digits, mac_names
from hardloom.gen.arrays.serial import Names, SerialForm, SerialStyle, magnitudes_of, serial_fold, width_of
from hardloom.gen.arrays.style import ArrayPlan

__all__ = ["Rom", "RomForm"]

TERMS_A_LINE = 16
WEIGHTS_AT_ONCE = 1 << 21  # bounds the memory of one pass over units


@dataclass(frozen=True)
class RomForm(SerialForm):
    """Form of a rom array; its magnitudes are those of its weights."""

    unit = "rom"

    @property
    def values(self) -> tuple[int, ...]:
        """Weights by code: 0, then each magnitude, then each with a minus."""
        return (0, *self.magnitudes, *(-m for m in self.magnitudes))

    @property
    def pairs(self) -> tuple[int, ...]:
        """Columns (2, or 1 at the end of an odd number) of every group that is read together."""
        return (2,) * (self.columns // 2) + (1,) * (self.columns % 2)


class Rom(SerialStyle[RomForm]):
    """Nodes of pairs of columns."""

    name = "rom"

    def form(
        self, matrices: tuple[np.ndarray, ...], slices: int, formats: tuple[str, ...], lanes: int, width: int
    ) -> RomForm:
        """Raises UserError where the matrices have too many magnitudes."""
        rows, inputs = matrices[0].shape
        fold = serial_fold(rows, inputs, slices, lanes)
        columns = fold * inputs // slices
        counts = [np.bincount(np.abs(matrix).ravel()) for matrix in matrices]
        seen = np.zeros(max(map(len, counts)), dtype=bool)
        for count in counts:
            seen[: len(count)] |= count > 0
        magnitudes = magnitudes_of(self.name, np.flatnonzero(seen))
        sums = (int(np.abs(matrix).sum(axis=1, dtype=np.int64).max()) for matrix in matrices)
        return RomForm(slices, fold, columns, width, magnitudes, width_of(sums, magnitudes, columns, width))

    def mac_names(self, form: RomForm) -> Names:
        """Names of the unit's template: for every column its classes (a weight each), and the planes made of them."""
        values, columns = form.values, []
        nodes = [np.flatnonzero(group).tolist() for group in _nodes(form)]
        for column in range(form.columns):
            group, place = divmod(column, 2)
            stride = 1 if place else len(values)
            classes = {
                value: (
                    f"w{column}_{'m' if value < 0 else 'p'}{abs(value)}",
                    " | ".join(f"n{group}_{n}" for n in nodes[group] if n // stride % len(values) == code),
                )
                for code, value in enumerate(values)
                if value
            }
            negative = _either(classes, [v for v in classes if v < 0])
            planes = _planes(form, column, classes)
            columns.append(column_names(column, list(classes.values()), negative, planes, form.width))
        pins = [f"n{group}_{n}" for group, numbers in enumerate(nodes) for n in numbers]
        what = "Node n<g>_<c> is 1 when columns 2g and 2g + 1 read the weights of code c; none is 1 when both are 0."
        return mac_names(form.magnitudes, form.width, (), form.odds, pins, columns) | {"what": what}

    def pins(self, plan: ArrayPlan[RomForm], bank: int) -> Iterator[memoryview]:
        """The address lines of every node, some units at a time."""
        form = plan.form
        columns, tokens = _columns_of(plan.matrices[bank], form, plan.lanes), _tokens(form.slices)
        step = max(1, WEIGHTS_AT_ONCE // (form.columns * form.slices))
        for start in range(0, len(columns), step):
            yield from (text.data for text in _node_text(columns[start : start + step], form, tokens))


def _columns_of(matrix: np.ndarray, rom: RomForm, lanes: int) -> np.ndarray:
    """Weights by unit, column and address: [units, columns, slices], rows after the last being 0."""
    rows, inputs = matrix.shape
    ranks = -(-rows // (lanes * rom.fold))
    padded = np.zeros((ranks * rom.fold * lanes, inputs), dtype=matrix.dtype)
    padded[:rows] = matrix
    shape = (ranks, rom.fold, lanes, inputs // rom.columns, rom.columns)
    return padded.reshape(shape).transpose(0, 2, 4, 3, 1).reshape(ranks * lanes, rom.columns, rom.slices)


def _either(classes: dict[int, tuple[str, str]], values: list[int]) -> str:
    return " | ".join(classes[value][0] for value in values)


def _planes(rom: RomForm, column: int, classes: dict[int, tuple[str, str]]) -> dict[str, str]:
    """Factors and shifts as ORs of classes; the shift that most classes have comes last: it is where no other is."""
    table = digits(rom.magnitudes, rom.width)
    members: tuple[dict[int, list[int]], dict[int, list[int]]] = ({}, {})
    for value in classes:
        for part, number in zip(members, table[abs(value)], strict=True):
            part.setdefault(number, []).append(value)
    factors, shifts = members
    *others, most = sorted(shifts, key=lambda shift: len(shifts[shift]))
    planes = {f"f{factor}": _either(classes, factors[factor]) for factor in sorted(factors)}
    planes |= {f"s{shift}": _either(classes, shifts[shift]) for shift in others}
    return planes | {f"s{most}": f"~({' | '.join(f's{column}_{shift}' for shift in others)})"}


def _nodes(rom: RomForm) -> np.ndarray:
    """Whether a group of columns has the node of each pair of codes: bool [groups, codes squared]."""
    number = np.arange(len(rom.values) ** 2)
    single = number % len(rom.values) == 0
    return np.stack([(single if size == 1 else np.ones_like(single)) & (number > 0) for size in rom.pairs])


def _tokens(slices: int) -> np.ndarray:
    """Terms of a node as fixed-width text uint8 [1 + slices, width]: none, then each address line; a place for what
    stands before and after."""
    width = max(4, 1 + len(str(slices - 1)))
    text = "".join(f" {name:>{width}}|" for name in ["1'b0", *(f"a{i}" for i in range(slices))])
    return np.frombuffer(text.encode(), dtype=np.uint8).reshape(1 + slices, width + 2)


def _node_text(columns: np.ndarray, rom: RomForm, tokens: np.ndarray) -> list[np.ndarray]:
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
