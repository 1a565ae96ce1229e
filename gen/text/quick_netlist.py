"""A netlist of Amaranth's whose nets are resolved, and looked through for combinational cycles, in passing."""

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import _nir  # type: ignore[attr-defined]

__all__ = ["QuickNetlist", "QuickValue", "WideNet"]

BIT_WIDTH = 32
"""Bits of a net's place among the outputs of its cell; Amaranth itself has 16."""

FLIP_FLOP: Any = _nir.FlipFlop
UNLINKED: Any = (_nir.Top, _nir.Instance, _nir.SyncReadPort)
"""Cells of which no output depends on an input within a clock cycle, as far as Amaranth can know."""


class WideNet(_nir.Net):
    """A net as a number: its cell, then its place among that cell's outputs. What Amaranth has, but for room for 2^32.

    All inputs of a module are outputs of one cell, and so are all outputs of an instance. Nets keep their order.
    """

    __slots__ = ()

    @classmethod
    def from_cell(cls, cell: int, bit: int) -> "WideNet":
        return cls(cell << BIT_WIDTH | bit)

    @classmethod
    def from_late(cls, val: int) -> "WideNet":
        return cls(val)

    @property
    def cell(self) -> int:
        return self >> BIT_WIDTH

    @property
    def bit(self) -> int:
        return self & ((1 << BIT_WIDTH) - 1)


class QuickValue(_nir.Value):
    """Nets as a tuple: what Amaranth has, but not asked net by net whether each is one."""

    __slots__ = ()

    def __new__(cls, nets: Any = ()) -> "QuickValue":
        return tuple.__new__(cls, (nets,) if isinstance(nets, WideNet) else nets)


class QuickNetlist(_nir.Netlist):
    """Looks for combinational cycles from cell to cell, and bit by bit only where cells are in a ring.

    Where each net that was to be connected leads to is looked up once, for that and to resolve all values.
    """

    cells: list[Any]
    connections: dict[Any, Any]
    ends: dict[Any, Any]

    def check_comb_cycles(self) -> None:
        self.ends = {}
        for late in self.connections:
            net, passed = late, list[Any]()
            while net < 0 and net not in self.ends:
                passed.append(net)
                if len(passed) > len(self.connections):  # signals connected in a ring, which it will tell
                    return super().check_comb_cycles()  # type: ignore[misc]
                net = self.connections[net]
            self.ends.update(dict.fromkeys(passed, self.ends.get(net, net)))
        if in_a_ring([self._sources(cell) for cell in self.cells]):
            super().check_comb_cycles()  # type: ignore[misc]
        return None

    def resolve_net(self, net: Any) -> Any:
        return self.ends.get(net, net)

    def resolve_value(self, value: Any) -> Any:
        ends = self.ends
        return QuickValue([ends.get(net, net) for net in value])

    def _sources(self, cell: Any) -> set[int]:
        """Cells that the outputs of `cell` may depend on within a clock cycle; cell 0, the ports, is none."""
        ends = self.ends
        if isinstance(cell, UNLINKED):
            return set()
        nets = (cell.clk, cell.arst) if isinstance(cell, FLIP_FLOP) else cell.input_nets()
        return {ends.get(net, net) >> BIT_WIDTH for net in nets} - {0}


def in_a_ring(sources: Sequence[set[int]]) -> bool:
    """Whether a cell depends on itself, over however many cells; sources: of each cell, by its number."""
    users: list[list[int]] = [[] for _ in sources]
    for cell, before in enumerate(sources):
        for source in before:
            users[source].append(cell)
    waits = [len(before) for before in sources]
    ready = [cell for cell, count in enumerate(waits) if not count]
    for cell in ready:
        for user in users[cell]:
            waits[user] -= 1
            if not waits[user]:
                ready.append(user)
    return len(ready) < len(sources)
