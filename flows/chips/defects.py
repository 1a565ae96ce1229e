"""`hardloom verify --faults N --accuracy`: what a demonstration model still answers on chips with many defects."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import numpy as np

from hardloom.flows.console.progress import progress_bar
from hardloom.flows.console.report import Check, Part, table
from hardloom.flows.models.demonstration import demonstration_of, mixed_problems, recipe_of
from hardloom.flows.pictures.defects import plot_defects
from hardloom.gen.build.folder import Build
from hardloom.golden.models.integer_model import IntegerModel
from hardloom.golden.quantization.quantized import QuantizedCheckpoint
from hardloom.golden.training.accuracy import exact_match
from hardloom.golden.training.problems import Problem
from hardloom.golden.training.recipe import Recipe
from hardloom.verif.faults.defects import DEFECTS, Defective, hardwired, neurons, wires

__all__ = ["Accuracies", "Point", "verify_accuracy"]

STEP = 10
"""Each number of defects over the one before."""


@dataclass(frozen=True)
class Point:
    """Chips with `count` defects of a kind each: the share of problems that each of them answers, their mean, and the
    least."""

    kind: str
    count: int
    shares: list[float]
    mean: float
    worst: float


@dataclass(frozen=True)
class Accuracies:
    """prompts: of every chip; chips: random ones of every number of defects; sound: the share without a defect; wires,
    neurons: there are in all arrays; points: by kind and number."""

    build: str
    prompts: int
    chips: int
    sound: float
    wires: int
    neurons: int
    points: list[Point]


@dataclass(frozen=True)
class Questions:
    """Held-out problems of a recipe, as its demonstration samples them."""

    recipe: Recipe
    problems: list[Problem]

    def share(self, checkpoint: QuantizedCheckpoint) -> float:
        """Of the problems that the integer model of a checkpoint answers exactly."""
        sampling, tokenizer = demonstration_of(self.recipe).sampling, self.recipe.tasks.tokenizer()
        model = IntegerModel(checkpoint)
        shares = exact_match(model, self.problems, sampling, tokenizer, checkpoint.model)
        return round(mean(shares[problem.task] for problem in self.problems), 4)


def counts_up_to(most: int) -> list[int]:
    """1, 10, 100 and so on, as long as there is more that is sound than not."""
    counts = [1]
    while 2 * STEP * counts[-1] <= most:
        counts.append(STEP * counts[-1])
    return counts


def verify_accuracy(path: Path, chips: int, prompts: int, plot: Path | None) -> Check:
    """Accuracy of the build's model on `chips` random chips for every number of defects, of each kind.

    The integer model computes with the weights that the faulty wiring says; nothing is simulated. Raises UserError
    where the model is no demonstration's.
    """
    build = Build(path)
    checkpoint = build.checkpoint()
    recipe = recipe_of(checkpoint.path)
    questions = Questions(recipe, mixed_problems(recipe.tasks, prompts))
    matrices = hardwired(checkpoint)
    most = {"wrong wires": wires(matrices), "dead neurons": neurons(matrices)}
    wanted = [(kind, count) for kind in DEFECTS for count in counts_up_to(most[kind])]
    points: list[Point] = []
    with progress_bar("answering on chips with defects", "chips") as progress:
        sound = questions.share(checkpoint)
        for kind, count in wanted:
            shares = []
            for chip in range(chips):
                progress(len(points) * chips + chip, len(wanted) * chips)
                changed = DEFECTS[kind](matrices, count, np.random.default_rng([count, chip]))
                shares.append(questions.share(Defective(checkpoint.path, changed)))
            points.append(Point(kind, count, shares, round(mean(shares), 4), min(shares)))
    found = Accuracies(str(path), prompts, chips, sound, most["wrong wires"], most["dead neurons"], points)
    if plot is not None:
        plot_defects({kind: [p for p in points if p.kind == kind] for kind in DEFECTS}, sound, plot)
    return Check(found, accuracy_parts(found), passed=True)


def accuracy_parts(found: Accuracies) -> Iterator[Part]:
    """A row a number of defects; then what there is in all."""
    rows = [(p.kind, f"{p.count:,}", f"{p.mean:.1%}", f"{p.worst:.1%}") for p in found.points]
    title = f"{found.build}: exact match of {found.prompts} held-out prompts on {found.chips} random chips each"
    yield table(("defects", "at once", "mean", "worst chip"), rows, title)
    yield f"without a defect {found.sound:.1%}; {found.wires:,} wires into {found.neurons:,} neurons"
