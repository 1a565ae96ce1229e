"""The small chips of `hardloom bench cycles`: every family, geometry and parallelism that the cycle model follows."""

from dataclasses import dataclass, field
from typing import Any

from hardloom.golden.checkpoints.presets import read_preset
from hardloom.golden.samplers.sampling import Sampling

__all__ = ["CHIPS", "RUNS", "SmallChip"]

VOCABULARY = {"vocab_size": 24, "mask_token_id": 22, "eos_token_id": 23}
LLADA_MOE = VOCABULARY | {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "expert_intermediate_size": 16,
    "num_experts": 4,
    "num_experts_per_tok": 2,
    "max_position_embeddings": 64,
    "moe_layer_freq": [1, 1],
}
LLADA2 = VOCABULARY | {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "rotary_dim": 4,
    "moe_intermediate_size": 16,
    "intermediate_size": 32,
    "num_experts": 4,
    "num_experts_per_tok": 2,
    "n_group": 2,
    "topk_group": 1,
    "max_position_embeddings": 64,
    "block_size": 4,
}
LLADA = VOCABULARY | {
    "model_type": "llada",
    "architectures": ["LLaDAModelLM"],
    "d_model": 16,
    "n_layers": 2,
    "n_heads": 4,
    "mlp_hidden_size": 32,
    "rope_theta": 500000.0,
    "rms_norm_eps": 1e-5,
    "max_sequence_length": 64,
}

MODELS = {
    "LLaDA-MoE": read_preset("llada-moe-7b") | LLADA_MOE,
    "LLaDA2.0": read_preset("llada2.0-mini") | LLADA2,
    "LLaDA": LLADA,
}
"""Fields of a small `config.json` of each family: that of the published model, with sizes of its own."""

RUNS = (
    (4, Sampling.of("llada", gen_length=8, block_length=4, steps=4)),
    (24, Sampling.of("llada", gen_length=8, block_length=8, steps=8)),
)
"""Length of the prompt, and what the sampler is asked for: few positions, whose experts are the slowest, and more."""


@dataclass(frozen=True)
class SmallChip:
    """A chip of the comparison: what differs from `MODELS` in its model, and from the default in its hardware.

    runs: as `RUNS`.
    """

    family: str
    name: str = "as it comes"
    model: dict[str, Any] = field(default_factory=dict)
    hardware: dict[str, Any] = field(default_factory=dict)
    runs: tuple[tuple[int, Sampling], ...] = RUNS

    @property
    def fields(self) -> dict[str, Any]:
        """Of its `config.json`."""
        return MODELS[self.family] | self.model


ONE_LAYER = {"num_hidden_layers": 1, "moe_layer_freq": [1]}
FOUR_HEADS = {"hidden_size": 32, "num_attention_heads": 4, "num_key_value_heads": 4}
SERIAL = {"style": "rom", "slices": {"qkv": 16, "o": 16, "router": 16, "gate_up": 16, "down": 16, "head": 16}}
LARGER_EXPERTS = ONE_LAYER | {"hidden_size": 32, "head_dim": 16, "expert_intermediate_size": 64}
LARGER_EXPERTS |= {"num_experts": 16, "num_experts_per_tok": 4}
SLOW_EXPERTS = {"style": "rom", "slices": dict.fromkeys(SERIAL["slices"], 32), "head_lanes": 2, "query_lanes": 4}
SHALLOW = {"residual": 16, "routing": 8}
DEEP = SHALLOW | {"packets": 3, "results": 2}
WIDER = {"hidden_size": 48, "head_dim": 24, "expert_intermediate_size": 40, "vocab_size": 300, "mask_token_id": 298}
WIDE = ONE_LAYER | {"hidden_size": 64, "head_dim": 64, "expert_intermediate_size": 32, "num_attention_heads": 1}
WIDE |= {"num_key_value_heads": 1}
MIXED = {"moe_layer_freq": [0, 1], "dense_intermediate_size": 48, "qk_layernorm": False}
MIXED |= {"shared_expert_intermediate_size": 32, "moe_router_enable_expert_bias": True}
BLOCKS_OF_8 = {"block_size": 8, "head_dim": 16, "rotary_dim": 8, "num_experts": 8, "n_group": 4, "topk_group": 2}
FULL = {"sequences": 6, "head_lanes": 2}
DRAWN = ((4, Sampling.of("llada", gen_length=8, block_length=4, steps=4, temperature=1.5, seed=7)),)
NEAR = (
    (4, Sampling.of("llada", gen_length=8, block_length=4, steps=8, vicinity=1)),
    (12, Sampling.of("llada", gen_length=16, block_length=8, steps=8, vicinity=4)),
)
LONG = ((8, Sampling.of("llada", gen_length=56, block_length=8, steps=56)),)

