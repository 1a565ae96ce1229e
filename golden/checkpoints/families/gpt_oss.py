"""gpt-oss, the model of the HNLPU paper: counted for comparisons, computed by nothing here."""

from typing import Any

from hardloom.golden.checkpoints.families.family import Family, Place
from hardloom.golden.checkpoints.families.rules import FieldRules, Fields
from hardloom.golden.errors import UserError
from hardloom.golden.shape import AttentionShape, ExpertsShape, LayerShape, ModelShape, TensorShape

__all__ = ["GptOss"]

RULES = FieldRules(
    used=(
        *("model_type", "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"),
        *("num_key_value_heads", "head_dim", "num_local_experts", "num_experts_per_tok", "max_position_embeddings"),
    ),
    fixed={
        "attention_bias": ((True,), "projections add a bias"),
        "hidden_act": (("silu",), "experts are gated by SiLU"),
        "sliding_window": ((128,), "every other layer sees 128 positions"),
        "tie_word_embeddings": ((False,), "embedding and head are two matrices"),
    },
    harmless={},
)


class GptOss(Family):
    name = "gpt-oss"
    model_types = ("gpt_oss",)
    rules = RULES

    def shape(self, raw: dict[str, Any]) -> ModelShape:
        fields = Fields(raw)
        fields.require(*(name for name in RULES.used))
        hidden, width = fields.count("hidden_size"), fields.count("intermediate_size")
        experts = ExpertsShape(fields.count("num_local_experts"), fields.count("num_experts_per_tok"), width)
        heads, key_value_heads = fields.count("num_attention_heads"), fields.count("num_key_value_heads")
        head_dim, layers = fields.count("head_dim"), fields.count("num_hidden_layers")
        attention = AttentionShape(heads, key_value_heads, head_dim, 150000.0, head_dim, bias=True, block_length=1)
        of_attention = hidden + heads  # bias of o, sinks
        of_experts = experts.num_experts * (1 + 2 * width + hidden)  # biases of router and experts
        return ModelShape(
            family=self.name,
            vocab_size=fields.count("vocab_size"),
            hidden_size=hidden,
            layers=(LayerShape(attention, experts),) * layers,
            rms_norm_eps=1e-5,
            max_position_embeddings=fields.count("max_position_embeddings"),
            mask_token_id=None,
            eos_token_ids=(),
            shift=1,
            uncomputed=("attention sinks", "sliding windows", "biases of experts"),
            other_parameters=layers * (of_attention + of_experts),
        )

    def places(self, tensor: TensorShape, model: ModelShape) -> tuple[Place, ...]:
        raise UserError("gpt-oss is counted for comparisons, and its tensors are not known; take another family")
