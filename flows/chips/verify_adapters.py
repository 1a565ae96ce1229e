"""`hardloom verify --sim` of a chip with memories for LoRA adapters: one of random numbers in all of them."""

import time
from collections.abc import Iterator

import torch

from hardloom.flows.chips.outcomes import Outcome
from hardloom.flows.models.rtl_engine import writes_of
from hardloom.golden.checkpoints.lora import KINDS, LowRank
from hardloom.golden.models.integer_model import IntegerModel
from hardloom.golden.quantization.quantized import QuantizedCheckpoint
from hardloom.verif.chip.compare import compare_runs
from hardloom.verif.chip.simulation import Run, SimulatedChip

__all__ = ["adapter_outcome", "random_adapter"]


def random_adapter(checkpoint: QuantizedCheckpoint, rank: int) -> dict[str, LowRank]:
    """Normal numbers, of the size that trained projections have, on every matrix of the checkpoint that takes one."""
    draw = torch.Generator().manual_seed(rank)

    def drawn() -> Iterator[tuple[str, LowRank]]:
        for tensor in checkpoint.model.matrices():
            if tensor.kind in KINDS and not (tensor.gain and checkpoint.numerics.gains != "behind"):
                rows, inputs = tensor.shape
                down = torch.randn(rank, inputs, generator=draw) * inputs**-0.5
                yield tensor.name, LowRank(down, torch.randn(rows, rank, generator=draw) * rank**-0.5)

    return dict(drawn())


def adapter_outcome(chip: SimulatedChip, run: Run) -> Outcome:
    """A prompt on the chip with such an adapter, every step and every probe point compared."""
    begin, taps, rank = time.perf_counter(), chip.folder / "taps.txt", chip.build.hardware.adapter_rank
    checkpoint = chip.build.checkpoint()
    lora = random_adapter(checkpoint, rank)
    writes = writes_of(chip, lora)
    again = Run(run.prompt, run.sampling)
    board = compare_runs(chip, IntegerModel(checkpoint, lora=lora), [again], taps, writes=writes).scoreboard
    taps.unlink(missing_ok=True)
    failure = None if board.first is None else f"{board.mismatches} integers differ; first: {board.first}"
    detail = f"{board.compared:,} integers, {len(writes):,} registers written"
    return Outcome("chip", f"adapter of rank {rank}", time.perf_counter() - begin, detail, failure)
