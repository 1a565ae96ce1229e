"""States of the sampler behind a pass: the most confident candidates are committed; next step, next block or end."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal

from gen.design.axi_ports import NO_POSITION
from gen.units.sampler_run import Run

__all__ = ["add_selection"]


class Scan:
    """A walk over the positions of the block, one a cycle unless the sender reads the sequence's memory.

    Attributes
    ----------
    at: next position to be read.
    here: position `seen` is read, and its token and result are there; closing: it is the block's last.
    """

    def __init__(self, m: Module, run: Run) -> None:
        self.run = run
        self.at, self.seen = Signal.like(run.fetch_at), Signal.like(run.fetch_at)
        self.here, self.closing = Signal(), Signal()
        m.d.comb += [run.fetch_at.eq(self.at), self.closing.eq(self.here & (self.seen + 1 == run.schedule.block_end))]
        m.d.sync += [self.here.eq(run.fetched), self.seen.eq(self.at)]

    def begin(self, m: Module) -> None:
        """In the state before."""
        m.d.sync += self.at.eq(self.run.schedule.block_start)

    def step(self, m: Module) -> None:
        """In the state that walks, until `closing`."""
        m.d.comb += self.run.fetch.eq(self.at != self.run.schedule.block_end)
        with m.If(self.run.fetched):
            m.d.sync += self.at.eq(self.at + 1)


class Selection:
    """What a step has chosen so far.

    Attributes
    ----------
    best, best_at, found: the most confident candidate of a scan, its position, whether there is one.
    any: the step has committed one, the last of them with `last_spread` at `last_at`, the lowest at `lowest`; quota: it
        still commits so many.
    """

    def __init__(self, run: Run) -> None:
        self.best: Any = Signal.like(run.result)
        self.best_at, self.found = Signal.like(run.fetch_at), Signal()
        self.any = Signal()
        self.last_spread, self.last_at = Signal.like(self.best.spread), Signal.like(run.fetch_at)
        self.lowest = Signal.like(run.fetch_at)
        self.quota = Signal(16)


def add_selection(m: Module, run: Run, commits, mask_token_id: int) -> None:
    """States SELECT to NEXT_BLOCK, which SEND or IDLE follow, within the FSM of `gen.units.sampler.Sampler`.

    commits: the stream of records.
    """
    scan, chosen = Scan(m, run), Selection(run)
    with m.State("SELECT"):
        m.d.sync += [
            chosen.any.eq(0),
            chosen.found.eq(0),
            chosen.quota.eq(run.schedule.base + (run.schedule.step < run.schedule.remainder)),
        ]
        scan.begin(m)
        m.next = "SCAN"
    _scan(m, run, scan, chosen, mask_token_id)
    _commit(m, run, scan, chosen, commits)
    _finish_step(m, run, scan, chosen, commits)
    _count(m, run, scan, mask_token_id)


def _scan(m: Module, run: Run, scan: Scan, chosen: Selection, mask_token_id: int) -> None:
    """Finds the most confident candidate of the block behind the last commit, in order of spread, then of position; it
    is committed while there is a reason to."""
    result, best = run.result, chosen.best
    with m.State("SCAN"):
        scan.step(m)
        later = (result.spread == chosen.last_spread) & (scan.seen > chosen.last_at)
        behind = ~chosen.any | (result.spread > chosen.last_spread) | later
        excluded = run.by_threshold & (result.token == mask_token_id)
        candidate = scan.here & (run.token == mask_token_id) & ~excluded & behind
        with m.If(candidate & (~chosen.found | (result.spread < best.spread))):
            m.d.sync += [best.eq(result), chosen.best_at.eq(scan.seen), chosen.found.eq(1)]
        with m.If(scan.closing):
            m.next = "CHOOSE"
    with m.State("CHOOSE"):
        passes = ~chosen.any | (best.spread < run.held.spread_limit)
        m.next = "STEP_END"
        with m.If(chosen.found & Mux(run.by_threshold, passes, chosen.quota != 0)):
            m.next = "COMMIT"


def _commit(m: Module, run: Run, scan: Scan, chosen: Selection, commits) -> None:
    """Gives the candidate's record out and writes it into the sequence, then looks for the next one."""
    width, best = len(run.record.spread), chosen.best
    fits = len(best.spread) <= width
    spread = best.spread if fits else Mux(best.spread >> width, (1 << width) - 1, best.spread)
    with m.State("COMMIT"):
        m.d.comb += run.record_go.eq(1)
        with m.If(~run.record_valid | commits.ready):
            m.d.sync += [
                run.record.token.eq(best.token),
                run.record.position.eq(chosen.best_at),
                run.record.spread.eq(spread),
                run.record_valid.eq(1),
                chosen.any.eq(1),
                chosen.last_spread.eq(best.spread),
                chosen.last_at.eq(chosen.best_at),
                chosen.lowest.eq(Mux(chosen.any & (chosen.lowest < chosen.best_at), chosen.lowest, chosen.best_at)),
                chosen.quota.eq(chosen.quota - 1),
            ]
            m.next = "STORE"
    with m.State("STORE"):
        m.d.comb += [run.store.eq(1), run.store_at.eq(chosen.best_at), run.store_token.eq(best.token)]
        m.d.sync += chosen.found.eq(0)
        scan.begin(m)
        with m.If(run.stored):
            m.next = "SCAN"


def _finish_step(m: Module, run: Run, scan: Scan, chosen: Selection, commits) -> None:
    """The step's last record goes out; next step, next block or end."""
    schedule = run.schedule
    with m.State("STEP_END"):
        m.d.comb += [run.record_go.eq(1), run.record_last.eq(1)]
        scan.begin(m)
        with m.If(~run.record_valid):
            m.d.sync += [run.record.eq(0), run.record.position.eq(NO_POSITION), run.record_valid.eq(1)]
        with m.Elif(commits.ready):
            m.d.sync += [run.record_valid.eq(0), schedule.step.eq(schedule.step + 1)]
            m.next = "COUNT"
            with m.If(run.by_threshold & ~chosen.any):
                m.next = "NEXT_BLOCK"
    with m.State("NEXT_BLOCK"):
        m.d.sync += [
            run.since.eq(Mux(chosen.any, chosen.lowest, schedule.block_end)),
            schedule.step.eq(0),
            schedule.block_start.eq(schedule.block_end),
            schedule.block_end.eq(schedule.block_end + run.held.block_length),
        ]
        m.next = "SEND"
        with m.If(schedule.block_end == run.now.positions):
            m.d.comb += run.finished.eq(1)
            m.next = "IDLE"


def _count(m: Module, run: Run, scan: Scan, mask_token_id: int) -> None:
    """Whether the block has masked positions left, and steps for them."""
    left = Signal()
    with m.State("COUNT"):
        scan.step(m)
        masked = scan.here & (run.token == mask_token_id)
        m.d.sync += left.eq(left | masked)
        with m.If(scan.closing):
            m.d.sync += [left.eq(0), run.since.eq(run.schedule.block_start)]
            m.next = "SEND"
            over = ~run.by_threshold & (run.schedule.step == run.schedule.block_steps)
            with m.If(~(left | masked) | over):
                m.next = "NEXT_BLOCK"
