"""Modules of any number of ports: numbers of nets in which Amaranth's netlist has room for them."""

from typing import Any

from amaranth.hdl import _nir  # type: ignore[attr-defined]  # the stubs leave it out

__all__ = ["widen_nets"]

BIT_WIDTH = 32
"""Bits of a net's place among the outputs of its cell; Amaranth itself has 16."""


class WideNet(_nir.Net):
    """A net as a number: its cell, then its place among that cell's outputs. What Amaranth has, but for room for 2^32.

    All inputs of a module are outputs of one cell, and so are all outputs of an instance. Nets keep their order.
    """

    __slots__ = ()

    @classmethod
    def from_cell(cls, cell: int, bit: int) -> "WideNet":
        assert cell >= 0 and bit in range(2 if cell == 0 else 0, 1 << BIT_WIDTH)
        return cls((cell << BIT_WIDTH) | bit)

    @property
    def cell(self) -> int:
        return self >> BIT_WIDTH

    @property
    def bit(self) -> int:
        return self & ((1 << BIT_WIDTH) - 1)


def widen_nets() -> None:
    """From now on, Amaranth numbers the nets of this process so. Again does nothing."""
    netlist: Any = _nir
    netlist.Net = WideNet
