"""The hardware configuration: everything about a chip that the checkpoint leaves open."""

from dataclasses import asdict, dataclass, field, fields
from math import gcd

from gen.arrays.styles import STYLES
from gen.design.features import check_features
from gen.design.queues import Queues, check_positive
from golden.errors import UserError
from golden.shape import ModelShape

__all__ = ["ARRAY_KINDS", "HardwareConfig"]

ARRAY_KINDS = ("qkv", "o", "router", "gate_up", "down", "head")
"""Kinds of hardwired array; `gate_up` and `down` exist once an expert."""

DEFAULT_SLICES = {"qkv": 1, "o": 2, "router": 2, "gate_up": 2, "down": 2, "head": 2}


def array_inputs(model: ModelShape, kind: str) -> int:
    """Inputs of the arrays of one kind."""
    return next(found.inputs for found in model.kinds() if found.kind == kind)


@dataclass(frozen=True)
class HardwareConfig:
    """Validated when it is made, against the model when `check` is called.

    Parameters
    ----------
    lanes: elements a beat of every stream; divides head_dim / 2 and the expert's intermediate size.
    max_positions: prompt and generation together, at most; depth of sequence, KV and residual memories.
    style: one of `gen.arrays.styles.STYLES`, of each kind of array (`ARRAY_KINDS`); a word is for all.
    slices: parts that the inputs of each kind of array are fed in.
    queues: depths of the queues that decide throughput.
    head_lanes: heads that a layer's attention works on at once; divides the number of heads.
    query_lanes: queries of each of them that it works on at once, at most `max_positions`.
    sequences: that are denoised at once, each in a slot of its own; at most 256.
    """

    lanes: int = 4
    max_positions: int = 64
    style: dict[str, str] = field(default_factory=lambda: dict.fromkeys(ARRAY_KINDS, "metal"))
    slices: dict[str, int] = field(default_factory=lambda: dict(DEFAULT_SLICES))
    queues: Queues = field(default_factory=Queues)
    head_lanes: int = 1
    query_lanes: int = 1
    sequences: int = 1

    def __post_init__(self) -> None:
        if isinstance(self.style, str):
            object.__setattr__(self, "style", dict.fromkeys(ARRAY_KINDS, self.style))
        if not isinstance(self.queues, Queues):
            object.__setattr__(self, "queues", Queues.from_json(self.queues))
        for name in ("style", "slices"):
            values = getattr(self, name)
            if not isinstance(values, dict) or set(values) != set(ARRAY_KINDS):
                raise UserError(f"hardware config, {name}: give exactly {', '.join(ARRAY_KINDS)}")
            object.__setattr__(self, name, {kind: values[kind] for kind in ARRAY_KINDS})
        for kind, style in self.style.items():
            if not isinstance(style, str) or style not in STYLES:
                raise UserError(f"hardware config, style.{kind}: {style!r} is not one of {', '.join(STYLES)}")
        slices = ((f"slices.{kind}", count) for kind, count in self.slices.items())
        counts = ("lanes", "max_positions", "head_lanes", "query_lanes", "sequences")
        for name, value in (*((name, getattr(self, name)) for name in counts), *slices):
            check_positive(name, value)
        for name, most in (("max_positions", 65535), ("sequences", 256)):
            if getattr(self, name) > most:
                raise UserError(f"hardware config, {name}: {getattr(self, name)} exceeds {most}")
        if self.query_lanes > self.max_positions:
            raise UserError(
                f"hardware config, query_lanes: {self.query_lanes} exceeds max_positions = {self.max_positions}"
            )

    @property
    def passes(self) -> int:
        """Passes that attention's memories hold: one is loaded while another is computed, where there is another."""
        return min(2, self.sequences)

    @classmethod
    def default(cls, model: ModelShape) -> "HardwareConfig":
        """As many lanes as fit, up to 8; slices that divide the inputs. Raises as `check_features` does."""
        check_features(model)
        slices = {kind: gcd(count, array_inputs(model, kind)) for kind, count in DEFAULT_SLICES.items()}
        return cls(lanes=gcd(8, model.layers[0].attention.head_dim // 2, array_inputs(model, "down")), slices=slices)

    @classmethod
    def from_json_dict(cls, values: dict) -> "HardwareConfig":
        unknown = set(values) - {f.name for f in fields(cls)}
        if unknown:
            raise UserError(f"hardware config: unknown field {sorted(unknown)[0]!r}; remove it")
        return cls(**values)

    def to_json_dict(self) -> dict:
        return asdict(self)

    def check(self, model: ModelShape) -> None:
        """Raises UserError where this hardware can't carry the model in its weight formats, and as `check_features`
        does."""
        check_features(model)
        for name, value in (
            ("head_dim / 2", model.layers[0].attention.head_dim // 2),
            ("expert_intermediate_size", array_inputs(model, "down")),
        ):
            if value % self.lanes:
                raise UserError(f"hardware config, lanes: {self.lanes} does not divide {name} = {value}")
        heads = model.layers[0].attention.num_heads
        if heads % self.head_lanes:
            raise UserError(f"hardware config, head_lanes: {self.head_lanes} does not divide num_heads = {heads}")
        for kind in ARRAY_KINDS:
            inputs = array_inputs(model, kind)
            if inputs % self.slices[kind]:
                raise UserError(f"hardware config, slices.{kind}: {self.slices[kind]} does not divide {inputs} inputs")
            try:
                STYLES[self.style[kind]].check_beat(inputs, self.slices[kind], self.lanes)
            except UserError as error:
                raise UserError(f"hardware config, slices.{kind}: {error}") from None
        for found in model.kinds():
            try:
                STYLES[self.style[found.kind]].check_formats(format for format, _ in found.formats)
            except UserError as error:
                raise UserError(f"hardware config, style.{found.kind}: {error}") from None
