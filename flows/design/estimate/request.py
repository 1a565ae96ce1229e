"""What an estimate is asked for, completed by the model's own ways, and refused where it cannot be."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from math import inf

from hardloom.flows.assumptions.assumptions import Assumptions
from hardloom.flows.design.estimate.arrays import PRICED_STYLES, array_assumptions
from hardloom.flows.design.estimate.at_once import AtOnce
from hardloom.flows.design.estimate.workload import KEEPING, default_sampler, workload_tables
from hardloom.golden.errors import UserError
from hardloom.golden.shape import ModelShape

__all__ = ["HNLPU_TOKENS_PER_S", "Request", "check_effects", "completed", "prepared"]

DESIGNS = ("hardloom", "hnlpu")
ARRAYS = ("hardloom", "hnlpu")
HNLPU_TOKENS_PER_S = 249_960
"""Throughput that our chips are designed for unless told otherwise: what the HNLPU paper reports."""


@dataclass(frozen=True)
class Request:
    """What to estimate. None: the model's own (sampler, design, arrays) or the data files' (the rest).

    styles: array styles to choose from; tokens_per_s: throughput to design for, `HNLPU_TOKENS_PER_S` where none is
    given. formats: weight formats of the kinds of matrix that have another than their own. at_once: of the chip as
    emitted; whether it keeps keys and values is the sampler's choice (`completed`).
    """

    node: str = "5nm"
    design: str | None = None
    arrays: str | None = None
    sampler: str | None = None
    tokens_per_s: float | None = None
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

    @property
    def target(self) -> float:
        """Tokens/s to design for."""
        return HNLPU_TOKENS_PER_S if self.tokens_per_s is None else self.tokens_per_s


def completed(request: Request, shape: ModelShape) -> Request:
    """The request with the model's own design, arrays and sampler.

    Raises UserError for more positions than the model has, and for a sampler that is none of a causal model.
    """
    asked, most = (request.prompt_length or 0) + (request.gen_length or 0), shape.max_position_embeddings
    if asked > most:
        raise UserError(f"--prompt-length, --gen-length: {asked} positions, and {shape.name} has {most}; give fewer")
    design = request.design or ("hnlpu" if shape.name == "gpt-oss-120b" else "hardloom")
    own = default_sampler(shape)
    sampler = request.sampler or own
    workload_tables(sampler, shape.hidden_size)
    if shape.mask_token_id is None and sampler != own:
        raise UserError(f"--sampler {sampler}: {shape.name} is causal, so a pass makes one token; leave it out")
    at_once = replace(request.at_once, cache=sampler in KEEPING)
    return replace(request, design=design, sampler=sampler, arrays=request.arrays or design, at_once=at_once)


def prepared(request: Request, shape: ModelShape) -> Assumptions:
    """The assumptions that a completed request needs, with what the user gave."""
    tables = workload_tables(str(request.sampler), shape.hidden_size)
    a = Assumptions.of(request.node, tables, hnlpu=request.design == "hnlpu")
    a.entries |= array_assumptions()
    given = ("prompt_length", "gen_length", "tokens_per_forward", "expert_imbalance")
    a = a.given(**{name: getattr(request, name) for name in given})
    fit_lengths(a, shape.max_position_embeddings)
    check_possible(request, shape, a)
    return a


def fit_lengths(a: Assumptions, most: int) -> None:
    """Cut lengths that nobody gave, and their ranges, to what a model of `most` positions has room for, both alike.

    Raises UserError where a given one leaves no room for the other.
    """
    entries = [a.entries[name] for name in ("prompt_length", "gen_length")]
    free = [entry for entry in entries if entry.kind != "given"]
    left = most - sum(entry.value for entry in entries if entry.kind == "given")
    scale = min(1.0, left / sum(entry.value for entry in free)) if free else 1.0
    for entry in free:
        if (value := float(int(entry.value * scale))) < 1:
            option = f"--{entry.name.replace('_', '-')}"
            raise UserError(f"{option}: the model's {most} positions leave none for it; give the other length less")
        room = left - sum(int(other.value * scale) for other in free if other is not entry)
        high = max(value, min(entry.high, room))
        a.entries[entry.name] = replace(entry, value=value, low=min(entry.low, value), high=high)


def check_possible(request: Request, shape: ModelShape, a: Assumptions) -> None:
    """Raise UserError for tokens and loads that no such model can have."""
    entries = a.entries
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


def check_effects(request: Request, not_emitted: str | None) -> None:
    """Raise UserError for the first option of a completed request that would change nothing.

    not_emitted: why there is no emitted chip, None where there is one.
    """
    for option, reason in without_effect(request, not_emitted):
        raise UserError(f"--{option.replace('_', '-')}: changes nothing, for {reason}; leave it out")


def without_effect(request: Request, not_emitted: str | None) -> Iterator[tuple[str, str]]:
    """Options that are given and change nothing, and why."""
    rank = request.at_once.adapter_rank
    defaults, plain = Request(), AtOnce(cache=request.at_once.cache, adapter_rank=rank)
    if request.design == "hnlpu":
        if rank:
            yield "adapter_rank", "the paper's design has no adapters"
        arrays = ("styles", "formats") if request.arrays == "hnlpu" else ()
        for name in ("prompt_length", "gen_length", "expert_imbalance", *arrays):
            if getattr(request, name) != getattr(defaults, name):
                yield name, "the paper's design is as published, and its links decide"
    if not_emitted is not None:
        for one in fields(AtOnce):
            if getattr(request.at_once, one.name) != getattr(plain, one.name):
                yield one.name, not_emitted
