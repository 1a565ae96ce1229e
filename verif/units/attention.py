"""Bench of `gen.units.attention`."""

import torch
from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In
from torch import Generator, Tensor

from gen.stream.component import Component
from gen.units.attention import Attention
from golden.units.attention import Attention as AttentionSpec
from verif.streams.bench import Case, Packet, Stimulus, packets
from verif.streams.stimulus import integers

__all__ = ["CASES"]


class Passes(Component):
    """An attention unit that is told the length of each pass by a stream, one pass after the other.

    A pass's packets are let in only while it runs, as a host would that changes the length.
    """

    def __init__(self, unit: Attention) -> None:
        self.unit = unit
        members = dict(unit.signature.members.items())
        positions = members.pop("positions")
        super().__init__({**members, "lengths": In(stream.Signature(positions.shape))})

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.unit = unit = self.unit
        left = Signal.like(unit.positions)
        start = self.lengths.valid & (left == 0)
        m.d.comb += self.lengths.ready.eq(left == 0)
        with m.If(start):
            m.d.sync += [unit.positions.eq(self.lengths.payload), left.eq(self.lengths.payload)]
        wiring.connect(m, unit.o, wiring.flipped(self.o))
        with m.If(self.o.valid & self.o.ready & self.o.payload.last):
            m.d.sync += left.eq(left - 1)
        for name in "qkv":
            outer, inner = getattr(self, name), getattr(unit, name)
            packets_left = Signal(range(unit.heads * unit.max_positions + 1), name=f"{name}_left")
            m.d.comb += [
                inner.payload.eq(outer.payload),
                inner.valid.eq(outer.valid & (packets_left != 0)),
                outer.ready.eq(inner.ready & (packets_left != 0)),
            ]
            with m.If(start):
                m.d.sync += packets_left.eq(self.lengths.payload * unit.heads)
            with m.Elif(outer.valid & outer.ready & outer.payload.last):
                m.d.sync += packets_left.eq(packets_left - 1)
        return m


Vectors = tuple[Tensor, Tensor]
"""int8 elements, int64 [heads, positions, head_dim], and scales, [heads, positions, 1]."""


def _random(generator: Generator, shape: tuple[int, int, int], scales: tuple[int, int]) -> Vectors:
    """Vectors whose scales lie within 3 of each other, somewhere in `scales`."""
    base = integers(generator, scales[0], scales[1] - 3, ())
    return integers(generator, -127, 127, shape), base + integers(generator, 0, 3, (*shape[:2], 1))


def _random_pass(generator: Generator, shape: tuple[int, int, int]) -> tuple[Vectors, Vectors, Vectors]:
    logits = _random(generator, shape, (5, 13)), _random(generator, shape, (5, 13))
    return *logits, _random(generator, shape, (0, 31))


def _corner_passes(generator: Generator, shape: tuple[int, int, int]) -> list[tuple[Vectors, Vectors, Vectors]]:
    """Ties, both ends of the score, lone winners, small products of large scales, every mixture of value scales, both
    ends of the output."""

    def same(value: int, scale: int) -> Vectors:
        return torch.full(shape, value), torch.full((*shape[:2], 1), scale)

    def either(*values: int) -> Tensor:
        return torch.tensor(values)[integers(generator, 0, len(values) - 1, (*shape[:2], 1))]

    random, all_scales = _random(generator, shape, (5, 13)), integers(generator, 0, 31, (*shape[:2], 1))
    signs = either(127, -127).expand(shape)
    unit = torch.nn.functional.one_hot(torch.zeros(shape[:2], dtype=torch.int64), shape[2])
    steps = unit * (1 - torch.arange(shape[1]) % 3)[:, None]
    return [
        (same(127, 21), same(127, 21), same(127, 31)),
        (same(127, 31), same(-127, 31), same(-127, 31)),
        (same(0, 0), random, (random[0], all_scales)),
        (same(127, 31), (signs, either(31)), (random[0], all_scales)),
        (random, random, (random[0], either(0, 31))),
        (same(-127, 0), (signs, either(0, 31)), same(1, 0)),
        (random, (random[0], all_scales), same(-127, 16)),
        ((unit, either(31)), (steps, either(8)), (random[0], either(16))),
        ((unit, either(31)), (steps, either(31)), (random[0], either(16))),
    ]


def _stimulus(spec: AttentionSpec, lanes: int, passes: list[tuple[Vectors, Vectors, Vectors]]) -> Stimulus:
    inputs: dict[str, list[Packet]] = {"q": [], "k": [], "v": []}
    outputs: list[Packet] = []
    cycles = 0
    for vectors in passes:
        for name, (x, scale) in zip("qkv", vectors, strict=True):
            inputs[name] += packets(x.transpose(0, 1).flatten(0, 1), lanes, scale.transpose(0, 1).flatten(0, 1))
        expected = spec.compute(*vectors[0], *vectors[1], *vectors[2])
        outputs += packets(expected.transpose(0, 1).flatten(1), lanes)
        heads, positions, head_dim = expected.shape
        fill, slowest = positions * heads * head_dim // lanes, max(positions, head_dim // lanes + 2)
        cycles += fill + positions * heads * slowest + positions + head_dim // lanes + 20
    return Stimulus(inputs, {"o": outputs}, cycles=cycles)


def _equal_passes(lanes: int, head_dim: int, heads: int, max_positions: int) -> Case:
    """Passes of one length, each let in as soon as there is room."""
    spec = AttentionSpec(head_dim)

    def stimulus(generator: Generator, kind: str) -> Stimulus:
        positions = max_positions if kind == "corners" else int(integers(generator, 1, max_positions, ()))
        shape = (heads, positions, head_dim)
        random = [_random_pass(generator, shape) for _ in range(3)]
        played = _stimulus(spec, lanes, _corner_passes(generator, shape) if kind == "corners" else random)
        return Stimulus(played.inputs, played.outputs, {"positions": positions}, played.cycles)

    return Case(
        f"attention_{lanes}x{head_dim}", lambda: Attention(spec, heads, lanes, max_positions), stimulus, latency=0
    )


def _changing_passes(lanes: int, head_dim: int, heads: int, max_positions: int) -> Case:
    """Passes of different lengths, one after the other."""
    spec = AttentionSpec(head_dim)

    def stimulus(generator: Generator, kind: str) -> Stimulus:
        random = integers(generator, 1, max_positions, (4,)).tolist()
        lengths = [1, max_positions, 2, 1, max_positions - 1] if kind == "corners" else random
        passes = [_random_pass(generator, (heads, positions, head_dim)) for positions in lengths]
        played = _stimulus(spec, lanes, passes)
        inputs = {**played.inputs, "lengths": [[length] for length in lengths]}
        return Stimulus(inputs, played.outputs, cycles=played.cycles)

    return Case(
        f"attention_passes_{lanes}x{head_dim}",
        lambda: Passes(Attention(spec, heads, lanes, max_positions)),
        stimulus,
        latency=0,
    )


CASES = [
    _equal_passes(4, 16, 2, 12),
    _equal_passes(1, 34, 1, 3),
    _equal_passes(1, 2, 1, 1),
    _changing_passes(2, 12, 3, 5),
    _changing_passes(4, 8, 2, 16),
]
