"""Style `metal`: bit-serial Metal-Embedding.

Prefabricated neuron cells count lines; the weights are which input's wire enters which slot of which line. A cell
serves the neurons of a ring, which take turns: a step adds one part of the inputs for one of them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numba import njit

from hardloom.gen.arrays import ports
from hardloom.gen.arrays.capacity import Regions
from hardloom.gen.arrays.rings import fold_of, rings
from hardloom.gen.arrays.shells import CLOCK_GATE, MetalShell, Prefab, serial_input
from hardloom.gen.arrays.slots import assign, fitting_regions, misfits
from hardloom.gen.arrays.style import ArrayPlan, Style

__all__ = ["Metal", "MetalForm", "NeuronKind", "by_format", "of_regions"]

SLOTS_A_LINE = 16
NEW_LINE = ord("\n")
WORD = 8  # bytes of the text of a slot, at most
END = b");\n"
WEIGHTS_AT_ONCE = 1 << 17  # a pass over cells stays in the cache


class NeuronKind(NamedTuple):
    """A kind of neuron cell: the format that it is named after, and value and line capacity of its regions."""

    format: str
    regions: Regions


@dataclass(frozen=True)
class MetalForm:
    """What the prefabricated text of a metal array depends on, besides rows, banks and lanes.

    Attributes
    ----------
    inputs, slices: as in the plan.
    fold: neurons of a cell; a turn of each and `slices / fold` parts of the inputs make the steps of a bit plane.
    cells: neuron cells of each bank; a ring of neurons takes the first that it fits into.
    planes: bits of an input, one a step and slice.
    most: what the wires of one neuron may add up to in one bit plane.
    """

    inputs: int
    slices: int
    fold: int
    cells: tuple[tuple[NeuronKind, ...], ...]
    planes: int
    most: int

    @property
    def kinds(self) -> list[NeuronKind]:
        """Every neuron cell of the array."""
        return list(dict.fromkeys(kind for bank in self.cells for kind in bank))

    @property
    def feeds(self) -> int:
        """Pairs of wires that the shell sends: every input once a turn."""
        return self.inputs * self.fold

    @property
    def sum_width(self) -> int:
        """Bits of the adder: the sum of a plane and what is left of those before it stays below twice the largest."""
        return (2 * self.most - 1).bit_length()

    @property
    def acc_width(self) -> int:
        return self.sum_width + self.planes - 1

    @property
    def steps(self) -> int:
        """Cycles in which a packet is added up."""
        return self.planes * self.slices

    @property
    def compute_cycles(self) -> int:
        """Cycles between the last beat of one packet and the first of the next."""
        return self.steps + 1

    def module_of(self, kind: NeuronKind) -> str:
        """Module of a neuron cell."""
        shape = f"i{self.inputs}_t{self.slices}_f{self.fold}_p{self.planes}"
        return f"neuron_{kind.format}_{shape}_{kind.regions.name}_w{self.acc_width}"

    def kind_of_cells(self, bank: int, matrix: np.ndarray, cells: np.ndarray) -> np.ndarray:
        """The first neuron cell of a bank that each of `cells` fits into, uint8 [cells]; the last holds them all."""
        kinds, left = np.zeros(len(cells), dtype=np.uint8), np.arange(len(cells))
        for kind in self.cells[bank][:-1]:
            left = left[list(misfits(matrix, cells[left], kind.regions, self.slices))]
            kinds[left] += 1
        return kinds


def of_regions(inputs: int, slices: int, fold: int, banks: Sequence[NeuronKind], planes: int) -> MetalForm:
    """Form of one kind of neuron cell a bank, whose neurons may use every line in every one of their steps."""
    full = max(sum(np.multiply(kind.regions.values, kind.regions.lines).tolist()) for kind in banks)
    return MetalForm(inputs, slices, fold, tuple((kind,) for kind in banks), planes, slices // fold * full)


def by_format(matrices: tuple[np.ndarray, ...], formats: tuple[str, ...]) -> dict[str, tuple[np.ndarray, ...]]:
    """The matrices of each format: they share their neuron cells."""
    pairs = list(zip(matrices, formats, strict=True))
    return {format: tuple(matrix for matrix, own in pairs if own == format) for format in dict.fromkeys(formats)}


class Metal(Style[MetalForm]):
    """Wires of inputs into slots of lines that prefabricated neuron cells count."""

    name = "metal"
    shells = MetalShell
    prefabricated = True

    def form(
        self, matrices: tuple[np.ndarray, ...], slices: int, formats: tuple[str, ...], lanes: int, width: int
    ) -> MetalForm:
        """Form with the smallest capacity class of each format that holds every row of its matrices."""
        rows, inputs = matrices[0].shape
        fold = fold_of(rows, inputs, lanes, slices)
        kinds = {
            format: NeuronKind(format, fitting_regions(some, slices, fold, lanes, format))
            for format, some in by_format(matrices, formats).items()
        }
        return of_regions(inputs, slices, fold, [kinds[format] for format in formats], width)

    def shell(self, plan: ArrayPlan[MetalForm]) -> MetalShell:
        return MetalShell(**plan.stream, slices=plan.slices, fold=plan.form.fold)

    def prefab(self, plan: ArrayPlan[MetalForm]) -> Iterator[Prefab]:
        form = plan.form
        yield self.shell(plan).prefab
        for kind in form.kinds:
            lines = sum(kind.regions.lines)
            neuron = {
                "name": form.module_of(kind),
                "slices": form.slices,
                "fold": form.fold,
                "planes": form.planes,
                "slots": lines * form.slices,
                "lines": lines,
                "acc_width": form.acc_width,
                **_region_names(kind.regions),
            }
            yield Prefab(form.module_of(kind), "neuron_metal", neuron)
        yield serial_input(form.planes)
        yield CLOCK_GATE

    def connections(self, plan: ArrayPlan[MetalForm]) -> Iterator[bytes]:
        """A few cells at a time: shell, neuron cells, and one wire a slot."""
        cells = rings(plan.rows, plan.lanes, plan.form.fold)
        yield _head(plan, len(cells)).encode()
        for bank in range(plan.banks):
            yield from _cells(plan, bank, cells)
        yield ports.module_tail(plan, len(cells)).encode()


def _region_names(regions: Regions) -> dict[str, object]:
    """Regions as the neuron's template wants them: in order of lines, and grouped by the odd factor 1 or 3."""
    first, named = 0, []
    for value, lines in zip(regions.values, regions.lines, strict=True):
        unit = value & -value
        named.append({"first": first, "lines": lines, "value": value, "unit": f"{unit.bit_length()}'d{unit}"})
        first += lines
    ones, threes = named[: regions.bits], named[regions.bits :]
    groups = [{"factor": factor, "regions": group} for factor, group in ((1, ones), (3, threes)) if group]
    return {"regions": named, "groups": groups}


