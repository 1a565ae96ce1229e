"""What the Amaranth side knows of a chip: sizes, specifications, module names, accumulator widths; no weights."""

from dataclasses import dataclass

from hardloom.gen.design.adapters import AdapterSizes, layer_adapters
from hardloom.gen.design.hardware import HardwareConfig
from hardloom.golden.models.layer_units import Units
from hardloom.golden.shape import SITES, ExpertsShape, LayerShape, ModelShape
from hardloom.golden.units.numerics import Numerics
from hardloom.golden.units.quantize import Quantize

__all__ = ["LAYER_NORMS", "LayerSizes", "engine_module", "layer_prefix", "wired_module"]


LAYER_NORMS = {"input": "input_layernorm", "post": "post_attention_layernorm"}
"""Norms of a layer, with the kind of tensor that holds the gain of each."""


def layer_prefix(layer: int | None) -> str:
    """Prefix of the module names of a layer, `layer_3`; `chip` around the layers."""
    return "chip" if layer is None else f"layer_{layer}"


def engine_module(model: ModelShape, layer: int) -> str:
    """Verilog module of a layer's units, one for all layers of the same shape: `layer` where that is the first one's,
    else `layer_like_5`, after the first layer that has it."""
    first = model.layers.index(model.layers[layer])
    return f"layer_like_{first}" if first else "layer"


def wired_module(prefix: str, name: str) -> str:
    """Name of a connection module; Amaranth's modules are named by their path, which never starts like this."""
    return f"wired_{prefix}_{name.replace('.', '_')}"


@dataclass(frozen=True)
class LayerSizes:
    """Sizes as one layer (or the chip around the layers) sees them.

    Parameters
    ----------
    model, numerics, hardware: the model, its numeric contract and its hardware.
    layer: number of the layer, or the first one of several that are alike; None around the layers.
    acc_width: bits of a sum by kind of array (`qkv`, `down`, `head`), the widest of what these sizes are for;
        of a head in tiles by tile (`head.0`).
    """

    model: ModelShape
    numerics: Numerics
    hardware: HardwareConfig
    layer: int | None
    acc_width: dict[str, int]

    @property
    def prefix(self) -> str:
        """Of the module names, as `layer_prefix` gives it."""
        return layer_prefix(self.layer)

    @property
    def shape(self) -> LayerShape:
        """Of the layer; around the layers that of the first."""
        return self.model.layers[self.layer or 0]

    @property
    def experts(self) -> ExpertsShape:
        assert isinstance(self.shape.mlp, ExpertsShape)  # `HardwareConfig.check`
        return self.shape.mlp

    def activation(self, name: str) -> Quantize:
        """What makes the activations that enter arrays of a kind, or a tile `head.N`."""
        return self.numerics.quantize(SITES[name.partition(".")[0]])

    @property
    def adapters(self) -> dict[str, AdapterSizes]:
        """Of the layer, by kind of array."""
        return layer_adapters(self.model, self.shape, self.lanes, self.hardware.adapter_rank)

    @property
    def norms(self) -> dict[str, str]:
        """Norms that have their gain behind them, with its kind of tensor."""
        found = {"final": "norm"} if self.layer is None else LAYER_NORMS
        return found if self.numerics.gains == "behind" else {}

    def module(self, name: str) -> str:
        """Verilog module of array or ROM `name`: `wired_layer_3_expert_5_down`."""
        return wired_module(self.prefix, name)

    def beats(self, elements: int) -> int:
        """Beats of a packet of `elements`."""
        return -(-elements // self.lanes)

    @property
    def units(self) -> Units:
        return Units.of(self.model, self.numerics, self.shape)

    @property
    def lanes(self) -> int:
        return self.hardware.lanes

    @property
    def max_positions(self) -> int:
        return self.hardware.max_positions

    @property
    def passes(self) -> int:
        return self.hardware.passes

    @property
    def slots(self) -> int:
        """Sequences whose keys and values are kept from one pass to the next; 0: none are."""
        return self.hardware.sequences if self.hardware.cache else 0

    @property
    def hidden(self) -> int:
        return self.model.hidden_size

    @property
    def heads(self) -> int:
        return self.shape.attention.num_heads

    @property
    def head_dim(self) -> int:
        return self.shape.attention.head_dim

    @property
    def key_heads(self) -> int:
        return self.shape.attention.num_key_value_heads

    @property
    def query_width(self) -> int:
        return self.shape.attention.query_width

    def heads_of(self, name: str) -> int:
        """Heads of `q`, `k` or `v` a position."""
        return self.heads if name == "q" else self.key_heads

    @property
    def intermediate(self) -> int:
        """Elements between gate and down, of an expert or of the network of a layer without experts."""
        return self.shape.mlp.intermediate_size

    @property
    def num_experts(self) -> int:
        return self.experts.num_experts

    @property
    def expert_groups(self) -> dict[str, range]:
        """As `HardwareConfig.groups_of` gives them."""
        return self.hardware.groups_of(self.num_experts)

    @property
    def top_k(self) -> int:
        return self.experts.top_k
