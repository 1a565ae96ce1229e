"""The emitted chip as an engine: quantize, generate and build what is missing, then run prompts on the RTL."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from gen.build.generate import build_chip
from gen.design.hardware import HardwareConfig
from golden.checkpoints.config import CONFIG, read_config
from golden.errors import UserError
from golden.files import sha256
from golden.models.integer_model import IntegerModel
from golden.quantization.quantize import quantize_checkpoint
from golden.quantization.quantized import QuantizedCheckpoint
from golden.samplers.denoise import SamplerParams, Step
from verif.chip.simulation import Run, SimulatedChip, step_of

__all__ = ["RtlEngine"]


def cache_folder() -> Path:
    """Where chips are kept that were built in passing: `$HARDLOOM_CACHE`, or hardloom in the user's cache folder."""
    if folder := os.environ.get("HARDLOOM_CACHE"):
        return Path(folder)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hardloom"


class RtlEngine:
    """The chip that a checkpoint becomes; samples by itself, step by step as `golden.samplers.denoise` does."""

    def __init__(self, chip: SimulatedChip) -> None:
        self.chip = chip

    @classmethod
    def from_checkpoint(cls, path: Path, positions: int = 64, format: str = "mxfp4") -> "RtlEngine":
        """Quantize where needed, generate and build in the cache, or take what is there.

        positions: prompt and generation together that the chip must hold; at least 64 are provided.
        """
        _, model = read_config(path / CONFIG)
        folder = cache_folder() / checkpoint_key(path, format)
        quantized = path
        if not QuantizedCheckpoint.is_quantized(path):
            quantized = folder / "quantized"
            quantize_checkpoint(path, quantized, format)
        hardware = HardwareConfig.default(model)
        depth = max(64, 1 << (positions - 1).bit_length())
        hardware = HardwareConfig(**(hardware.to_json_dict() | {"max_positions": depth}))
        return cls(SimulatedChip(build_chip(QuantizedCheckpoint(quantized), folder / f"chip-{depth}", hardware)))

    @staticmethod
    def spread_limit(threshold: float) -> int:
        return IntegerModel.spread_limit(threshold)

    def denoise(self, prompt: Tensor, params: SamplerParams) -> Iterator[Step]:
        """As `golden.samplers.denoise.denoise`: one prompt [1, P]; spreads are known where a token was committed."""
        run = Run(prompt[0].tolist(), params)
        tokens = torch.cat([prompt[0], torch.full((params.gen_length,), self.chip.model.mask_token)])
        for _, number in self.chip.simulate([run]):
            if number is not None:
                step = step_of(run, number, tokens)
                tokens = step.tokens[0]
                yield step
        if run.error:
            raise UserError(f"the chip refused the run with error code {run.error}; see docs/chip.md")


def checkpoint_key(path: Path, format: str) -> str:
    """Hash of the checkpoint's files and the format."""
    digest = hashlib.sha256(format.encode())
    for file in sorted(path.iterdir()):
        if file.suffix in (".json", ".safetensors"):
            digest.update(f"{file.name} {sha256(file)}\n".encode())
    return digest.hexdigest()[:24]