CHIPS = (
    SmallChip("LLaDA-MoE"),
    SmallChip("LLaDA-MoE", "wider, vocabulary of 300", WIDER),
    SmallChip(
        "LLaDA-MoE",
        "16 experts, 4 a token, queues of one token",
        {"num_experts": 16, "num_experts_per_tok": 4},
        {"queues": {"residual": 1, "routing": 1, "jobs": 1}},
    ),
    SmallChip("LLaDA-MoE", "serial arrays", ONE_LAYER, SERIAL),
    SmallChip(
        "LLaDA-MoE",
        "2 heads of 4, 3 queries at once, 1 lane",
        ONE_LAYER | FOUR_HEADS,
        {"lanes": 1, "head_lanes": 2, "query_lanes": 3},
    ),
    SmallChip(
        "LLaDA-MoE",
        "16 experts in 4 groups, 4 a token",
        {"num_experts": 16, "num_experts_per_tok": 4},
        {"expert_groups": 4},
    ),
    SmallChip("LLaDA-MoE", "32 lanes, head in 2 tiles", WIDE, {"lanes": 32, "head_tiles": 2}),
    SmallChip(
        "LLaDA-MoE",
        "16 experts in 4 groups, 4 a token, queues around each array",
        {"num_experts": 16, "num_experts_per_tok": 4},
        {"expert_groups": 4, "queues": {"packets": 1, "results": 1}},
    ),
    SmallChip(
        "LLaDA-MoE",
        "the same, slow experts, deeper queues",
        LARGER_EXPERTS,
        SLOW_EXPERTS | {"expert_groups": 4, "queues": DEEP},
    ),
    SmallChip(
        "LLaDA-MoE",
        "the same, nothing waits at an array",
        LARGER_EXPERTS,
        SLOW_EXPERTS | {"expert_groups": 4, "queues": SHALLOW},
    ),
    SmallChip(
        "LLaDA-MoE",
        "slow experts, deep queues, cache, 3 sequences",
        LARGER_EXPERTS,
        SLOW_EXPERTS | {"expert_groups": 4, "queues": DEEP | {"jobs": 8}, "cache": True, "sequences": 3},
        NEAR,
    ),
    SmallChip("LLaDA-MoE", "3 sequences at once", hardware={"sequences": 3}),
    SmallChip("LLaDA-MoE", "5 sequences, 2 heads at once", ONE_LAYER, {"sequences": 5, "head_lanes": 2}),
    SmallChip("LLaDA-MoE", "cache, vicinities of 1 and 4", hardware={"cache": True}, runs=NEAR),
    SmallChip(
        "LLaDA-MoE", "cache, 3 sequences, 2 queries", {}, {"cache": True, "sequences": 3, "query_lanes": 2}, NEAR
    ),
    SmallChip("LLaDA-MoE", "a dense layer, a shared expert, plain heads", MIXED),
    SmallChip("LLaDA2.0"),
    SmallChip("LLaDA2.0", "2 heads, 2 queries at once, blocks of 8", BLOCKS_OF_8, {"head_lanes": 2, "query_lanes": 2}),
    SmallChip("LLaDA2.0", "3 sequences at once, 1 lane", hardware={"sequences": 3, "lanes": 1}),
    SmallChip("LLaDA2.0", "cache", hardware={"cache": True}),
    SmallChip("LLaDA2.0", "cache, 2 sequences, 2 queries", {}, {"cache": True, "sequences": 2, "query_lanes": 2}),
    SmallChip("LLaDA2.0", "64 positions, blocks of 8", {"block_size": 8}, FULL, LONG),
    SmallChip("LLaDA2.0", "64 positions, blocks of 8, cache", {"block_size": 8}, FULL | {"cache": True}, LONG),
    SmallChip("LLaDA2.0", "temperature, head in 2 tiles", {}, {"temperature": True, "head_tiles": 2}, DRAWN),
    SmallChip("LLaDA"),
    SmallChip("LLaDA", "serial arrays, 2 sequences", {"n_layers": 1}, SERIAL | {"sequences": 2}),
)
