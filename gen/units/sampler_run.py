"""What the sampler works with while it serves a slot: a run's parameters, where in the schedule it is, its memories."""

from collections.abc import Mapping
from typing import Any

from amaranth.hdl import Module, ShapeLike, Signal, Value, unsigned
from amaranth.lib import data

from gen.design.axi_ports import commit_record
from gen.design.registers import ErrorCode
from gen.stream.ram import Ram
from gen.units.sampler_slot import parameters, pass_shape

__all__ = ["Run"]


def schedule(max_positions: int) -> data.StructLayout:
    """What a slot keeps from one step to the next.

    `block_start`, `block_end`: first position of the block and of the next one; `step`: within the block, of
    `block_steps`; `base`, `remainder`: tokens of a step, and how many steps commit one more.
    """
    position, count = unsigned(max_positions.bit_length()), unsigned(16)
    places = dict.fromkeys(("block_start", "block_end"), position)
    return data.StructLayout(places | dict.fromkeys(("step", "block_steps", "base", "remainder"), count))


class Run:
    """Registers of one elaboration of `gen.units.sampler.Sampler`, added to its module; one slot at a time has them.

    Of several slots, parameters and schedules wait in memories: `load` reads those of a slot, which are there in the
    cycle after the next (parameters in the next), `save` writes its schedule.

    Attributes
    ----------
    now: the pass that is ended, to be sent, or yet to be checked, `pass_shape`.
    held: `parameters` of the run; schedule: `schedule`; by_threshold: it has a spread limit, and no quotas.
    failed, code; stepped, finished, begun, forget_prompt: to the slot, driven in the states.
    send: the pass is to be sent; it is taken at once. since: the first position that is then not known any more.
    store, store_at, store_token: to be written into the sequence; stored: it is in this cycle.
    fetch, fetch_at: position to be read; fetched: it is, its `token` and `result` are there in the next cycle.
    record, record_valid: the commit that is held back; record_go, record_last: let it go, as the step's last.
    """

    def __init__(self, m: Module, max_positions: int, sequences: int, token: ShapeLike, result: ShapeLike) -> None:
        position = range(max_positions + 1)
        self.now: Any = Signal(pass_shape(sequences, max_positions))
        self.schedule: Any = Signal(schedule(max_positions))
        self.failed, self.code = Signal(), Signal(8)
        self.stepped, self.finished, self.begun, self.forget_prompt = Signal(), Signal(), Signal(), Signal()
        self.send, self.store, self.stored = Signal(), Signal(), Signal()
        self.store_at, self.store_token = Signal(position), Signal(token)
        self.fetch, self.fetched, self.fetch_at = Signal(), Signal(), Signal(position)
        self.token = Signal(token)
        self.result: Any = Signal(result)
        self.record: Any = Signal(commit_record())
        self.record_valid, self.record_go, self.record_last = Signal(), Signal(), Signal()
        held: Any = Signal(parameters(), name="held")
        self.held: Any = held
        self.by_threshold = Signal()
        self.since = Signal(position)
        m.d.comb += self.by_threshold.eq(held.spread_limit != 0)
        self._stores: tuple[Ram, Ram] | None = None
        if sequences > 1:
            m.submodules.parameters = started = Ram(held.shape(), sequences, name="parameters")
            m.submodules.schedules = kept = Ram(self.schedule.shape(), sequences, name="schedules")
            m.d.comb += held.eq(started.read_data)
            self._stores = started, kept

    def start(self, m: Module, strobe: Value, slot: Value, values: Mapping[str, Value]) -> None:
        """The parameters of a run that `strobe` starts in `slot`."""
        if self._stores is None:
            with m.If(strobe):
                m.d.sync += [getattr(self.held, name).eq(value) for name, value in values.items()]
            return
        started, _ = self._stores
        m.d.comb += [started.write_enable.eq(strobe), started.write_address.eq(slot)]
        m.d.comb += [getattr(started.write_data, name).eq(value) for name, value in values.items()]

    def load(self, m: Module, slot: Value) -> None:
        """In the cycle of this state."""
        for store in self._stores or ():
            m.d.comb += [store.read_enable.eq(1), store.read_address.eq(slot)]

    def loaded(self, m: Module) -> None:
        """In the cycle behind it."""
        if self._stores is not None:
            m.d.sync += self.schedule.eq(self._stores[1].read_data)

    def save(self, m: Module) -> None:
        """In the cycle of this state."""
        if self._stores is not None:
            _, kept = self._stores
            m.d.comb += [
                kept.write_enable.eq(1),
                kept.write_address.eq(self.now.slot),
                kept.write_data.eq(self.schedule),
            ]

    def fail(self, m: Module, code: ErrorCode) -> None:
        """The run ends in this cycle, as refused."""
        m.d.comb += [self.failed.eq(1), self.code.eq(code)]
        m.next = "IDLE"
