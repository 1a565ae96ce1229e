"""Groups of experts: which of a token's experts may be chosen."""

from typing import Any

from amaranth.hdl import Const, Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hardloom.gen.stream.component import Component
from hardloom.gen.stream.stream import PacketDelay, Stage
from hardloom.gen.units.router_scores import candidate, rank
from hardloom.golden.units.router import Router as RouterSpec

__all__ = ["Groups", "admissible", "mark_best"]


def admissible(spec: RouterSpec) -> data.StructLayout:
    """A candidate, and `admitted`: whether its group is one of the token's best, or its block has it."""
    return data.StructLayout(candidate(spec).members | {"admitted": unsigned(1)})


def mark_best(m: Module, name: str, count: int, total, number, take, y) -> None:
    """Sorts totals, numbered from 0 on, into the best `count`; `y` marks those that have a place, a bit each.

    A total enters, in a cycle of `take`, before the first place whose total is smaller. name: of the places.
    """
    shape = data.StructLayout({"total": total.shape(), "number": number.shape()})
    places: list[Any] = [Signal(shape, name=f"{name}_{j}") for j in range(count)]
    entering: Any = Signal(shape, name="entering")
    enters, after = Signal(count), []
    m.d.comb += [entering.total.eq(total), entering.number.eq(number)]
    for j, place in enumerate(places):
        m.d.comb += enters[j].eq((number <= j) | (entering.total > place.total))
        better = Mux(enters[j - 1], places[j - 1], entering) if j else entering
        after.append(Mux(enters[j], better, place))
    for place, value in zip(places, after, strict=True):
        with m.If(take):
            m.d.sync += place.eq(value)
    m.d.comb += y.eq(0)
    for j, value in enumerate(after):
        found: Any = Signal(shape, name=f"best_{j}")
        m.d.comb += found.eq(value)
        with m.If(number >= j if j else Const(1)):
            m.d.comb += y.bit_select(found.number, 1).eq(1)


class _BestGroups(PacketDelay):
    """Statistic of a token's candidates: its best groups, a bit each.

    A group's total is that of its two best.
    """

    def __init__(self, spec: RouterSpec) -> None:
        self.spec, self.size = spec, spec.num_experts // spec.groups
        super().__init__(candidate(spec), unsigned(spec.groups), 2 * spec.num_experts + 2)

    def fold(self, m: Module, stat, first, x, y) -> None:
        size, groups, take = self.size, self.spec.groups, self.i.valid & self.i.ready
        within, group = Signal(range(size)), Signal(range(groups))
        whole = Signal()
        m.d.comb += whole.eq(within == size - 1)
        with m.If(take):
            m.d.sync += within.eq(Mux(whole, 0, within + 1))
        with m.If(take & whole):
            m.d.sync += group.eq(Mux(x.last, 0, group + 1))
        total = self._total(m, rank(x), within, take)
        with m.If(whole):
            mark_best(m, "group_place", self.spec.top_groups, total, group, take, y)

    def _total(self, m: Module, value, within, take):
        """The sum of a group's two best so far, `value` among them."""
        best, second = (Signal.like(value, name=name) for name in ("largest", "second"))
        if self.size == 1:
            return value
        next_best, next_second = (Signal.like(value, name=f"next_{name}") for name in ("largest", "second"))
        m.d.comb += [next_best.eq(best), next_second.eq(second)]
        with m.If((within == 0) | (value > best)):
            m.d.comb += [next_best.eq(value), next_second.eq(best)]
        with m.Elif((within == 1) | (value > second)):
            m.d.comb += next_second.eq(value)
        with m.If(take):
            m.d.sync += [best.eq(next_best), second.eq(next_second)]
        return next_best + next_second


class _Admit(Stage):
    """Tells each candidate whether its group, which is counted here, is among the best."""

    def __init__(self, spec: RouterSpec, i_shape: data.StructLayout) -> None:
        self.groups, self.size = spec.groups, spec.num_experts // spec.groups
        super().__init__(i_shape, admissible(spec))

    def transform(self, m: Module, x, y) -> None:
        within, group = Signal(range(self.size)), Signal(range(self.groups))
        whole = within == self.size - 1
        m.d.comb += [getattr(y, name).eq(getattr(x.beat, name)) for name in x.beat.shape().members]
        m.d.comb += y.admitted.eq(x.stat.bit_select(group, 1))
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += within.eq(Mux(whole, 0, within + 1))
            with m.If(whole):
                m.d.sync += group.eq(Mux(x.beat.last, 0, group + 1))


class Groups(Component):
    """`golden.units.router.Router.in_best_groups`: candidates in, candidates out, a token later.

    Latency: `num_experts` and 2 cycles from the last candidate in to the last out; one candidate a cycle.

    Attributes
    ----------
    i: stream of `gen.units.router_scores.candidate(spec)`, in.
    o: stream of `admissible(spec)`, out.
    """

    def __init__(self, spec: RouterSpec) -> None:
        self.spec = spec
        super().__init__({"i": In(stream.Signature(candidate(spec))), "o": Out(stream.Signature(admissible(spec)))})

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.best = best = _BestGroups(self.spec)
        m.submodules.admit = admit = _Admit(self.spec, best.o.payload.shape())
        wiring.connect(m, wiring.flipped(self.i), best.i)
        wiring.connect(m, best.o, admit.i)
        wiring.connect(m, admit.o, wiring.flipped(self.o))
        return m
