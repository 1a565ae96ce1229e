"""The sampler on chip: a context for each sequence in flight, its passes in order through the model, its commits."""

from amaranth.hdl import Const, Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hardloom.gen.design.axi_ports import SLOT_WIDTH, commit_record
from hardloom.gen.stream.component import Component
from hardloom.gen.stream.queue import Queue
from hardloom.gen.stream.ram import Ram
from hardloom.gen.stream.stream import Keep, chain
from hardloom.gen.text.constant_module import index_width
from hardloom.gen.units.manner import manner_shape, told_manner
from hardloom.gen.units.sampler_check import add_checks
from hardloom.gen.units.sampler_core import Core
from hardloom.gen.units.sampler_passes import Collector, Sender, going_shape, sending_shape, sent_shape
from hardloom.gen.units.sampler_run import Run
from hardloom.gen.units.sampler_slot import PARAMETERS, Slot, pick, place
from hardloom.gen.units.span import span_shape
from hardloom.golden.samplers.machine import MAX_INSTRUCTIONS, PROGRAM_WORDS

__all__ = ["Sampler"]

SHOWN = ("busy", "done", "error", "code", "cycles", "forwards")
OF_SLOT = ("received", "whole", "bad_token", "forwards")
"""What the states ask of the slot that they serve."""


