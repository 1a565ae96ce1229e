"""The specification objects of a layer: what golden model, hardware and benches are all built from."""

from dataclasses import dataclass, field

from torch import Tensor

from hardloom.golden.quantization.constants import constants
from hardloom.golden.quantization.quantized import QuantizedCheckpoint
from hardloom.golden.shape import DenseShape, LayerShape, ModelShape
from hardloom.golden.units.argmax import Argmax
from hardloom.golden.units.attention import Attention
from hardloom.golden.units.bias import Bias
from hardloom.golden.units.clip import Clip
from hardloom.golden.units.combine import Combine
from hardloom.golden.units.fixed import FixedPoint
from hardloom.golden.units.gain import Gain
from hardloom.golden.units.numerics import Numerics
from hardloom.golden.units.quantize import Quantize
from hardloom.golden.units.rescale import Rescale
from hardloom.golden.units.rmsnorm import RMSNorm
from hardloom.golden.units.rope import Rope
from hardloom.golden.units.router import Router
from hardloom.golden.units.saturations import Watch
from hardloom.golden.units.softmax import SoftmaxNumerator
from hardloom.golden.units.swiglu import SwiGLU

__all__ = ["Units", "constants_of", "router_of"]


@dataclass(frozen=True)
class Units:
    """The specification objects of a layer, and of what stands around the layers, under a numeric contract.

    Golden model and hardware are built from them. clip: None where q, k and v are not clipped; router: None in a layer
    without experts. watch: see `word_at`.
    """

    numerics: Numerics
    rescale: Rescale
    norm: RMSNorm
    gain: Gain
    bias: Bias
    head_norm: RMSNorm
    clip: Clip | None
    rope: Rope
    attention: Attention
    router: Router | None
    swiglu: SwiGLU
    combine: Combine
    argmax: Argmax
    watch: Watch = field(default=Watch(), compare=False)

    @classmethod
    def of(cls, model: ModelShape, numerics: Numerics, layer: LayerShape, watch: Watch = Watch()) -> "Units":
        word, attention, eps = numerics.word, layer.attention, model.rms_norm_eps
        softmax = SoftmaxNumerator(word)
        return cls(
            numerics=numerics,
            rescale=Rescale(word),
            norm=RMSNorm(model.hidden_size, eps, watch(word, "norm")),
            gain=Gain(watch(word, "gain")),
            bias=Bias(watch(word, "bias")),
            head_norm=RMSNorm(attention.head_dim, eps, watch(word, "head_norm")),
            clip=None if attention.clip is None else Clip(attention.clip, word),
            rope=Rope(attention.rotary_dim, attention.rope_theta, watch(word, "rope")),
            attention=Attention(
                attention.head_dim,
                attention.block_length,
                watch(word, "attention.output"),
                watch(numerics.score, "attention.scores"),
                query=numerics.quantize("query"),
                key=numerics.quantize("key"),
                value=numerics.quantize("value"),
            ),
            router=router_of(layer, softmax),
            swiglu=SwiGLU(watch(word, "swiglu")),
            combine=Combine(watch(word, "moe")),
            argmax=Argmax(softmax),
            watch=watch,
        )

    @property
    def word(self) -> FixedPoint:
        return self.numerics.word

    def word_at(self, site: str) -> FixedPoint:
        """The word of what has no unit of its own, which counts what it saturates if `watch` does."""
        return self.watch(self.word, site)

    def gains(self, checkpoint: QuantizedCheckpoint, layer: int | None, projection: str) -> Tensor:
        """Constants of the head norm behind `projection`, "q" or "k": int64 [head_dim].

        Raises `UserError` naming the tensor where the hardware's word does not hold one.
        """
        return constants_of(checkpoint, f"{projection}_norm", layer)

    def biases(self, checkpoint: QuantizedCheckpoint, layer: int | None) -> Tensor | None:
        """Constants of the router's biases, int64 [num_experts], or None; raises as `gains` does."""
        if self.router is None or not self.router.biased:
            return None
        return constants_of(checkpoint, "expert_bias", layer)

    def projection_biases(self, checkpoint: QuantizedCheckpoint, layer: int | None, projection: str) -> Tensor:
        """Constants of the bias of `projection`, "q", "k" or "v": int64 [rows]; raises as `gains` does."""
        return constants_of(checkpoint, f"{projection}_bias", layer)

    def quantize(self, site: str) -> Quantize:
        """As `Numerics.quantize`."""
        return self.numerics.quantize(site)

    def norm_gains(self, checkpoint: QuantizedCheckpoint, layer: int | None, kind: str) -> Tensor:
        """Constants of the gain behind a norm of a layer or, `layer` None, behind the last: int64 [hidden].

        kind: of the tensor. Raises as `gains` does.
        """
        return constants_of(checkpoint, kind, layer)


def router_of(layer: LayerShape, softmax: SoftmaxNumerator) -> Router | None:
    """The router of a layer, or None; `UserError` for one that the integers do not have."""
    mlp = layer.mlp
    if isinstance(mlp, DenseShape):
        return None
    return Router(
        mlp.num_experts,
        mlp.top_k,
        biased=mlp.bias is not None,
        mixed=mlp.bias != "selection",
        score=mlp.score,
        groups=mlp.groups,
        top_groups=mlp.top_groups,
        capacity=mlp.capacity,
        block_length=layer.attention.block_length or 1,
        renormalised=mlp.renormalise,
        scale=mlp.scale,
        numerator=softmax,
    )


def constants_of(checkpoint: QuantizedCheckpoint, kind: str, layer: int | None) -> Tensor:
    """The vector of a kind as constants, int64, under the checkpoint's contract; raises as `constants` does."""
    vector = checkpoint.model.tensor(kind, layer)
    return constants(vector, checkpoint.vector(vector.name), checkpoint.model, checkpoint.numerics)
