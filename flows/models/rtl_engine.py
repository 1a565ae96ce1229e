"""The emitted chip as an engine: quantize, generate and build what is missing, then run prompts on the RTL."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from hardloom.flows.console.progress import progress_bar
from hardloom.flows.console.report import notice
from hardloom.flows.models.saturations import counted_by_chip
from hardloom.gen.build.folder import Build
from hardloom.gen.build.generate import build_chip
from hardloom.gen.design.adapter_image import adapter_image, adapter_writes
from hardloom.gen.design.hardware import HardwareConfig
from hardloom.gen.design.lanes import MOST_POSITIONS
from hardloom.gen.design.registers import ErrorCode
from hardloom.golden.cache import entry
from hardloom.golden.checkpoints.config import CONFIG, read_config
from hardloom.golden.checkpoints.lora import LowRank
from hardloom.golden.errors import UserError
from hardloom.golden.files import sha256
from hardloom.golden.models.integer_model import IntegerModel
from hardloom.golden.quantization.quantize import quantize_checkpoint
from hardloom.golden.quantization.quantized import QuantizedCheckpoint
from hardloom.golden.samplers.denoise import Step
from hardloom.golden.samplers.sampling import Sampling, denoise
from hardloom.verif.chip.simulation import Run, SimulatedChip, step_of

__all__ = ["RtlEngine", "check_end", "quantized_folder", "simulated", "writes_of"]


SECONDS_A_WEIGHT = 220 / 236_544
"""Verilator and g++, of the demonstration chip (docs/benchmarks.md)."""


class RtlEngine:
    """The chip that a checkpoint becomes; it runs samplers by itself, step by step as golden does."""

    def __init__(self, chip: SimulatedChip, lora: Mapping[str, LowRank] | None = None) -> None:
        self.chip = chip
        self.writes = writes_of(chip, lora)
        self.saturated: dict[str, int] = {}

    @classmethod
    def from_checkpoint(
        cls,
        path: Path,
        quantized: Path,
        positions: int = 64,
        wanted: Mapping[str, int] | None = None,
        lora: Mapping[str, LowRank] | None = None,
    ) -> "RtlEngine":
        """Generate and build in the cache, or take what is there.

        path: a checkpoint, quantized or not; quantized: `quantized_folder` of it.
        positions: prompt and generation together that the chip must hold; at least 64 are provided,
            where the model has them. wanted: values of fields that samplers and adapters want. lora: the adapter.
        """
        _, model = read_config(path / CONFIG)
        folder = entry(checkpoint_key(path), path)
        hardware = HardwareConfig.default(model)
        rounded = max(64, 1 << (positions - 1).bit_length())
        depth = max(positions, min(rounded, model.max_position_embeddings, MOST_POSITIONS))
        hardware = HardwareConfig(**(hardware.to_json_dict() | {"max_positions": depth} | dict(wanted or {})))
        asked = (f"{field}-{value}".removesuffix("-True") for field, value in (wanted or {}).items() if value)
        chip = folder / "-".join([f"chip-{depth}", *asked])
        notice(f"writing the chip's Verilog: {chip}")
        with progress_bar("generating", "weights") as progress:
            build = build_chip(QuantizedCheckpoint(quantized), chip, hardware, progress)
        return cls(simulated(build), lora)

    @classmethod
    def from_build(cls, path: Path, positions: int, lora: Mapping[str, LowRank] | None = None) -> "RtlEngine":
        """The chip of the build folder `path`, for an adapter `lora` that it holds. Raises UserError where it does not
        hold so many `positions`."""
        build = Build(path)
        build.check_positions(positions)
        return cls(simulated(build), lora)

    def denoise(self, prompt: Tensor, sampling: Sampling) -> Iterator[Step]:
        """Steps of one prompt [1, P]; spreads are known where a token was written. UserError where the chip refuses."""
        run = Run(prompt[0].tolist(), sampling)
        tokens = torch.cat([prompt[0], torch.full((sampling.gen_length,), self.chip.model.mask_token)])
        for _, number in self.chip.simulate([run], writes=self.writes):
            if number is not None:
                step = step_of(run, number, tokens)
                tokens = step.tokens[0]
                yield step
        self.saturated |= counted_by_chip(run.saturations)
        if run.error:
            raise UserError(
                f"the chip ended the run with error {ErrorCode(run.error).name} ({run.error}); see docs/chip.md"
            )


def writes_of(chip: SimulatedChip, lora: Mapping[str, LowRank] | None) -> list[tuple[str, int]]:
    """Registers that a host writes ahead of the first run: for the adapter, if there is one."""
    return list(adapter_writes(adapter_image(chip.model, chip.build.hardware, lora))) if lora else []


def check_end(path: Path, prompt: Tensor, sampling: Sampling, lora: Mapping[str, LowRank] | None = None) -> None:
    """Raises UserError where a run of the sampler on `prompt`, [1, P], does not end, or ends in an error, or where the
    checkpoint takes no such adapter.

    path: a quantized checkpoint, which the integer model runs; a chip would go on to the last pass that it may, which
    takes a simulation hours.
    """
    model = IntegerModel(QuantizedCheckpoint(path), lora=lora)
    for _ in denoise(model, prompt, sampling, model.shape):
        pass


def simulated(build: Build) -> SimulatedChip:
    """The chip of a build under Verilator; says what it does, and about how long that takes."""
    seconds = max(10.0, SECONDS_A_WEIGHT * build.manifest.weights_hardwired)

    def building() -> None:
        notice(f"building the simulator (about {seconds:,.0f} s, once)")

    chip = SimulatedChip(build, on_build=building)
    notice("simulating")
    return chip


def quantized_folder(path: Path) -> Path:
    """`path` where it is quantized, or the folder of the cache to which it is, as `hardloom quantize` does without
    options."""
    if QuantizedCheckpoint.is_quantized(path):
        return path
    quantized = entry(checkpoint_key(path), path) / "quantized"
    notice(f"quantizing {path}")
    quantize_checkpoint(path, quantized)
    return quantized


def checkpoint_key(path: Path) -> str:
    """Hash of the checkpoint's files."""
    digest = hashlib.sha256()
    for file in sorted(path.iterdir()):
        if file.suffix in (".json", ".safetensors"):
            digest.update(f"{file.name} {sha256(file)}\n".encode())
    return digest.hexdigest()[:24]
