"""LoRA adapters beside a hardwired array, in memories that the host writes."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hardloom.gen.design.adapters import AdapterSizes
from hardloom.gen.stream.arith import saturate
from hardloom.gen.stream.component import Component
from hardloom.gen.stream.stream import Stage, activations, beat, chain
from hardloom.gen.units.adapter_branch import AdapterBranch, loads_shape
from hardloom.gen.units.flow import Fork
from hardloom.golden.units.adapter import Adapter as AdapterSpec
from hardloom.golden.units.fixed import FixedPoint
from hardloom.golden.units.quantize import Quantize

__all__ = ["Adapter"]


class _Add(Stage):
    """sat(y + d)."""

    def __init__(self, word: FixedPoint, lanes: int) -> None:
        self.word, words = word, beat(word.width, lanes)
        added = data.ArrayLayout(signed(word.width), lanes)
        super().__init__(data.StructLayout({"beat": words, "added": added}), words)

    def transform(self, m: Module, x, y) -> None:
        m.d.comb += y.last.eq(x.beat.last)
        for k in range(len(y.data)):
            total = Signal(signed(self.word.width + 1), name=f"total_{k}")
            m.d.comb += [total.eq(x.beat.data[k] + x.added[k]), y.data[k].eq(saturate(total, self.word))]


class Adapter(Component):
    """`golden.units.adapter.Adapter` of the matrices of an array, side by side, each with memories of its own.

    While `enable` is low, vectors pass as they are, 1 cycle later, and the packets go nowhere. What the memories hold
    after power-up is undefined. Latency: `gen.design.latency.adapter`, from the packet; throughput: that of
    `AdapterBranch`.

    Parameters
    ----------
    spec: specification. made: what made the packets. sizes: of the adapters.

    Attributes
    ----------
    i: stream of beats of `made`, what the array takes, in.
    y: stream of fixed-point beats, what the array's rescale gives, bank 0's lanes first, in.
    o: stream of fixed-point beats, y with what the adapters add, out.
    enable: in; may change while no packet is under way.
    loads: stream of `loads_shape`, words for the memories, in; one a cycle, while no packet is under way.
    """

    def __init__(self, spec: AdapterSpec, made: Quantize, sizes: AdapterSizes) -> None:
        self.spec, self.made, self.sizes = spec, made, sizes
        words = stream.Signature(beat(spec.word.width, sizes.banks * sizes.lanes))
        super().__init__(
            {
                "i": In(stream.Signature(activations(made, sizes.lanes))),
                "y": In(words),
                "o": Out(words),
                "enable": In(1),
                "loads": In(stream.Signature(loads_shape(sizes.address_bits))),
            }
        )

    def elaborate(self, platform) -> Module:
        m, g = Module(), self.sizes
        m.submodules.branch = fork = Fork(self.i.payload.shape(), g.banks)
        m.submodules.add = add = _Add(self.spec.word, g.banks * g.lanes)
        branches = [AdapterBranch(self.spec, self.made, g) for _ in range(g.banks)]
        load, local = self.loads.payload, g.address_bits - g.bank_bits
        m.d.comb += [
            fork.i.payload.eq(self.i.payload),
            fork.i.valid.eq(self.i.valid & self.enable),
            self.i.ready.eq(fork.i.ready | ~self.enable),
            self.loads.ready.eq(1),
        ]
        there = Signal(g.banks)
        given = self.y.valid & (there.all() | ~self.enable)
        for number, branch in enumerate(branches):
            m.submodules[f"bank_{number}"] = branch
            chain(m, fork.o[number], branch)
            lanes = slice(number * g.lanes, (number + 1) * g.lanes)
            m.d.comb += [
                there[number].eq(branch.o.valid),
                branch.o.ready.eq(given & add.i.ready & self.enable),
                branch.write.eq(self.loads.valid & (load.address[local:] == number)),
                branch.address.eq(load.address),
                branch.data.eq(load.data),
                *(
                    target.eq(Mux(self.enable, value, 0))
                    for target, value in zip(list(add.i.payload.added)[lanes], branch.o.payload.data, strict=True)
                ),
            ]
        m.d.comb += [
            add.i.payload.beat.eq(self.y.payload),
            add.i.valid.eq(given),
            self.y.ready.eq(given & add.i.ready),
        ]
        chain(m, add, wiring.flipped(self.o))
        return m
