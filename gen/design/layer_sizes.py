"""What the Amaranth side knows of a chip: sizes, specifications, module names, accumulator widths; no weights."""

from dataclasses import dataclass

from gen.design.hardware import HardwareConfig
from golden.checkpoints.config import ModelConfig
from golden.models.integer_model import Units

__all__ = ["LayerSizes", "layer_prefix", "wired_module"]


def layer_prefix(layer: int | None) -> str:
    """Prefix of the module names of a layer, `layer_3`; `chip` around the layers."""
    return "chip" if layer is None else f"layer_{layer}"


def wired_module(prefix: str, name: str) -> str:
    """Name of a connection module; Amaranth's modules are named by their path, which never starts like this."""
    return f"wired_{prefix}_{name.replace('.', '_')}"


@dataclass(frozen=True)
class LayerSizes:
    """Sizes as one layer (or the chip around the layers) sees them.

    Parameters
    ----------
    config, hardware: the model and its hardware.
    prefix: of the module names, as `layer_prefix` gives it.
    acc_width: bits of an accumulator by array name (`qkv`, `expert.5.down`, `head`).
    """

    config: ModelConfig
    hardware: HardwareConfig
    prefix: str
    acc_width: dict[str, int]

    def module(self, name: str) -> str:
        """Verilog module of array or ROM `name`: `wired_layer_3_expert_5_down`."""
        return wired_module(self.prefix, name)

    def beats(self, elements: int) -> int:
        """Beats of a packet of `elements`."""
        return -(-elements // self.lanes)

    @property
    def units(self) -> Units:
        return Units.of(self.config)

    @property
    def lanes(self) -> int:
        return self.hardware.lanes

    @property
    def max_positions(self) -> int:
        return self.hardware.max_positions

    @property
    def hidden(self) -> int:
        return self.config.hidden_size

    @property
    def heads(self) -> int:
        return self.config.num_attention_heads

    @property
    def head_dim(self) -> int:
        return self.config.head_dim

    @property
    def intermediate(self) -> int:
        return self.config.expert_intermediate_size

    @property
    def num_experts(self) -> int:
        return self.config.num_experts

    @property
    def top_k(self) -> int:
        return self.config.num_experts_per_tok
