"""What `hardloom explore` prints and writes."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import Any

from hardloom.flows.console.progress import progress_bar
from hardloom.flows.console.report import Part, table
from hardloom.flows.design.cost.model import DEFAULT_FIT, CostModel
from hardloom.flows.design.estimate.at_once import AtOnce
from hardloom.flows.design.estimate.emitted import why_not_emitted
from hardloom.flows.design.estimate.figures import described, read_model
from hardloom.flows.design.estimate.request import Request, completed, prepared
from hardloom.flows.design.estimate.workload import Workload
from hardloom.flows.design.explore.points import Point, hardware_json, pareto
from hardloom.flows.design.explore.search import OBJECTIVES, Space
from hardloom.gen.design.hardware import HardwareConfig
from hardloom.golden.errors import UserError
from hardloom.golden.files import write_json

__all__ = ["Outputs", "check_outputs", "exploration_parts", "explore", "search_space", "write_outputs"]


@dataclass(frozen=True)
class Outputs:
    """Files to write: the chosen hardware configuration, the front as plot and as JSON."""

    hardware: Path | None = None
    plot: Path | None = None
    front: Path | None = None


def search_space(like: str | None, checkpoint: Path | None, request: Request, fit: Path | None, units: AtOnce) -> Space:
    """The design space of a model; units: as those of `Space`, and refused as `AtOnce.check` does."""
    name, raw, held = read_model(like, checkpoint)
    shape = described(name, raw, held, request)
    request = completed(request, shape)
    a = prepared(request, shape)
    work, model = Workload.of(str(request.sampler), a), CostModel.read(fit or DEFAULT_FIT)
    if unknown := sorted(set(request.styles) - set(model.styles)):
        raise UserError(f"{fit or DEFAULT_FIT}: knows nothing of style {unknown[0]}; leave it out of --styles")
    reason = why_not_emitted(shape, str(request.sampler), work.length)
    units.check(shape, work.length)
    units = replace(units, cache=request.at_once.cache)
    return Space(shape, work, a, model, request.styles, units, reason)


@dataclass(frozen=True)
class Exploration:
    """The design that was chosen of a space by an objective, and the front of them."""

    space: Space
    objective: str
    chosen: Point
    front: list[Point]

    def hardware(self) -> dict[str, Any]:
        """Fields of the chosen hardware configuration."""
        return hardware_json(self.chosen, round(self.space.work.length), self.space.units)

    def to_json_dict(self) -> dict[str, Any]:
        return {
            "model": self.space.shape.name,
            "objective": self.objective,
            "positions_per_token": self.space.work.positions_per_token,
            "chosen": self.chosen.to_json_dict(),
            "hardware": self.hardware(),
            "front": [point.to_json_dict() for point in self.front],
            "library": self.space.model.library,
            "assumptions": self.space.a.to_json_list(),
        }


def explore(space: Space, tokens_per_s: float, objective: str) -> Exploration:
    """The least area or energy that reaches a throughput, and the front."""
    if objective not in OBJECTIVES:
        raise UserError(f"--objective {objective}: unknown; choose one of {', '.join(OBJECTIVES)}")
    price_arrays(space)
    chosen = space.best(tokens_per_s, objective)
    return Exploration(space, objective, chosen, pareto(list(space.points(objective)), objective))


def check_outputs(space: Space, outputs: Outputs) -> None:
    """Raise UserError for a hardware file of what `hardloom generate` cannot build."""
    if outputs.hardware is not None and space.why_projected is not None:
        raise UserError(f"-o: {space.why_projected}; leave -o out")


def write_outputs(found: Exploration, outputs: Outputs) -> None:
    """Write what was asked for of an exploration."""
    if outputs.hardware is not None:
        HardwareConfig.from_json_dict(found.hardware()).check(found.space.shape)
        write_json(outputs.hardware, found.hardware())
    if outputs.front is not None:
        write_json(outputs.front, [point.to_json_dict() for point in found.front])
    if outputs.plot is not None:
        from hardloom.flows.design.explore.front_plot import plot_front

        plot_front(found.space, found.chosen, found.front, found.objective, outputs.plot)


def price_arrays(space: Space) -> None:
    """Ask the cost model about every array of the space, which is what takes time, with a progress bar."""
    wanted = [(kind, lanes) for lanes in space.lanes() for kind in space.shape.kinds()]
    with progress_bar("pricing arrays", "kinds") as progress:
        for done, (kind, lanes) in enumerate(wanted, 1):
            space.candidates(kind, lanes)
            progress(done, len(wanted))


def exploration_parts(found: Exploration) -> Iterator[Part]:
    """The chosen arrays by kind, and the chip in words."""
    space, chosen, front = found.space, found.chosen, found.front
    rows = []
    for kind in space.shape.kinds():
        gates, option = chosen.gates[kind.kind] / kind.weights, chosen.options[kind.kind]
        counts = (f"{kind.inputs:,}", f"{option.slices:,}", f"{gates:.2f}", f"{chosen.cycles[kind.kind]:,.1f}")
        rows.append((kind.kind, option.style, *counts))
    at_once = f"{chosen.attention.head_lanes} heads x {chosen.attention.query_lanes} queries"
    rows.append(("attention unit", at_once, "", "", "", f"{chosen.cycles['attention']:,.1f}"))
    columns = ("arrays", "style", "inputs", "slices", "gates a weight", "cycles a position")
    yield table(columns, rows, f"{space.shape.name}: least {found.objective}, {chosen.lanes} lanes", left=columns[:2])
    speeds = [("projected", f"{chosen.projected:,.0f}", "a sequence in every layer, always")]
    if chosen.emitted is not None:
        in_flight = (
            f"{space.units.sequences} sequences in flight" if space.units.sequences > 1 else "one sequence at a time"
        )
        speeds = [("emitted", f"{chosen.emitted:,.0f}", f"{in_flight}, as generated today"), *speeds]
    else:
        yield f"not emitted: {space.not_emitted}"
    yield table(("these arrays", "tokens/s", "with"), speeds, left=("these arrays", "with"), no_wrap=True)
    yield f"{space.work.positions_per_token:.1f} positions a token; {chosen.bottleneck} is the busiest"
    dies = ceil(chosen.area / space.a["reticle_mm2"])
    on = f"on {dies} dies at least" if dies > 1 else "on a die"
    where = "arrays and adapters" if space.units.adapter_rank else "arrays"
    yield f"{chosen.area:,.4g} mm2 {on}, {chosen.energy_pj / 1e6:,.4g} uJ a token in the {where}"
    yield f"{len(front)} points on the front, {front[0].tokens_per_s:,.0f} to {front[-1].tokens_per_s:,.0f} tokens/s"
