"""Every integer of the checkpoint read back out of a build's Verilog text, and compared."""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial

import numpy as np
from torch import Tensor

from hardloom.gen.build.constants import SCALE_BITS, embedding_width
from hardloom.gen.build.folder import CHIP, Build
from hardloom.gen.build.names import connection_file
from hardloom.gen.design.head_tiles import Tile
from hardloom.gen.design.layer_sizes import LAYER_NORMS, wired_module
from hardloom.gen.text.constant_module import index_width
from hardloom.golden.files import COMPRESSED
from hardloom.golden.models.layer_units import Units
from hardloom.golden.parallel import HERE, Workers, ordered_map
from hardloom.golden.shape import EMBEDDING, ExpertsShape
from hardloom.golden.units.gain import Gain
from hardloom.golden.units.rescale import Rescale
from hardloom.golden.units.rope import Rope
from hardloom.golden.units.router import Router
from hardloom.verif.crosscheck.sample import choose_samples, crosscheck
from hardloom.verif.extract.constant_module import read_constants
from hardloom.verif.extract.errors import ExtractionError
from hardloom.verif.proof.arrays import ArrayReader
from hardloom.verif.proof.folder import folder_problem, model_weights
from hardloom.verif.proof.hierarchy import Hierarchy
from hardloom.verif.proof.reading import Comparison, Reading
from hardloom.verif.proof.row_scales import RowScales, ScalesMet
from hardloom.verif.proof.tables import chip_tables

__all__ = ["SAMPLE", "Reader", "Recovery", "recover"]

SAMPLE = 10_000_000
"""Weights that are read in the time in which pyverilog reads a cell."""


@dataclass
class Recovery:
    """Integers read back.

    Attributes
    ----------
    weights, matching: weights of arrays and embedding in the checkpoint, and of them those recovered as they are.
    constants, matching_constants: the same of row scales, gains and biases.
    tables, entries, matching_entries: interpolation and angle tables, their integers, and of them those that match.
    sampled, matching_sampled: weights in sampled cells of every style and kind of array, and of them those that
        `verif.crosscheck`, which shares no code with the readers of all the others, recovers as they are.
    proven_when_written: weights that the manifest says were proven as they were written, whose text is gone: none of
        them is among those recovered. sampled_when_written: of these, those that the second reader read as well.
    files: Verilog files read; first: the first difference in words, or None.
    """

    weights: int = 0
    matching: int = 0
    constants: int = 0
    matching_constants: int = 0
    tables: int = 0
    entries: int = 0
    matching_entries: int = 0
    sampled: int = 0
    matching_sampled: int = 0
    proven_when_written: int = 0
    sampled_when_written: int = 0
    files: int = 0
    first: str | None = None

    @property
    def complete(self) -> bool:
        total = (self.weights, self.constants, self.entries, self.sampled)
        proven = self.matching + self.proven_when_written
        matching = (proven, self.matching_constants, self.matching_entries, self.matching_sampled)
        return self.first is None and total == matching

    def add(self, found: Comparison) -> None:
        """Count one file."""
        self.files += found.legible and found.what != "dropped"
        if found.what == "weights":
            self.weights, self.matching = self.weights + found.expected, self.matching + found.matching
        elif found.what == "dropped":
            self.weights += found.expected
            self.proven_when_written += found.expected
            self.sampled_when_written += found.matching
        elif found.what == "constants":
            self.constants += found.expected
            self.matching_constants += found.matching
        elif found.what == "table":
            self.tables, self.entries = self.tables + found.legible, self.entries + found.expected
            self.matching_entries += found.matching
        self.first = self.first or found.first


def rom_ports(words: int, width: int) -> dict[str, int]:
    """Bits of the ports of a ROM of so many words of so many bits."""
    return {"index": index_width(words), "data": width}


def unpadded(rom: np.ndarray, count: int) -> np.ndarray:
    """Words [beats, lanes] of one packet to its elements [count]; padding that is not zero stays, as a difference."""
    flat = rom.reshape(-1)
    return flat[:count] if not flat[count:].any() else flat


