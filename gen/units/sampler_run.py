"""What the sampler works with while it serves a slot: a run's parameters, where its program is, its memories."""

from collections.abc import Mapping
from typing import Any

from amaranth.hdl import Const, Module, Mux, ShapeLike, Signal, Value, unsigned
from amaranth.lib import data

from hardloom.gen.design.axi_ports import commit_record
from hardloom.gen.design.registers import ErrorCode
from hardloom.gen.stream.ram import Ram
from hardloom.gen.units.sampler_slot import parameters, pass_shape
from hardloom.golden.samplers.machine import PROGRAM_WORDS, REGISTERS

__all__ = ["Run"]

AT = (PROGRAM_WORDS - 1).bit_length() + 1
"""Bits of an address within a program, and of the one behind its last word."""


def word_shape() -> data.StructLayout:
    """An instruction: `golden.samplers.machine`."""
    register = unsigned((REGISTERS - 1).bit_length())
    return data.StructLayout({"op": unsigned(5), "a": register, "b": register, "imm": unsigned(16), "zero": 1})


def place_shape(max_positions: int, manner: data.StructLayout, vicinity: bool) -> data.StructLayout:
    """What a slot keeps from one pass to the next.

    `at`: the instruction that is next; `block_start`, `block_end`: the block at work; `known`: from there on no pass
    has had these tokens yet; `manner`: of its predictions. With a `vicinity`, it and whether it is `near`, below the
    positions that there can be; `whole`: a pass has computed all positions since it had to.
    """
    position = unsigned(max_positions.bit_length())
    positions = dict.fromkeys(("block_start", "block_end", "known"), position)
    near = {"vicinity": position, "near": unsigned(1), "whole": unsigned(1)} if vicinity else {}
    return data.StructLayout({"at": unsigned(AT), **positions, **near, "manner": manner})


class Run:
    """Registers of one elaboration of `gen.units.sampler.Sampler`, added to its module; one slot at a time has them.

    Of several slots, parameters and places wait in memories: `load` reads those of a slot, which are there in the cycle
    after the next (parameters in the next), `save` writes its place.

    Attributes
    ----------
    now: the pass that is ended, to be sent, or yet to be checked, `pass_shape`.
    vicinity: programs may set one.
    held: `parameters` of the run; place: `place_shape`; forwards: passes of the run that have ended.
    failed, code; stepped, finished, begun, forget_prompt: to the slot, driven in the states.
    stepping: the slot is served behind a pass, so that a packet of records is due.
    send: the pass is to be sent; it is taken at once where the manners of those before are (`told`); everything: not
        the masks of the block alone are wanted.
    block_start: the first position of the block behind the prompt.
    store, store_at, store_token: to be written into the sequence; clear: prediction, note and memo of it become 0;
        stored: it is in this cycle.
    fetch, fetch_at: position to be read, its note and memo too where `recall`; fetched: it is, its `token`, `result`,
        `note` and `memo` are there in the next cycle.
    keep_note, keep_memo: `y` is to be written as that of `fetch_at`.
    record, record_valid: the write that is held back; record_go, record_last: let it go, as the step's last.
    word: the instruction at work, `word_shape`; x: register b; y: register c, or a where the instruction has no c.
    """

    def __init__(
        self,
        m: Module,
        max_positions: int,
        sequences: int,
        token: ShapeLike,
        result: ShapeLike,
        manner: data.StructLayout,
        vicinity: bool = False,
    ) -> None:
        self.vicinity = vicinity
        self.now: Any = Signal(pass_shape(sequences, max_positions))
        place: Any = Signal(place_shape(max_positions, manner, vicinity), name="place")
        held: Any = Signal(parameters(), name="held")
        self.place, self.held = place, held
        self.forwards = Signal(32)
        self.failed = Signal()
        self.code = Signal(8)
        self.stepped = Signal()
        self.finished = Signal()
        self.begun = Signal()
        self.forget_prompt = Signal()
        self.stepping = Signal()
        self.everything = Signal()
        self.send = Signal()
        self.told = Signal()
        position = range(max_positions + 1)
        self.store = Signal()
        self.store_at = Signal(position)
        self.store_token = Signal(token)
        self.clear = Signal()
        self.stored = Signal()
        self.keep_note = Signal()
        self.keep_memo = Signal()
        self.fetch = Signal()
        self.fetch_at = Signal(position)
        self.recall = Signal()
        self.fetched = Signal()
        self.token = Signal(token)
        self.result: Any = Signal(result)
        self.note = Signal(32)
        self.memo = Signal(32)
        self.block_start = Signal(position)
        prompted = place.block_start < held.prompt_length
        m.d.comb += self.block_start.eq(Mux(prompted, held.prompt_length, place.block_start))
        self.record: Any = Signal(commit_record())
        self.record_valid = Signal()
        self.record_go = Signal()
        self.record_last = Signal()
        self._stores: tuple[Ram, Ram] | None = None
        if sequences > 1:
            m.submodules.parameters = started = Ram(self.held.shape(), sequences, name="parameters")
            m.submodules.places = kept = Ram(self.place.shape(), sequences, name="places")
            m.d.comb += self.held.eq(started.read_data)
            self._stores = started, kept
        m.submodules.instructions = self.program = Ram(word_shape(), PROGRAM_WORDS, name="program")
        self.word: Any = Signal(word_shape())
        self.first, self.words = held.entry[:16], held.entry[16:]
        m.d.comb += self.word.eq(self.program.read_data)
        copies = [Ram(unsigned(32), REGISTERS * sequences, name=f"registers_{name}") for name in "xy"]
        m.submodules.registers_x, m.submodules.registers_y = copies
        self.x, self.y = (copy.read_data for copy in copies)
        self._copies = copies

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
            m.d.sync += self.place.eq(self._stores[1].read_data)

    def save(self, m: Module) -> None:
        """In the cycle of this state: what is up to the end of the block at work is known."""
        changes = {"known": self.place.block_end, **({"whole": Const(1)} if self.vicinity else {})}
        if self._stores is None:
            m.d.sync += [self.place[name].eq(value) for name, value in changes.items()]
            return
        _, kept = self._stores
        written: Any = kept.write_data
        m.d.comb += [
            kept.write_enable.eq(1),
            kept.write_address.eq(self.now.slot),
            written.eq(self.place),
            *(written[name].eq(value) for name, value in changes.items()),
        ]

    def fetch_word(self, m: Module, at: Value) -> None:
        """READ is next, of the instruction at this address of the program."""
        m.d.comb += [self.program.read_enable.eq(1), self.program.read_address.eq(self.first + at)]
        m.next = "READ"

    def read(self, m: Module, other: Value) -> None:
        """Registers b and `other` of the instruction, in the cycle of this state; they are there in the next."""
        for copy, register in zip(self._copies, (self.word.b, other), strict=True):
            m.d.comb += [copy.read_enable.eq(1), copy.read_address.eq(self._register(register))]

    def write(self, m: Module, register: Value, value) -> None:
        """In the cycle of this state."""
        for copy in self._copies:
            m.d.comb += [
                copy.write_enable.eq(1),
                copy.write_address.eq(self._register(register)),
                copy.write_data.eq(value),
            ]

    def _register(self, register: Value) -> Value:
        return self.now.slot * REGISTERS + register if len(self.now.slot) else register

    def fail(self, m: Module, code: ErrorCode) -> None:
        """The run ends in this cycle, as refused."""
        m.d.comb += [self.failed.eq(1), self.code.eq(code)]
        m.next = "IDLE"
