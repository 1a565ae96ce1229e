"""Instructions of the sampler: `golden.samplers.machine` in hardware, one after the other."""

from collections.abc import Callable

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

from hardloom.gen.design.axi_ports import NO_POSITION
from hardloom.gen.design.registers import ErrorCode
from hardloom.gen.units.sampler_run import Run
from hardloom.gen.units.sampler_scan import Scan
from hardloom.golden.samplers.machine import MAX_FORWARDS, SUPPRESSED, HeadWord, Op

__all__ = ["Core"]

OWN = (Op.UPPER, Op.JEQ, Op.JNE, Op.JLT, Op.JGE, Op.PUT, Op.SET_NOTE, Op.SET_MEMO, Op.BLOCK, Op.HEAD)
"""Instructions that read register a."""
LOADS = (Op.TOKEN, Op.GUESS, Op.SPREAD, Op.NOTE, Op.MEMO)
BEHIND_PROMPT = (Op.GUESS, Op.SPREAD, Op.NOTE, Op.MEMO, Op.PUT, Op.SET_NOTE, Op.SET_MEMO)
"""Instructions about position b, which must be behind the prompt."""


class Core:
    """States FETCH to SEND, which IDLE follows, within the FSM of `gen.units.sampler.Sampler`.

    An instruction takes 2 cycles, READ and EXECUTE, in the latter of which the next one is fetched; a jump that is
    taken has a FETCH besides. Loads take one more, and wait while the sender reads the sequence; PUT takes 2 more, and
    waits for the host; MUL takes 33 more; SCAN as `gen.units.sampler_scan.Scan` says.

    limit: instructions from one pass to the next.
    """

    def __init__(self, m: Module, run: Run, commits, vocab_size: int, mask_token_id: int, limit: int) -> None:
        self.run, self.commits, self.vocab_size, self.limit = run, commits, vocab_size, limit
        self.scan = Scan(m, run, mask_token_id)
        self.count = Signal(range(limit + 1), name="executed")
        self.fault = Signal(ErrorCode)
        self.failing = Signal()
        self.finishing = Signal()
        self.product = Signal(48)
        self.bit = Signal(range(32), name="product_bit")
        self.at: Signal = run.place.at

    def begin(self, m: Module) -> None:
        """In the state before FETCH."""
        self.scan.begin(m)
        m.d.sync += [self.count.eq(0), self.failing.eq(0), self.finishing.eq(0)]

    def add_states(self, m: Module) -> None:
        self._fetch(m)
        with m.State("EXECUTE"):
            self._execute(m)
        self._load(m)
        self._multiply(m)
        self._put(m)
        self.scan.add_states(m, lambda m: self._jump(m, self.run.word.imm))
        self._end_step(m)

    def _fetch(self, m: Module) -> None:
        run = self.run
        with m.State("FETCH"):
            run.fetch_word(m, self.at)
        with m.State("READ"):
            own = Cat(run.word.op == op for op in OWN).any()
            run.read(m, Mux(own, run.word.a, run.word.imm[: len(run.word.a)]))
            m.d.sync += self.count.eq(self.count + 1)
            m.next = "EXECUTE"
            with m.If(self.count == self.limit):
                self._fail(m, ErrorCode.ENDLESS)
            with m.Elif(self.at >= run.words):
                self._fail(m, ErrorCode.ILLEGAL)

    def _execute(self, m: Module) -> None:
        run, word = self.run, self.run.word
        m.d.sync += self.at.eq(self.at + 1)
        behind_prompt = Cat(word.op == op for op in BEHIND_PROMPT).any()
        inside = (run.x < run.now.positions) & (~behind_prompt | (run.x >= run.held.prompt_length))
        m.d.comb += [run.fetch_at.eq(run.x), run.store_at.eq(run.x)]
        with m.If(word.zero):
            self._fail(m, ErrorCode.ILLEGAL)
        with m.Else(), m.Switch(word.op):
            self._values(m)
            self._jumps(m)
            with m.Case(*LOADS):
                self._meet(m, inside)
            with m.Case(Op.SET_NOTE, Op.SET_MEMO):
                m.d.comb += [run.keep_note.eq(inside & (word.op == Op.SET_NOTE))]
                m.d.comb += [run.keep_memo.eq(inside & (word.op == Op.SET_MEMO))]
                run.fetch_word(m, self.at + 1)
                with m.If(~inside):
                    self._fail(m, ErrorCode.POSITION)
            with m.Case(Op.PUT):
                self._check_put(m, inside)
            with m.Case(Op.MUL):
                m.d.sync += [self.product.eq(0), self.bit.eq(31)]
                m.next = "MULTIPLY"
            self._sequence(m)
            with m.Default():
                self._fail(m, ErrorCode.ILLEGAL)

    def _values(self, m: Module) -> None:
        """Instructions whose value is there at once."""
        run, word = self.run, self.run.word
        x, y = run.x, run.y
        values: dict[Op, Callable[[], Value]] = {
            Op.SET: lambda: word.imm,
            Op.UPPER: lambda: Cat(y[:16], word.imm),
            Op.ADDI: lambda: x + word.imm.as_signed(),
            Op.ADD: lambda: x + y,
            Op.SUB: lambda: x - y,
            Op.AND: lambda: x & y,
            Op.OR: lambda: x | y,
            Op.XOR: lambda: x ^ y,
        }
        for op, value in values.items():
            with m.Case(op):
                run.write(m, word.a, value())
                run.fetch_word(m, self.at + 1)
        for op, shifted in ((Op.SHL, x << word.imm[:5]), (Op.SHR, x >> word.imm[:5])):
            with m.Case(op):
                with m.If(word.imm >= 32):
                    self._fail(m, ErrorCode.ILLEGAL)
                with m.Else():
                    run.write(m, word.a, shifted)
                    run.fetch_word(m, self.at + 1)

    def _jumps(self, m: Module) -> None:
        """a is in `y`, b in `x`."""
        run = self.run
        taken = {
            Op.JUMP: Const(1),
            Op.JEQ: run.y == run.x,
            Op.JNE: run.y != run.x,
            Op.JLT: run.y < run.x,
            Op.JGE: run.y >= run.x,
        }
        for op, condition in taken.items():
            with m.Case(op):
                with m.If(condition):
                    self._jump(m, run.word.imm)
                with m.Else():
                    run.fetch_word(m, self.at + 1)

    def _jump(self, m: Module, target: Value) -> None:
        """An address that the counter cannot hold is behind every program too."""
        most = (1 << len(self.at)) - 1
        m.d.sync += self.at.eq(Mux(target > most, most, target))
        m.next = "FETCH"

    def _sequence(self, m: Module) -> None:
        """Instructions about the block, passes and the end."""
        run, place = self.run, self.run.place
        with m.Case(Op.BLOCK):
            with m.If((run.y < run.x) & (run.x <= run.now.positions)):
                m.d.sync += [place.block_start.eq(run.y), place.block_end.eq(run.x)]
                self._renew(m)
                run.fetch_word(m, self.at + 1)
            with m.Else():
                self._fail(m, ErrorCode.POSITION)
        with m.Case(Op.HEAD):
            self._set_head(m)
        with m.Case(Op.BEGIN):
            self.scan.begin(m)
            run.fetch_word(m, self.at + 1)
        with m.Case(Op.SCAN):
            m.d.sync += self.at.eq(self.at)
            self.scan.start(m)
        with m.Case(Op.END):
            m.d.sync += self.finishing.eq(1)
            m.next = "STEP_END"
        with m.Case(Op.PREDICT):
            m.d.sync += run.everything.eq(run.word.imm[0])
            m.next = "STEP_END"
            with m.If(place.block_start >= place.block_end):
                self._fail(m, ErrorCode.POSITION)
            with m.Elif(run.forwards == MAX_FORWARDS):
                self._fail(m, ErrorCode.ENDLESS)

    def _set_head(self, m: Module) -> None:
        """A token outside the vocabulary is none."""
        run, word = self.run, self.run.word
        manner = run.place.manner
        drawn = [name for name in ("temperature", "seed") if name in manner.shape().members]
        known = word.imm < SUPPRESSED + len(drawn)
        if run.vicinity:
            known |= word.imm == HeadWord.VICINITY
        with m.If(~known):
            self._fail(m, ErrorCode.ILLEGAL)
        with m.Else():
            run.fetch_word(m, self.at + 1)
            self._set_vicinity(m)
            for name in drawn:
                with m.If(word.imm == HeadWord[name.upper()]):
                    m.d.sync += manner[name].eq(run.y)
            for number, one in enumerate(manner.suppressed):
                with m.If(word.imm == number):
                    given = run.y < self.vocab_size
                    m.d.sync += [one.given.eq(given), one.token.eq(Mux(given, run.y, 0))]

    def _set_vicinity(self, m: Module) -> None:
        """One that no position is outside of is none."""
        run, place = self.run, self.run.place
        if run.vicinity:
            with m.If(run.word.imm == HeadWord.VICINITY):
                most = (1 << len(place.vicinity)) - 1
                m.d.sync += [place.vicinity.eq(run.y), place.near.eq(run.y <= most)]
                self._renew(m)

    def _renew(self, m: Module) -> None:
        """The next pass computes all positions."""
        if self.run.vicinity:
            m.d.sync += self.run.place.whole.eq(0)

    def _fetch_position(self, m: Module, state: str) -> None:
        """Reads position b, once the sender does not read; `state` is next."""
        m.d.comb += self.run.fetch.eq(1)
        m.next = state
        with m.If(~self.run.fetched):
            m.d.sync += self.at.eq(self.at)
            m.next = "EXECUTE"

    def _meet(self, m: Module, inside: Value) -> None:
        """What is to be loaded of a position is read."""
        run = self.run
        with m.If(~inside):
            self._fail(m, ErrorCode.POSITION)
        with m.Else():
            m.d.comb += run.recall.eq(1)
            self._fetch_position(m, "LOADED")

    def _load(self, m: Module) -> None:
        run, spread = self.run, self.run.result.spread
        most = (1 << 32) - 1
        fits = spread if len(spread) <= 32 else Mux(spread > most, most, spread)
        found = {Op.TOKEN: run.token, Op.GUESS: run.result.token, Op.SPREAD: fits, Op.NOTE: run.note, Op.MEMO: run.memo}
        with m.State("LOADED"):
            run.fetch_word(m, self.at)
            for op, value in found.items():
                with m.If(run.word.op == op):
                    run.write(m, run.word.a, value)

    def _multiply(self, m: Module) -> None:
        """A bit of `y` a cycle, the highest first."""
        run, bit = self.run, self.bit
        with m.State("MULTIPLY"):
            once = Mux(run.y.bit_select(bit, 1), run.x, 0)
            m.d.sync += [self.product.eq((self.product << 1) + once), bit.eq(bit - 1)]
            with m.If(bit == 0):
                m.next = "MULTIPLIED"
        with m.State("MULTIPLIED"):
            run.write(m, run.word.a, self.product[16:])
            run.fetch_word(m, self.at)

    def _check_put(self, m: Module, inside: Value) -> None:
        """What can be written is, with the spread of its position, which is read first."""
        run = self.run
        with m.If(~inside):
            self._fail(m, ErrorCode.POSITION)
        with m.Elif(run.forwards == 0):
            self._fail(m, ErrorCode.EARLY)
        with m.Elif(run.y >= self.vocab_size):
            self._fail(m, ErrorCode.VOCABULARY)
        with m.Else():
            self._fetch_position(m, "RECORD")

    def _put(self, m: Module) -> None:
        """The record takes the place of the one before, which goes out."""
        run, spread = self.run, self.run.result.spread
        width = len(run.record.spread)
        fits = spread if len(spread) <= width else Mux(spread >> width, (1 << width) - 1, spread)
        with m.State("RECORD"):
            m.d.comb += run.record_go.eq(1)
            with m.If(~run.record_valid | self.commits.ready):
                m.d.sync += [
                    run.record.token.eq(run.y),
                    run.record.position.eq(run.x),
                    run.record.spread.eq(fits),
                    run.record_valid.eq(1),
                ]
                m.next = "STORE"
        with m.State("STORE"):
            m.d.comb += [run.store.eq(1), run.store_at.eq(run.x), run.store_token.eq(run.y)]
            with m.If(run.stored):
                run.fetch_word(m, self.at)
                with m.If(run.x < run.place.known):
                    m.d.sync += run.place.known.eq(run.x)
                with m.If((run.x < run.place.block_start) | (run.x >= run.place.block_end)):
                    self._renew(m)

    def _fail(self, m: Module, code: ErrorCode) -> None:
        m.d.sync += [self.failing.eq(1), self.fault.eq(code)]
        m.next = "STEP_END"

    def _end_step(self, m: Module) -> None:
        """The step's last record goes out; then comes a pass, or the run's end."""
        run = self.run
        with m.State("STEP_END"):
            with m.If(~run.stepping):
                m.next = "STEPPED"
            with m.Elif(~run.record_valid):
                m.d.sync += [run.record.eq(0), run.record.position.eq(NO_POSITION), run.record_valid.eq(1)]
            with m.Else():
                m.d.comb += [run.record_go.eq(1), run.record_last.eq(1)]
                with m.If(self.commits.ready):
                    m.d.sync += run.record_valid.eq(0)
                    m.next = "STEPPED"
        with m.State("STEPPED"):
            m.next = "IDLE"
            with m.If(self.failing):
                m.d.comb += [run.failed.eq(1), run.code.eq(self.fault)]
            with m.Elif(self.finishing):
                m.d.comb += run.finished.eq(1)
            with m.Elif(~run.told):
                m.next = "STEPPED"
            with m.Else():
                m.d.comb += run.send.eq(1)
                run.save(m)
