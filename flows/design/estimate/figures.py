"""From a model's name or checkpoint to all figures of its chip, and their error bars."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from math import exp, inf, log, sqrt
from pathlib import Path
from typing import Any

from flows.design.estimate.arrays import PRICED_STYLES, array_assumptions, metal_only
from flows.design.estimate.assumptions import Assumption, Assumptions
from flows.design.estimate.at_once import AtOnce
from flows.design.estimate.chip import Chip, design_chip, emitted_chip
from flows.design.estimate.cost import Costs, costs
from flows.design.estimate.emitted import why_not_emitted
from flows.design.estimate.hnlpu import hnlpu_chip
from flows.design.estimate.workload import Workload, default_sampler, workload_tables
from golden.checkpoints.families import shape_of
from golden.checkpoints.json_files import read_json_object
from golden.checkpoints.presets import read_preset
from golden.errors import UserError
from golden.quantization.by_kind import check_formats, formats_by_kind
from golden.shape import ModelShape
from golden.units.activations import GENERAL_ACTIVATIONS, GENERAL_GAINS

__all__ = [
    "HNLPU_TOKENS_PER_S",
    "Estimate",
    "Request",
    "completed",
    "described",
    "error_bar",
    "estimate",
    "moved",
    "prepared",
    "read_model",
    "value_of",
]

DESIGNS = ("hardloom", "hnlpu")
ARRAYS = ("hardloom", "hnlpu")
HNLPU_TOKENS_PER_S = 249_960
"""Throughput that our chips are designed for unless told otherwise: what the HNLPU paper reports."""


@dataclass(frozen=True)
class Request:
    """What to estimate. None: the model's own (sampler, design, arrays) or the data files' (the rest).

    styles: array styles to choose from; tokens_per_s: throughput to design for. formats: weight formats of the kinds of
    matrix that have another than their own. at_once: of the chip as emitted; whether it keeps keys and values is the
    sampler's choice (`completed`).
    """

    node: str = "5nm"
    design: str | None = None
    arrays: str | None = None
    sampler: str | None = None
    tokens_per_s: float = HNLPU_TOKENS_PER_S
    prompt_length: int | None = None
    gen_length: int | None = None
    tokens_per_forward: float | None = None
    expert_imbalance: float | None = None
    styles: tuple[str, ...] = PRICED_STYLES
    formats: Mapping[str, str] = field(default_factory=dict)
    at_once: AtOnce = field(default_factory=AtOnce)

    def __post_init__(self) -> None:
        for option, value, known in (
            ("design", self.design, (None, *DESIGNS)),
            ("arrays", self.arrays, (None, *ARRAYS)),
        ):
            if value not in known:
                raise UserError(f"--{option} {value}: unknown; choose one of {', '.join(known[1:])}")
        for option in ("tokens_per_s", "prompt_length", "gen_length", "tokens_per_forward", "expert_imbalance"):
            value = getattr(self, option)
            if value is not None and not 0 < value < inf:
                raise UserError(f"--{option.replace('_', '-')} {value}: must be a positive number")
        if self.expert_imbalance is not None and self.expert_imbalance < 1:
            raise UserError(f"--expert-imbalance {self.expert_imbalance}: the busiest expert has the mean at least, 1")


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
        chip, costs = self.chip, asdict(self.costs)
        low, high = costs.pop("nre_usd")
        return {
            "model": self.shape.name,
            "node": self.request.node,
            "design": self.request.design,
            "arrays": self.request.arrays,
            "sampler": self.request.sampler,
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


def completed(request: Request, name: str, raw: dict[str, Any]) -> Request:
    """The request with the model's own design, arrays and sampler. Raises UserError for more positions than it has."""
    asked, most = (request.prompt_length or 0) + (request.gen_length or 0), raw.get("max_position_embeddings")
    if isinstance(most, int) and asked > most:
        raise UserError(f"--prompt-length, --gen-length: {asked} positions, and {name} has {most}; give fewer")
    design = request.design or ("hnlpu" if name == "gpt-oss-120b" else "hardloom")
    sampler = request.sampler or default_sampler(str(raw.get("model_type")))
    at_once = replace(request.at_once, cache=sampler == "block")
    return replace(request, design=design, sampler=sampler, arrays=request.arrays or design, at_once=at_once)


