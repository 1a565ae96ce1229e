"""A matrix in a memory times vectors, a word of the memory a beat."""

from functools import reduce
from operator import add

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hardloom.gen.design.adapters import ELEMENT, WORD
from hardloom.gen.stream.component import Component
from hardloom.gen.stream.ram import Ram
from hardloom.gen.stream.stream import Keep, Stage, beat, chain, count_beats
from hardloom.gen.text.constant_module import index_width

__all__ = ["AdapterMatrix", "sum_width"]


def sum_width(width: int, count: int) -> int:
    """Bits of a sum of `count` products of an element of the matrix and one of `width` bits."""
    return width + ELEMENT - 1 + (count - 1).bit_length()


class _Multiply(Stage):
    """Every element of the word times its element of the beat."""

    def __init__(self, vectors: data.StructLayout, weights: int, product: data.StructLayout) -> None:
        super().__init__(data.StructLayout({"beat": vectors, "weights": weights}), product)

    def transform(self, m: Module, x, y) -> None:
        m.d.comb += [y.last.eq(x.beat.last), y.scale.eq(x.beat.scale)]
        count = len(x.beat.data)
        for k, product in enumerate(y.data):
            weight = x.weights.word_select(k, ELEMENT).as_signed()
            m.d.comb += product.eq(weight * x.beat.data[k % count])


class _Sum(Stage):
    """Sums of so many products each."""

    def transform(self, m: Module, x, y) -> None:
        m.d.comb += [y.last.eq(x.last), y.scale.eq(x.scale)]
        count = len(x.data) // len(y.data)
        for k, total in enumerate(y.data):
            m.d.comb += total.eq(reduce(add, [x.data[k * count + j] for j in range(count)]))


class AdapterMatrix(Component):
    """`sums` products of rows of int8 in a memory with each beat; the beat's number in its packet is the word's.

    Latency 3 cycles, throughput 1 beat a cycle.

    Parameters
    ----------
    vectors: layout of a beat, `gen.stream.stream.beat`. sums: a beat. depth: words, beats of a packet.

    Attributes
    ----------
    i: stream of `vectors`, in.
    o: stream of beats of sums, exact, with the scale that came with their beat, out.
    write: bit a part of a word, which is written then, in; address: of the word, in; data: the part, in.
    """

    def __init__(self, vectors: data.StructLayout, sums: int, depth: int) -> None:
        self.vectors, self.sums, self.depth = vectors, sums, depth
        elements = vectors["data"].shape
        self.count, self.width = elements.length, elements.elem_shape.width
        self.parts = -(-sums * self.count * ELEMENT // WORD)
        o_shape = beat(sum_width(self.width, self.count), sums, vectors["scale"].shape.width)
        super().__init__(
            {
                "i": In(stream.Signature(vectors)),
                "o": Out(stream.Signature(o_shape)),
                "write": In(self.parts),
                "address": In(index_width(depth)),
                "data": In(WORD),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        scale_width = len(self.i.payload.scale)
        products = beat(self.width + ELEMENT - 1, self.sums * self.count, scale_width)
        m.submodules.memory = memory = Ram(self.parts * WORD, self.depth, self.parts)
        m.submodules.fetch = fetch = Keep(self.vectors)
        m.submodules.multiply = multiply = _Multiply(self.vectors, self.parts * WORD, products)
        m.submodules.sum = total = _Sum(products, self.o.payload.shape())
        index = Signal(index_width(self.depth))
        count_beats(m, self.i, index)
        chain(m, wiring.flipped(self.i), fetch)
        m.d.comb += [
            memory.read_enable.eq(self.i.valid & self.i.ready),
            memory.read_address.eq(index),
            memory.write_enable.eq(self.write.any()),
            memory.write_mask.eq(self.write),
            memory.write_address.eq(self.address),
            memory.write_data.eq(self.data.replicate(self.parts)),
            multiply.i.payload.beat.eq(fetch.o.payload),
            multiply.i.payload.weights.eq(memory.read_data),
            multiply.i.valid.eq(fetch.o.valid),
            fetch.o.ready.eq(multiply.i.ready),
        ]
        chain(m, multiply, total, wiring.flipped(self.o))
        return m
