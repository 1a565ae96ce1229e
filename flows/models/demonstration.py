"""What the demonstrations ask of their models: held-out problems of their tasks, and how they are sampled."""

from dataclasses import dataclass
from pathlib import Path

from hardloom.golden.checkpoints.tokenizer import load_tokenizer
from hardloom.golden.errors import UserError
from hardloom.golden.samplers.sampling import Sampling
from hardloom.golden.training.accuracy import held_out_problems
from hardloom.golden.training.problems import Problem, Tasks
from hardloom.golden.training.recipe import Recipe
from hardloom.golden.training.recipes import RECIPES
from hardloom.golden.training.worked_tasks import BLOCK_LENGTH
from hardloom.golden.units.numerics import Numerics

__all__ = [
    "DEMO_FORMAT",
    "DEMO_NUMERICS",
    "DEMO_SAMPLING",
    "Demonstration",
    "demonstration_of",
    "mixed_problems",
    "recipe_of",
]

DEMO_FORMAT, DEMO_NUMERICS = "mxfp4", Numerics()
"""What the demonstration models were trained for: see `golden.training.fake_quant`."""


@dataclass(frozen=True)
class Demonstration:
    """Samplers that answer every problem, in blocks of how many tokens, and of how many problems it is by default."""

    samplings: tuple[Sampling, ...]
    block_length: int
    problems: int

    @property
    def sampling(self) -> Sampling:
        """The first, by which accuracy is measured."""
        return self.samplings[0]


DEMO_SAMPLING = Sampling.of("llada", gen_length=16, block_length=8, steps=8)
"""Of the small demonstration: two blocks of eight tokens, four steps each, two tokens a step."""


def mixed_problems(tasks: Tasks, count: int) -> list[Problem]:
    """`count` held-out problems, the tasks in turn; `UserError` where there are not so many."""
    each = -(-count // len(tasks.draw))
    by_task = [held_out_problems(tasks, task, each) for task in tasks.draw]
    chosen = [problem for group in zip(*by_task, strict=False) for problem in group][:count]
    if len(chosen) < count or count < 1:
        most = len(tasks.draw) * min(len(group) for group in by_task)
        raise UserError(f"--prompts: {count} is not between 1 and the {most} held-out problems; give another number")
    return chosen


def recipe_of(path: Path) -> Recipe:
    """By which the checkpoint `path` was trained, as its tokenizer tells; `UserError` where it was by none."""
    tokenizer = load_tokenizer(path)
    for recipe in RECIPES.values():
        if tokenizer is not None and tokenizer.get_vocab() == recipe.tasks.tokenizer().get_vocab():
            return recipe
    raise UserError(
        f"{path}: its tokenizer is not that of a demonstration's tasks; give a folder from `hardloom train`"
    )


def demonstration_of(recipe: Recipe) -> Demonstration:
    """Of the model that the recipe makes."""
    if recipe.name == "demo":
        return Demonstration((DEMO_SAMPLING,), 8, 20)
    samplers = {"block_diffusion": 0.9, "levenshtein": 0.5}
    samplings = (
        Sampling.of(name, gen_length=16, block_length=BLOCK_LENGTH, threshold=threshold)
        for name, threshold in samplers.items()
    )
    return Demonstration(tuple(samplings), BLOCK_LENGTH, 12)