def scale_pairs(words: np.ndarray) -> np.ndarray:
    """Words of 17 bits to int64 [2, ...]: mantissas, exponents (the ROM holds the negated exponent)."""
    shift = words >> Rescale.mant_width
    shift -= (shift >> (Rescale.shift_width - 1)) << Rescale.shift_width
    return np.stack([words & ((1 << Rescale.mant_width) - 1), -shift])


class Reader:
    """Says how every file of one build is read, and what the checkpoint inside it and the specifications expect.

    arrays: how the arrays are, which `readings` leaves out.
    """

    def __init__(self, build: Build) -> None:
        self.build, self.checkpoint = build, build.checkpoint()
        self.lanes, self.model = build.hardware.lanes, self.checkpoint.model
        self.shapes = {tensor.name: tensor.shape for tensor in self.model.tensors()}
        self.row_scales = RowScales(self.checkpoint)
        self.hierarchy = Hierarchy(build)
        self.arrays = ArrayReader.of(build, self.checkpoint, self.hierarchy.prefab)

    def rom(
        self,
        name: str,
        width: int,
        signed: bool,
        expected: Callable[[], np.ndarray],
        arranged: Callable[[np.ndarray], np.ndarray],
        shape: tuple[int, int],
        what: str = "constants",
    ) -> Reading:
        """The constant module `name`, without the build's prefix; `arranged` brings its words, int64 of `shape` [words,
        elements of one], to the shape of `expected`."""
        module = self.build.module(name)

        def read(pieces: Iterable[bytes]) -> np.ndarray:
            words = np.concatenate(list(read_constants(pieces, module, width, signed)))
            if words.shape != shape:
                raise ExtractionError(f"it has {words.shape} words and elements of one, and should have {shape}")
            self.hierarchy.expect_ports(module, rom_ports(len(words), shape[1] * width))
            return arranged(words)

        return whole(f"rtl/constants/{module}.v", what, expected, read)

    def scales(self, name: str, groups: Sequence[Sequence[str]], tile: Tile | None = None) -> Reading:
        """Row scales behind arrays of `groups`, or of a tile of their rows; a word holds the lanes of every bank of one
        array."""

        def arranged(words: np.ndarray) -> np.ndarray:
            beats = words.reshape(len(groups), -1, len(groups[0]), self.lanes).swapaxes(1, 2)
            pairs = [scale_pairs(unpadded(bank, rows)) for group in beats for bank in group]
            return np.concatenate(pairs, axis=1)

        first, stop = (tile.first, tile.stop) if tile else (0, self.shapes[groups[0][0]][0])
        rows = stop - first
        names = [name for banks in groups for name in banks]
        shape = len(groups) * self.beats(rows), len(groups[0]) * self.lanes
        return self.rom(name, SCALE_BITS, False, lambda: self.row_scales.of(names, first, stop), arranged, shape)

    def beats(self, elements: int) -> int:
        """Of a packet of so many."""
        return -(-elements // self.lanes)

    @property
    def behind(self) -> bool:
        """Whether gains stand behind the norms."""
        return self.checkpoint.numerics.gains == "behind"

    def gains(self, name: str, width: int, gains: Tensor) -> Reading:
        """Gains, int64 [elements], in the constant module `name`."""
        arranged, shape = partial(unpadded, count=len(gains)), (self.beats(len(gains)), self.lanes)
        return self.rom(name, width, True, partial(np.array, gains.numpy()), arranged, shape)

    def biases(self, name: str, width: int, banks: np.ndarray) -> Reading:
        """Biases behind an array's banks, int64 [banks, rows], in the constant module `name`, banks side by side."""

        def arranged(words: np.ndarray) -> np.ndarray:
            beats = words.reshape(-1, len(banks), self.lanes).swapaxes(0, 1)
            return np.stack([unpadded(bank, banks.shape[1]) for bank in beats])

        shape = self.beats(banks.shape[1]), len(banks) * self.lanes
        return self.rom(name, width, True, lambda: banks, arranged, shape)

    def layer(self, number: int) -> Iterator[Reading]:
        """Gains, biases and the experts' row scales of a layer."""
        shape, prefix = self.model.layers[number], f"layer_{number}"
        units = Units.of(self.model, self.checkpoint.numerics, shape)
        for n in "qk" if shape.attention.head_norms else "":
            yield self.gains(
                wired_module(prefix, f"{n}_gain"), Rope.gain_width, units.gains(self.checkpoint, number, n)
            )
        for norm, kind in LAYER_NORMS.items() if self.behind else ():
            gains = units.norm_gains(self.checkpoint, number, kind)
            yield self.gains(wired_module(prefix, f"{norm}_gain"), Gain.width, gains)
        for array, projections in shape.attention.projections.items() if shape.attention.bias else ():
            banks = [units.projection_biases(self.checkpoint, number, n).numpy() for n in projections]
            yield self.biases(wired_module(prefix, f"{array}_bias"), units.word.width, np.stack(banks))
        biases = units.biases(self.checkpoint, number)
        if biases is not None:
            for router in self.build.hardware.router_names:
                name = wired_module(prefix, f"{router}expert_bias")
                shape_of_rom = len(biases), 1
                yield self.rom(name, Router.bias_width, True, partial(np.array, biases.numpy()), np.ravel, shape_of_rom)
        if not isinstance(shape.mlp, ExpertsShape):
            return
        for kind, names in (("gate_up", ("gate_proj", "up_proj")), ("down", ("down_proj",))):
            for group, numbers in self.build.hardware.groups_of(shape.mlp.num_experts).items():
                experts = [[self.model.tensor(name, number, e).name for name in names] for e in numbers]
                yield self.scales(wired_module(prefix, f"{group}experts_{kind}_scales"), experts)

    def last_norm(self) -> Iterator[Reading]:
        """Its gain, where it stands behind it."""
        if self.behind:
            units = Units.of(self.model, self.checkpoint.numerics, self.model.layers[0])
            gains = units.norm_gains(self.checkpoint, None, "norm")
            yield self.gains(wired_module("chip", "final_gain"), Gain.width, gains)

    def embedding(self) -> Iterator[Reading]:
        matrix = self.checkpoint.integers(EMBEDDING)
        weights, width = matrix.weights.numpy(), embedding_width(matrix)
        vocabulary, hidden = weights.shape
        beats = self.beats(hidden)

        def read(pieces: Iterable[bytes]) -> Iterator[np.ndarray]:
            self.hierarchy.expect_ports(module, rom_ports(vocabulary * beats, self.lanes * width))
            for words in grouped(read_constants(pieces, module, width), beats):
                if words.shape[1] != self.lanes:
                    raise ExtractionError(f"a word has {words.shape[1]} elements, and should have {self.lanes}")
                rows = words.reshape(-1, words.shape[1] * beats)
                yield rows if rows[:, hidden:].any() else rows[:, :hidden]

        name = wired_module("chip", "embedding")
        module = self.build.module(name)
        file = f"rtl/constants/{module}.v"
        yield Reading(file, "weights", lambda start, stop: weights[start:stop], read, (vocabulary,))
        self.row_scales.keep(ScalesMet.of(EMBEDDING, 0, matrix))
        yield self.rom(
            name + "_scales",
            SCALE_BITS,
            False,
            lambda: self.row_scales.of([EMBEDDING]),
            lambda words: scale_pairs(words.reshape(-1)),
            (vocabulary, 1),
        )

    def tables(self) -> Iterator[Reading]:
        """Every table of the units, once: as often as units that share it expect something else in it."""
        seen = set[tuple[str, bytes]]()
        for table in chip_tables(self.model, self.checkpoint.numerics, self.build.hardware, CHIP):
            self.hierarchy.expect(self.build.module(table.unit), self.build.module(table.module))
            if (key := (table.module, table.expected.tobytes())) not in seen:
                seen.add(key)
                expected = partial(np.array, table.expected)
                shape = table.shape
                yield self.rom(table.module, table.width, table.signed, expected, table.arranged, shape, "table")

    def readings(self) -> Iterator[Reading]:
        """Every file that holds integers besides the arrays' wiring, once."""
        for facts in self.build.arrays:
            if facts.expert is None:
                yield self.scales(wired_module(facts.prefix, facts.name) + "_scales", [facts.matrices], facts.tile)
        if self.build.manifest.top is None:
            return
        for number in range(len(self.model.layers)):
            yield from self.layer(number)
        yield from self.last_norm()
        yield from self.embedding()
        yield from self.tables()


def whole(
    file: str, what: str, expected: Callable[[], np.ndarray], read: Callable[[Iterable[bytes]], np.ndarray]
) -> Reading:
    """Of a file that is compared at once."""
    return Reading(file, what, lambda start, stop: expected(), lambda pieces: [read(pieces)], (0,))


def grouped(blocks: Iterable[np.ndarray], count: int) -> Iterator[np.ndarray]:
    """The same rows in blocks of multiples of `count`; raises ExtractionError where some are left."""
    held = np.zeros((0, 0), dtype=np.int64)
    for block in blocks:
        held = np.concatenate([held, block]) if len(held) else block
        whole = len(held) // count * count
        if whole:
            yield held[:whole]
            held = held[whole:]
    if len(held):
        raise ExtractionError(f"its words do not fit to the rows that they stand for: {len(held)} are left")


def recover(
    build: Build, progress: Callable[[int, int], None] = lambda done, total: None, workers: Workers = HERE
) -> Recovery:
    """Read every weight, row scale, gain, bias and table out of the Verilog of `build` and compare, on all cores.

    Arrays whose text was dropped once it was proven are counted apart, as the manifest says. Text that is not what the
    generator writes ends the reading: it becomes `Recovery.first`, and what follows counts as
    not recovered. A second reader, `verif.crosscheck`, then reads a sample. `progress` is called with the work done and
    its total, both in weights read. workers: read the arrays. Raises `UserError` where a file is not as the manifest
    says.
    """
    reader, recovery, read = Reader(build), Recovery(), set[str]()
    total = model_weights(build, reader.checkpoint)
    if problem := folder_problem(build, reader.checkpoint):
        return Recovery(weights=total, first=problem)
    work = total + SAMPLE * len(choose_samples(build))
    with closing(compared(reader, workers)) as comparisons:
        for found in comparisons:
            recovery.add(found)
            read.add(found.file)
            if not found.legible:
                break
            progress(recovery.weights, work)
    recovery.weights = total
    unread = sorted(f for f in build.files if f.startswith(("rtl/arrays/", "rtl/constants/")) and plain(f) not in read)
    strange = f"{unread[0]}: is no part of the model" if unread else reader.hierarchy.problem()
    recovery.first = recovery.first or strange
    sampled = crosscheck(build, lambda left: progress(work - SAMPLE * left, work))
    recovery.sampled, recovery.matching_sampled = sampled.weights, sampled.matching
    recovery.first = recovery.first or sampled.first
    return recovery


def compared(reader: Reader, workers: Workers) -> Generator[Comparison, None, None]:
    """Every file that holds integers; arrays first, which tell what they are made of, and the scales of their rows."""
    build = reader.build
    for facts in build.arrays:
        if dropped := build.dropped(facts.module):
            reader.hierarchy.use(dropped.shell, {*dropped.modules})
            reader.hierarchy.expect_ports(facts.module, dropped.ports)
            yield Comparison(connection_file(facts.module), "dropped", dropped.weights, dropped.sampled, None)
    there = [facts for facts in build.arrays if build.dropped(facts.module) is None]
    with closing(workers.map(reader.arrays, there)) as arrays:
        for found in arrays:
            if found.met.shell is not None:
                reader.hierarchy.use(found.met.shell, found.met.modules)
                reader.hierarchy.expect_ports(found.module, found.met.ports)
            for scales in found.met.scales:
                reader.row_scales.keep(scales)
            yield found.comparison
    with closing(ordered_map(lambda r: r.compare(build.pieces(r.file)), reader.readings())) as others:
        yield from others


def plain(name: str) -> str:
    """Of a compressed file as well."""
    return name.removesuffix(COMPRESSED)
