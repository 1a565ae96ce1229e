"""The hardware configuration: everything about a chip that the checkpoint leaves open."""

from dataclasses import asdict, dataclass, field, fields
from math import gcd

from hardloom.gen.arrays.styles import STYLES
from hardloom.gen.design.features import check_features
from hardloom.gen.design.lanes import MOST_POSITIONS, check_cache, check_parallel, most_lanes, vectors
from hardloom.gen.design.queues import Queues, check_positive
from hardloom.golden.errors import UserError
from hardloom.golden.shape import MOST_RANK, ModelShape

__all__ = ["ARRAY_KINDS", "DEFAULT_SLICES", "HardwareConfig"]

DEFAULT_SLICES = {"qkv": 1, "o": 2, "router": 2, "gate_up": 2, "down": 2, "head": 2}

ALIKE = {"q": "qkv", "kv": "qkv"}
ALIKE |= {"dense_gate_up": "gate_up", "dense_down": "down", "shared_gate_up": "gate_up", "shared_down": "down"}
"""Kinds of layers whose heads share keys, and of networks that serve every token, with those whose style and slices
they have where none are given."""

ARRAY_KINDS = (*DEFAULT_SLICES, *ALIKE)
"""Kinds of hardwired array; `gate_up` and `down` exist once an expert."""


