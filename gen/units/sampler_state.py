"""What the sampler remembers of a run: its parameters, the sequence, where in the schedule it is."""

from types import SimpleNamespace
from typing import Any

from amaranth.hdl import Module, ShapeLike, Signal

from gen.design.axi_ports import commit_record
from gen.stream.ram import Ram

__all__ = ["PARAMETERS", "RunState"]

PARAMETERS = {"prompt_length": 16, "gen_length": 16, "block_length": 16, "steps": 16, "spread_limit": 32}
"""Registers that describe a run, and their bits."""


class RunState:
    """Registers and memories of one elaboration of `gen.units.sampler.Sampler`, added to its module.

    Parameters
    ----------
    m: the sampler's module.
    depth: most positions of a sequence.
    token, result: shapes of a token id and of a position's result.

    Attributes
    ----------
    held: the run's parameters, by name, as they were at START.
    positions: of the sequence.
    tokens, results: memories of the sequence, and of the results of every position.
    masked, taken: a bit a position: it is still masked; it was committed in this step.
    block_start, block_end: first position of the block and of the next one.
    block_steps, step: steps of a block; number of this one within it.
    base, remainder, quota: tokens of a step; how many steps commit one more; tokens that this step still commits.
    by_threshold: the run has a spread limit, and no quotas.
    received, prompt_done, bad_token: of the prompt: tokens taken, the last one is, one is no prompt token.
    record, record_valid: the commit that is held back; record_go, record_last: let it go, as the step's last.
    """

    def __init__(self, m: Module, depth: int, token: ShapeLike, result: ShapeLike) -> None:
        self.held = SimpleNamespace(**{name: Signal(width, name=name) for name, width in PARAMETERS.items()})
        m.submodules.tokens = self.tokens = Ram(token, depth, name="tokens")
        m.submodules.results = self.results = Ram(result, depth, name="results")
        self.positions = Signal(range(depth + 1))
        self.masked = Signal(depth)
        self.taken = Signal(depth)
        self.block_start = Signal(range(depth + 1))
        self.block_end = Signal(range(depth + 1))
        self.block_steps = Signal(16)
        self.step = Signal(16)
        self.base = Signal(16)
        self.remainder = Signal(16)
        self.quota = Signal(16)
        self.by_threshold = Signal()
        m.d.comb += self.by_threshold.eq(self.held.spread_limit != 0)
        self.received = Signal(range(depth + 2))
        self.prompt_done = Signal()
        self.bad_token = Signal()
        self.record: Any
        self.record = Signal(commit_record())
        self.record_valid = Signal()
        self.record_last = Signal()
        self.record_go = Signal()