def described(name: str, raw: dict[str, Any], held: dict[str, Any], request: Request) -> ModelShape:
    """The model `name` of `config.json` fields `raw`, with the formats and the contract that a quantized folder has
    (`held`: its `quantization.json`), or else with those that `hardloom quantize` takes without options; and with the
    formats that are asked for."""
    shape, formats = shape_of(raw, name), dict(request.formats)
    activations, gains = asdict(GENERAL_ACTIVATIONS), GENERAL_GAINS
    if held:
        from golden.units.numerics import Numerics

        formats = {**check_formats(shape, held.get("formats")), **formats}
        numerics = Numerics.from_json(held.get("numerics"))
        activations, gains = asdict(numerics.activations), numerics.gains
    chosen = formats_by_kind(shape, None, formats)
    return replace(shape, formats=chosen, activations=activations, gains_behind=gains == "behind")


def estimate(name: str, raw: dict[str, Any], held: dict[str, Any], request: Request) -> Estimate:
    """All figures of a model, as `read_model` gives it."""
    request, shape = completed(request, name, raw), described(name, raw, held, request)
    if request.design == "hardloom" and request.arrays == "hnlpu":
        raise UserError("--arrays hnlpu: the paper's arrays go with its design; add --design hnlpu")
    if request.design == "hnlpu" and request.node != "5nm":
        raise UserError(f"--node {request.node}: the paper's design is at 5nm only; add --design hardloom")
    request.at_once.check(shape)
    reason = why_not_emitted(shape, str(request.sampler))
    if request.design == "hnlpu":
        reason = "`hardloom generate` does not write the paper's design"
    return figures(shape, request, prepared(request, shape), reason)


def prepared(request: Request, shape: ModelShape) -> Assumptions:
    """The assumptions that a completed request needs, with what the user gave."""
    tables = workload_tables(str(request.sampler), shape.hidden_size)
    a = Assumptions.of(request.node, tables, hnlpu=request.design == "hnlpu")
    a.entries |= array_assumptions()
    given = ("prompt_length", "gen_length", "tokens_per_forward", "expert_imbalance")
    a = a.given(**{name: getattr(request, name) for name in given})
    check_possible(request, shape, a.entries)
    return a


def check_possible(request: Request, shape: ModelShape, entries: Mapping[str, Assumption]) -> None:
    """Raise UserError for tokens and loads that no such model can have."""
    if request.sampler == "autoregressive":
        if request.tokens_per_forward is not None:
            raise UserError("--tokens-per-forward: an autoregressive model commits one; leave it out")
    else:
        tokens, generated = entries["tokens_per_forward"].value, entries["gen_length"].value
        most = min(generated, entries["block_length"].value)
        if tokens > most:
            raise UserError(
                f"--tokens-per-forward {tokens:g}: a pass commits at most the {most:g} tokens of a block, of the "
                f"{generated:g} generated; give fewer, or another --gen-length"
            )
    most = max((1 / kind.share for kind in shape.kinds()), default=1.0)
    if entries["expert_imbalance"].value > most and request.expert_imbalance is not None:
        raise UserError(f"--expert-imbalance {request.expert_imbalance:g}: no expert serves more than all, {most:g}")


def figures(
    shape: ModelShape, request: Request, a: Assumptions, not_emitted: str | None, like: Estimate | None = None
) -> Estimate:
    """All figures of a completed request; with the arrays of `like` where one is given."""
    work, held = Workload.of(str(request.sampler), a), None if like is None else like.chip
    if request.design == "hnlpu":
        chip = hnlpu_chip(shape, a, request.styles if request.arrays == "hardloom" else (), held)
    else:
        chip = design_chip(shape, work, a, request.tokens_per_s, request.styles, held)
    emitted = None
    if not_emitted is None:
        held = None if like is None else like.emitted
        emitted = emitted_chip(shape, work, a, request.styles, request.at_once, held)
    return Estimate(shape, request, work, chip, costs(chip, shape, a), a, emitted, not_emitted)


def moved(base: Estimate, name: str, value: float) -> Estimate:
    """The same arrays with one assumption moved: buffers and multipliers follow, the throughput is what comes out."""
    return figures(base.shape, base.request, base.assumptions.at(name, value), base.not_emitted, base)


def error_bar(base: Estimate, metric: str) -> tuple[float, float]:
    """Low and high of a figure: every assumption at either end of its range, alone; squares of logarithms added."""
    centre = value_of(base, metric)
    down = up = 0.0
    for entry in list(base.assumptions.used):
        for end in {entry.low, entry.high} - {entry.value}:
            change = log(value_of(moved(base, entry.name, end), metric) / centre)
            up, down = up + max(change, 0.0) ** 2, down + min(change, 0.0) ** 2
    return centre * exp(-sqrt(down)), centre * exp(sqrt(up))


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
