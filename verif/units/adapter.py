"""Bench of `gen.units.adapter`."""

from collections.abc import Sequence

import torch
from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import memory, wiring
from torch import Generator, Tensor

from hardloom.gen.design import latency
from hardloom.gen.design.adapters import AdapterSizes, adapter_words
from hardloom.gen.stream.component import Component
from hardloom.gen.units.adapter import Adapter
from hardloom.golden.quantization.integers import IntegerMatrix
from hardloom.golden.units.adapter import Adapter as AdapterSpec
from hardloom.golden.units.exact import ExactMatrix
from hardloom.golden.units.fixed import FIXED, FixedPoint
from hardloom.golden.units.quantize import Quantize
from hardloom.verif.streams.bench import Case, Stimulus, packets
from hardloom.verif.streams.stimulus import integers, vectors

__all__ = ["CASES", "Loaded"]

CPU = torch.device("cpu")


class Loaded(Component):
    """An adapter whose memories are written after each reset, ahead of the first packet.

    words: addresses and words, in that order.
    """

    def __init__(self, unit: Adapter, words: Sequence[tuple[int, int]]) -> None:
        self.unit, self.words = unit, words
        super().__init__({name: m for name, m in unit.signature.members.items() if name != "loads"})

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.unit = unit = self.unit
        shape = unit.loads.payload.shape()
        rows = [{"address": address, "data": word} for address, word in self.words]
        rom: memory.Memory
        m.submodules.rom = rom = memory.Memory(shape=shape, depth=len(rows), init=rows)
        read, at = rom.read_port(domain="comb"), Signal(range(len(rows) + 1))
        loaded = at == len(rows)
        m.d.sync += at.eq(Mux(loaded, at, at + 1))
        m.d.comb += [read.addr.eq(at), unit.loads.payload.eq(read.data), unit.loads.valid.eq(~loaded)]
        m.d.comb += unit.enable.eq(self.enable)
        wiring.connect(m, unit.o, wiring.flipped(self.o))
        for name in ("i", "y"):
            outside, inside = getattr(self, name), getattr(unit, name)
            m.d.comb += [
                inside.payload.eq(outside.payload),
                inside.valid.eq(outside.valid & loaded),
                outside.ready.eq(inside.ready & loaded),
            ]
        return m


def drawn(generator: Generator, rows: int, columns: int, shift: int) -> IntegerMatrix:
    """A matrix with both of its ends and 0 among its elements."""
    codes = integers(generator, -127, 127, (rows, columns))
    codes.view(-1)[:3] = torch.tensor([127, -127, 0])[: codes.numel()]
    return IntegerMatrix(codes, integers(generator, 128, 255, (1,)).expand(rows), torch.full((rows,), -shift))


def exact(matrix: IntegerMatrix, limit: int) -> ExactMatrix:
    return ExactMatrix(matrix.weights, matrix.mant, matrix.exp, limit, CPU)


def _case(
    lanes: int,
    sizes: tuple[int, int, int],
    banks: int = 1,
    shifts: tuple[int, int] = (20, 12),
    made: Quantize = Quantize(FIXED, 10),
    enabled: bool = True,
) -> Case:
    """sizes: rank, inputs, rows; shifts: of A's scale and of B's; made: what made the packets."""
    rank, inputs, rows = sizes
    sizes_of, spec = AdapterSizes(rank, lanes, inputs, rows, banks), AdapterSpec(made.word)
    draw = torch.Generator().manual_seed(rank)
    pairs = [(drawn(draw, rank, inputs, shifts[0]), drawn(draw, rows, rank, shifts[1])) for _ in range(banks)]
    words = [one for bank, pair in enumerate(pairs) for one in adapter_words(sizes_of, bank, *pair)]
    matrices = [(exact(a, made.limit), exact(b, spec.quantize.limit)) for a, b in pairs]
    largest = made.word.width - made.width + 1

    def expected(y: Tensor, x: Tensor, scale: Tensor) -> Tensor:
        """Of every bank, int64 [packets, banks, rows]."""
        values = (x * 2.0**scale).float()
        found = [spec.compute(y[:, n].double(), values, *pair) for n, pair in enumerate(matrices)]
        return torch.stack(found, 1).long() if enabled else y

    def stimulus(generator: Generator, kind: str) -> Stimulus:
        x = vectors(generator, kind, inputs, made.width).clamp(-made.limit, made.limit)
        scale = integers(generator, 0, largest, (len(x), 1))
        y = integers(generator, made.word.min, made.word.max, (len(x), banks, rows))
        beats = {"y": y, "o": expected(y, x, scale)}
        lined = {n: v.reshape(len(x), banks, -1, lanes).transpose(1, 2).reshape(len(x), -1) for n, v in beats.items()}
        given = {"i": packets(x, lanes, scale), "y": packets(lined["y"], banks * lanes)}
        return Stimulus(given, {"o": packets(lined["o"], banks * lanes)}, {"enable": int(enabled)})

    name = f"adapter_{lanes}x{rank}_{inputs}_{rows}_{banks}_{made.word.width}{'' if enabled else '_off'}"
    takes = latency.adapter(latency.narrow_beats(rank, lanes), rows // lanes)
    return Case(
        name,
        lambda: Loaded(Adapter(spec, made, sizes_of), words),
        stimulus,
        takes,
        alone=takes if enabled and inputs >= rows else None,
    )


CASES = [
    _case(4, (3, 16, 16)),
    _case(8, (16, 32, 32)),
    _case(2, (7, 24, 16), 3),
    _case(4, (5, 24, 40), 2, (24, 10)),
    _case(1, (1, 3, 2), shifts=(14, 2)),
    _case(3, (6, 9, 9), 2, (18, 14), Quantize(FixedPoint(36, 16), 8)),
    _case(4, (3, 16, 16), 3, enabled=False),
]
