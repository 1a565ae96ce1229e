"""`hardloom bench chip`: how fast the simulated chip is, and how near to the bound of its busiest unit."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from hardloom.flows.console.report import Part, totals
from hardloom.flows.models.demonstration import DEMO_SAMPLING
from hardloom.gen.build.folder import Build
from hardloom.gen.design.hardware import HardwareConfig
from hardloom.golden.shape import ModelShape
from hardloom.verif.chip.compare import Comparison, simulate_runs
from hardloom.verif.chip.simulation import Run, SimulatedChip

__all__ = ["bound_per_forward", "chip", "chip_parts"]

PROMPT = 6
"""Tokens of a prompt; with the 16 generated ones, 22 positions, as an addition of the demonstration has."""


def bound_per_forward(model: ModelShape, hardware: HardwareConfig, positions: int) -> int:
    """Cycles of a denoising step that the busiest unit alone needs.

    It is attention's score unit: a key a cycle, all of them for every group of heads and of positions, in each layer
    after the other, since a layer's first score needs the keys of all positions.
    """
    head_groups = sum(layer.attention.num_heads // hardware.head_lanes for layer in model.layers)
    return head_groups * -(-positions // hardware.query_lanes) * positions


def measure(chip: SimulatedChip, prompts: int) -> Comparison:
    """Random prompts of `PROMPT` tokens, nothing compared and nothing tapped."""
    draw = torch.Generator().manual_seed(0)
    size = (prompts + 1, PROMPT)
    tokens = torch.randint(chip.model.vocab_size, size, generator=draw).tolist()
    return simulate_runs(chip, [Run(prompt, DEMO_SAMPLING) for prompt in tokens], None)


@dataclass(frozen=True)
class ChipSpeed:
    """Figures of a simulated chip on prompts of `positions` positions in all.

    Attributes
    ----------
    saturated: sums of the residual stream that did not fit their word, by the chip's count.
    bound_per_forward: cycles of a denoising step that `busiest_unit` alone needs; ratio_to_bound: those taken over it.
    """

    build: str
    verilator_build_s: float
    prompts: int
    positions: int
    simulated_cycles_per_s: int
    seconds_per_answer: float
    cycles_per_answer: int
    cycles_per_forward: float
    bound_per_forward: int
    busiest_unit: str
    ratio_to_bound: float
    saturated: int
    cycles_per_token_and_layer: float


def chip(path: Path, prompts: int) -> ChipSpeed:
    """Figures of the build folder `path`; the first of `prompts` + 1 runs starts the simulator and is not counted."""
    build = Build(path)
    positions = PROMPT + DEMO_SAMPLING.gen_length
    build.check_positions(positions)
    chip = SimulatedChip(build)
    result = measure(chip, prompts)
    bound = bound_per_forward(chip.model, build.hardware, positions)
    return ChipSpeed(
        build=str(path),
        verilator_build_s=chip.build_seconds,
        prompts=prompts,
        positions=positions,
        simulated_cycles_per_s=round(result.cycles_per_s),
        seconds_per_answer=round(result.seconds / prompts, 3),
        cycles_per_answer=round(sum(run.cycles for run in result.runs) / len(result.runs)),
        cycles_per_forward=round(result.cycles_per_forward, 1),
        bound_per_forward=bound,
        busiest_unit="attention scores",
        ratio_to_bound=round(result.cycles_per_forward / bound, 3),
        saturated=sum(run.saturations for run in result.runs),
        cycles_per_token_and_layer=round(result.cycles_per_forward / positions / len(chip.model.layers), 1),
    )


def chip_parts(found: ChipSpeed) -> Iterator[Part]:
    """Every figure, a line each."""
    rows = {name.replace("_", " "): value for name, value in vars(found).items() if name != "build"}
    yield totals(f"{found.build}: 16 tokens in 8 steps", rows)