@dataclass(frozen=True)
class HardwareConfig:
    """Validated when it is made, against the model when `check` is called.

    Parameters
    ----------
    lanes: elements a beat of every stream; divides what a head turns by half, the rest of it, the hidden size and what
        networks have between gate and down.
    max_positions: prompt and generation together, at most, and at most those that the model has; depth of sequence, KV
        and residual memories.
    style: one of `gen.arrays.styles.STYLES`, of each kind of array (`ARRAY_KINDS`); a word is for all.
    slices: parts that the inputs of each kind of array are fed in. Both may leave out kinds that are `ALIKE` others.
    queues: depths of the queues that decide throughput.
    head_lanes: heads that a layer's attention works on at once; divides the number of heads.
    query_lanes: queries of each of them that it works on at once, at most `max_positions`.
    routers: of a layer, which take tokens in turns; one where blocks admit experts.
    expert_groups: groups of a layer's experts that work side by side; divides their number.
    sequences: that are denoised at once, each in a slot of its own; at most 256.
    cache: keys and values of a sequence are kept from one pass to the next. Where attention goes by blocks, of a power
        of two, a pass computes what has changed and the block at work alone; where all positions see each other,
        programs may set a vicinity.
    temperature: programs of the sampler may set one, with the seed of its noise.
    head_tiles: parts of the head's rows, each an array of its own with its rescale, that work side by side.
    adapter_rank: of the LoRA adapters beside q, k, v and o, in memories that the host writes; 0: there are none.
    """

    lanes: int = 4
    max_positions: int = 64
    style: dict[str, str] = field(default_factory=lambda: dict.fromkeys(DEFAULT_SLICES, "metal"))
    slices: dict[str, int] = field(default_factory=lambda: dict(DEFAULT_SLICES))
    queues: Queues = field(default_factory=Queues)
    head_lanes: int = 1
    query_lanes: int = 1
    routers: int = 1
    expert_groups: int = 1
    sequences: int = 1
    cache: bool = False
    head_tiles: int = 1
    temperature: bool = False
    adapter_rank: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.style, str):
            object.__setattr__(self, "style", dict.fromkeys(DEFAULT_SLICES, self.style))
        if not isinstance(self.queues, Queues):
            object.__setattr__(self, "queues", Queues.from_json(self.queues))
        for name in ("style", "slices"):
            values = getattr(self, name)
            if not isinstance(values, dict) or not {*DEFAULT_SLICES} <= {*values} <= {*ARRAY_KINDS}:
                wanted = f"give {', '.join(DEFAULT_SLICES)}, and {', '.join(ALIKE)} where they differ"
                raise UserError(f"hardware config, {name}: {wanted}")
            object.__setattr__(self, name, {kind: values[kind] for kind in ARRAY_KINDS if kind in values})
        for kind, style in self.style.items():
            if not isinstance(style, str) or style not in STYLES:
                raise UserError(f"hardware config, style.{kind}: {style!r} is not one of {', '.join(STYLES)}")
        slices = ((f"slices.{kind}", count) for kind, count in self.slices.items())
        at_once = ("head_lanes", "query_lanes", "routers", "expert_groups", "sequences", "head_tiles")
        counts = ("lanes", "max_positions", *at_once)
        for name, value in (*((name, getattr(self, name)) for name in counts), *slices):
            check_positive(name, value)
        for name, most in (("max_positions", MOST_POSITIONS), ("sequences", 256), ("routers", 64)):
            if getattr(self, name) > most:
                raise UserError(f"hardware config, {name}: {getattr(self, name)} exceeds {most}; give fewer")
        for name in ("cache", "temperature"):
            if not isinstance(value := getattr(self, name), bool):
                raise UserError(f"hardware config, {name}: {value!r} is neither true nor false")
        if type(rank := self.adapter_rank) is not int or not 0 <= rank <= MOST_RANK:
            raise UserError(f"hardware config, adapter_rank: {rank!r:.60} is none of 0 to {MOST_RANK}")
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
        """As many lanes as fit, up to 8; slices that divide the inputs; the model's positions, up to 64. Raises as
        `check_features` does."""
        check_features(model)
        slices = dict(DEFAULT_SLICES)
        for matrix in model.kinds():
            kind = ALIKE.get(matrix.kind, matrix.kind)
            slices[kind] = gcd(slices[kind], matrix.inputs)
        positions = min(cls.max_positions, model.max_position_embeddings)
        return cls(lanes=most_lanes(model, 8), max_positions=positions, slices=slices)

    @classmethod
    def from_json_dict(cls, values: dict) -> "HardwareConfig":
        unknown = set(values) - {f.name for f in fields(cls)}
        if unknown:
            raise UserError(f"hardware config: unknown field {sorted(unknown)[0]!r}; remove it")
        return cls(**values)

    def style_of(self, kind: str) -> str:
        """Of the arrays of a kind."""
        return self.style[kind if kind in self.style else ALIKE[kind]]

    def slices_of(self, kind: str) -> int:
        """Of the arrays of a kind."""
        return self.slices[kind if kind in self.slices else ALIKE[kind]]

    def groups_of(self, num_experts: int) -> dict[str, range]:
        """Experts of each group, by what the names of its parts begin with: with nothing where there is one group.

        Experts take turns, so that the runs of experts that a router chooses among are spread over all groups.
        """
        count, experts = self.expert_groups, range(num_experts)
        return {f"group_{n}_": experts[n::count] for n in range(count)} if count > 1 else {"": experts}

    @property
    def router_names(self) -> list[str]:
        """What the names of a router's parts begin with, of each."""
        return [f"router_{n}_" for n in range(self.routers)] if self.routers > 1 else [""]

    def to_json_dict(self) -> dict:
        return asdict(self)

    def check(self, model: ModelShape) -> None:
        """Raises UserError where this hardware can't carry the model in its weight formats, and as `check_features`
        does."""
        check_features(model)
        for name, value in vectors(model):
            if value % self.lanes:
                raise UserError(f"hardware config, lanes: {self.lanes} does not divide {name} = {value}")
        if self.max_positions > (most := model.max_position_embeddings):
            raise UserError(
                f"hardware config, max_positions: {self.max_positions} exceeds the model's max_position_embeddings "
                f"{most}; give fewer"
            )
        if refused := check_parallel(self, model):
            raise UserError(f"hardware config, {refused[0]}: {refused[1]}")
        for attention in dict.fromkeys(layer.attention for layer in model.layers):
            if self.cache and (wrong := check_cache(attention)):
                raise UserError(f"hardware config, cache: {wrong}; leave it out")
        if self.cache and len({layer.attention.block_length for layer in model.layers}) > 1:
            raise UserError("hardware config, cache: layers see different positions; leave it out")
        for matrix in model.kinds():
            kind, slices, style = matrix.kind, self.slices_of(matrix.kind), STYLES[self.style_of(matrix.kind)]
            if matrix.inputs % slices:
                raise UserError(f"hardware config, slices.{kind}: {slices} does not divide {matrix.inputs} inputs")
            try:
                style.check_beat(matrix.inputs, slices, self.lanes)
            except UserError as error:
                raise UserError(f"hardware config, slices.{kind}: {error}") from None
            try:
                style.check_formats(format for format, _ in matrix.formats)
            except UserError as error:
                raise UserError(f"hardware config, style.{kind}: {error}") from None
