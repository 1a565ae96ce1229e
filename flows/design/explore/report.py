"""What `hardloom explore` prints and writes."""

import io
import json
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter
from rich.console import Console
from rich.table import Table

from flows.console.progress import progress_bar
from flows.design.cost.model import DEFAULT_FIT, CostModel
from flows.design.estimate.arrays import metal_only
from flows.design.estimate.figures import Request, completed, prepared, read_model
from flows.design.estimate.workload import Workload
from flows.design.explore.search import OBJECTIVES, Point, Space, hardware_json, measure, pareto
from gen.design.hardware import HardwareConfig
from golden.checkpoints.config import ModelConfig
from golden.checkpoints.presets import preset_path
from golden.errors import UserError
from golden.files import write_file, write_json
from golden.shape import ModelShape

__all__ = ["Outputs", "Units", "explore", "search_space"]


@dataclass(frozen=True)
class Outputs:
    """Files to write: the chosen hardware configuration, the front as plot and as JSON."""

    hardware: Path | None = None
    plot: Path | None = None
    front: Path | None = None


@dataclass(frozen=True)
class Units:
    """How parallel the units are that `hardloom generate` writes with one key a cycle and a head in one part."""

    keys_per_cycle: int = 1
    head_tiles: int = 1

    def __post_init__(self) -> None:
        for option, value in (("keys-per-cycle", self.keys_per_cycle), ("head-tiles", self.head_tiles)):
            if value < 1:
                raise UserError(f"--{option} {value}: must be at least 1")


def search_space(like: str | None, checkpoint: Path | None, request: Request, fit: Path | None, units: Units) -> Space:
    """The design space of a model."""
    name, raw = read_model(like, checkpoint)
    request = completed(request, name, raw)
    shape = ModelShape.from_config(name, raw)
    a = prepared(request, shape)
    work, model = Workload.of(str(request.sampler), a), CostModel.read(fit or DEFAULT_FIT)
    if unknown := sorted(set(request.styles) - set(model.styles)):
        raise UserError(f"{fit or DEFAULT_FIT}: knows nothing of style {unknown[0]}; leave it out of --styles")
    return Space(shape, work, a, model, request.styles, units.keys_per_cycle, units.head_tiles)


def model_config(like: str | None, checkpoint: Path | None) -> ModelConfig:
    """The configuration that `hardloom generate` would read; `UserError` where it cannot generate such a model."""
    try:
        return ModelConfig.from_json(preset_path(like) if like else Path(str(checkpoint)) / "config.json")
    except UserError as error:
        raise UserError(f"-o: `hardloom generate` cannot write this model ({error}); leave -o out") from None


def explore(
    like: str | None,
    checkpoint: Path | None,
    request: Request,
    objective: str,
    outputs: Outputs,
    fit: Path | None,
    units: Units,
    as_json: bool,
) -> None:
    """Search, print the choice, write the files."""
    if objective not in OBJECTIVES:
        raise UserError(f"--objective {objective}: unknown; choose one of {', '.join(OBJECTIVES)}")
    space = search_space(like, checkpoint, request, fit, units)
    price_arrays(space)
    chosen = space.best(request.tokens_per_s, objective)
    front = pareto(list(space.points(objective)), objective)
    hardware = hardware_json(chosen, round(space.work.length))
    if outputs.hardware is not None:
        config = model_config(like, checkpoint)
        HardwareConfig.from_json_dict(hardware).check(config)
        write_json(outputs.hardware, hardware)
    result = summary(space, chosen, front, hardware, objective)
    if outputs.front is not None:
        write_json(outputs.front, result["front"])
    if outputs.plot is not None:
        plot_front(space, chosen, front, objective, outputs.plot)
    if as_json:
        print(json.dumps(result, indent=1))
    else:
        print_choice(space, chosen, front, objective)


