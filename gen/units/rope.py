"""Head gain and rotary position embedding in hardware."""

from amaranth.hdl import Const, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hardloom.gen.stream.component import Component
from hardloom.gen.stream.ram import Ram
from hardloom.gen.stream.stream import Stage, beat, chain
from hardloom.gen.text.constant_module import index_width
from hardloom.gen.text.constant_table import ConstantTable
from hardloom.gen.units.clip import Clip
from hardloom.gen.units.gain import Gain
from hardloom.gen.units.rounding import Round, wide_beat
from hardloom.gen.units.span import span_streams
from hardloom.golden.units.clip import Clip as ClipSpec
from hardloom.golden.units.rope import Rope as RopeSpec

__all__ = ["Rope"]


class _Pairs(Component):
    """Holds two heads and gives, in natural order, each beat with the beat of its partners.

    Latency: a head's beats plus 2; throughput 1 beat a cycle.

    Attributes
    ----------
    i: stream of fixed-point beats, packets of 2 * `half` beats that are turned and `rest` that are not, in.
    o: stream of {`first`, `second`: elements i and i + rotary_dim/2; `half`: which of the two is to be made;
       `rest`: `first` stays as it is; `beat`: beat number within the half; `last`}, out.
    """

    def __init__(self, width: int, lanes: int, half: int, rest: int) -> None:
        self.half, self.rest = half, rest
        elements = data.ArrayLayout(signed(width), lanes)
        place = {"half": 1, "rest": int(rest > 0), "beat": unsigned(index_width(max(half, rest))), "last": 1}
        o_shape = data.StructLayout({"first": elements, "second": elements, **place})
        super().__init__({"i": In(stream.Signature(beat(width, lanes))), "o": Out(stream.Signature(o_shape))})

    def elaborate(self, platform) -> Module:
        m = Module()
        put, get = (_Cursor(self.half, self.rest) for _ in range(2))
        m.submodules.put, m.submodules.get = put, get
        heads = Signal(range(3))
        take, fetch = self.i.valid & self.i.ready, Signal()
        m.d.comb += [
            self.i.ready.eq(heads != 2),
            fetch.eq((heads != 0) & (self.o.ready | ~self.o.valid)),
            put.step.eq(take),
            get.step.eq(fetch),
        ]
        m.d.sync += heads.eq(heads + (put.last & take) - (get.last & fetch))
        with m.If(self.o.ready | ~self.o.valid):
            m.d.sync += self.o.valid.eq(fetch)
        with m.If(fetch):
            m.d.sync += [self.o.payload[name].eq(getattr(get, name)) for name in ("half", "rest", "beat", "last")]
        for name, depth, is_second in (("first", self.half + self.rest, 0), ("second", self.half, 1)):
            m.submodules[name] = storage = Ram(self.o.payload[name].shape(), 2 * depth, name=name)
            m.d.comb += [
                storage.write_enable.eq(take & (put.half == is_second)),
                storage.write_address.eq(getattr(put, name)),
                storage.write_data.eq(self.i.payload.data),
                storage.read_enable.eq(fetch),
                storage.read_address.eq(getattr(get, name)),
                self.o.payload[name].eq(storage.read_data),
            ]
        return m


