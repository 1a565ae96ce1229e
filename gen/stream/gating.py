"""A clock of its own for each unit, stopped while the unit holds nothing."""

from typing import Any

from amaranth.hdl import Cat, ClockDomain, ClockSignal, DomainRenamer, Instance, Module, Mux, ResetSignal, Signal

from hardloom.gen.stream.component import Component

__all__ = ["gated"]

COUNT_WIDTH = 16
"""Bits of the count of packets inside a unit."""


def _packet(source) -> Signal:
    """High in the cycle in which a stream hands over a packet's last beat (or an item that is a packet of its own), of
    packets that make one the `final` one's."""
    payload = source.payload
    last = payload.last if _has(payload, "last") else payload.beat.last if _has(payload, "beat") else 1
    return source.valid & source.ready & last & (payload.final if _has(payload, "final") else 1)


def _has(payload, name: str) -> bool:
    return name in getattr(payload.shape(), "members", {})


def gated(m: Module, test_enable, name: str, unit: Component, inputs: tuple[str, ...] = ("i",), packets: int = 1):
    """Add `unit` as submodule `name` on a gated copy of the clock; returns `unit`.

    The clock runs while `test_enable`, in reset, while one of the `inputs` is valid, and from the last beat of a packet
    that enters at the first of them until all that entered has left at `o`: every `packets` packets in give one out,
    or, where they are told apart, each `final` one. A unit whose registers only move on by these handshakes, as all
    stream units here, does not notice.
    """
    domain: Any = ClockDomain(f"{name}_{type(unit).__name__}", local=True)  # gates nest: names within names differ
    m.domains += domain
    inside = Signal(COUNT_WIDTH, name=f"{name}_inside")
    entered, left = _packet(getattr(unit, inputs[0])), _packet(unit.o)
    m.d.sync += inside.eq(inside + entered - Mux(left, packets, 0))
    waiting = Cat(*(getattr(unit, port).valid for port in inputs)).any()
    m.submodules[f"{name}_gate"] = Instance(
        "hardloom_clock_gate",
        i_clk=ClockSignal(),
        i_enable=ResetSignal() | waiting | (inside != 0),
        i_test_enable=test_enable,
        o_gated=domain.clk,
    )
    m.d.comb += domain.rst.eq(ResetSignal())
    m.submodules[name] = DomainRenamer(domain.name)(unit)
    return unit
