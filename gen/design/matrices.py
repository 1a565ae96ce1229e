"""Which matrices of a checkpoint form which array unit, and which constants stand beside them."""

from collections.abc import Iterator
from dataclasses import dataclass

from hardloom.gen.design.hardware import ARRAY_KINDS
from hardloom.gen.design.head_tiles import Tile, head_tiles
from hardloom.gen.design.layer_sizes import layer_prefix, wired_module
from hardloom.golden.errors import UserError
from hardloom.golden.shape import SITES, ExpertsShape, ModelShape
from hardloom.golden.units.numerics import Numerics
from hardloom.golden.units.quantize import Quantize

__all__ = ["ArrayUnit", "Selection", "array_units", "selected_units"]


@dataclass(frozen=True)
class ArrayUnit:
    """Matrices that share one input vector.

    Attributes
    ----------
    layer: number of its layer; None for the head. expert: number of its expert within the layer, if it belongs to one.
    kind: one of `gen.design.hardware.ARRAY_KINDS`. matrices: tensor names, one a bank. tile: rows of them; None: all.
    """

    layer: int | None
    expert: int | None
    kind: str
    matrices: tuple[str, ...]
    tile: Tile | None

    @property
    def prefix(self) -> str:
        """Of its module's name: `layer_0`, `chip`."""
        return layer_prefix(self.layer)

    @property
    def name(self) -> str:
        """Its name within the layer: `qkv`, `expert.3.down`; `head.1` of a tile."""
        if self.tile is not None:
            return f"{self.kind}.{self.tile.number}"
        return self.kind if self.expert is None else f"expert.{self.expert}.{self.kind}"

    def span(self, rows: int) -> tuple[int, int]:
        """Its rows of matrices that have so many: the first, and the one behind the last."""
        return (0, rows) if self.tile is None else (self.tile.first, self.tile.stop)

    def activation(self, numerics: Numerics) -> Quantize:
        """What makes the vector that its matrices share."""
        return numerics.quantize(SITES[self.kind])

    @property
    def module(self) -> str:
        return wired_module(self.prefix, self.name)


@dataclass(frozen=True)
class Selection:
    """Array units chosen by layer, by expert (where a unit belongs to one) and by kind; None: all.

    With layers chosen, the head, which is in none, is not.
    """

    layers: tuple[int, ...] | None = None
    experts: tuple[int, ...] | None = None
    matrices: tuple[str, ...] | None = None

    def holds(self, unit: ArrayUnit) -> bool:
        return (
            (self.layers is None or unit.layer in self.layers)
            and (self.experts is None or unit.expert is None or unit.expert in self.experts)
            and (self.matrices is None or unit.kind in self.matrices)
        )


def layer_units(model: ModelShape, layer: int) -> Iterator[ArrayUnit]:
    """Array units of a layer."""

    def unit(kind: str, *kinds: str, expert: int | None = None) -> ArrayUnit:
        return ArrayUnit(layer, expert, kind, tuple(model.tensor(k, layer, expert).name for k in kinds), None)

    def network(name: str) -> Iterator[ArrayUnit]:
        yield unit(f"{name}_gate_up", f"{name}.gate_proj", f"{name}.up_proj")
        yield unit(f"{name}_down", f"{name}.down_proj")

    for kind, names in model.layers[layer].attention.projections.items():
        yield unit(kind, *(f"{name}_proj" for name in names))
    yield unit("o", "o_proj")
    mlp = model.layers[layer].mlp
    if not isinstance(mlp, ExpertsShape):
        yield from network("dense")
        return
    yield unit("router", "router")
    for e in range(mlp.num_experts):
        yield unit("gate_up", "gate_proj", "up_proj", expert=e)
        yield unit("down", "down_proj", expert=e)
    if mlp.shared_size:
        yield from network("shared")


def array_units(model: ModelShape, tiles: int = 1) -> Iterator[ArrayUnit]:
    """Every array unit of a chip whose head has so many tiles, in a fixed order; with the embedding, all matrices of
    the model."""
    for layer in range(len(model.layers)):
        yield from layer_units(model, layer)
    parts = head_tiles(model.vocab_size, tiles) if tiles > 1 else [None]
    yield from (ArrayUnit(None, None, "head", (model.tensor("head").name,), part) for part in parts)


def layer_experts(model: ModelShape) -> list[int]:
    """Experts of each layer."""
    mlps = (layer.mlp for layer in model.layers)
    return [mlp.num_experts if isinstance(mlp, ExpertsShape) else 0 for mlp in mlps]


def selected_units(model: ModelShape, selection: Selection, tiles: int = 1) -> list[ArrayUnit]:
    """Units of `array_units` that are chosen, in order.

    Raises `UserError` where a layer, an expert or a kind does not exist, or nothing is chosen.
    """
    for what, chosen, count in (
        ("layers", selection.layers, len(model.layers)),
        ("experts", selection.experts, max(layer_experts(model))),
    ):
        if chosen is not None and (unknown := [n for n in chosen if not 0 <= n < count]):
            raise UserError(f"--{what}: {unknown[0]} does not exist, the model has 0 to {count - 1}")
    if strange := sorted(set(selection.matrices or ()) - set(ARRAY_KINDS)):
        raise UserError(f"--matrices: {strange[0]!r} is not one of {', '.join(ARRAY_KINDS)}")
    if not (units := [unit for unit in array_units(model, tiles) if selection.holds(unit)]):
        raise UserError("--layers, --experts and --matrices choose no array together; leave one of them out")
    return units
