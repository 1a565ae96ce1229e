"""The sampler on chip: sequence memory, block schedule, commits."""

from types import SimpleNamespace
from typing import Any

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import data, memory, stream
from amaranth.lib.wiring import In, Out

from gen.design.registers import ErrorCode
from gen.stream.component import Component

__all__ = ["Sampler", "commit_record"]

NO_POSITION = 0xFFFF
PARAMETERS = ("prompt_length", "gen_length", "block_length", "steps", "spread_limit")


def commit_record() -> data.StructLayout:
    """One committed token, 64 bits: the beats of the output stream; `position` 0xFFFF where a step commits nothing."""
    return data.StructLayout({"token": unsigned(24), "position": unsigned(16), "spread": unsigned(24)})


class Sampler(Component):
    """`golden.samplers.denoise.denoise` in hardware, at temperature 0.

    A run: check of the parameters (serial divisions, at most 65,535 cycles each), masks written, then for every
    step one pass of all positions through the model, selection (the block is scanned once for every token it
    commits) and the commits. Ties go to the lowest position.

    Parameters
    ----------
    vocab_size, mask_token_id, max_positions: of the model and the chip.
    spread_width: bits of the spread from `Argmax`.

    Attributes
    ----------
    prompt: stream of {`token`, `last`}, in; accepted while idle, `last` ends a prompt and the next one replaces it.
    start, prompt_length, gen_length, block_length, steps, spread_limit: from the registers, in; `start` one cycle, the
        others need to hold in that cycle alone.
    busy, done, error, code, cycles, forwards: to the registers, out.
    positions: length of the sequence, out; constant while busy.
    tokens: stream of token ids to the embedding, one pass of `positions` a step, out.
    result: stream of {`token`, `spread`} from the head, in position order, in.
    commits: stream of {`record`, `last`}, one packet a step, out.
    """

    def __init__(self, vocab_size: int, mask_token_id: int, max_positions: int, spread_width: int) -> None:
        self.vocab_size, self.mask_token_id, self.max_positions = vocab_size, mask_token_id, max_positions
        token = unsigned(max(1, (vocab_size - 1).bit_length()))
        self.token_shape = token
        prompt = data.StructLayout({"token": unsigned(32), "last": unsigned(1)})
        result = data.StructLayout({"token": token, "spread": unsigned(spread_width)})
        commits = data.StructLayout({"record": commit_record(), "last": unsigned(1)})
        super().__init__(
            {
                "prompt": In(stream.Signature(prompt)),
                "start": In(1),
                "prompt_length": In(16),
                "gen_length": In(16),
                "block_length": In(16),
                "steps": In(16),
                "spread_limit": In(32),
                "busy": Out(1),
                "done": Out(1),
                "error": Out(1),
                "code": Out(8),
                "cycles": Out(32),
                "forwards": Out(32),
                "positions": Out(range(max_positions + 1)),
                "tokens": Out(stream.Signature(token)),
                "result": In(stream.Signature(result)),
                "commits": Out(stream.Signature(commits)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        self._memories(m)
        self._prompt(m)
        self._commit_port(m)
        with m.If(self.busy):
            m.d.sync += self.cycles.eq(self.cycles + 1)
        with m.If(self.start & self.busy):
            m.d.sync += [self.error.eq(1), self.code.eq(ErrorCode.BUSY)]
        with m.FSM(name="state"):
            self._idle(m)
            self._check(m)
            self._fill(m)
            self._pass(m)
            self._select(m)
            self._finish_step(m)
        return m

    def _memories(self, m: Module) -> None:
        """The run's parameters; token, result token and spread of every position; which positions are masked."""
        self.held = SimpleNamespace(**{name: Signal.like(getattr(self, name), name=name) for name in PARAMETERS})
        depth, result = self.max_positions, self.result.payload.shape()
        sequence: memory.Memory
        results: memory.Memory
        m.submodules.sequence = sequence = memory.Memory(shape=self.token_shape, depth=depth, init=[])
        m.submodules.results = results = memory.Memory(shape=result, depth=depth, init=[])
        self.token_write, self.token_read = sequence.write_port(), sequence.read_port(domain="comb")
        self.result_write, self.result_read = results.write_port(), results.read_port(domain="comb")
        self.masked, self.taken = Signal(depth), Signal(depth)
        self.block_start, self.block_end = Signal(range(depth + 1)), Signal(range(depth + 1))
        self.block_steps, self.step = Signal(16), Signal(16)
        self.base, self.remainder, self.quota = Signal(16), Signal(16), Signal(16)
        self.by_threshold = Signal()
        m.d.comb += self.by_threshold.eq(self.held.spread_limit != 0)

    def _prompt(self, m: Module) -> None:
        """Prompt tokens into the sequence memory while idle."""
        self.received, self.prompt_done = Signal(range(self.max_positions + 2)), Signal()
        self.bad_token = Signal()
        with m.If(~self.busy):
            m.d.comb += self.prompt.ready.eq(1)
            m.d.comb += [
                self.token_write.addr.eq(Mux(self.prompt_done, 0, self.received)),
                self.token_write.data.eq(self.prompt.payload.token),
            ]
            with m.If(self.prompt.valid):
                at = Signal.like(self.received)
                bad = self.prompt.payload.token >= self.vocab_size
                m.d.comb += [
                    at.eq(Mux(self.prompt_done, 0, self.received)),
                    self.token_write.en.eq(at < self.max_positions),
                ]
                m.d.sync += [
                    self.received.eq(Mux(at > self.max_positions, at, at + 1)),
                    self.prompt_done.eq(self.prompt.payload.last),
                    self.bad_token.eq(bad | (self.bad_token & ~self.prompt_done)),
                ]

    def _commit_port(self, m: Module) -> None:
        """Holds each record back until the next is known, so that a step's last one is marked."""
        self.record: Any
        self.record, self.record_valid = Signal(commit_record()), Signal()
        self.record_last, self.record_go = Signal(), Signal()
        m.d.comb += [
            self.commits.valid.eq(self.record_valid & self.record_go),
            self.commits.payload.record.eq(self.record),
            self.commits.payload.last.eq(self.record_last),
        ]

    def _fail(self, m: Module, code: ErrorCode) -> None:
        m.d.sync += [self.error.eq(1), self.code.eq(code), self.busy.eq(0)]
        m.next = "IDLE"

    def _idle(self, m: Module) -> None:
        with m.State("IDLE"), m.If(self.start):
            m.d.sync += [
                self.busy.eq(1),
                self.done.eq(0),
                self.error.eq(0),
                self.code.eq(ErrorCode.NONE),
                self.cycles.eq(0),
                self.forwards.eq(0),
                *(getattr(self.held, name).eq(getattr(self, name)) for name in PARAMETERS),
            ]
            m.next = "CHECK"

    def _check(self, m: Module) -> None:
        """num_blocks = gen / block, block_steps = steps / num_blocks, (base, remainder) = block / block_steps."""
        left, blocks, count = Signal(16), Signal(16), Signal(16)
        total = Signal(17)
        m.d.comb += total.eq(self.held.prompt_length + self.held.gen_length)
        zero = (self.held.prompt_length == 0) | (self.held.gen_length == 0) | (self.held.block_length == 0)
        with m.State("CHECK"):
            m.d.sync += [left.eq(self.held.gen_length), blocks.eq(0), self.positions.eq(total), self.masked.eq(0)]
            m.next = "BLOCKS"
            with m.If(zero | (total > self.max_positions)):
                self._fail(m, ErrorCode.LENGTH)
            with m.Elif((self.received != self.held.prompt_length) | ~self.prompt_done):
                self._fail(m, ErrorCode.PROMPT)
            with m.Elif(self.bad_token):
                self._fail(m, ErrorCode.TOKEN)
        with m.State("BLOCKS"):
            with m.If(left >= self.held.block_length):
                m.d.sync += [left.eq(left - self.held.block_length), blocks.eq(blocks + 1)]
            with m.Elif(left != 0):
                self._fail(m, ErrorCode.BLOCK)
            with m.Elif(self.by_threshold):
                m.next = "FILL"
            with m.Else():
                m.d.sync += [left.eq(self.held.steps), count.eq(0)]
                m.next = "STEPS"
        with m.State("STEPS"):
            with m.If(left >= blocks):
                m.d.sync += [left.eq(left - blocks), count.eq(count + 1)]
            with m.Elif((left != 0) | (count == 0)):
                self._fail(m, ErrorCode.STEPS)
            with m.Else():
                m.d.sync += [self.block_steps.eq(count), left.eq(self.held.block_length), self.base.eq(0)]
                m.next = "QUOTA"
        with m.State("QUOTA"):
            with m.If(left >= self.block_steps):
                m.d.sync += [left.eq(left - self.block_steps), self.base.eq(self.base + 1)]
            with m.Else():
                m.d.sync += self.remainder.eq(left)
                m.next = "FILL"

    def _fill(self, m: Module) -> None:
        """Masks behind the prompt; the first block."""
        at, started = Signal(range(self.max_positions + 1)), Signal()
        with m.State("FILL"):
            where = Mux(started, at, self.held.prompt_length)
            m.d.comb += [
                self.token_write.addr.eq(where),
                self.token_write.data.eq(self.mask_token_id),
                self.token_write.en.eq(1),
            ]
            m.d.sync += [at.eq(where + 1), started.eq(1), self.masked.eq(self.masked | (1 << where[: len(at)]))]
            with m.If(where + 1 == self.positions):
                m.d.sync += [
                    started.eq(0),
                    self.step.eq(0),
                    self.block_start.eq(self.held.prompt_length),
                    self.block_end.eq(self.held.prompt_length + self.held.block_length),
                ]
                m.next = "PASS"

    def _pass(self, m: Module) -> None:
        """All positions out, all results in."""
        sent, seen = Signal(range(self.max_positions + 1)), Signal(range(self.max_positions + 1))
        with m.State("PASS"):
            m.d.comb += [
                self.token_read.addr.eq(sent),
                self.tokens.payload.eq(self.token_read.data),
                self.tokens.valid.eq(sent != self.positions),
                self.result.ready.eq(1),
                self.result_write.addr.eq(seen),
                self.result_write.data.eq(self.result.payload),
                self.result_write.en.eq(self.result.valid),
            ]
            with m.If(self.tokens.valid & self.tokens.ready):
                m.d.sync += sent.eq(sent + 1)
            with m.If(self.result.valid):
                m.d.sync += seen.eq(seen + 1)
                with m.If(seen + 1 == self.positions):
                    m.d.sync += [
                        sent.eq(0),
                        seen.eq(0),
                        self.forwards.eq(self.forwards + 1),
                        self.taken.eq(0),
                        self.quota.eq(self.base + (self.step < self.remainder)),
                    ]
                    m.next = "SELECT"

    def _select(self, m: Module) -> None:
        """SCAN finds the most confident candidate of the block, COMMIT writes it; again while there is a reason to."""
        at, found, go = Signal(range(self.max_positions + 1)), Signal(), Signal()
        best: Any = Signal(self.result.payload.shape())
        best_at = Signal.like(at)
        result = self.result_read.data
        with m.State("SELECT"):
            m.d.sync += [at.eq(self.block_start), found.eq(0)]
            m.next = "SCAN"
        with m.State("SCAN"):
            m.d.comb += self.result_read.addr.eq(at)
            open_ = self.masked.bit_select(at, 1) & ~self.taken.bit_select(at, 1)
            excluded = self.by_threshold & (result.token == self.mask_token_id)
            with m.If(open_ & ~excluded & (~found | (result.spread < best.spread))):
                m.d.sync += [best.eq(result), best_at.eq(at), found.eq(1)]
            m.d.sync += at.eq(at + 1)
            with m.If(at + 1 == self.block_end):
                m.next = "CHOOSE"
        with m.State("CHOOSE"):
            passes = (self.taken == 0) | (best.spread < self.held.spread_limit)
            m.d.comb += go.eq(found & Mux(self.by_threshold, passes, self.quota != 0))
            m.next = "STEP_END"
            with m.If(go):
                m.next = "COMMIT"
        with m.State("COMMIT"):
            width = len(self.record.spread)
            fits = len(best.spread) <= width
            spread = best.spread if fits else Mux(best.spread >> width, (1 << width) - 1, best.spread)
            m.d.comb += [
                self.record_go.eq(1),
                self.token_write.addr.eq(best_at),
                self.token_write.data.eq(best.token),
                self.token_write.en.eq(1),
            ]
            with m.If(~self.record_valid | self.commits.ready):
                m.d.sync += [
                    self.record.token.eq(best.token),
                    self.record.position.eq(best_at),
                    self.record.spread.eq(spread),
                    self.record_valid.eq(1),
                    self.taken.eq(self.taken | (1 << best_at)),
                    self.masked.eq(Mux(best.token == self.mask_token_id, self.masked, self.masked & ~(1 << best_at))),
                    self.quota.eq(self.quota - 1),
                ]
                m.next = "SELECT"

    def _finish_step(self, m: Module) -> None:
        """The step's last record goes out; next step, next block or end."""
        left, at = Signal(), Signal(range(self.max_positions + 1))
        with m.State("STEP_END"):
            m.d.comb += [self.record_go.eq(1), self.record_last.eq(1)]
            with m.If(~self.record_valid):
                m.d.sync += [self.record.eq(0), self.record.position.eq(NO_POSITION), self.record_valid.eq(1)]
            with m.Elif(self.commits.ready):
                m.d.sync += [
                    self.record_valid.eq(0),
                    self.step.eq(self.step + 1),
                    left.eq(0),
                    at.eq(self.block_start),
                ]
                m.next = "COUNT"
                with m.If(self.by_threshold & (self.taken == 0)):
                    m.next = "NEXT_BLOCK"
        with m.State("COUNT"):
            m.d.sync += [at.eq(at + 1), left.eq(left | self.masked.bit_select(at, 1))]
            with m.If(at + 1 == self.block_end):
                m.next = "NEXT_STEP"
        with m.State("NEXT_STEP"):
            m.next = "PASS"
            with m.If(~left | (~self.by_threshold & (self.step == self.block_steps))):
                m.next = "NEXT_BLOCK"
        with m.State("NEXT_BLOCK"):
            m.d.sync += [
                self.step.eq(0),
                self.block_start.eq(self.block_end),
                self.block_end.eq(self.block_end + self.held.block_length),
            ]
            m.next = "PASS"
            with m.If(self.block_end == self.positions):
                m.d.sync += [self.busy.eq(0), self.done.eq(1)]
                m.next = "IDLE"
