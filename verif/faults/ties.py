"""Tie rules: the comparisons that decide ties in the emitted units, each broken, against the golden units.

Where equal values meet, the argmax takes the lowest token, the router the lowest expert and the sampler the lowest
position; a probability equal to the threshold does not pass it. Each of these is a strict comparison in the Verilog: of
two lanes, of a beat with those before it, of a candidate with a place among the best, of two positions, of a position
with the limit. A planted fault makes one of them take equality too. Comparisons of values whose order nobody sees (the
largest logit or score, the largest scale) decide no ties.
"""

import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Generator

from hardloom.gen.design.hardware import HardwareConfig
from hardloom.gen.text.verilog import to_verilog
from hardloom.gen.units.argmax import prediction
from hardloom.gen.units.sampler import Sampler
from hardloom.golden.errors import UserError
from hardloom.golden.models.layer_units import router_of
from hardloom.golden.samplers.interpreter import Machine
from hardloom.golden.samplers.machine import Program
from hardloom.golden.shape import ModelShape
from hardloom.golden.units.softmax import SoftmaxNumerator
from hardloom.verif.faults.argmax_ties import tie_argmax
from hardloom.verif.faults.router_ties import tie_router
from hardloom.verif.faults.tie_bench import Copy, outputs
from hardloom.verif.faults.tie_rules import TieRule, TieUnit, draw
from hardloom.verif.samplers.host import Hosted
from hardloom.verif.samplers.programs import below, by_count
from hardloom.verif.streams.bench import Stimulus
from hardloom.verif.streams.stimulus import integers
from hardloom.verif.units.sampler import Host, tokens_but_mask

__all__ = ["plant_ties", "tie_units"]


def tie_units(model: ModelShape, lanes: int, tiles: int = 1) -> list[TieUnit]:
    """The units of a chip that decide ties, with every comparison that can make a difference in its geometry.

    tiles: of its head.
    """
    routers = dict.fromkeys(router_of(layer, SoftmaxNumerator()) for layer in model.layers)
    return [
        tie_argmax(model.vocab_size, lanes, tiles),
        *(tie_router(spec, lanes, f"tie_router_{n}") for n, spec in enumerate(routers) if spec is not None),
        _sampler(model.vocab_size, model.mask_token),
    ]


class _Host(Host):
    """Predicts tokens but the mask, with the spreads `first` in the first pass of a run."""

    first: list[int]

    def predict(self, machine: Machine, tokens: list[int], spreads: list[int]) -> None:
        spreads = self.first if machine.forwards == 1 else spreads
        super().predict(machine, tokens_but_mask(self, len(tokens)), spreads)


def _sampler(vocab_size: int, mask_token_id: int) -> TieUnit:
    length, limit = 8, 1 << 17
    sampler = Sampler(vocab_size, mask_token_id, length + 1, prediction(vocab_size)["spread"].width)

    def run(generator: Generator, program: Program, first: list[int]) -> Stimulus:
        host = _Host(sampler, generator)
        host.first = first
        host.run([int(mask_token_id == 0)], program, length)
        return Stimulus(host.inputs, host.outputs)

    def position_tie(generator: Generator) -> Stimulus:
        """Positions are written in another order where the highest of equals comes first."""
        while True:
            count = draw(generator, [2, 3, 4, 5, 6, 8])
            first = integers(generator, 70000, 70003, (length,)).tolist()
            usual = sorted(range(length), key=lambda p: (first[p], p))
            if usual[:count] != sorted(range(length), key=lambda p: (first[p], -p))[:count]:
                return run(generator, by_count(count), first)

    def limit_tie(generator: Generator) -> Stimulus:
        """A position is exactly at the limit, and another one below it."""
        first = integers(generator, limit + 1, limit + 4, (length,))
        at, lower = torch.randperm(length, generator=generator)[:2].tolist()
        first[at], first[lower] = limit, limit - 1
        return run(generator, below(limit), first.tolist())

    rules = [
        TieRule("sampler, the lowest of equal positions", _decides("best_spread"), position_tie),
        TieRule("sampler, below a limit", _decides("registers_x_read_data"), limit_tie),
    ]
    return TieUnit("tie_sampler", Hosted(sampler), rules)


def _decides(right: str) -> Callable[[re.Match], bool]:
    return lambda match: match["operator"] == "<" and match["right"].strip() == right


def plant_ties(
    model: ModelShape, hardware: HardwareConfig, count: int, folder: Path, seed: int
) -> Iterator[tuple[bool, str]]:
    """`count` random faults, a broken comparison and a stimulus each, over all comparisons evenly: (found, what).

    Units of the chip's geometry are emitted, with one comparison broken or none, and simulated side by side; a fault is
    found when a beat of its stimulus differs from what the golden unit says. Raises `UserError` where an unbroken unit
    differs.
    """
    units = tie_units(model, hardware.lanes, hardware.head_tiles)
    generator, rng = Generator().manual_seed(seed), random.Random(seed)
    pairs = [(unit, rule) for unit in units for rule in unit.rules]
    rng.shuffle(pairs)
    planted = [pairs[k % len(pairs)] for k in range(count)]
    stimuli = {unit.name: [(r, r.stimulus(generator)) for u, r in planted if u is unit] for unit in units}
    copies = []
    for unit in units:
        text = to_verilog(unit.component, unit.name)
        played = [stimulus for _, stimulus in stimuli[unit.name]]
        copies.append(Copy(unit.name, unit.name, text, unit.component, played))
        for number, rule in enumerate(unit.rules):
            name = f"{unit.name}_broken_{number}"
            copies.append(Copy(name, unit.name, rule.broken(text), unit.component, played))
    right = outputs(copies, folder)
    for unit in units:
        for number, (rule, _) in enumerate(stimuli[unit.name]):
            if not right[unit.name][number]:
                raise UserError(f"{unit.name}: differs from its golden unit without a fault; see `make test`")
            broken = f"{unit.name}_broken_{unit.rules.index(rule)}"
            yield not right[broken][number], f"{rule.name}, stimulus {number}"
