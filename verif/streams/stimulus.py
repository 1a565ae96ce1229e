"""What unit benches share: vectors worth trying, and what stands around units: ROMs, ports one by one."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from amaranth.hdl import Module
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import Flow, In, Member
from torch import Generator, Tensor

from hardloom.gen.stream.component import Component
from hardloom.golden.units.fixed import FixedPoint

__all__ = ["Flat", "WithRoms", "integers", "ladder", "tiled", "vectors"]


def integers(generator: Generator, low: int, high: int, shape: Sequence[int]) -> Tensor:
    """Uniform int64 in [low, high], both included."""
    return torch.randint(low, high + 1, tuple(shape), generator=generator)


def ladder(word: FixedPoint) -> Tensor:
    """Results on both sides of both ends of a word, at every distance 2^j: what tells each bit of a saturation."""
    steps = 1 << torch.arange(word.width)
    ends = torch.tensor([word.max, word.max, word.min, word.min])[:, None]
    return (ends + torch.tensor([1, -1, 1, -1])[:, None] * steps).flatten()


def tiled(values: Tensor, count: int) -> Tensor:
    """A list of values as int64 [n, count], repeated to fill the last vector."""
    rows = -(-len(values) // count)
    return values.repeat(count)[: rows * count].reshape(rows, count)


def _corners(count: int, width: int) -> Tensor:
    """Vectors at the edges of `width` signed bits: zero, extremes, one element apart, ties, powers of two."""
    top, low = (1 << (width - 1)) - 1, -(1 << (width - 1))
    constant = [0, 1, -1, top, low, top - 1, low + 1]
    rows = [torch.full((count,), value) for value in constant]
    sign = 1 - 2 * (torch.arange(count) % 2)
    rows += [sign * top, sign * (1 << (width // 2)), sign * 3 * (1 << (width // 2 - 1))]
    for value in (top, low, 1):
        for place in (0, count - 1):
            row = torch.zeros(count, dtype=torch.int64)
            row[place] = value
            rows.append(row)
    for bits in range(1, width):
        rows.append(((torch.arange(count) % 3) - 1 + (1 << (bits - 1))).clamp(low, top))
    return torch.stack(rows).to(torch.int64)


def vectors(generator: Generator, kind: str, count: int, width: int, packets: int = 24) -> Tensor:
    """int64 [n, count] of `width` signed bits: n = `packets` of random magnitude ("random"), or "corners"."""
    if kind == "corners":
        return _corners(count, width)
    bits = integers(generator, 1, width, (packets, 1))
    uniform = torch.rand((packets, count), generator=generator, dtype=torch.float64) * 2 - 1
    top = 2.0 ** (bits - 1)
    return (uniform * top).floor().to(torch.int64).clamp(-(1 << (width - 1)), (1 << (width - 1)) - 1)


class WithRoms(Component):
    """A unit with its ROMs, so that streams and constants alone are left as ports.

    Parameters
    ----------
    unit: the component.
    roms: words by data port, with the port that gives the index: {"gains": ("index", rows)}.
    """

    def __init__(self, unit: Component, roms: Mapping[str, tuple[str, Sequence[Any]]]) -> None:
        self.unit, self.roms = unit, roms
        outside = {index for index, _ in roms.values()} | set(roms)
        super().__init__({name: m for name, m in unit.signature.members.items() if name not in outside})

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.unit = self.unit
        for name, member in self.signature.members.items():
            if member.is_signature:
                wiring.connect(m, wiring.flipped(getattr(self, name)), getattr(self.unit, name))
            else:
                m.d.comb += getattr(self.unit, name).eq(getattr(self, name))
        for name, (index, rows) in self.roms.items():
            port = getattr(self.unit, name)
            rom: memory.Memory
            m.submodules[f"rom_{name}"] = rom = memory.Memory(shape=port.shape(), depth=len(rows), init=rows)
            read = rom.read_port(domain="comb")
            m.d.comb += [read.addr.eq(getattr(self.unit, index)), port.eq(read.data)]
        return m


class Flat(Component):
    """A unit with its arrays of streams as ports of their own (`o_0`, `o_1`, ...).

    Parameters
    ----------
    unit: the component.
    beside: its stream whose payload becomes {`expert`, `beat`}, where the unit has a plain port `expert`.
    """

    def __init__(self, unit: Component, beside: str | None = None) -> None:
        self.unit, self.beside = unit, beside
        members: dict[str, Member] = {}
        for name, member in unit.signature.members.items():
            if member.is_port:
                continue
            shape = member.signature.members["payload"].shape
            if name == beside:
                shape = data.StructLayout({"expert": unit.signature.members["expert"].shape, "beat": shape})
            port = member.flow(stream.Signature(shape))
            names = [f"{name}_{k}" for k in range(member.dimensions[0])] if member.dimensions else [name]
            members |= dict.fromkeys(names, port)
        super().__init__(members)

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.unit = self.unit
        for name, member in self.unit.signature.members.items():
            inner = getattr(self.unit, name)
            if name == self.beside:
                self._link(m, getattr(self, name), inner, member.flow, beside=True)
            elif member.is_signature and member.dimensions:
                for k, part in enumerate(inner):
                    self._link(m, getattr(self, f"{name}_{k}"), part, member.flow)
            elif member.is_signature:
                self._link(m, getattr(self, name), inner, member.flow)
        return m

    def _link(self, m: Module, outer, inner, flow: Flow, beside: bool = False) -> None:
        source, sink = (outer, inner) if flow == In else (inner, outer)
        m.d.comb += [sink.valid.eq(source.valid), source.ready.eq(sink.ready)]
        if beside:
            pairs = (self.unit.expert, outer.payload.expert), (inner.payload, outer.payload.beat)
            m.d.comb += [a.eq(b) if flow == In else b.eq(a) for a, b in pairs]
        else:
            m.d.comb += sink.payload.eq(source.payload)
