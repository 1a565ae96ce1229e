"""A pass over all positions of a sequence, and what the sampler needs around it."""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from hardloom.flows.design.cycles.geometry import Geometry
from hardloom.flows.design.cycles.layer import Layer
from hardloom.flows.design.cycles.passes import Pass
from hardloom.flows.design.cycles.times import Record, Times, Unit, in_order, unrecorded
from hardloom.gen.design.latency import RESCALE, argmax, sampler
from hardloom.golden.samplers.interpreter import Machine
from hardloom.golden.samplers.sampling import Sampling
from hardloom.golden.shape import LayerShape

__all__ = [
    "Tail",
    "embedding",
    "forward_cycles",
    "likely_step",
    "likely_wanted",
    "setup_cycles",
    "step_cycles",
]

PASSED = 2  # from a position's last beat behind the layers until the sampler knows, where the head does not meet it


def embedding(g: Geometry) -> Unit:
    return Unit(RESCALE + g.hidden, g.hidden)


class Tail:
    """What stands behind the layers: the last norm, the head and its prediction, for the positions that are wanted."""

    def __init__(self, g: Geometry, record: Record = unrecorded) -> None:
        head, self.record = g.array("head"), record
        predicted = argmax(head.drain, g.lanes, g.head_tiles, g.temperature)
        self.units = {
            "final_norm": Unit(g.normed, g.hidden),
            "logits": Unit(head.latency + RESCALE, head.packet),
            "argmax.token": Unit(predicted, head.drain),
        }

    def follow(self, times: Times, wanted: Sequence[int]) -> float:
        """When a pass is complete whose positions leave the layers then; the sampler takes one in a cycle, in order."""
        results, met = times + PASSED, times[list(wanted)]
        for name, unit in self.units.items():
            met = unit.follow(met)
            self.record(name, met)
        results[list(wanted)] = met
        return float(in_order(results, 0, 1)[-1])


def forward_cycles(g: Geometry, one: Pass) -> float:
    """Of a pass alone, from its first token into the embedding to the last prediction.

    Layers of the same shape in which tokens arrive and part alike take as long as each other.
    """
    times = embedding(g).follow(np.zeros(len(one.positions)))
    seen: dict[tuple[LayerShape, int, bytes], np.ndarray] = {}
    for number, (shape, chosen) in enumerate(zip(g.model.layers, one.routes, strict=True)):
        arrivals = times - times[0]
        key = shape, id(chosen), arrivals.tobytes()
        if key not in seen:
            seen[key] = Layer(g.at(number)).follow(arrivals, chosen, one.positions.start, one.kept)
        times = seen[key] + times[0]
    return Tail(g).follow(times, one.met)


SERVED = 9  # from a pass's last prediction to the next instruction, and from PREDICT to its first token
SET_UP = 38  # from START to the program's first instruction, but for the masks


def step_cycles(machine: Machine, sequences: int = 1) -> float:
    """The sampler's own of a denoising step, whose program has just come to the next pass, or to its end.

    sequences: slots; of several, a pass takes a cycle more in each of the queues before and behind the program.
    """
    return (
        SERVED
        + sampler(machine.executed, machine.jumped, machine.scanned)
        + (not machine.records)
        + 2 * (sequences > 1)
    )


def setup_cycles(machine: Machine) -> float:
    """The sampler's own of a run whose program has come to its first pass: checks, registers cleared, masks written."""
    return (
        SET_UP + machine.positions - machine.prompt_length + sampler(machine.executed, machine.jumped, machine.scanned)
    )


class _AnyModel(NamedTuple):
    """Any vocabulary at all: which tokens there are changes no cycle."""

    vocab_size: int = 2
    mask_token: int = 1
    token_ids: int = 2
    bidirectional: bool = True
    max_position_embeddings: int = 1 << 20
    eos_token_ids: tuple[int, ...] = ()
    delete_token_id: int | None = None
    split_token_id: int | None = None


@lru_cache
def likely_step(block: int, steps: int, sequences: int = 1) -> float:
    """`step_cycles`, mean of a block that LLaDA's sampler fills in so many steps."""
    sampling = Sampling.of("llada", gen_length=block, block_length=block, steps=steps)
    model = _AnyModel()
    machine = Machine(sampling.program(model), [0], block, model.mask_token, model.vocab_size)
    machine.run()
    cycles = 0.0
    while not machine.ended:
        wanted = machine.wanted
        machine.answer([0] * len(wanted), [1] * len(wanted))
        machine.run()
        cycles += step_cycles(machine, sequences)
    return cycles / machine.forwards


def likely_wanted(stop: int, block: float, commits: float) -> range:
    """Positions that a step wants where the block that ends at position `stop`, at commits a step, is half done."""
    return range(stop - max(1, round((min(block, stop) + commits) / 2)), stop)
