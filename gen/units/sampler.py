"""The sampler on chip: sequence memory, block schedule, commits."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from gen.design.axi_ports import NO_POSITION, commit_record
from gen.design.registers import ErrorCode
from gen.stream.component import Component
from gen.text.constant_module import index_width
from gen.units.embedding import token_shape
from gen.units.sampler_state import PARAMETERS, RunState

__all__ = ["Sampler"]


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
    prompt: stream of {`token`, `last`}, in; accepted while idle, `last` ends a prompt and the next one replaces it; so
        does it where a run was refused because `last` had not come. The mask token is refused.
    start, prompt_length, gen_length, block_length, steps, spread_limit: from the registers, in; `start` one cycle, the
        others need to hold in that cycle alone.
    busy, done, error, code, cycles, forwards: to the registers, out.
    tokens: stream of `token_shape(vocab_size)` to the embedding, one pass of all positions a step, out.
    result: stream of {`token`, `spread`} from the head, in position order, in.
    commits: stream of {`record`, `last`}, one packet a step, out.
    """

    def __init__(self, vocab_size: int, mask_token_id: int, max_positions: int, spread_width: int) -> None:
        self.vocab_size, self.mask_token_id, self.max_positions = vocab_size, mask_token_id, max_positions
        token = unsigned(index_width(vocab_size))
        prompt = data.StructLayout({"token": unsigned(32), "last": unsigned(1)})
        result = data.StructLayout({"token": token, "spread": unsigned(spread_width)})
        commits = data.StructLayout({"record": commit_record(), "last": unsigned(1)})
        super().__init__(
            {
                "prompt": In(stream.Signature(prompt)),
                "start": In(1),
                **{name: In(width) for name, width in PARAMETERS.items()},
                "busy": Out(1),
                "done": Out(1),
                "error": Out(1),
                "code": Out(8),
                "cycles": Out(32),
                "forwards": Out(32),
                "tokens": Out(stream.Signature(token_shape(vocab_size))),
                "result": In(stream.Signature(result)),
                "commits": Out(stream.Signature(commits)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        run = RunState(m, self.max_positions, self.result.payload.token.shape(), self.result.payload.shape())
        self._prompt(m, run)
        self._commit_port(m, run)
        with m.If(self.busy):
            m.d.sync += self.cycles.eq(self.cycles + 1)
        with m.If(self.start & self.busy):
            m.d.sync += [self.error.eq(1), self.code.eq(ErrorCode.BUSY)]
        with m.FSM(name="state"):
            self._idle(m, run)
            self._check(m, run)
            self._fill(m, run)
            self._pass(m, run)
            self._select(m, run)
            self._finish_step(m, run)
        return m

    def _prompt(self, m: Module, run: RunState) -> None:
        """Prompt tokens into the sequence memory while idle."""
        with m.If(~self.busy):
            m.d.comb += self.prompt.ready.eq(1)
            m.d.comb += [
                run.tokens.write_address.eq(Mux(run.prompt_done, 0, run.received)),
                run.tokens.write_data.eq(self.prompt.payload.token),
            ]
            with m.If(self.prompt.valid):
                at = Signal.like(run.received)
                token = self.prompt.payload.token
                bad = (token >= self.vocab_size) | (token == self.mask_token_id)
                m.d.comb += [
                    at.eq(Mux(run.prompt_done, 0, run.received)),
                    run.tokens.write_enable.eq(at < self.max_positions),
                ]
                m.d.sync += [
                    run.received.eq(Mux(at > self.max_positions, at, at + 1)),
                    run.prompt_done.eq(self.prompt.payload.last),
                    run.bad_token.eq(bad | (run.bad_token & ~run.prompt_done)),
                ]

    def _commit_port(self, m: Module, run: RunState) -> None:
        """Holds each record back until the next is known, so that a step's last one is marked."""
        m.d.comb += [
            self.commits.valid.eq(run.record_valid & run.record_go),
            self.commits.payload.record.eq(run.record),
            self.commits.payload.last.eq(run.record_last),
        ]

    def _fail(self, m: Module, code: ErrorCode) -> None:
        m.d.sync += [self.error.eq(1), self.code.eq(code), self.busy.eq(0)]
        m.next = "IDLE"

    def _idle(self, m: Module, run: RunState) -> None:
        with m.State("IDLE"), m.If(self.start):
            m.d.sync += [
                self.busy.eq(1),
                self.done.eq(0),
                self.error.eq(0),
                self.code.eq(ErrorCode.NONE),
                self.cycles.eq(0),
                self.forwards.eq(0),
                *(getattr(run.held, name).eq(getattr(self, name)) for name in PARAMETERS),
            ]
            m.next = "CHECK"

    def _check(self, m: Module, run: RunState) -> None:
        """The lengths and the prompt, then the serial divisions."""
        left = Signal(16)
        blocks = Signal(16)
        count = Signal(16)
        total = Signal(17)
        m.d.comb += total.eq(run.held.prompt_length + run.held.gen_length)
        zero = (run.held.prompt_length == 0) | (run.held.gen_length == 0) | (run.held.block_length == 0)
        with m.State("CHECK"):
            m.d.sync += [left.eq(run.held.gen_length), blocks.eq(0), run.positions.eq(total), run.masked.eq(0)]
            m.next = "BLOCKS"
            with m.If(~run.prompt_done):  # the run fails below; what came of the prompt goes, the next one begins anew
                m.d.sync += [run.received.eq(0), run.prompt_done.eq(1), run.bad_token.eq(0)]
            with m.If(zero | (total > self.max_positions)):
                self._fail(m, ErrorCode.LENGTH)
            with m.Elif((run.received != run.held.prompt_length) | ~run.prompt_done):
                self._fail(m, ErrorCode.PROMPT)
            with m.Elif(run.bad_token):
                self._fail(m, ErrorCode.TOKEN)
        self._divide(m, run, left, blocks, count)

    def _divide(self, m: Module, run: RunState, left: Signal, blocks: Signal, count: Signal) -> None:
        """blocks = gen / block, block_steps = steps / blocks, (base, remainder) = block / block_steps."""
        with m.State("BLOCKS"):
            with m.If(left >= run.held.block_length):
                m.d.sync += [left.eq(left - run.held.block_length), blocks.eq(blocks + 1)]
            with m.Elif(left != 0):
                self._fail(m, ErrorCode.BLOCK)
            with m.Elif(run.by_threshold):
                m.next = "FILL"
            with m.Else():
                m.d.sync += [left.eq(run.held.steps), count.eq(0)]
                m.next = "STEPS"
        with m.State("STEPS"):
            with m.If(left >= blocks):
                m.d.sync += [left.eq(left - blocks), count.eq(count + 1)]
            with m.Elif((left != 0) | (count == 0)):
                self._fail(m, ErrorCode.STEPS)
            with m.Else():
                m.d.sync += [run.block_steps.eq(count), left.eq(run.held.block_length), run.base.eq(0)]
                m.next = "QUOTA"
        with m.State("QUOTA"):
            with m.If(left >= run.block_steps):
                m.d.sync += [left.eq(left - run.block_steps), run.base.eq(run.base + 1)]
            with m.Else():
                m.d.sync += run.remainder.eq(left)
                m.next = "FILL"

    def _fill(self, m: Module, run: RunState) -> None:
        """Masks behind the prompt; the first block."""
        at = Signal(range(self.max_positions + 1))
        started = Signal()
        with m.State("FILL"):
            where = Mux(started, at, run.held.prompt_length)
            m.d.comb += [
                run.tokens.write_address.eq(where),
                run.tokens.write_data.eq(self.mask_token_id),
                run.tokens.write_enable.eq(1),
            ]
            m.d.sync += [at.eq(where + 1), started.eq(1), run.masked.eq(run.masked | (1 << where[: len(at)]))]
            with m.If(where + 1 == run.positions):
                m.d.sync += [
                    started.eq(0),
                    run.step.eq(0),
                    run.block_start.eq(run.held.prompt_length),
                    run.block_end.eq(run.held.prompt_length + run.held.block_length),
                ]
                self._start_pass(m, run)

    def _start_pass(self, m: Module, run: RunState) -> None:
        """A pass begins in the next cycle, with the first token."""
        m.d.comb += [run.tokens.read_address.eq(0), run.tokens.read_enable.eq(1)]
        m.next = "PASS"

    def _pass(self, m: Module, run: RunState) -> None:
        """All positions out, all results in; the first token was read in the cycle before."""
        sent = Signal(range(self.max_positions + 1))
        seen = Signal(range(self.max_positions + 1))
        with m.State("PASS"):
            m.d.comb += [
                self.tokens.payload.token.eq(run.tokens.read_data),
                self.tokens.payload.end.eq(sent + 1 == run.positions),
                self.tokens.valid.eq(sent != run.positions),
                self.result.ready.eq(1),
                run.results.write_address.eq(seen),
                run.results.write_data.eq(self.result.payload),
                run.results.write_enable.eq(self.result.valid),
            ]
            with m.If(self.tokens.valid & self.tokens.ready):
                m.d.comb += [
                    run.tokens.read_address.eq(sent + 1),
                    run.tokens.read_enable.eq(sent + 1 != run.positions),
                ]
                m.d.sync += sent.eq(sent + 1)
            with m.If(self.result.valid):
                m.d.sync += seen.eq(seen + 1)
                with m.If(seen + 1 == run.positions):
                    m.d.sync += [sent.eq(0), seen.eq(0), self.forwards.eq(self.forwards + 1), run.taken.eq(0)]
                    m.d.sync += run.quota.eq(run.base + (run.step < run.remainder))
                    m.next = "SELECT"

    def _select(self, m: Module, run: RunState) -> None:
        """SCAN finds the most confident candidate of the block, each result read a cycle before; it is committed while
        there is a reason to."""
        at = Signal(range(self.max_positions + 1))
        found = Signal()
        go = Signal()
        best: Any = Signal(self.result.payload.shape())
        best_at = Signal.like(at)
        result: Any = run.results.read_data
        with m.State("SELECT"):
            m.d.comb += [run.results.read_address.eq(run.block_start), run.results.read_enable.eq(1)]
            m.d.sync += [at.eq(run.block_start), found.eq(0)]
            m.next = "SCAN"
        with m.State("SCAN"):
            open_ = run.masked.bit_select(at, 1) & ~run.taken.bit_select(at, 1)
            excluded = run.by_threshold & (result.token == self.mask_token_id)
            with m.If(open_ & ~excluded & (~found | (result.spread < best.spread))):
                m.d.sync += [best.eq(result), best_at.eq(at), found.eq(1)]
            m.d.comb += run.results.read_address.eq(at + 1)
            m.d.sync += at.eq(at + 1)
            with m.If(at + 1 == run.block_end):
                m.next = "CHOOSE"
            with m.Else():
                m.d.comb += run.results.read_enable.eq(1)
        with m.State("CHOOSE"):
            passes = (run.taken == 0) | (best.spread < run.held.spread_limit)
            m.d.comb += go.eq(found & Mux(run.by_threshold, passes, run.quota != 0))
            m.next = "STEP_END"
            with m.If(go):
                m.next = "COMMIT"
        self._commit(m, run, best, best_at)

    def _commit(self, m: Module, run: RunState, best, best_at: Signal) -> None:
        """Writes the candidate and gives its record out, then looks for the next one."""
        with m.State("COMMIT"):
            width = len(run.record.spread)
            fits = len(best.spread) <= width
            spread = best.spread if fits else Mux(best.spread >> width, (1 << width) - 1, best.spread)
            m.d.comb += [
                run.record_go.eq(1),
                run.tokens.write_address.eq(best_at),
                run.tokens.write_data.eq(best.token),
                run.tokens.write_enable.eq(1),
            ]
            with m.If(~run.record_valid | self.commits.ready):
                m.d.sync += [
                    run.record.token.eq(best.token),
                    run.record.position.eq(best_at),
                    run.record.spread.eq(spread),
                    run.record_valid.eq(1),
                    run.taken.eq(run.taken | (1 << best_at)),
                    run.masked.eq(Mux(best.token == self.mask_token_id, run.masked, run.masked & ~(1 << best_at))),
                    run.quota.eq(run.quota - 1),
                ]
                m.next = "SELECT"

    def _finish_step(self, m: Module, run: RunState) -> None:
        """The step's last record goes out; next step, next block or end."""
        left = Signal()
        at = Signal(range(self.max_positions + 1))
        with m.State("STEP_END"):
            m.d.comb += [run.record_go.eq(1), run.record_last.eq(1)]
            with m.If(~run.record_valid):
                m.d.sync += [run.record.eq(0), run.record.position.eq(NO_POSITION), run.record_valid.eq(1)]
            with m.Elif(self.commits.ready):
                m.d.sync += [run.record_valid.eq(0), run.step.eq(run.step + 1), left.eq(0), at.eq(run.block_start)]
                m.next = "COUNT"
                with m.If(run.by_threshold & (run.taken == 0)):
                    m.next = "NEXT_BLOCK"
        with m.State("COUNT"):
            m.d.sync += [at.eq(at + 1), left.eq(left | run.masked.bit_select(at, 1))]
            with m.If(at + 1 == run.block_end):
                m.next = "NEXT_STEP"
        with m.State("NEXT_STEP"):
            self._start_pass(m, run)
            with m.If(~left | (~run.by_threshold & (run.step == run.block_steps))):
                m.next = "NEXT_BLOCK"
        with m.State("NEXT_BLOCK"):
            m.d.sync += [
                run.step.eq(0),
                run.block_start.eq(run.block_end),
                run.block_end.eq(run.block_end + run.held.block_length),
            ]
            self._start_pass(m, run)
            with m.If(run.block_end == run.positions):
                m.d.sync += [self.busy.eq(0), self.done.eq(1)]
                m.next = "IDLE"
