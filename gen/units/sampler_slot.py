"""A slot of the sampler: what the registers say of its run, and of the prompt that it holds."""

from amaranth.hdl import Array, Module, Mux, Value, unsigned
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from hardloom.gen.design.registers import ErrorCode
from hardloom.gen.stream.component import Component

__all__ = ["PARAMETERS", "Slot", "parameters", "pass_shape", "pick", "place"]

PARAMETERS = {"prompt_length": 16, "gen_length": 16, "entry": 32}
"""Registers that describe a run, and their bits."""


def parameters() -> data.StructLayout:
    """`PARAMETERS` as they were at START."""
    return data.StructLayout({name: unsigned(width) for name, width in PARAMETERS.items()})


def pass_shape(sequences: int, max_positions: int) -> data.StructLayout:
    """A pass of all `positions` of the sequence in `slot`; one slot alone has no number."""
    return data.StructLayout(
        {"slot": unsigned((sequences - 1).bit_length()), "positions": unsigned(max_positions.bit_length())}
    )


def place(slot: Value, position: Value, max_positions: int) -> Value:
    """Where the memories of all slots have a position of one."""
    return slot * max_positions + position if len(slot) else position


def pick(values: list, slot: Value):
    """That of `values` which is the slot's."""
    return Array(values)[slot] if len(values) > 1 else values[0]


class Slot(Component):
    """Registers of one slot.

    Attributes
    ----------
    start: START of this slot, in; failed, code_of_failure: its run is refused, in; stepped: a pass of it has ended, in;
        finished: its run has, in; acknowledge: the host knows that, in.
    waiting: a run has been started that nobody has begun to check, out; begun: somebody has, in.
    busy, done, error, code, cycles, forwards: as registers show them, out.
    ended: a run has ended, and neither START nor `acknowledge` has come since, out.
    token: of a prompt comes, in; last: with the prompt's last one; bad: no prompt may have it; next: its position, out.
    received: tokens of the prompt, up to one more than fit, out; whole: its last one has come; bad_token: one is bad.
    forget_prompt: what has come of a prompt whose last token has not is nothing, in.
    """

    def __init__(self, max_positions: int) -> None:
        self.max_positions = max_positions
        inputs = ("start", "failed", "stepped", "finished", "acknowledge", "begun", "token", "last", "bad")
        count = Out(range(max_positions + 2))
        super().__init__(
            {
                **dict.fromkeys((*inputs, "forget_prompt"), In(1)),
                "code_of_failure": In(8),
                **dict.fromkeys(("waiting", "busy", "done", "error", "ended", "whole", "bad_token"), Out(1)),
                "code": Out(8),
                "cycles": Out(32),
                "forwards": Out(32),
                "next": count,
                "received": count,
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        self._run(m)
        self._prompt(m)
        return m

    def _run(self, m: Module) -> None:
        with m.If(self.busy):
            m.d.sync += self.cycles.eq(self.cycles + 1)
        with m.If(self.stepped):
            m.d.sync += self.forwards.eq(self.forwards + 1)
        with m.If(self.begun):
            m.d.sync += self.waiting.eq(0)
        with m.If(self.acknowledge):
            m.d.sync += self.ended.eq(0)
        with m.If(self.start & self.busy):
            m.d.sync += [self.error.eq(1), self.code.eq(ErrorCode.BUSY)]
        with m.Elif(self.start):
            m.d.sync += [signal.eq(1) for signal in (self.busy, self.waiting)]
            m.d.sync += [signal.eq(0) for signal in (self.done, self.error, self.ended, self.cycles, self.forwards)]
            m.d.sync += self.code.eq(ErrorCode.NONE)
        with m.If(self.failed):
            m.d.sync += [self.error.eq(1), self.code.eq(self.code_of_failure), self.busy.eq(0), self.ended.eq(1)]
        with m.If(self.finished):
            m.d.sync += [self.done.eq(1), self.busy.eq(0), self.ended.eq(1)]

    def _prompt(self, m: Module) -> None:
        """The first token behind a whole prompt begins another one."""
        m.d.comb += self.next.eq(Mux(self.whole, 0, self.received))
        with m.If(self.token):
            m.d.sync += [
                self.received.eq(Mux(self.next > self.max_positions, self.next, self.next + 1)),
                self.whole.eq(self.last),
                self.bad_token.eq(self.bad | (self.bad_token & ~self.whole)),
            ]
        with m.If(self.forget_prompt & ~self.whole):
            m.d.sync += [self.received.eq(0), self.whole.eq(1), self.bad_token.eq(0)]
