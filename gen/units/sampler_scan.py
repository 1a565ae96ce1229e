"""SCAN, the instruction that looks through the block: the next position in order of confidence, or of place."""

from collections.abc import Callable

from amaranth.hdl import Module, Mux, Signal, Value

from hardloom.gen.units.sampler_run import Run
from hardloom.golden.samplers.machine import Which

__all__ = ["Scan"]


class Scan:
    """A walk over the positions of the block behind the prompt, one a cycle unless the sender reads the sequence.

    In the order of spread it is of the whole block; in that of position it goes on behind the one found before, and
    ends with the first that it finds. 4 cycles and one a position, and one more where it finds none.
    """

    def __init__(self, m: Module, run: Run, mask_token_id: int) -> None:
        self.run, self.mask = run, mask_token_id
        position, spread = run.fetch_at.shape(), run.result.spread.shape()
        self.at = Signal(position, name="scan_at")
        self.seen = Signal(position, name="scan_seen")
        self.here = Signal(name="scan_here")
        self.best_spread = Signal(spread, name="best_spread")
        self.best_at = Signal(position, name="best_at")
        self.found = Signal(name="best_found")
        self.last_spread = Signal(spread, name="last_spread")
        self.last_at = Signal(position, name="last_at")
        self.any = Signal(name="last_found")
        m.d.sync += [self.here.eq(run.fetched), self.seen.eq(self.at)]

    def begin(self, m: Module) -> None:
        """In the state of an instruction that makes the order begin anew."""
        m.d.sync += self.any.eq(0)

    def start(self, m: Module) -> None:
        """In the state before SCAN."""
        run, behind = self.run, Signal.like(self.at)
        m.d.comb += behind.eq(self.last_at + 1)
        goes_on = self._named(Which.IN_ORDER) & self.any & (behind > run.block_start)
        m.d.sync += [self.at.eq(Mux(goes_on, behind, run.block_start)), self.found.eq(0)]
        m.next = "SCAN"

    def add_states(self, m: Module, jump: Callable[[Module], None]) -> None:
        """SCAN and SCANNED, which READ follows; jump: to the instruction's address, where there is none."""
        run, spread = self.run, self.run.result.spread
        in_order, candidate, better = self._named(Which.IN_ORDER), Signal(), Signal()
        with m.State("SCAN"):
            m.d.comb += [run.fetch.eq(self.at < run.place.block_end), run.fetch_at.eq(self.at)]
            with m.If(run.fetched):
                m.d.sync += self.at.eq(self.at + 1)
            later = (spread == self.last_spread) & (self.seen > self.last_at)
            behind = ~self.any | Mux(in_order, self.seen > self.last_at, (spread > self.last_spread) | later)
            m.d.comb += [
                candidate.eq(self.here & behind & self._is()),
                better.eq(candidate & (~self.found | (~in_order & (spread < self.best_spread)))),
            ]
            with m.If(better):
                m.d.sync += [self.best_spread.eq(spread), self.best_at.eq(self.seen), self.found.eq(1)]
            with m.If(~run.fetch | (in_order & candidate)):
                m.next = "SCANNED"
        with m.State("SCANNED"):
            with m.If(self.found):
                run.fetch_word(m, run.place.at + 1)
                run.write(m, run.word.a, self.best_at)
                m.d.sync += [self.last_spread.eq(self.best_spread), self.last_at.eq(self.best_at), self.any.eq(1)]
                m.d.sync += run.place.at.eq(run.place.at + 1)
            with m.Else():
                jump(m)

    def _named(self, condition: Which) -> Value:
        return self.run.word.b[condition.bit_length() - 1]

    def _is(self) -> Value:
        """Whether every condition that the instruction names holds for the position that is seen."""
        run = self.run
        masked = run.token == self.mask
        return (
            (~self._named(Which.MASKED) | masked)
            & (~self._named(Which.FILLED) | ~masked)
            & (~self._named(Which.DIFFERS) | (run.token != run.result.token))
            & (~self._named(Which.GUESSED) | (run.result.token != self.mask))
        )