class Sampler(Component):
    """`golden.samplers.interpreter.Machine` in hardware, for `sequences` sequences at once.

    A run: check of the lengths and the prompt, registers cleared (32 cycles), masks written, then the program's
    instructions (`gen.units.sampler_core.Core`), with a pass of all positions through the model at each PREDICT. Passes
    of several slots are in the model at once, in the order in which they were sent; instructions are those of one slot
    at a time, from a pass to the next, in that order too.

    Parameters
    ----------
    vocab_size, mask_token_id, max_positions: of the model and the chip.
    spread_width: bits of the spread from `Argmax`.
    sequences: slots.
    block: positions of a block of attention, a power of two, where keys and values are kept: a pass then computes the
        blocks from that of the first token that has changed, or of the block at work, to the latter's end. 0: all.
    vicinity: keys and values are kept where all positions see each other: programs may set one, and a pass then
        computes what `golden.samplers.interpreter.Machine` says.
    noise: the head has noise, whose temperature and seed a program sets.
    shift: 1 where logits predict the next position, so that `passed` and `result` are of the position before.
    limit: instructions of a run from one pass to the next.

    Attributes
    ----------
    prompt: stream of {`token`, `last`, `slot`}, in; accepted while the slot is idle, `last` ends a prompt and the next
        one replaces it; so does it where a run was refused because `last` had not come. The mask token is refused. A
        token for a slot that there is not is accepted and forgotten.
    slot: what the following ports are about, below `sequences`, in.
    program_seek, program_address: the next word of the memory of programs is that of this address, in.
    program_write, program_word: a word of it, in; the next one is that behind it.
    start, prompt_length, gen_length, entry (register PROGRAM): from the registers, in; `start` one cycle, the others
        need to hold in that cycle alone. acknowledge: one cycle, in.
    busy, done, error, code, cycles, forwards: to the registers, out.
    any_busy: a slot is, out. ended: runs have ended that neither START nor `acknowledge` has followed, out; ended_slot:
        the lowest of theirs, out.
    spans: stream of `gen.units.span.span_shape`, one a pass with its first token, out; only where there is a `block` or
        `vicinity`.
    manners: stream of `told_manner(vocab_size, noise)`, one a pass, before its first token, out.
    tokens: stream of `sent_shape(vocab_size)`, to the embedding and the head's gate, a pass of all positions a step,
        out.
    passed: stream of one bit a position, in the order of the tokens, in: `wanted`, once the position is behind the
        layers. A pass is complete when all of its positions are, and those that were wanted have their results.
    result: stream of {`token`, `spread`} of the wanted positions from the head, in order, in.
    commits: stream of {`record`, `last`, `slot`}, a packet of the tokens that a step has written, out.
    """

    def __init__(
        self,
        vocab_size: int,
        mask_token_id: int,
        max_positions: int,
        spread_width: int,
        sequences: int = 1,
        block: int = 0,
        shift: int = 0,
        limit: int = MAX_INSTRUCTIONS,
        noise: bool = False,
        vicinity: bool = False,
    ) -> None:
        self.vocab_size, self.mask_token_id, self.max_positions = vocab_size, mask_token_id, max_positions
        self.sequences, self.block, self.shift, self.limit = sequences, block, shift, limit
        self.noise, self.vicinity, self.kept = noise, vicinity, block > 0 or vicinity
        token, slot = unsigned(index_width(vocab_size)), unsigned(SLOT_WIDTH)
        prompt = data.StructLayout({"token": unsigned(32), "last": unsigned(1), "slot": slot})
        result = data.StructLayout({"token": token, "spread": unsigned(spread_width)})
        commits = data.StructLayout({"record": commit_record(), "last": unsigned(1), "slot": slot})
        spans = {"spans": Out(stream.Signature(span_shape(sequences, max_positions)))} if self.kept else {}
        super().__init__(
            {
                **spans,
                "prompt": In(stream.Signature(prompt)),
                "slot": In(slot),
                "program_seek": In(1),
                "program_address": In(index_width(PROGRAM_WORDS)),
                "program_write": In(1),
                "program_word": In(32),
                "start": In(1),
                **{name: In(width) for name, width in PARAMETERS.items()},
                "acknowledge": In(1),
                **dict.fromkeys(("busy", "done", "error"), Out(1)),
                "code": Out(8),
                "cycles": Out(32),
                "forwards": Out(32),
                "any_busy": Out(1),
                "ended": Out(1),
                "ended_slot": Out(slot),
                "manners": Out(stream.Signature(told_manner(vocab_size, noise))),
                "tokens": Out(stream.Signature(sent_shape(vocab_size))),
                "passed": In(stream.Signature(unsigned(1))),
                "result": In(stream.Signature(result)),
                "commits": Out(stream.Signature(commits)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        token, result = self.result.payload.token.shape(), self.result.payload.shape()
        manner = manner_shape(self.vocab_size, self.noise)
        run = Run(m, self.max_positions, self.sequences, token, result, manner, self.vicinity)
        slots = [Slot(self.max_positions) for _ in range(self.sequences)]
        for number, slot in enumerate(slots):
            m.submodules[f"slot_{number}"] = slot
        starting = self._registers(m, slots, run)
        sender, collector = self._passes(m, run)
        self._memories(m, slots, run, sender, collector)
        self._commit_port(m, run)
        self._states(m, slots, run, starting, collector, self._programs(m, run))
        return m

    def _programs(self, m: Module, run: Run) -> Signal:
        """Words of programs as the host writes them; how many there are, from the first on."""
        words = Signal(range(PROGRAM_WORDS + 1), name="program_words")
        at = Signal.like(self.program_address, name="program_at")
        m.d.comb += [
            run.program.write_enable.eq(self.program_write),
            run.program.write_address.eq(at),
            run.program.write_data.eq(self.program_word),
        ]
        with m.If(self.program_write):
            m.d.sync += at.eq(at + 1)
            with m.If(at == words):
                m.d.sync += words.eq(words + 1)
        with m.If(self.program_seek):
            m.d.sync += at.eq(self.program_address)
        return words

    def _registers(self, m: Module, slots: list[Slot], run: Run) -> tuple[Signal, Signal]:
        """What the host sees of the slots; whether one waits to be checked, and the lowest of those that do."""
        chosen = self.slot[: len(run.now.slot)]
        values = {name: getattr(self, name) for name in PARAMETERS}
        run.start(m, self.start & ~pick([slot.busy for slot in slots], chosen), chosen, values)
        waiting, waiting_slot = Signal(), Signal.like(run.now.slot)
        m.d.comb += [getattr(self, name).eq(pick([getattr(slot, name) for slot in slots], chosen)) for name in SHOWN]
        for number, slot in reversed(list(enumerate(slots))):
            here = chosen == number if len(slots) > 1 else Const(1)
            m.d.comb += [slot.start.eq(self.start & here), slot.acknowledge.eq(self.acknowledge & here)]
            with m.If(slot.busy):
                m.d.comb += self.any_busy.eq(1)
            with m.If(slot.waiting):
                m.d.comb += [waiting.eq(1), waiting_slot.eq(number)]
            with m.If(slot.ended):
                m.d.comb += [self.ended.eq(1), self.ended_slot.eq(number)]
        return waiting, waiting_slot

    def _passes(self, m: Module, run: Run) -> tuple[Sender, Collector]:
        """Passes go round: to the sender, through the model, to the collector, and to the states below."""
        g, kept = (self.max_positions, self.sequences), self.kept
        m.submodules.sender = sender = Sender(self.vocab_size, self.mask_token_id, *g, kept)
        m.submodules.collector = collector = Collector(self.result.payload.shape(), *g, kept, self.shift)
        m.submodules.to_send = to_send = Queue(sending_shape(self.sequences, self.max_positions, kept), self.sequences)
        m.submodules.manners = manners = Queue(self.manners.payload.shape(), self.sequences)
        m.submodules.sent = sent = Queue(going_shape(self.sequences, self.max_positions, kept), self.sequences)
        m.d.comb += [
            to_send.i.payload.slot.eq(run.now.slot),
            to_send.i.payload.positions.eq(run.now.positions),
            to_send.i.payload.block_start.eq(run.block_start),
            to_send.i.payload.block_end.eq(run.place.block_end),
            to_send.i.payload.everything.eq(run.everything),
            to_send.i.valid.eq(run.send),
            *(manners.i.payload[name].eq(run.place.manner[name]) for name in run.place.manner.shape().members),
            manners.i.valid.eq(run.send),
            run.told.eq(manners.i.ready),
        ]
        wiring.connect(m, manners.o, wiring.flipped(self.manners))
        if self.noise:
            first = to_send.i.payload.first if kept else 0
            m.d.comb += [manners.i.payload.step.eq(run.forwards), manners.i.payload.position.eq(first)]
        if kept:
            (self._near if self.vicinity else self._span)(m, run, to_send.i.payload)
            wiring.connect(m, sender.spans, wiring.flipped(self.spans))
        chain(m, to_send, sender, sent, collector)
        wiring.connect(m, sender.tokens, wiring.flipped(self.tokens))
        wiring.connect(m, wiring.flipped(self.passed), collector.passed)
        wiring.connect(m, wiring.flipped(self.result), collector.result)
        return sender, collector

    def _span(self, m: Module, run: Run, sending) -> None:
        """Whole blocks of attention: from the first that is not known, or whose logits are asked for, to the end of
        those of the block at work."""
        bits = self.block.bit_length() - 1
        place, end = run.place, run.place.block_end
        stop = Signal(len(end) + self.block.bit_length())
        asked = Signal.like(end)
        since = Signal.like(end)
        m.d.comb += [
            stop.eq((end + self.block - 1)[bits:] << bits),
            asked.eq(Mux(place.block_start == 0, 0, place.block_start - self.shift)),
            since.eq(Mux(place.known < asked, place.known, asked)),
            sending.first.eq(since[bits:] << bits),
            sending.stop.eq(Mux(stop > run.now.positions, run.now.positions, stop)),
            sending.seen.eq(sending.stop),
        ]

    def _near(self, m: Module, run: Run, sending) -> None:
        """The block at work and its vicinity; or all positions. They see all."""
        place = run.place
        near, before, stop = place.near & place.whole, Signal(len(place.vicinity) + 1), Signal(len(place.vicinity) + 1)
        m.d.comb += [
            before.eq(place.vicinity + self.shift),
            stop.eq(place.block_end + place.vicinity),
            sending.first.eq(Mux(near & (place.block_start > before), place.block_start - before, 0)),
            sending.stop.eq(Mux(near & (stop < run.now.positions), stop, run.now.positions)),
            sending.seen.eq(run.now.positions),
        ]

    def _memories(self, m: Module, slots: list[Slot], run: Run, sender: Sender, collector: Collector) -> None:
        """Sequences and what belongs to their positions, of all slots.

        A prompt is written before anything else, and the sender reads first.
        """
        depth = self.sequences * self.max_positions
        m.submodules.tokens = tokens = Ram(run.token.shape(), depth, name="tokens")
        m.submodules.results = results = Ram(run.result.shape(), depth, name="results")
        prompt_write = self._prompt(m, slots, tokens)
        store_at = place(run.now.slot, run.store_at, self.max_positions)
        m.d.comb += [
            run.stored.eq(run.store & ~prompt_write & ~(run.clear & collector.write)),
            run.fetched.eq(run.fetch & ~sender.read),
            run.token.eq(tokens.read_data),
            run.result.eq(results.read_data),
            sender.token.eq(tokens.read_data),
            tokens.read_enable.eq(sender.read | run.fetch),
            results.read_enable.eq(run.fetch),
            results.read_address.eq(place(run.now.slot, run.fetch_at, self.max_positions)),
            tokens.read_address.eq(Mux(sender.read, sender.address, results.read_address)),
            results.write_enable.eq(collector.write | (run.stored & run.clear)),
            results.write_address.eq(Mux(collector.write, collector.address, store_at)),
            results.write_data.eq(Mux(collector.write, self.result.payload, 0)),
        ]
        with m.If(run.stored):
            m.d.comb += [
                tokens.write_enable.eq(1),
                tokens.write_address.eq(store_at),
                tokens.write_data.eq(run.store_token),
            ]
        for name, keep, value in (("notes", run.keep_note, run.note), ("memos", run.keep_memo, run.memo)):
            m.submodules[name] = kept = Ram(value.shape(), depth, name=name)
            m.d.comb += [
                kept.write_enable.eq(keep | (run.stored & run.clear)),
                kept.write_address.eq(store_at),
                kept.write_data.eq(Mux(keep, run.y, 0)),
                kept.read_enable.eq(run.fetch & run.recall),
                kept.read_address.eq(results.read_address),
                value.eq(kept.read_data),
            ]

    def _prompt(self, m: Module, slots: list[Slot], tokens: Ram) -> Signal:
        """Prompt tokens into the sequence memory while their slot is idle; whether one is written in this cycle."""
        token, slot_bits = self.prompt.payload.token, (self.sequences - 1).bit_length()
        fields = {"token": tokens.write_data.shape(), "bad": 1, "last": 1, "slot": self.prompt.payload.slot.shape()}
        m.submodules.prompt_beat = kept = Keep(data.StructLayout(fields))
        written, beat = Signal(), kept.o.payload
        slot = beat.slot[:slot_bits]
        known = beat.slot < self.sequences
        busy = pick([slot.busy for slot in slots], slot)
        at = pick([slot.next for slot in slots], slot)
        m.d.comb += [
            kept.i.valid.eq(self.prompt.valid),
            self.prompt.ready.eq(kept.i.ready),
            kept.i.payload.token.eq(token),
            kept.i.payload.bad.eq((token >= self.vocab_size) | (token == self.mask_token_id)),
            kept.i.payload.last.eq(self.prompt.payload.last),
            kept.i.payload.slot.eq(self.prompt.payload.slot),
            kept.o.ready.eq(~known | ~busy),
            written.eq(kept.o.valid & known & ~busy & (at < self.max_positions)),
        ]
        for number, s in enumerate(slots):
            m.d.comb += [
                s.token.eq(kept.o.valid & (beat.slot == number) & ~s.busy),
                s.last.eq(beat.last),
                s.bad.eq(beat.bad),
            ]
        with m.If(written):
            m.d.comb += [
                tokens.write_enable.eq(1),
                tokens.write_address.eq(place(slot, at, self.max_positions)),
                tokens.write_data.eq(beat.token),
            ]
        return written

    def _commit_port(self, m: Module, run: Run) -> None:
        """Holds each record back until the next is known, so that a step's last one is marked."""
        m.d.comb += [
            self.commits.valid.eq(run.record_valid & run.record_go),
            self.commits.payload.record.eq(run.record),
            self.commits.payload.last.eq(run.record_last),
            self.commits.payload.slot.eq(run.now.slot),
        ]

    def _states(
        self,
        m: Module,
        slots: list[Slot],
        run: Run,
        starting: tuple[Signal, Signal],
        collector: Collector,
        words: Signal,
    ) -> None:
        """One slot after the other: behind a pass, or at its START."""
        waiting, waiting_slot = starting
        m.submodules.complete = complete = Queue(run.now.shape(), self.sequences)
        chain(m, collector, complete)
        next_slot = Mux(complete.o.valid, complete.o.payload.slot, waiting_slot)
        core = Core(m, run, self.commits, self.vocab_size, self.mask_token_id, self.limit)
        of_slot = {name: pick([getattr(slot, name) for slot in slots], run.now.slot) for name in OF_SLOT}
        m.d.comb += run.forwards.eq(of_slot["forwards"])
        with m.FSM(name="state"):
            with m.State("IDLE"):
                m.d.comb += complete.o.ready.eq(1)
                m.d.sync += run.stepping.eq(complete.o.valid)
                with m.If(complete.o.valid | waiting):
                    m.d.sync += [run.now.eq(complete.o.payload), run.now.slot.eq(next_slot)]
                    run.load(m, next_slot)
                    m.next = "LOAD"
            with m.State("LOAD"):
                run.loaded(m)
                core.begin(m)
                m.d.comb += [run.stepped.eq(run.stepping), run.begun.eq(~run.stepping)]
                m.next = "CHECK"
                with m.If(run.stepping):
                    m.next = "FETCH"
            add_checks(m, run, of_slot, words, self.max_positions, self.mask_token_id)
            core.add_states(m)
        for number, slot in enumerate(slots):
            here = run.now.slot == number if len(slots) > 1 else Const(1)
            for name in ("failed", "stepped", "finished", "begun", "forget_prompt"):
                m.d.comb += getattr(slot, name).eq(getattr(run, name) & here)
            m.d.comb += slot.code_of_failure.eq(run.code)
