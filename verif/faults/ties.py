"""Tie rules: the comparisons that decide ties in the emitted units, each broken, against the golden units.

Where equal values meet, the argmax takes the lowest token, the router the lowest expert and the sampler the lowest
position; a probability equal to the threshold does not pass it. Each of these is a strict comparison in the Verilog: of
two lanes, of a beat with those before it, of a candidate with a place among the best, of two positions, of a position
with the limit. A planted fault makes one of them take equality too. Comparisons of values whose order nobody sees (the
largest logit or score, the largest scale) decide no ties.
"""

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Generator, Tensor

from gen.design.hardware import HardwareConfig
from gen.text.verilog import to_verilog
from gen.units.argmax import prediction
from gen.units.sampler import Sampler
from golden.errors import UserError
from golden.models.layer_units import router_of
from golden.samplers.denoise import Prediction, SamplerParams, choose, denoise
from golden.shape import ModelShape
from golden.units.softmax import SoftmaxNumerator
from verif.faults.argmax_ties import tie_argmax
from verif.faults.router_ties import tie_router
from verif.faults.tie_bench import Copy, outputs
from verif.faults.tie_rules import TieRule, TieUnit, draw
from verif.streams.bench import Packet, Stimulus
from verif.streams.stimulus import integers
from verif.units.sampler import Hosted, records

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


@dataclass
class _Engine:
    """Random predictions, never the mask token; spreads of the first step are `first`, int64 [1, positions].

    passes, results: what the sampler sends for each, and what comes back.
    """

    generator: Generator
    vocab_size: int
    mask_token_id: int
    limit: int
    first: Tensor
    predictions: list[Prediction] = field(default_factory=list)
    passes: list[Packet] = field(default_factory=list)
    results: list[Packet] = field(default_factory=list)

    def spread_limit(self, threshold: float) -> int:
        return self.limit

    def predict(self, tokens: Tensor, wanted: Tensor | None = None) -> Prediction:
        drawn = integers(self.generator, 0, self.vocab_size - 2, tokens.shape)
        spread = integers(self.generator, 1, 1 << 18, tokens.shape) if self.predictions else self.first
        assert wanted is not None
        found, asks = Prediction(drawn + (drawn >= self.mask_token_id), spread), wanted[0].tolist()
        self.predictions.append(found)
        self.passes.append([{"token": t, "wanted": w} for t, w in zip(tokens[0].tolist(), asks, strict=True)])
        self.passes[-1][-1]["end"] = 1
        pairs = zip(found.tokens[wanted].tolist(), spread[wanted].tolist(), strict=True)
        self.results.append([{"token": t, "spread": s} for t, s in pairs])
        return found


def _sampler(vocab_size: int, mask_token_id: int) -> TieUnit:
    length, limit = 8, 1 << 17
    sampler = Sampler(vocab_size, mask_token_id, length + 1, prediction(vocab_size)["spread"].width)
    candidates = torch.arange(length + 1)[None] > 0

    def run(generator: Generator, params: SamplerParams, first: Tensor) -> tuple[_Engine, Stimulus]:
        engine = _Engine(generator, vocab_size, mask_token_id, limit, first)
        steps = list(denoise(engine, torch.zeros((1, 1), dtype=torch.int64), params, mask_token_id))
        request = {"fresh": 1, "prompt_length": 1, "gen_length": length, "block_length": length}
        request |= {"steps": params.steps, "spread_limit": limit if params.threshold else 0}
        prompt = [[{"token": 0, "last": 1, "end": 1}]]
        inputs = {"prompt": prompt, "request": [[request]], "result": engine.results}
        return engine, Stimulus(inputs, {"tokens": engine.passes, "commits": [records(step) for step in steps]})

    def position_tie(generator: Generator) -> Stimulus:
        """The committed positions are others where the highest of equals comes first."""
        while True:
            params = SamplerParams(length, length, draw(generator, [2, 3, 4, 5, 6, 8]))
            engine, stimulus = run(generator, params, integers(generator, 70000, 70003, (1, length + 1)))
            p = engine.predictions[0]
            flipped = Prediction(p.tokens.flip(-1), p.spread.flip(-1))
            usual = choose(engine, p, candidates, params, 0, mask_token_id)
            other = choose(engine, flipped, candidates.flip(-1), params, 0, mask_token_id).flip(-1)
            if not torch.equal(usual, other):
                return stimulus

    def limit_tie(generator: Generator) -> Stimulus:
        """A position is exactly at the limit, and another one below it."""
        params = SamplerParams(length, length, 1, threshold=0.5)
        first = integers(generator, limit + 1, limit + 4, (1, length + 1))
        at, below = (1 + torch.randperm(length, generator=generator)[:2]).tolist()
        first[0, at], first[0, below] = limit, limit - 1
        return run(generator, params, first)[1]

    rules = [
        TieRule("sampler, the lowest of equal positions", lambda m: _is_best(m, "right"), position_tie),
        TieRule("sampler, at the threshold", lambda m: _is_best(m, "left"), limit_tie),
    ]
    return TieUnit("tie_sampler", Hosted(sampler), rules)


def _is_best(match: re.Match, side: str) -> bool:
    return match["operator"] == "<" and match[side].strip().startswith("best[")


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
