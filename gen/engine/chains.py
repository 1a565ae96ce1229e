"""What layers have and the chip around them has too: units in front of an array and behind it, and their ports."""

from amaranth.hdl import ClockSignal, Module, ValueLike, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hardloom.gen.design.adapters import layer_bits
from hardloom.gen.design.layer_sizes import LayerSizes
from hardloom.gen.engine.hardwired import ArrayPorts, ConstantPorts, wired
from hardloom.gen.stream.component import Component
from hardloom.gen.stream.gating import gated
from hardloom.gen.stream.probe import add_probe
from hardloom.gen.stream.stream import Skid, chain, connect_vectors, residual_beat
from hardloom.gen.units.adapter_branch import loads_shape
from hardloom.gen.units.bias import Bias
from hardloom.gen.units.flow import Broadcast, Fork
from hardloom.gen.units.gain import Gain
from hardloom.gen.units.quantize import Quantize
from hardloom.gen.units.rescale import Rescale, row_scale
from hardloom.gen.units.residual import Residual
from hardloom.gen.units.rmsnorm import RMSNorm
from hardloom.gen.units.span import span_streams
from hardloom.gen.units.swiglu import SwiGLU

__all__ = [
    "adapter_ports",
    "array_ports",
    "bias_ports",
    "biased",
    "gain_ports",
    "half_ports",
    "hidden_packets",
    "norm_gains",
    "norm_to_packets",
    "pass_ends",
    "rescaled",
    "residual_ports",
    "residual_way",
    "scale_ports",
    "span_ports",
]

ENDS_DEPTH = 16
"""Positions that are between a half's input and the last place that asks where passes end, and more."""


def array_ports(sizes: LayerSizes, kind: str, banks: int) -> ArrayPorts:
    """Of the arrays of a kind, or of a tile of one."""
    return ArrayPorts(sizes.activation(kind), sizes.lanes, banks, sizes.acc_width[kind])


def scale_ports(sizes: LayerSizes, banks: int, rows: int, arrays: int = 1) -> ConstantPorts:
    """Of the ROM of row scales of so many arrays that share a rescale unit."""
    rom = data.ArrayLayout(row_scale(sizes.units.rescale), banks * sizes.lanes)
    return ConstantPorts(arrays * sizes.beats(rows), rom)


def bias_ports(sizes: LayerSizes, banks: int, rows: int) -> ConstantPorts:
    """Of the ROM of the biases behind an array's banks."""
    return ConstantPorts(sizes.beats(rows), data.ArrayLayout(signed(sizes.units.word.width), banks * sizes.lanes))


def gain_ports(sizes: LayerSizes, width: int, elements: int) -> ConstantPorts:
    """Of the ROM of a norm's gains, signed, of `width` bits."""
    return ConstantPorts(sizes.beats(elements), data.ArrayLayout(signed(width), sizes.lanes))


def residual_ports(sizes: LayerSizes, adders: int) -> dict[str, wiring.Member]:
    """Ports of what takes the residual stream, at `i`, and gives it changed, at `o`; and of the clock gates in it.

    `saturated`: elements that its so many adders saturate in a cycle, out.
    """
    word = stream.Signature(residual_beat(sizes.numerics.word.width, sizes.lanes))
    saturated = Out(range(adders * sizes.lanes + 1))
    return {"test_enable": In(1), "i": In(word), "o": Out(word), "saturated": saturated}


def span_ports(sizes: LayerSizes) -> dict[str, wiring.Member]:
    """`spans`, a stream of `gen.units.span.span_shape`, one a pass, in, where keys and values are kept."""
    return span_streams(sizes.slots, sizes.max_positions, "spans")


def adapter_ports(sizes: LayerSizes) -> dict[str, wiring.Member]:
    """`adapter_loads`, a stream of `gen.units.adapter_branch.loads_shape`, and `adapter_enable`, in, where there are
    adapters."""
    if not sizes.adapters:
        return {}
    loads = stream.Signature(loads_shape(layer_bits(sizes.adapters)))
    return {"adapter_loads": In(loads), "adapter_enable": In(1)}


def half_ports(sizes: LayerSizes, modules: dict[str, ArrayPorts | ConstantPorts]) -> dict[str, wiring.Member]:
    """Ports of a half of a layer: `residual_ports`, and `wired`, its arrays and ROMs by name, and their clock."""
    return residual_ports(sizes, 1) | {"wired": In(wired(modules))}


def norm_gains(sizes: LayerSizes, norm: str) -> dict[str, ArrayPorts | ConstantPorts]:
    """The ROM of a norm's gains, where they stand behind it, by name."""
    return {f"{norm}_gain": gain_ports(sizes, sizes.units.gain.width, sizes.hidden)} if norm in sizes.norms else {}


