"""Train a model from scratch by its recipe: the cross entropy of its lessons, both router losses, then quantized.

Every batch is a function of (seed, step), so a run that was killed goes on from its last saved state and ends with the
weights it would have had.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError

import torch

from hardloom.golden.checkpoints.families import shape_of
from hardloom.golden.errors import UserError
from hardloom.golden.files import replacing
from hardloom.golden.models.float_model import FloatModel
from hardloom.golden.training.history import History
from hardloom.golden.training.recipe import Lesson, Recipe, TrainingParams
from hardloom.golden.training.routing import experts_of, router_losses

__all__ = ["train"]

SAVE_EVERY = 200  # steps


@dataclass(frozen=True)
class Run:
    """A training on its way."""

    model: FloatModel
    optimizer: torch.optim.Optimizer
    history: History

    @classmethod
    def start(cls, recipe: Recipe, params: TrainingParams) -> "Run":
        torch.manual_seed(params.seed)
        model = FloatModel(shape_of(recipe.config())).train()
        weights, decay = model.parameters(), params.weight_decay
        optimizer = torch.optim.AdamW(weights, weight_decay=decay, betas=(0.9, 0.98), fused=True)
        return cls(model, optimizer, History())

    def step(self, params: TrainingParams, lesson: Lesson, step: int) -> float:
        """One update; returns the loss."""
        random = torch.Generator().manual_seed(params.seed * 1_000_003 + step)
        self.model.arithmetic = params.numerics(step)
        for group in self.optimizer.param_groups:
            group["lr"] = params.rate(step)
        self.optimizer.zero_grad()
        cross_entropy, routings = lesson(self.model, step, random)
        losses = list(map(router_losses, routings, experts_of(self.model)))
        loss = cross_entropy + sum(layer.weighted for layer in losses)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.history.add(step + 1, cross_entropy.item(), losses)
        return loss.item()

    def save(self, path: Path, identity: dict, steps: int) -> None:
        """Write everything the run needs to go on from here, all of it or nothing."""
        state = {"run": identity, "steps": steps, "model": self.model.state_dict()}
        state |= {"optimizer": self.optimizer.state_dict(), "history": vars(self.history)}
        with replacing(path) as partial:
            torch.save(state, partial)

    def restore(self, path: Path, identity: dict) -> int:
        """Load what `save` wrote, if it is there, and return the steps done."""
        if not path.exists():
            return 0
        try:
            state = torch.load(path, weights_only=True)
        except (OSError, RuntimeError, EOFError, UnpicklingError) as error:
            raise UserError(f"{path}: is no state of a run ({str(error).splitlines()[0]}); remove it") from None
        if state["run"] != identity:
            different = [name for name in identity if state["run"].get(name) != identity[name]]
            raise UserError(
                f"{path}: holds a run with another {different[0]}; remove the file or give the options of that run"
            )
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        vars(self.history).update(state["history"])
        return state["steps"]


def train(
    recipe: Recipe, params: TrainingParams, state_file: Path, progress: Callable[[int, float], None]
) -> tuple[FloatModel, History]:
    """Train from scratch, or go on from `state_file`, which is rewritten on the way.

    `progress` is called with the steps done and the loss. Raises `UserError` if the state belongs to another run.
    """
    run, identity, lesson = Run.start(recipe, params), recipe.run(params), recipe.lesson(params)
    for step in range(run.restore(state_file, identity), params.steps):
        loss = run.step(params, lesson, step)
        progress(step + 1, loss)
        if (step + 1) % SAVE_EVERY == 0 or step + 1 == params.steps:
            run.save(state_file, identity, step + 1)
    return run.model.eval(), run.history
