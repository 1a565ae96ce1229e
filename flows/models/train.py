"""`hardloom train`: the demonstration checkpoint, from nothing."""

from dataclasses import replace
from pathlib import Path

import torch

from flows.console.progress import progress_bar
from golden.errors import UserError
from golden.folders import claim
from golden.training.export import export_checkpoint
from golden.training.tasks import build_tokenizer
from golden.training.train import TrainingParams, demo_config, train

__all__ = ["run_training"]

STATE = "training.state"
INDEX = "model.safetensors.index.json"


def run_training(folder: Path, seed: int, steps: int | None) -> None:
    """Train, or go on where a killed run stopped, and write the checkpoint to `folder`.

    `steps` None is the default of `TrainingParams`; otherwise the quantized part keeps its share of them.

    One thread, because the order of floating-point sums decides the weights. Raises `UserError` if `folder` holds a
    finished checkpoint or the state of a run with other parameters.
    """
    params = TrainingParams(seed=seed)
    if steps is not None:
        params = replace(params, steps=steps, quantized_from=steps * params.quantized_from // params.steps)
    params.validate()
    config = demo_config()
    state = folder / STATE
    if (folder / INDEX).exists() and not state.exists():
        raise UserError(f"{folder}: already holds a checkpoint; give another folder with --output")
    claim(folder, "trained checkpoint")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with progress_bar(f"training {folder}", "steps") as show:
            model = train(config, params, state, lambda step, loss: show(step, params.steps))
    finally:
        torch.set_num_threads(threads)
    export_checkpoint(model, config, build_tokenizer(), folder)
    state.unlink()
