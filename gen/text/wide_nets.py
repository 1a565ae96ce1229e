"""Modules of any size: what in Amaranth has a limit of bits, or takes time with their square, is replaced."""

from collections.abc import Iterator
from itertools import groupby, pairwise
from typing import Any

from amaranth.back import rtlil  # type: ignore[attr-defined]  # the stubs leave it out
from amaranth.hdl import _dsl, _ir, _nir  # type: ignore[attr-defined]
from amaranth.hdl._ast import Slice

from hardloom.gen.text.quick_netlist import QuickNetlist, QuickValue, WideNet

__all__ = ["widen_nets"]

MOST_WIRE = 1 << 16
"""Bits of the widest wire that Amaranth itself takes."""

NET_FLOWS: Any = _ir._compute_net_flows  # type: ignore[attr-defined]
"""What Amaranth itself does for it."""


class WideWire(rtlil.Wire):
    """A wire of any width."""

    def __init__(self, width: int, **options: Any) -> None:
        super().__init__(min(width, MOST_WIRE), **options)
        self.width = width


class NoMasks:
    """Drives nothing, as far as a `Module` asks of each statement: it would look at all bits of a signal for each part.

    Who drives a bit twice is told as the netlist is made.
    """

    def visit_stmt(self, statement: Any) -> None:
        pass

    def masks(self) -> tuple[()]:
        return ()


class QuickEmitter(_ir.NetlistEmitter):
    """Makes the same netlist: a part of a part is taken from the whole, not from a copy of the larger part."""

    def emit_rhs(self, module: int, value: Any) -> tuple[Any, bool]:
        if type(value) is not Slice:
            return super().emit_rhs(module, value)
        inner, start = _whole(value)
        nets, _ = self.emit_rhs(module, inner)
        return nets[start : start + len(value)], False

    def emit_lhs(self, value: Any) -> Any:
        if type(value) is not Slice:
            return super().emit_lhs(value)
        inner, start = _whole(value)
        return self.emit_lhs(inner)[start : start + len(value)]


class QuickAssignments(_nir.AssignmentList):
    """Knows for each bit what is assigned to it, without a look at every assignment; neighbours are one assignment.

    Yosys' `proc_mux` looks at all assignments of a process for each of them.
    """

    default: Any
    assignments: Any
    src_loc: Any

    def __init__(self, module: int, *, default: Any, assignments: Any, src_loc: Any) -> None:
        super().__init__(module, default=default, assignments=_joined(assignments), src_loc=src_loc)

    def comb_edges_to(self, bit: int) -> Iterator[tuple[Any, Any]]:
        if not hasattr(self, "_edges"):
            self._edges: dict[int, list[tuple[Any, Any]]] = {}
            for one in self.assignments:
                for place, net in enumerate(one.value, one.start):
                    self._edges.setdefault(place, []).extend([(one.cond, one.src_loc), (net, one.src_loc)])
        yield self.default[bit], self.src_loc
        yield from self._edges.get(bit, ())


def _joined(assignments: Any) -> Iterator[Any]:
    """The same assignments; of those that follow each other under one condition, neighbours in a signal are one."""
    for cond, group in groupby(assignments, lambda one: one.cond):
        run = [*group]
        parts = sorted(run, key=lambda one: one.start)
        if any(one.start + len(one.value) > other.start for one, other in pairwise(parts)):
            yield from run
            continue
        nets: list[Any] = []
        for one, after in zip(parts, [*parts[1:], None], strict=True):
            nets += one.value
            if after is None or one.start + len(one.value) < after.start:
                start = one.start + len(one.value) - len(nets)
                yield _nir.Assignment(cond=cond, start=start, value=_nir.Value(nets), src_loc=run[0].src_loc)
                nets = []


def _whole(part: Any) -> tuple[Any, int]:
    """What a slice of slices is a part of, and its first bit therein."""
    inner: Any = part
    start = 0
    while type(inner) is Slice:
        inner, start = inner.value, start + inner.start
    return inner, start


def _net_flows(netlist: Any) -> None:
    """Which nets cross the borders of modules: none where there is one module."""
    if len(netlist.modules) > 1:
        NET_FLOWS(netlist)


def widen_nets() -> None:
    """From now on, Amaranth makes modules of this process so. Again does nothing."""
    netlist: Any = _nir
    netlist.Net, netlist.AssignmentList = WideNet, QuickAssignments
    netlist.Value, netlist.Netlist = QuickValue, QuickNetlist
    module: Any = _dsl
    module.LHSMaskCollector = NoMasks
    emitter: Any = _ir
    emitter.NetlistEmitter, emitter._compute_net_flows = QuickEmitter, _net_flows
    back: Any = rtlil
    back.Wire = WideWire
