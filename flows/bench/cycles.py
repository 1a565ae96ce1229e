"""`hardloom bench cycles`: what the cycle model says of chips, and what Verilator counts of the same."""

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from flows.console.progress import progress_bar
from flows.console.report import Part, table
from flows.design.cycles.experts import Routes
from flows.design.cycles.forward import setup_cycles, step_cycles
from flows.design.cycles.geometry import Geometry
from flows.design.cycles.sequences import Pass, SequenceRun, run_cycles
from gen.build.folder import Build
from gen.build.generate import build_chip
from gen.design.hardware import HardwareConfig
from golden.checkpoints.presets import read_preset
from golden.checkpoints.synthetic import make_up
from golden.models.integer_model import IntegerModel
from golden.quantization.quantize import quantize_checkpoint
from golden.quantization.quantized import QuantizedCheckpoint
from golden.samplers.denoise import Prediction, SamplerParams, denoise
from verif.chip.compare import simulate_runs
from verif.chip.simulation import Run, SimulatedChip
from verif.simulators.verilator import QUICK_BUILD

__all__ = ["CHIPS", "CycleFigures", "cycles", "cycles_parts", "modelled"]

SMALL = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "expert_intermediate_size": 16,
    "num_experts": 4,
    "num_experts_per_tok": 2,
    "vocab_size": 24,
    "mask_token_id": 22,
    "eos_token_id": 23,
    "max_position_embeddings": 64,
    "moe_layer_freq": [1, 1],
}
"""Sizes of the chips below where they say nothing else: those of LLaDA-MoE, made small."""

RUNS = (
    (4, SamplerParams(gen_length=8, block_length=4, steps=4)),
    (24, SamplerParams(gen_length=8, block_length=8, steps=8)),
)
"""Length of the prompt, and what the sampler is asked for: few positions, whose experts are the slowest, and more."""


@dataclass(frozen=True)
class SmallChip:
    """A chip of the comparison: what differs from `SMALL` in its model, and from the default in its hardware."""

    name: str
    model: dict[str, Any] = field(default_factory=dict)
    hardware: dict[str, Any] = field(default_factory=dict)


SERIAL = {"qkv": 16, "o": 16, "router": 16, "gate_up": 16, "down": 16, "head": 16}

CHIPS = (
    SmallChip("as it comes, 4 lanes"),
    SmallChip("2 lanes", hardware={"lanes": 2}),
    SmallChip("1 lane", hardware={"lanes": 1}),
    SmallChip("hidden 32 in 4 heads", {"hidden_size": 32, "num_attention_heads": 4, "num_key_value_heads": 4}),
    SmallChip("hidden 48, experts of 40", {"hidden_size": 48, "head_dim": 24, "expert_intermediate_size": 40}),
    SmallChip("16 experts, 4 a token", {"num_experts": 16, "num_experts_per_tok": 4}),
    SmallChip("2 experts, 1 a token", {"num_experts": 2, "num_experts_per_tok": 1, "expert_intermediate_size": 32}),
    SmallChip("4 layers", {"num_hidden_layers": 4, "moe_layer_freq": [1] * 4}),
    SmallChip("vocabulary of 300", {"vocab_size": 300, "mask_token_id": 298, "eos_token_id": 299}),
    SmallChip("serial arrays", {"num_hidden_layers": 1, "moe_layer_freq": [1]}, {"style": "rom", "slices": SERIAL}),
    SmallChip("2 heads at once", hardware={"head_lanes": 2}),
    SmallChip("5 queries at once", hardware={"query_lanes": 5}),
    SmallChip("2 heads, 3 queries at once", hardware={"head_lanes": 2, "query_lanes": 3}),
    SmallChip(
        "2 heads of 4, 3 queries at once, 1 lane",
        {"hidden_size": 32, "num_attention_heads": 4, "num_key_value_heads": 4},
        {"lanes": 1, "head_lanes": 2, "query_lanes": 3},
    ),
    SmallChip("3 sequences at once", hardware={"sequences": 3}),
    SmallChip(
        "5 sequences, 2 heads at once",
        {"num_hidden_layers": 1, "moe_layer_freq": [1]},
        {"sequences": 5, "head_lanes": 2},
    ),
    SmallChip(
        "queues of one token",
        {"num_experts": 8, "num_experts_per_tok": 4},
        {"queues": {"residual": 1, "routing": 1, "jobs": 1}},
    ),
)


