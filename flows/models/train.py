"""`hardloom train`: a demonstration checkpoint, from nothing."""

from dataclasses import replace
from pathlib import Path

import torch

from hardloom.flows.console.progress import progress_bar
from hardloom.flows.pictures.training import plot_training
from hardloom.golden.errors import UserError
from hardloom.golden.files import write_json
from hardloom.golden.folders import claimed
from hardloom.golden.training.export import export_checkpoint
from hardloom.golden.training.recipes import RECIPES
from hardloom.golden.training.train import train

__all__ = ["run_training"]

STATE, HISTORY, PICTURE = "training.state", "training.json", "training.png"
INDEX = "model.safetensors.index.json"


def run_training(folder: Path, name: str, seed: int, steps: int | None) -> None:
    """Train the model called `name`, or go on where a killed run stopped; write the checkpoint to `folder`, and beside
    it what became of the losses and of the experts' shares.

    `steps` None is the recipe's default; otherwise the quantized part keeps its share of them.

    One thread, because the order of floating-point sums decides the weights. Raises `UserError` for a model that there
    is not, or if `folder` holds a finished checkpoint or the state of a run with other parameters.
    """
    if name not in RECIPES:
        raise UserError(f"--model: {name!r} is not one of {', '.join(RECIPES)}; choose one of them")
    recipe = RECIPES[name]
    params = replace(recipe.params, seed=seed)
    if steps is not None:
        params = replace(params, steps=steps, quantized_from=steps * params.quantized_from // params.steps)
    params.validate()
    state = folder / STATE
    if (folder / INDEX).exists() and not state.exists():
        raise UserError(f"{folder}: already holds a checkpoint; give another folder with --output")
    with claimed(folder, "trained checkpoint"):
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            with progress_bar(f"training {folder}", "steps") as show:
                model, history = train(recipe, params, state, lambda step, loss: show(step, params.steps))
        finally:
            torch.set_num_threads(threads)
        write_json(folder / HISTORY, history.entries)
        plot_training(history.entries, folder / PICTURE)
        export_checkpoint(model, recipe.config(), recipe.tasks.tokenizer(), folder)
        state.unlink()
