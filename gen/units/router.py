"""Router: scores of all experts, the k best of them, and their weights."""

from typing import Any

from amaranth.hdl import Module, Mux, Shape, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hardloom.gen.stream.component import Component
from hardloom.gen.stream.stream import beat, chain
from hardloom.gen.text.constant_module import index_width
from hardloom.gen.units.router_blocks import Blocks
from hardloom.gen.units.router_groups import Groups
from hardloom.gen.units.router_scores import Scores, rank, score_shape
from hardloom.gen.units.router_weights import Scaled, Weights, choice_of
from hardloom.golden.units.router import Router as RouterSpec

__all__ = ["Router", "choice"]


def choice(spec: RouterSpec) -> data.StructLayout:
    """A token's experts, best first: `experts`, their numbers, and `weights`, `spec.weight_width` bits, 65536 = 1.

    Weights have a sign where biases are in them.
    """
    return choice_of(spec, Shape(spec.weight_width, spec.biased and spec.mixed))


class _Best(Component):
    """Sorts a token's candidates into the `top_k` best places: one item out for a packet in.

    A candidate enters before the first place whose rank is smaller, so that of equal ones the earlier stays ahead; one
    that is not `admitted`, where groups or blocks are judged, enters nowhere. Latency 1, one candidate a cycle.
    """

    def __init__(self, shape: data.StructLayout, o_shape: data.StructLayout, top_k: int) -> None:
        self.shape, self.top_k = shape, top_k
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(o_shape))})

    def elaborate(self, platform) -> Module:
        m = Module()
        x, o = self.i.payload, self.o
        first = Signal(init=1)
        filled = Signal(self.top_k)
        enters = Signal(self.top_k)
        places: list[Any] = [Signal(self.shape, name=f"place_{j}") for j in range(self.top_k)]
        m.d.comb += self.i.ready.eq(~o.valid | o.ready)
        with m.If(self.i.ready):
            m.d.sync += o.valid.eq(self.i.valid & x.last)
        take = self.i.ready & self.i.valid
        admitted = take & x.admitted if "admitted" in self.shape.members else take
        self._count(m, x, first, filled, take, admitted)
        for j, place in enumerate(places):
            m.d.comb += [
                enters[j].eq(first | ~filled[j] | (rank(x) > rank(place))),
                o.payload.experts[j].eq(place.expert),
                o.payload.weights[j].eq(place.score),
            ]
            better = Mux(enters[j - 1], places[j - 1], x) if j else x
            with m.If(admitted & enters[j]):
                m.d.sync += place.eq(better)
        return m

    def _count(self, m: Module, x, first, filled, take, admitted) -> None:
        """`first` until a token's first candidate has entered; `filled`: the places that hold one."""
        with m.If(take & x.last):
            m.d.sync += first.eq(1)
        with m.Elif(admitted):
            m.d.sync += first.eq(0)
        with m.If(admitted):
            m.d.sync += filled.eq(Mux(first, 1, (filled << 1) | 1))


class Router(Component):
    """`golden.units.router.Router`: a packet of logits in, one choice of experts out.

    Latency: `gen.design.latency.router`, where blocks admit experts (`capacity`) from a block's last logit; throughput
    one token in `num_experts` cycles (tokens overlap). Groups and blocks that both bar experts are not computed.

    Parameters
    ----------
    spec: specification.
    lanes: elements a beat; a packet is ceil(num_experts / lanes) beats, elements past the last logit are ignored.

    Attributes
    ----------
    i: stream of fixed-point beats (`spec.numerator.word.width` bits), in.
    index: an expert's number, out, and bias: its bias, signed, `spec.bias_width` bits, in the same cycle, in; both only
        where the model has biases.
    ends: stream of one bit a token, in: it is the last of its pass; only where blocks admit experts.
    o: stream of `choice(spec)`, out.
    """

    def __init__(self, spec: RouterSpec, lanes: int) -> None:
        if not 1 <= spec.top_k <= spec.num_experts or lanes < 1:
            raise ValueError(f"cannot choose {spec.top_k} of {spec.num_experts} experts, {lanes} lanes a beat")
        if spec.capacity and spec.top_groups < spec.groups:
            raise ValueError("groups and blocks that both bar experts are not in hardware")
        self.spec, self.lanes = spec, lanes
        constants = {"index": Out(index_width(spec.num_experts)), "bias": In(signed(spec.bias_width))}
        super().__init__(
            {
                "i": In(stream.Signature(beat(spec.numerator.word.width, lanes))),
                **(constants if spec.biased else {}),
                **({"ends": In(stream.Signature(unsigned(1)))} if spec.capacity else {}),
                "o": Out(stream.Signature(choice(spec))),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        spec, weights = self.spec, self.o.payload.shape()
        raw = choice_of(spec, score_shape(spec))
        m.submodules.scores = scores = Scores(spec, self.lanes)
        parts: list[Any] = [scores]
        if spec.top_groups < spec.groups:
            m.submodules.groups = groups = Groups(spec)
            parts.append(groups)
        if spec.capacity:
            m.submodules.blocks = blocks = Blocks(spec)
            wiring.connect(m, wiring.flipped(self.ends), blocks.ends)
            parts.append(blocks)
        m.submodules.best = best = _Best(parts[-1].o.payload.shape(), raw, spec.top_k)
        parts.append(best)
        if spec.renormalised or spec.scale != 1:
            unit = Weights if spec.renormalised else Scaled
            m.submodules.weights = scaled = unit(spec, score_shape(spec), weights.members["weights"].elem_shape)
            parts.append(scaled)
        if spec.biased:
            m.d.comb += [self.index.eq(scores.index), scores.bias.eq(self.bias)]
        chain(m, wiring.flipped(self.i), *parts, wiring.flipped(self.o))
        return m
