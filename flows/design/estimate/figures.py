"""From a model's name or checkpoint to all figures of its chip, and their error bars."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from math import exp, log, sqrt
from pathlib import Path
from typing import Any

from hardloom.flows.assumptions.assumptions import Assumptions
from hardloom.flows.design.estimate.arrays import metal_only
from hardloom.flows.design.estimate.chip import Chip, design_chip, emitted_chip
from hardloom.flows.design.estimate.cost import Costs, costs
from hardloom.flows.design.estimate.emitted import why_not_emitted
from hardloom.flows.design.estimate.hnlpu import hnlpu_chip
from hardloom.flows.design.estimate.repair import Repair, repair
from hardloom.flows.design.estimate.request import Request, check_effects, completed, prepared
from hardloom.flows.design.estimate.wires import track_share
from hardloom.flows.design.estimate.workload import Workload
from hardloom.golden.checkpoints.families import shape_of
from hardloom.golden.checkpoints.json_files import read_json_object
from hardloom.golden.checkpoints.presets import read_preset
from hardloom.golden.errors import UserError
from hardloom.golden.quantization.by_kind import check_formats, formats_by_kind
from hardloom.golden.shape import ModelShape
from hardloom.golden.units.activations import GENERAL_ACTIVATIONS, GENERAL_GAINS

__all__ = [
    "Estimate",
    "described",
    "error_bars",
    "estimate",
    "moved",
    "read_model",
    "value_of",
]


@dataclass(frozen=True)
class Estimate:
    """All figures of one chip, and the assumptions that they rest on.

    chip: projected, its pipeline full of sequences; emitted: what `hardloom generate` writes today, None where it does
    not, for a reason, `not_emitted`.
    """

    shape: ModelShape
    request: Request
    workload: Workload
    chip: Chip
    costs: Costs
    assumptions: Assumptions
    emitted: Chip | None
    not_emitted: str | None

    @property
    def area_um2_per_parameter(self) -> float:
        return self.chip.area * 1e6 / self.shape.parameters

    @property
    def power_w(self) -> float:
        """Of a system, boards and cooling included."""
        return self.chip.power * self.assumptions["system_overhead"]

    @property
    def tokens_per_joule(self) -> float:
        return self.chip.tokens_per_s / self.power_w

    @property
    def busiest(self) -> str:
        """What the projected chip waits for, in words; of the paper's design, its links."""
        if self.request.design == "hnlpu":
            return "the paper's links"
        slowest = max(self.chip.choices, key=lambda choice: choice.cycles_per_position)
        return f"{slowest.kind.kind}, at {slowest.cycles_per_position:,.0f} cycles a position"

    @property
    def repair(self) -> Repair | None:
        """Yields of the projected chip with dead neurons, and with spares; of the paper's arrays none."""
        return repair(self.chip, self.assumptions)

    def row(self, chip: Chip) -> dict[str, float | str]:
        """What is told of a chip, emitted or projected, side by side; of the emitted one how much it does at once."""
        per_joule = chip.tokens_per_s / chip.power / self.assumptions["system_overhead"]
        figures: dict[str, float | str] = {"dies": chip.dies, "area_mm2": chip.area, "tokens_per_s": chip.tokens_per_s}
        figures |= {"tokens_per_joule": per_joule, "cycles_per_position": chip.cycles_per_position}
        clock = self.assumptions.entries["clock_ghz"]
        clocked = {"clock_ghz": clock.value, "clock_evidence": f"{clock.kind}: {clock.source}"}
        at_once = asdict(self.request.at_once) if chip is self.emitted else {}
        return {**figures, **clocked, "emitted": chip is self.emitted, **at_once}

    def to_json_dict(self) -> dict[str, Any]:
        chip, costs, repaired = self.chip, asdict(self.costs), self.repair
        low, high = costs.pop("nre_usd")
        return {
            "model": self.shape.name,
            "node": self.request.node,
            "design": self.request.design,
            "arrays": self.request.arrays,
            "sampler": self.request.sampler,
            "tokens_per_s_asked": None if self.request.design == "hnlpu" else self.request.target,
            "parameters": self.shape.parameters,
            "hardwired_weights": self.shape.hardwired,
            "emitted": self.emitted and self.row(self.emitted),
            "not_emitted": self.not_emitted,
            "projected": self.row(chip),
            "area_mm2": chip.area,
            "area_um2_per_parameter": self.area_um2_per_parameter,
            "area_by_part_mm2": chip.area_mm2,
            "dies": chip.dies,
            "tokens_per_s": chip.tokens_per_s,
            "tokens_per_joule": self.tokens_per_joule,
            "positions_per_token": self.workload.positions_per_token,
            "power_w": self.power_w,
            "power_by_part_w": chip.power_w,
            "power_w_per_mm2": chip.power / chip.area,
            "nre_usd_low": low,
            "nre_usd_high": high,
            **{key.rstrip("_"): value for key, value in costs.items()},
            "repair": repaired and asdict(repaired),
            "adapters": chip.adapters and asdict(chip.adapters),
            "array_choices": [
                {
                    "kind": choice.kind.kind,
                    "weights": choice.kind.weights,
                    "style": choice.option.style,
                    "slices": choice.option.slices,
                    "inputs": choice.kind.inputs,
                    "metal_only": metal_only(choice.option.style),
                    "gates_per_weight": choice.gates_per_weight,
                    "cycles_per_position": choice.cycles_per_position,
                    "track_share": track_share(choice.option, choice.cost, self.assumptions),
                }
                for choice in chip.choices
            ],
            "assumptions": self.assumptions.to_json_list(),
        }