@dataclass(frozen=True)
class CycleRow:
    """Runs on a chip, as many at once as it has slots: clock cycles of a denoising step, the sampler's own included.

    positions: of a run, their mean; error: modelled over simulated.
    """

    chip: str
    positions: int
    simulated: float
    modelled: float
    error: float


@dataclass(frozen=True)
class CycleFigures:
    """All runs; worst_error: the largest magnitude among them."""

    rows: list[CycleRow]
    worst_error: float


STAGGER = 45
"""Clock cycles in which the bench's host starts one run behind the other."""


class Routed:
    """An engine of the sampler that keeps which experts the latest pass chose, and of which positions logits count."""

    def __init__(self, model: IntegerModel) -> None:
        self.model, self.spread_limit = model, model.spread_limit
        self.routes: list[Routes] = []
        self.wanted: list[int] = []

    def predict(self, tokens: torch.Tensor, wanted: torch.Tensor | None = None) -> Prediction:
        self.routes = []

        def keep(name: str, value: torch.Tensor) -> None:
            if name.endswith("router.experts"):
                self.routes.append(value[0].tolist())
            elif name == "wanted":
                self.wanted = value[0, :, 0].nonzero().flatten().tolist()

        return self.model.predict(tokens, wanted, keep)


def modelled(build: Build, runs: Sequence[tuple[list[int], SamplerParams]]) -> list[float]:
    """Cycles of each run of a chip, all at once, experts as the integer model chooses them."""
    checkpoint, sequences = build.checkpoint(), build.hardware.sequences
    packets = {array.kind: array.cycles_per_packet for array in build.arrays}
    behind = checkpoint.numerics.gains == "behind"
    geometry = Geometry.of(checkpoint.model, build.hardware, packets, behind)
    engine = Routed(IntegerModel(checkpoint))
    found = []
    for prompt, params in runs:
        passes = []
        for step in denoise(engine, torch.tensor([prompt]), params, checkpoint.model.mask_token):
            own = step_cycles(params.block_length, int(step.committed.sum()), sequences)
            passes.append(Pass(step.tokens.shape[1], engine.wanted, engine.routes, own))
        found.append(SequenceRun(setup_cycles(params.gen_length, params.block_length, params.steps), passes))
    return run_cycles(geometry, found, [STAGGER * number for number in range(len(found))])


def measure(chip: SmallChip, folder: Path) -> Iterator[CycleRow]:
    """Make a chip and run it."""
    model = make_up(read_preset("llada-moe-7b") | SMALL | chip.model, folder / "checkpoint")
    quantize_checkpoint(folder / "checkpoint", folder / "quantized", "mxfp4")
    fields = HardwareConfig.default(model).to_json_dict() | {"max_positions": 64} | chip.hardware
    build = build_chip(
        QuantizedCheckpoint(folder / "quantized"), folder / "chip", HardwareConfig.from_json_dict(fields)
    )
    simulated = SimulatedChip(build, QUICK_BUILD)
    prompts = [([token % model.mask_token for token in range(length)], params) for length, params in RUNS]
    at_once = build.hardware.sequences
    for first in range(0, len(prompts), at_once):
        chosen = (prompts * at_once)[first : first + at_once]
        runs = simulate_runs(simulated, [Run(*one) for one in chosen], None, at_once=at_once).runs
        cycles, forwards = (sum(getattr(run, name) for run in runs) for name in ("cycles", "forwards"))
        positions = sum(len(prompt) + params.gen_length for prompt, params in chosen) // at_once
        counted = sum(modelled(build, chosen))
        figures = round(cycles / forwards, 1), round(counted / forwards, 1)
        yield CycleRow(chip.name, positions, *figures, round(counted / cycles - 1, 5))


def cycles(chips: Iterable[SmallChip] = CHIPS) -> CycleFigures:
    """Compare chips, each in a folder of its own that is emptied again."""
    rows: list[CycleRow] = []
    chips = list(chips)
    with progress_bar("comparing", "chips") as progress:
        for number, chip in enumerate(chips, 1):
            with tempfile.TemporaryDirectory() as folder:
                rows += measure(chip, Path(folder))
            progress(number, len(chips))
    return CycleFigures(rows, max(abs(row.error) for row in rows))


def cycles_parts(found: CycleFigures) -> Iterator[Part]:
    """A line a run."""
    rows = [
        (row.chip, str(row.positions), f"{row.simulated:,.1f}", f"{row.modelled:,.1f}", f"{row.error:+.2%}")
        for row in found.rows
    ]
    columns = ("chip", "positions", "simulated", "modelled", "error")
    yield table(columns, rows, f"clock cycles of a denoising step; largest error {found.worst_error:.2%}")