def _head(plan: ArrayPlan[MetalForm], cells: int) -> str:
    """The module up to the shell's end, of so many `cells` a bank."""
    fold, feeds = plan.form.fold, [f"p{v}, n{v}" for v in range(plan.form.feeds)]
    classes = " and ".join(dict.fromkeys(bank[0].regions.name for bank in plan.form.cells))
    return (
        ports.module_head(plan, f"metal, {classes}, {fold} neurons a cell")
        + "    wire core_clk, clear, drain, shift, negate;\n"
        + f"    // Wire p{fold}*i+f: input i while it is the turn of neuron f of every cell; n: of its negative.\n"
        + "    // What no neuron weighs positively (negatively) leaves its p (n) unused.\n"
        + "    /* verilator lint_off UNUSEDSIGNAL */\n"
        + ports.wrapped("    wire ", feeds, ";\n")
        + "    /* verilator lint_on UNUSEDSIGNAL */\n"
        + ports.accumulators(plan, cells)
        + f"    {plan.shell} shell (\n        {ports.STREAM}, core_clk, clear, drain, shift, negate,\n"
        + ports.wrapped("        ", feeds, ");\n")
    )


def _cells(plan: ArrayPlan[MetalForm], bank: int, cells: np.ndarray) -> Iterator[bytes]:
    """Instances of the neuron cells of one bank, a few at a time. cells: int32 [cells, fold], rows."""
    form, matrix, kinds = plan.form, plan.matrices[bank], plan.form.cells[bank]
    tokens, width = _tokens(form.feeds)
    held = [np.empty((_step(form), sum(kind.regions.lines) * form.slices), dtype=np.int32) for kind in kinds]
    for start, stop, number in _runs(form.kind_of_cells(bank, matrix, cells), _step(form)):
        slots = assign(matrix, cells[start:stop], kinds[number].regions, plan.slices, held[number])
        heads = [_instance(plan, form.module_of(kinds[number]), bank, u, len(cells)) for u in range(start, stop)]
        yield _instances(heads, tokens, width, slots)


