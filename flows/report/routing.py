"""Routing: which experts the positions of a run chose, layer by layer, and how even that is."""

from dataclasses import dataclass

import numpy as np

from hardloom.flows.report.denoising import sample_words
from hardloom.flows.report.pixels import shaded
from hardloom.flows.report.run import GoldenRun
from hardloom.flows.report.section import Section
from hardloom.flows.report.subject import Subject
from hardloom.golden.shape import ExpertsShape

__all__ = ["LayerRoutes", "layer_routes", "routing"]

MOST_PICTURES = 1024
"""Of steps and layers, beyond which there are pictures of all steps together alone."""


@dataclass(frozen=True)
class LayerRoutes:
    """Of a layer with experts.

    Attributes
    ----------
    layer: its number; top_k: experts of a position.
    chosen: whether a position chose an expert in a step, bool [steps, experts, positions].
    """

    layer: int
    top_k: int
    chosen: np.ndarray

    @property
    def served(self) -> np.ndarray:
        """Positions of all steps that each expert serves, int64 [experts]."""
        return self.chosen.sum((0, 2))

    @property
    def busiest(self) -> float:
        """Positions of the busiest expert over the mean of all, all steps together; 1 where they are even."""
        return float(self.served.max() / self.served.mean())

    @property
    def busiest_in_a_step(self) -> float:
        """The same within a step, the mean over steps."""
        served = self.chosen.sum(2)
        return float((served.max(1) / served.mean(1)).mean())

    @property
    def idle(self) -> int:
        """Experts that serve none."""
        return int((self.served == 0).sum())


def layer_routes(subject: Subject, run: GoldenRun) -> list[LayerRoutes]:
    """Of every layer that has experts, by the probe points of the run."""
    found = []
    for number, layer in enumerate(subject.model.layers):
        if not isinstance(layer.mlp, ExpertsShape):
            continue
        routes = np.array([step.routes[number] for step in run.steps])  # [steps, positions, top_k]
        steps, positions, top_k = routes.shape
        chosen = np.zeros((steps, layer.mlp.num_experts, positions), dtype=bool)
        step, position, _ = np.indices(routes.shape)
        chosen[step, routes, position] = True
        found.append(LayerRoutes(number, top_k, chosen))
    return found


def routing(subject: Subject, run: GoldenRun) -> Section:
    """The section."""
    command = subject.command("sample", "--engine", "golden", *sample_words(run), "--trace")
    layers, title = layer_routes(subject, run), "Routing: experts by position"
    if not layers:
        why = "no layer of this model has experts: every position takes the same way, and nothing is routed"
        return Section("routing", title, missing=why)
    steps, many = len(run.steps), len(run.steps) * len(layers) > MOST_PICTURES
    shown = []
    for one in layers:
        pictures = [shaded(one.chosen.sum(0), steps)]
        pictures += [] if many else [shaded(chosen, 1) for chosen in one.chosen]
        served = [(expert, int(count), f"{count / one.served.sum():.1%}") for expert, count in enumerate(one.served)]
        shown.append((one, pictures, served, int(one.served.max())))
    _, experts, positions = layers[0].chosen.shape
    held = {"layers": shown, "steps": steps, "positions": positions, "by_step": not many, "prompt": len(run.prompt)}
    return Section("routing", title, (command,), held | {"cell": cell_size(experts, positions)})


def cell_size(experts: int, positions: int) -> tuple[int, int]:
    """Width and height of a cell in CSS pixels."""
    return max(2, min(24, 900 // positions)), max(2, min(14, 448 // experts))