def price_arrays(space: Space) -> None:
    """Ask the cost model about every array of the space, which is what takes time, with a progress bar."""
    wanted = [(kind, lanes) for lanes in space.lanes() for kind in space.shape.kinds()]
    with progress_bar("pricing arrays", "kinds") as progress:
        for done, (kind, lanes) in enumerate(wanted, 1):
            space.candidates(kind, lanes)
            progress(done, len(wanted))


def summary(
    space: Space, chosen: Point, front: list[Point], hardware: dict[str, Any], objective: str
) -> dict[str, Any]:
    return {
        "model": space.shape.name,
        "objective": objective,
        "positions_per_token": space.work.positions_per_token,
        "chosen": chosen.to_json_dict(),
        "hardware": hardware,
        "front": [point.to_json_dict() for point in front],
        "library": space.model.library,
        "assumptions": space.a.to_json_list(),
    }


def print_choice(space: Space, chosen: Point, front: list[Point], objective: str) -> None:
    console = Console(highlight=False)
    table = Table("arrays", "style", title=f"{space.shape.name}: least {objective}, {chosen.lanes} lanes")
    for column in ("inputs", "slices", "gates a weight", "cycles a position"):
        table.add_column(column, justify="right")
    for kind in space.shape.kinds():
        gates = chosen.gates[kind.kind] / kind.weights
        option = chosen.options[kind.kind]
        counts = (f"{kind.inputs:,}", f"{option.slices:,}", f"{gates:.2f}", f"{chosen.cycles[kind.kind]:,.1f}")
        table.add_row(kind.kind, option.style, *counts)
    table.add_row("attention unit", "", "", "", "", f"{chosen.cycles['attention']:,.1f}")
    console.print(table)
    speed = f"{chosen.tokens_per_s:,.0f} tokens/s, {space.work.positions_per_token:.1f} positions a token"
    console.print(f"{speed}; {chosen.bottleneck} is the busiest")
    dies = ceil(chosen.area / space.a["reticle_mm2"])
    on = f"on {dies} dies at least" if dies > 1 else "on a die"
    console.print(f"{chosen.area:,.4g} mm2 {on}, {chosen.energy_pj / 1e6:,.4g} uJ a token in the arrays")
    console.print(
        f"{len(front)} points on the front, {front[0].tokens_per_s:,.0f} to {front[-1].tokens_per_s:,.0f} tokens/s"
    )


def plot_front(space: Space, chosen: Point, front: list[Point], objective: str, path: Path) -> None:
    """The Pareto front as a PNG, the chosen point marked; beside it what metal-only respins cost."""
    if path.suffix != ".png":
        raise UserError(f"--plot {path}: give a file ending in .png")
    figure, axes = plt.subplots(figsize=(7.2, 4.4))
    figure.subplots_adjust(left=0.12, right=0.97, top=0.92, bottom=0.13)
    scale, unit = (1e6, "uJ a token in the arrays") if objective == "energy" else (1.0, "mm2")

    def draw(points: list[Point], color: str, label: str) -> None:
        speeds, figures = [p.tokens_per_s for p in points], [measure(p, objective) / scale for p in points]
        axes.step(speeds, figures, where="pre", color=color)
        axes.plot(speeds, figures, ".", color=color, label=label)

    if shared := tuple(style for style in space.styles if metal_only(style)):
        alone = replace(space, styles=shared, known={})
        draw(
            pareto(list(alone.points(objective)), objective),
            "#adb5bd",
            f"{', '.join(shared)} alone (metal-only respins)",
        )
    draw(front, "#2f6f9f", ", ".join(space.styles))
    axes.plot(chosen.tokens_per_s, measure(chosen, objective) / scale, "o", color="#d9480f", label="chosen")
    axes.set(xscale="log", yscale="log", xlabel="tokens/s", ylabel=unit)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.yaxis.set_minor_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    units = f"{space.keys_per_cycle} keys a cycle, head in {space.head_tiles} parts"
    axes.set_title(f"{space.shape.name}, {units}", fontsize=10, loc="left")
    axes.legend(frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    plt.close(figure)
    write_file(path, buffer.getvalue())