def _step(form: MetalForm) -> int:
    """Cells to be written at once."""
    return max(1, WEIGHTS_AT_ONCE // form.feeds)


def _runs(kinds: np.ndarray, step: int) -> Iterator[tuple[int, int, int]]:
    """Start, stop and kind of neighbours of one kind, `step` of them at most."""
    edges = [0, *(np.flatnonzero(np.diff(kinds)) + 1).tolist(), len(kinds)]
    for first, last in pairwise(edges):
        for start in range(first, last, step):
            yield start, min(start + step, last), int(kinds[first])


def _instance(plan: ArrayPlan[MetalForm], module: str, bank: int, cell: int, cells: int) -> bytes:
    """A neuron cell up to its slots."""
    wires = f"{ports.drain_source(plan, bank, cell, cells)}, {ports.accumulator(bank, cell)}"
    return f"    {module} neuron_{bank}_{cell} (core_clk, clear, drain, shift, negate, {wires},".encode()


@lru_cache(maxsize=8)
def _tokens(feeds: int) -> tuple[np.ndarray, int]:
    """What a slot may hold: no wire, p of each feed, n of each, with a comma; and the width of all these texts.

    Every text is a word, uint64 [1 + 2 * feeds], its first character lowest; so feeds are a million at most.
    """
    width = max(4, 1 + len(str(feeds - 1)))
    names = ["1'b0", *(f"p{v}" for v in range(feeds)), *(f"n{v}" for v in range(feeds))]
    text = "".join(f"{name:>{width}}," + " " * (WORD - width - 1) for name in names)
    return np.frombuffer(text.encode(), dtype="<u8"), width + 1


def _instances(heads: list[bytes], tokens: np.ndarray, width: int, slots: np.ndarray) -> bytes:
    """Text of neuron cells from their `heads` and slots [cells, slots]: a new line every few slots."""
    size = -(-slots.shape[1] // SLOTS_A_LINE) + slots.shape[1] * width - 1  # the last comma gives way to the end
    lengths = np.array([len(head) for head in heads])
    starts = np.cumsum(lengths + size + len(END)) - size - len(END)
    text = np.empty(starts[-1] + size + WORD, dtype=np.uint8)
    _write_slots(tokens, width, slots, starts, text)
    for head, start in zip(heads, starts.tolist(), strict=True):
        text[start - len(head) : start] = np.frombuffer(head, dtype=np.uint8)
        text[start + size : start + size + len(END)] = np.frombuffer(END, dtype=np.uint8)
    return text[: starts[-1] + size + len(END)].tobytes()


@njit(cache=True, nogil=True)
def _write_slots(tokens, width, slots, starts, text):
    """Write every cell's `slots` from its place in `starts` on, whole words, so that the last one may go over."""
    for row in range(len(slots)):
        at = np.uint64(starts[row])
        for slot in range(slots.shape[1]):
            if slot % SLOTS_A_LINE == 0:
                text[at] = NEW_LINE
                at += np.uint64(1)
            word = tokens[np.uint32(slots[row, slot])]
            for place in range(WORD):  # becomes one store
                text[at + np.uint64(place)] = (word >> np.uint64(8 * place)) & np.uint64(0xFF)
            at += np.uint64(width)
