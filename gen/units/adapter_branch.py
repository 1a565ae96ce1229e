"""What an adapter adds: packets of activations to vectors, through a rank of few elements."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hardloom.gen.design.adapters import WORD, AdapterSizes, Which
from hardloom.gen.stream.component import Component
from hardloom.gen.stream.stream import activations, beat, chain
from hardloom.gen.units.adapter_matrix import AdapterMatrix, sum_width
from hardloom.gen.units.quantize import Quantize
from hardloom.gen.units.rescale import Rescale, row_scale
from hardloom.golden.units.adapter import Adapter as AdapterSpec
from hardloom.golden.units.quantize import Quantize as QuantizeSpec
from hardloom.golden.units.rescale import Rescale as RescaleSpec

__all__ = ["AdapterBranch", "loads_shape"]


def loads_shape(address_bits: int) -> data.StructLayout:
    """A word that the host writes into memories of adapters."""
    return data.StructLayout({"address": address_bits, "data": WORD})


class AdapterTotal(Component):
    """Sums over all beats of a packet, given as one packet of few elements.

    Latency: as many cycles as that packet has beats; the next one's last beat is taken when it has left.

    Attributes
    ----------
    i: stream of beats of `sizes.rank` sums, in.
    o: stream of packets of `sizes.narrow_beats` beats, of as many totals and zeros behind them, out.
    """

    def __init__(self, i_shape: data.StructLayout, width: int, sizes: AdapterSizes) -> None:
        self.width, self.sizes = width, sizes
        o_shape = beat(width, sizes.narrow_lanes, i_shape["scale"].shape.width)
        super().__init__({"i": In(stream.Signature(i_shape)), "o": Out(stream.Signature(o_shape))})

    def elaborate(self, platform) -> Module:
        m, g, x, y = Module(), self.sizes, self.i.payload, self.o.payload
        sums = data.ArrayLayout(signed(self.width), g.rank)
        summed: Any = Signal(sums)
        so_far = Signal(sums)
        held = Signal(g.narrow_beats * len(y.data.as_value()))
        left = Signal(range(g.narrow_beats + 1))
        first = Signal(init=1)
        take, give = Signal(), Signal()
        m.d.comb += [
            give.eq(self.o.valid & self.o.ready),
            self.i.ready.eq(~x.last | (left == 0) | (y.last & give)),
            take.eq(self.i.valid & self.i.ready),
            self.o.valid.eq(left != 0),
            y.data.as_value().eq(held),
            y.last.eq(left == 1),
        ]
        for k in range(g.rank):
            m.d.comb += summed[k].eq(Mux(first, 0, so_far[k]) + x.data[k])
        with m.If(take):
            m.d.sync += [so_far.eq(summed), first.eq(x.last)]
        with m.If(give):
            m.d.sync += [left.eq(left - 1), held.eq(held >> len(y.data.as_value()))]
        with m.If(take & x.last):
            m.d.sync += [left.eq(g.narrow_beats), held.eq(summed.as_value()), y.scale.eq(x.scale)]
        return m


class AdapterRepeat(Component):
    """A packet of few elements as one beat, again and again: once for each word of the memory of B.

    Latency: 2 cycles to the first; a packet is taken while the one before is given.

    Attributes
    ----------
    i: stream of packets of `sizes.narrow_beats` beats, in.
    o: stream of packets of as many beats as B has words, each of them all `sizes.rank` elements, out.
    """

    def __init__(self, spec: QuantizeSpec, sizes: AdapterSizes) -> None:
        self.sizes = sizes
        o_shape = beat(spec.width, sizes.rank, spec.scale_width)
        i_shape = activations(spec, sizes.narrow_lanes)
        super().__init__({"i": In(stream.Signature(i_shape)), "o": Out(stream.Signature(o_shape))})

    def elaborate(self, platform) -> Module:
        m, g, x, y = Module(), self.sizes, self.i.payload, self.o.payload
        beats = g.depths[Which.B]
        given = x.data.as_value()
        gathered, scale = Signal(g.narrow_beats * len(given)), Signal.like(x.scale)
        left = Signal(range(beats + 1))
        full, move = Signal(), Signal()
        m.d.comb += [
            move.eq(full & ((left == 0) | (y.last & self.o.ready))),
            self.i.ready.eq(~full | move),
            self.o.valid.eq(left != 0),
            y.last.eq(left == 1),
        ]
        with m.If(move):
            m.d.sync += [full.eq(0), y.data.as_value().eq(gathered), y.scale.eq(scale), left.eq(beats)]
        with m.Elif(self.o.valid & self.o.ready):
            m.d.sync += left.eq(left - 1)
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [full.eq(x.last), gathered.eq(Cat(gathered, given)[len(given) :]), scale.eq(x.scale)]
        return m


class AdapterBranch(Component):
    """d of `golden.units.adapter.Adapter`, of one matrix: round(B p) of packets.

    Throughput: a packet in as many cycles as the memory of A or that of B has words, whichever has more.

    Parameters
    ----------
    spec: specification. made: what made the packets. sizes: of the adapters of an array.

    Attributes
    ----------
    i: stream of beats of `made`, in.
    o: stream of fixed-point beats, out.
    write: in this cycle, in; address: as `AdapterSizes.address` has it, without the bank, in; data: the word, in.
    """

    def __init__(self, spec: AdapterSpec, made: QuantizeSpec, sizes: AdapterSizes) -> None:
        self.spec, self.made, self.sizes = spec, made, sizes
        super().__init__(
            {
                "i": In(stream.Signature(activations(made, sizes.lanes))),
                "o": Out(stream.Signature(beat(spec.word.width, sizes.lanes))),
                "write": In(1),
                "address": In(sizes.address_bits - sizes.bank_bits),
                "data": In(WORD),
            }
        )

    def elaborate(self, platform) -> Module:
        m, g, p = Module(), self.sizes, self.spec.quantize
        m.submodules.down = down = AdapterMatrix(self.i.payload.shape(), g.rank, g.depths[Which.A])
        total_width = sum_width(self.made.width, g.inputs)
        m.submodules.total = total = AdapterTotal(down.o.payload.shape(), total_width, g)
        scale = RescaleSpec(self.spec.word)
        scales: list[Any] = [Signal(row_scale(scale), name=f"{name}_scale") for name in ("down", "up")]
        down_rescale = Rescale(scale, total_width, self.made.scale_width, g.narrow_lanes, g.narrow_beats)
        m.submodules.down_rescale = down_rescale
        m.submodules.quantize = quantize = Quantize(p, g.narrow_lanes, 2 * g.narrow_beats)
        m.submodules.again = again = AdapterRepeat(p, g)
        m.submodules.up = up = AdapterMatrix(again.o.payload.shape(), g.lanes, g.depths[Which.B])
        width = sum_width(p.width, g.rank)
        m.submodules.up_rescale = up_rescale = Rescale(scale, width, p.scale_width, g.lanes, g.depths[Which.B])
        chain(m, wiring.flipped(self.i), down, total, down_rescale, quantize, again, up)
        chain(m, up, up_rescale, wiring.flipped(self.o))
        for rescale, constants in zip((down_rescale, up_rescale), scales, strict=True):
            m.d.comb += rescale.rows.eq(Cat(constants.as_value() for _ in rescale.rows))
        self._write(m, {Which.A: down, Which.B: up}, scales)
        return m

    def _write(self, m: Module, matrices: dict[Which, AdapterMatrix], scales: list[Any]) -> None:
        """The host's word to where its address says."""
        g = self.sizes
        part, rest = self.address[: g.part_bits], self.address[g.part_bits :]
        word, which = rest[: g.word_bits], rest[g.word_bits :]
        for name, matrix in matrices.items():
            chosen = self.write & (which == name) & (word < g.depths[name])
            m.d.comb += [matrix.address.eq(word), matrix.data.eq(self.data)]
            for number in range(g.parts):
                m.d.comb += matrix.write[number].eq(chosen & (part == number))
        for number, scale in enumerate(scales):
            with m.If(self.write & (which == Which.SCALES) & (word == number)):
                m.d.sync += scale.as_value().eq(self.data)