def read_model(like: str | None, checkpoint: Path | None) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Name and `config.json` fields of the preset `like` or of the folder `checkpoint`, of which exactly one is given;
    and the contents of `quantization.json`, where the folder is a quantized one."""
    if (like is None) == (checkpoint is None):
        raise UserError("nothing to estimate, or too much; give either the folder of a checkpoint or --like NAME")
    if checkpoint is not None:
        quantized = checkpoint / "quantization.json"
        held = read_json_object(quantized) if quantized.is_file() else {}
        return str(checkpoint), read_json_object(checkpoint / "config.json"), held
    return str(like), read_preset(str(like)), {}


def described(name: str, raw: dict[str, Any], held: dict[str, Any], request: Request) -> ModelShape:
    """The model `name` of `config.json` fields `raw`, with the formats and the contract that a quantized folder has
    (`held`: its `quantization.json`), or else with those that `hardloom quantize` takes without options; and with the
    formats that are asked for."""
    shape, formats = shape_of(raw, name), dict(request.formats)
    activations, gains = asdict(GENERAL_ACTIVATIONS), GENERAL_GAINS
    if held:
        from hardloom.golden.units.numerics import Numerics

        formats = {**check_formats(shape, held.get("formats")), **formats}
        numerics = Numerics.from_json(held.get("numerics"))
        activations, gains = asdict(numerics.activations), numerics.gains
    chosen = formats_by_kind(shape, None, formats)
    return replace(shape, formats=chosen, activations=activations, gains_behind=gains == "behind")


def estimate(name: str, raw: dict[str, Any], held: dict[str, Any], request: Request) -> Estimate:
    """All figures of a model, as `read_model` gives it."""
    shape = described(name, raw, held, request)
    request = completed(request, shape)
    if request.design == "hardloom" and request.arrays == "hnlpu":
        raise UserError("--arrays hnlpu: the paper's arrays go with its design; add --design hnlpu")
    if request.design == "hnlpu" and request.node != "5nm":
        raise UserError(f"--node {request.node}: the paper's design is at 5nm only; add --design hardloom")
    a = prepared(request, shape)
    positions = Workload.of(str(request.sampler), a).length
    request.at_once.check(shape, positions)
    reason = why_not_emitted(shape, str(request.sampler), positions)
    if request.design == "hnlpu":
        reason = "`hardloom generate` does not write the paper's design"
    check_effects(request, reason)
    return figures(shape, request, a, reason)


def figures(
    shape: ModelShape, request: Request, a: Assumptions, not_emitted: str | None, like: Estimate | None = None
) -> Estimate:
    """All figures of a completed request; with the arrays of `like` where one is given."""
    work, held = Workload.of(str(request.sampler), a), None if like is None else like.chip
    if request.design == "hnlpu":
        chip = hnlpu_chip(shape, a, request.styles if request.arrays == "hardloom" else (), held)
    else:
        chip = design_chip(shape, work, a, request.target, request.styles, held, request.at_once.adapter_rank)
    emitted = None
    if not_emitted is None:
        held = None if like is None else like.emitted
        emitted = emitted_chip(shape, work, a, request.styles, request.at_once, held)
    return Estimate(shape, request, work, chip, costs(chip, shape, a), a, emitted, not_emitted)


def moved(base: Estimate, name: str, value: float) -> Estimate:
    """The same arrays with one assumption moved: buffers and multipliers follow, the throughput is what comes out."""
    return figures(base.shape, base.request, base.assumptions.at(name, value), base.not_emitted, base)


def error_bars(base: Estimate, metrics: Iterable[str]) -> dict[str, tuple[float, float]]:
    """Low and high of figures: every assumption at either end of its range, alone; squares of logarithms added."""
    centres = {metric: value_of(base, metric) for metric in metrics}
    down, up = dict.fromkeys(centres, 0.0), dict.fromkeys(centres, 0.0)
    for entry in list(base.assumptions.used):
        for end in {entry.low, entry.high} - {entry.value}:
            found = moved(base, entry.name, end)
            for metric, centre in centres.items():
                change = log(value_of(found, metric) / centre)
                up[metric] += max(change, 0.0) ** 2
                down[metric] += min(change, 0.0) ** 2
    return {metric: (c * exp(-sqrt(down[metric])), c * exp(sqrt(up[metric]))) for metric, c in centres.items()}


def value_of(found: Estimate, metric: str) -> float:
    """A figure of `to_json_dict` by name; `emitted_tokens_per_s` only where there is an emitted chip."""
    if metric == "emitted_tokens_per_s":
        assert found.emitted is not None
        return found.emitted.tokens_per_s
    return {
        "area_mm2": found.chip.area,
        "area_um2_per_parameter": found.area_um2_per_parameter,
        "tokens_per_s": found.chip.tokens_per_s,
        "tokens_per_joule": found.tokens_per_joule,
        "power_w": found.power_w,
        "usd_per_million_tokens": found.costs.usd_per_million_tokens,
        "kg_per_million_tokens": found.costs.kg_per_million_tokens,
    }[metric]
