"""`hardloom bench cycles`: what the cycle model says of chips, and what Verilator counts of the same."""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from hardloom.flows.bench.cycle_chips import CHIPS, SmallChip
from hardloom.flows.console.progress import progress_bar
from hardloom.flows.console.report import Part, table
from hardloom.flows.design.cycles.built import built_geometry
from hardloom.flows.design.cycles.experts import Routes
from hardloom.flows.design.cycles.forward import setup_cycles, step_cycles
from hardloom.flows.design.cycles.passes import Pass
from hardloom.flows.design.cycles.sequences import SequenceRun, run_cycles
from hardloom.gen.build.folder import Build
from hardloom.gen.build.generate import build_chip
from hardloom.gen.design.hardware import HardwareConfig
from hardloom.golden.checkpoints.lora import LowRank
from hardloom.golden.checkpoints.synthetic import make_up
from hardloom.golden.models.integer_model import IntegerModel
from hardloom.golden.quantization.quantize import quantize_checkpoint
from hardloom.golden.quantization.quantized import QuantizedCheckpoint
from hardloom.golden.samplers.denoise import Denoising, Prediction, Step
from hardloom.golden.samplers.kept import Kept
from hardloom.golden.samplers.manner import Manner
from hardloom.golden.samplers.sampling import Asked, denoise
from hardloom.golden.samplers.spans import span
from hardloom.golden.shape import ExpertsShape, ModelShape
from hardloom.golden.units.numerics import Numerics
from hardloom.verif.chip.compare import simulate_runs
from hardloom.verif.chip.simulation import Run, SimulatedChip
from hardloom.verif.simulators.verilator import QUICK_BUILD

__all__ = [
    "CycleFigures",
    "Routed",
    "build_small",
    "cycles",
    "cycles_parts",
    "modelled",
    "pass_of",
    "prompts_of",
    "sequence_run",
]


@dataclass(frozen=True)
class CycleRow:
    """Runs on a chip, as many at once as it has slots: clock cycles of a denoising step, the sampler's own included.

    family: of the model; positions: of a run, their mean; error: modelled over simulated, less 1.
    """

    family: str
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


class Routed:
    """An engine of the sampler that keeps the latest pass: experts of each layer that has some, and the positions whose
    logits count. also: is told of every probe point."""

    def __init__(
        self,
        model: IntegerModel,
        shape: ModelShape,
        also: Callable[[str, torch.Tensor], None] = lambda name, value: None,
    ) -> None:
        self.model, self.shape, self.also = model, shape, also
        self.routes: list[Routes | None] = []
        self.wanted: list[int] = []

    def predict(
        self,
        tokens: torch.Tensor,
        wanted: torch.Tensor | None = None,
        manners: Sequence[Manner] | None = None,
        kept: Sequence[Kept] | None = None,
    ) -> Prediction:
        chosen: list[Routes] = []

        def keep(name: str, value: torch.Tensor) -> None:
            if name.endswith("router.experts"):
                chosen.append(value[0].tolist())
            elif name == "wanted":
                self.wanted = value[0, :, 0].nonzero().flatten().tolist()
            self.also(name, value)

        predicted, in_order = self.model.predict(tokens, wanted, manners, kept, keep), iter(chosen)
        self.routes = [next(in_order) if isinstance(layer.mlp, ExpertsShape) else None for layer in self.shape.layers]
        return predicted


def sequence_run(build: Build, engine: Routed, prompt: list[int], sampling: Asked) -> SequenceRun:
    """A run on a chip, experts as the integer model chooses them."""
    run = denoise(engine, torch.tensor([prompt]), sampling, engine.shape)
    setup = setup_cycles(run.machines[0])
    return SequenceRun(setup, [pass_of(build, engine, run, step) for step in run])


def pass_of(build: Build, engine: Routed, run: Denoising, step: Step) -> Pass:
    """What a step of `run`, of one sequence, is for the chip; it is the latest that the engine has made."""
    model, hardware, machine = engine.shape, build.hardware, run.machines[0]
    positions, one, block = range(machine.positions), step.passes[0], model.layers[0].attention.block_length
    if hardware.cache and one:
        positions = span(block, one, machine.positions, model.shift)
    routes = [some and some[positions.start : positions.stop] if block else some for some in engine.routes]
    kept = 0 if block else machine.positions - positions.stop
    return Pass(positions, engine.wanted, routes, step_cycles(machine, hardware.sequences), kept)


def modelled(build: Build, runs: Sequence[Run], lora: Mapping[str, LowRank] | None = None) -> list[float]:
    """Cycles of each run of a chip, all at once, started when they were; experts as the integer model chooses them,
    with an adapter `lora`."""
    checkpoint = build.checkpoint()
    engine = Routed(IntegerModel(checkpoint, lora=lora), checkpoint.model)
    found = [sequence_run(build, engine, run.prompt, run.sampling) for run in runs]
    return run_cycles(built_geometry(build, checkpoint), found, [run.started for run in runs])


def build_small(chip: SmallChip, folder: Path) -> Build:
    """A chip of made-up weights."""
    model = make_up(chip.fields, folder / "checkpoint")
    quantize_checkpoint(folder / "checkpoint", folder / "quantized", "mxfp4", numerics=Numerics())
    fields = HardwareConfig.default(model).to_json_dict() | {"max_positions": 64} | chip.hardware
    hardware = HardwareConfig.from_json_dict(fields)
    return build_chip(QuantizedCheckpoint(folder / "quantized"), folder / "chip", hardware)


def prompts_of(chip: SmallChip) -> list[tuple[list[int], Asked]]:
    """A prompt of each of its runs, and what the sampler is asked for."""
    mask = chip.fields["mask_token_id"]
    return [([token % mask for token in range(length)], sampling) for length, sampling in chip.runs]


def measure(chip: SmallChip, folder: Path) -> Iterator[CycleRow]:
    """Make a chip and run it."""
    build = build_small(chip, folder)
    simulated, prompts = SimulatedChip(build, QUICK_BUILD), prompts_of(chip)
    at_once = build.hardware.sequences
    for first in range(0, len(prompts), at_once):
        chosen = (prompts * at_once)[first : first + at_once]
        runs = simulate_runs(simulated, [Run(*one) for one in chosen], None, at_once=at_once).runs
        cycles, forwards = (sum(getattr(run, name) for run in runs) for name in ("cycles", "forwards"))
        positions = sum(len(prompt) + sampling.gen_length for prompt, sampling in chosen) // at_once
        counted = sum(modelled(build, runs))
        figures = round(cycles / forwards, 1), round(counted / forwards, 1)
        yield CycleRow(chip.family, chip.name, positions, *figures, round(counted / cycles - 1, 5))


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
        (row.family, row.chip, str(row.positions), f"{row.simulated:,.1f}", f"{row.modelled:,.1f}", f"{row.error:+.2%}")
        for row in found.rows
    ]
    columns = ("family", "chip", "positions", "simulated", "modelled", "error")
    yield table(
        columns, rows, f"clock cycles of a denoising step; largest error {found.worst_error:.2%}", left=columns[:2]
    )