def pass_ends(m: Module, source, places: int) -> list:
    """Where passes end, one bit a position, past norm and array to so many places that ask: streams.

    source: the residual stream, of which nothing else is taken.
    """
    m.submodules.ends = ends = Broadcast(unsigned(1), places, ENDS_DEPTH)
    m.d.comb += [
        ends.i.payload.eq(source.payload.end),
        ends.i.valid.eq(source.valid & source.payload.last),
        source.ready.eq(ends.i.ready | ~source.payload.last),
    ]
    return [*ends.o]


def rescaled(
    m: Module,
    test_enable,
    sizes: LayerSizes,
    kind: str,
    banks: int,
    rows: int,
    sums,
    scales,
    first: ValueLike | None = None,
    prefix: str = "",
) -> Rescale:
    """The rescale unit behind arrays of a kind, or a tile of one, `kind`_rescale: of the stream `sums`, with its ROM of
    scales.

    test_enable: of its clock gate. first: word of the ROM that the packet under way begins with; None: always word 0.
    prefix: of its name.
    """
    scale_width = sizes.activation(kind).scale_width
    rescale = Rescale(sizes.units.rescale, sizes.acc_width[kind], scale_width, banks * sizes.lanes, sizes.beats(rows))
    gated(m, test_enable, f"{prefix}{kind}_rescale".replace(".", "_"), rescale)
    chain(m, sums, rescale)
    index = rescale.index if first is None else first + rescale.index
    m.d.comb += [scales.index.eq(index), rescale.rows.eq(scales.data)]
    return rescale


def biased(m: Module, test_enable, sizes: LayerSizes, kind: str, banks: int, rows: int, vectors, biases) -> Bias:
    """The unit `kind`_bias: adds to the stream `vectors` of banks side by side what the ROM `biases` holds.

    test_enable: of its clock gate.
    """
    bias = gated(m, test_enable, f"{kind}_bias", Bias(sizes.units.bias, banks * sizes.lanes, sizes.beats(rows)))
    chain(m, vectors, bias)
    m.d.comb += [biases.index.eq(bias.index), bias.biases.eq(biases.data)]
    return bias


def norm_to_packets(m: Module, test_enable, sizes: LayerSizes, name: str, gains) -> list[Component]:
    """Norm `name`, its gain where that stands behind it, and the packets made of it: units to be chained.

    test_enable: of their clock gates. gains: the ROM of its gains; None: they do not stand behind it.
    """
    lanes, beats, units = sizes.lanes, sizes.beats(sizes.hidden), sizes.units
    parts: list[Component] = [gated(m, test_enable, f"{name}_norm", RMSNorm(units.norm, lanes))]
    if gains is not None:
        gain = gated(m, test_enable, f"{name}_gain", Gain(units.gain, lanes, beats))
        m.d.comb += [gains.index.eq(gain.index), gain.gains.eq(gains.data)]
        parts.append(gain)
    return [*parts, gated(m, test_enable, f"{name}_quantize", Quantize(units.quantize("norm"), lanes, 2 * beats))]


def hidden_packets(m: Module, test_enable, sizes: LayerSizes, width: int, prefix: str = "") -> list[Component]:
    """SwiGLU of gate and up, `width` elements each, and the packets made of it: units to be chained.

    test_enable: of their clock gates. prefix: of their names.
    """
    swiglu = gated(m, test_enable, f"{prefix}swiglu", SwiGLU(sizes.units.swiglu, sizes.lanes))
    packets = Quantize(sizes.units.quantize("swiglu"), sizes.lanes, 2 * sizes.beats(width))
    return [swiglu, gated(m, test_enable, f"{prefix}middle_quantize", packets)]


def residual_way(
    m: Module, half: Component, norm: str, depth: int, branches: int = 2
) -> tuple[Fork, Residual, list[Component]]:
    """What every half of a layer has around its branch: the fork of its input, the adder at its output, norm `norm`.
    At its border `ready` is a register: who gives up a result does not wait for the next half's.

    half: with `sizes` and `half_ports`. depth: beats that wait for the branch. The fork's outputs behind the second are
    free, the adder wants the branch's result at `i`, and of the norm's units the last one's output is free.
    """
    g, outside = half.sizes, wiring.flipped(half.wired)
    m.submodules.branch = fork = Fork(half.i.payload.shape(), branches)
    m.submodules.residual = residual = Residual(g.units.word, g.lanes, depth)
    units = norm_to_packets(m, half.test_enable, g, norm, getattr(outside, f"{norm}_gain", None))
    wiring.connect(m, wiring.flipped(half.i), fork.i)
    wiring.connect(m, fork.o[0], residual.x)
    connect_vectors(m, fork.o[1], units[0].i)
    chain(m, *units)
    m.submodules.border = border = Skid(half.o.payload.shape())
    chain(m, residual, border, wiring.flipped(half.o))
    m.d.comb += [half.saturated.eq(residual.saturated), outside.clk.eq(ClockSignal())]
    add_probe(m, f"{norm}_norm", units[-1].o, g.hidden)
    return fork, residual, units