class _Cursor(Component):
    """Walks over two heads' storage: the first half, the second, then the `rest` beats that are not turned.

    `beat` is the number within each of them; `first`, `second`: the beat's place in either storage.
    """

    def __init__(self, half: int, rest: int) -> None:
        self.count, self.left = half, rest
        super().__init__(
            {
                "step": In(1),
                "beat": Out(index_width(max(half, rest))),
                "half": Out(1),
                "rest": Out(int(rest > 0)),
                "last": Out(1),
                "first": Out(index_width(2 * (half + rest))),
                "second": Out(index_width(2 * half)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        bank = Signal()
        wrap = self.beat == (Mux(self.rest, self.left - 1, self.count - 1) if self.left else self.count - 1)
        m.d.comb += [
            self.last.eq(wrap & (self.rest if self.left else self.half)),
            self.first.eq(Mux(bank, self.count + self.left, 0) + Mux(self.rest, self.count, 0) + self.beat),
            self.second.eq(Mux(bank, self.count, 0) + self.beat),
        ]
        with m.If(self.step):
            m.d.sync += self.beat.eq(Mux(wrap, 0, self.beat + 1))
            with m.If(wrap):
                m.d.sync += self.half.eq(~self.half & ~self.rest if self.left else ~self.half)
                m.d.sync += self.rest.eq(self.half)
            with m.If(self.last):
                m.d.sync += bank.eq(~bank)
        return m


class _Rotate(Stage):
    """The two products of each result: first * cos and -second * sin, or second * cos and first * sin."""

    def __init__(self, spec: RopeSpec, pairs: data.StructLayout, angles: data.StructLayout, lanes: int) -> None:
        self.lanes = lanes
        product = data.ArrayLayout(signed(spec.word.width + spec.frac + 2), lanes)
        super().__init__(
            data.StructLayout({"pairs": pairs, "angles": angles}),
            data.StructLayout({"along": product, "across": product, "half": 1, "last": 1}),
        )

    def transform(self, m: Module, x, y) -> None:
        half, first, second = x.pairs.half, x.pairs.first, x.pairs.second
        m.d.comb += [y.half.eq(half), y.last.eq(x.pairs.last)]
        for k in range(self.lanes):
            m.d.comb += [
                y.along[k].eq(Mux(half, second[k], first[k]) * x.angles.cos[k]),
                y.across[k].eq(Mux(half, first[k], second[k]) * x.angles.sin[k]),
            ]


class _Sum(Stage):
    """The products' sum or difference."""

    def __init__(self, i_shape: data.StructLayout, lanes: int) -> None:
        self.lanes = lanes
        width = i_shape["along"].shape.elem_shape.width
        super().__init__(i_shape, wide_beat(width + 1, lanes))

    def transform(self, m: Module, x, y) -> None:
        m.d.comb += y.last.eq(x.last)
        for k in range(self.lanes):
            m.d.comb += y.data[k].eq(Mux(x.half, x.along[k] + x.across[k], x.along[k] - x.across[k]))


class Rope(Component):
    """`golden.units.rope.Rope`: packets are heads, `heads` of them a position, positions of a pass in order from 0.

    The head gains come from a ROM outside: `gains` must follow `index` in the same cycle; heads without a norm have
    none. Cosines and sines are a ROM inside; elements that are not turned meet 1 and 0. Latency: a head's beats plus 6
    cycles, 2 fewer without gains, 1 more where they are clipped; throughput 1 beat a cycle.

    Parameters
    ----------
    spec: specification; its `head_dim` elements of a head are turned.
    lanes: elements a beat, a divisor of half of those that are turned, and of `straight`.
    heads: packets a position.
    max_positions: positions of the angle ROM.
    straight: elements of a head behind those that are turned, which stay as they are.
    gained: whether heads have gains.
    slots: of `spans`; 0: there is none, and passes begin at position 0.
    clip: between what bounds heads are clipped before they are turned; None: they are not.

    Attributes
    ----------
    ends: stream of one bit a position, in: it is the last of its pass, and position 0 comes next.
    spans: stream of `gen.units.span.span_shape`, one a pass, in, where a pass begins at its `first` position.
    i: stream of fixed-point beats, in.
    index: number of the beat within its head, out.
    gains: `lanes` gains of that beat, signed, in.
    o: stream of fixed-point beats, elements in natural order, out.
    """

    def __init__(
        self,
        spec: RopeSpec,
        lanes: int,
        heads: int,
        max_positions: int,
        straight: int = 0,
        gained: bool = True,
        clip: ClipSpec | None = None,
        slots: int = 0,
    ) -> None:
        if spec.head_dim % (2 * lanes) or straight % lanes:
            raise ValueError(f"{lanes} lanes do not divide half of {spec.head_dim} turned elements and {straight} more")
        self.spec, self.gained, self.clip, self.lanes = spec, gained, clip, lanes
        self.heads, self.max_positions, self.slots = heads, max_positions, slots
        self.half, self.rest = spec.head_dim // (2 * lanes), straight // lanes
        signature = stream.Signature(beat(spec.word.width, lanes))
        index = index_width(2 * self.half + self.rest)
        gains = {"index": Out(index), "gains": In(data.ArrayLayout(signed(spec.gain_width), lanes))}
        super().__init__(
            {
                "ends": In(stream.Signature(unsigned(1))),
                "i": In(signature),
                **span_streams(slots, max_positions, "spans"),
                **(gains if gained else {}),
                "o": Out(signature),
            }
        )

    def angles(self) -> ConstantTable:
        """ROM of max_positions * half words: cosines and sines of `lanes` pairs."""
        width = self.spec.frac + 2
        element = data.ArrayLayout(signed(width), self.lanes)
        tables = [table.reshape(-1, self.lanes).tolist() for table in self.spec.angles(self.max_positions)]
        rows = [[*cos, *sin] for cos, sin in zip(*tables, strict=True)]
        return ConstantTable("angles", rows, width, True, data.StructLayout({"cos": element, "sin": element}))

    def elaborate(self, platform) -> Module:
        m = Module()
        spec, lanes = self.spec, self.lanes
        m.submodules.pairs = pairs = _Pairs(spec.word.width, lanes, self.half, self.rest)
        m.submodules.angles = angles = self.angles()
        m.submodules.rotate = rotate = _Rotate(spec, pairs.o.payload.shape(), angles.data.shape(), lanes)
        m.submodules.sum = total = _Sum(rotate.o.payload.shape(), lanes)
        m.submodules.round = rounding = Round(spec.word, total.o.payload.shape(), spec.frac)
        chain(m, *self._scaled(m), pairs)
        chain(m, rotate, total, rounding, wiring.flipped(self.o))
        self._connect_angles(m, pairs, angles, rotate)
        return m

    def _scaled(self, m: Module) -> list:
        """The heads that come, times their gains if they have any, clipped if they are: streams to be chained."""
        parts: list = [wiring.flipped(self.i)]
        if self.gained:
            m.submodules.gain = gain = Gain(self.spec.gain, self.lanes, 2 * self.half + self.rest)
            m.d.comb += [self.index.eq(gain.index), gain.gains.eq(self.gains)]
            parts.append(gain)
        if self.clip is not None:
            m.submodules.clip = clip = Clip(self.clip, self.lanes)
            parts.append(clip)
        return parts

    def _connect_angles(self, m: Module, pairs: _Pairs, angles: ConstantTable, rotate: _Rotate) -> None:
        """Reads the angles of the current position: `row` is its first word in the ROM."""
        head = Signal(range(self.heads))
        row = Signal(len(angles.index))
        final, known = pairs.o.payload.last & (head == self.heads - 1), Signal()
        first: Value = Const(0)
        if self.slots:
            first = self.spans.payload.first * self.half
            m.d.comb += self.spans.ready.eq(self.ends.ready & self.ends.payload)
        begun = self.spans.valid if self.slots else Const(1)
        m.d.comb += [
            known.eq((self.ends.valid | ~final) & begun),
            angles.index.eq(first + row + pairs.o.payload.beat),
            rotate.i.valid.eq(pairs.o.valid & known),
            rotate.i.payload.pairs.eq(pairs.o.payload),
            rotate.i.payload.angles.eq(angles.data),
            pairs.o.ready.eq(rotate.i.ready & known),
            self.ends.ready.eq(pairs.o.valid & pairs.o.ready & final),
        ]
        with m.If(pairs.o.payload.rest):
            for cos, sin in zip(rotate.i.payload.angles.cos, rotate.i.payload.angles.sin, strict=True):
                m.d.comb += [cos.eq(1 << self.spec.frac), sin.eq(0)]
        with m.If(pairs.o.valid & pairs.o.ready & pairs.o.payload.last):
            m.d.sync += head.eq(Mux(final, 0, head + 1))
            with m.If(final):
                m.d.sync += row.eq(Mux(self.ends.payload, 0, row + self.half))
