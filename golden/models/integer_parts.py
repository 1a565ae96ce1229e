"""What a layer's tensors become in integers: matrices, norms, SwiGLU networks."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from hardloom.golden.checkpoints.lora import LowRank
from hardloom.golden.errors import UserError
from hardloom.golden.models.layer_units import Units, constants_of
from hardloom.golden.quantization.formats import quantize
from hardloom.golden.quantization.integers import IntegerMatrix
from hardloom.golden.quantization.quantized import QuantizedCheckpoint
from hardloom.golden.units.adapter import ADAPTER_FORMAT, Adapter
from hardloom.golden.units.exact import ExactMatrix, scaled
from hardloom.golden.units.fixed import FixedPoint

__all__ = ["Experts", "HardwiredMatrix", "Packet", "Parts", "Projection", "adapter_integers", "joined", "pieces"]

PIECE = 1 << 18
"""Elements that are worked on at once, so that they stay in a core's cache."""


def pieces(count: int, elements: int) -> Iterator[slice]:
    """`count` things of so many elements each, in slices of about `PIECE` elements."""
    step = max(1, PIECE // max(1, elements))
    return (slice(first, min(first + step, count)) for first in range(0, count, step))


@dataclass(frozen=True)
class Packet:
    """Activations q * 2^scale: q [..., elements], scale [..., 1]."""

    q: Tensor
    scale: Tensor

    @cached_property
    def value(self) -> Tensor:
        """float32 [..., elements]; exact."""
        return scaled(self.q, self.scale, torch.float32)


class HardwiredMatrix:
    """An array followed by its row scales: values of packets in, fixed-point vectors out.

    The product is exact, scales included; rounded, it is what `golden.units.rescale` makes of the array's integers.
    """

    def __init__(self, weights: ExactMatrix, word: FixedPoint) -> None:
        self.weights, self.word = weights, word

    def __call__(self, values: Tensor) -> Tensor:
        """float32 [..., inputs] to [..., rows]."""
        some = pieces(self.weights.rows, values[..., 0].numel())
        return joined([self.rounded(self.weights.product(values, rows)) for rows in some], -1)

    def rounded(self, product: Tensor) -> Tensor:
        return self.word.nearest_(product.double())


Projection = Callable[[Tensor], Tensor]
"""As `HardwiredMatrix`: float32 [..., inputs] to fixed-point vectors [..., rows]."""


@dataclass(frozen=True)
class AdaptedMatrix:
    """A hardwired matrix with an adapter beside it."""

    matrix: HardwiredMatrix
    unit: Adapter
    a: ExactMatrix
    b: ExactMatrix

    def __call__(self, values: Tensor) -> Tensor:
        """float32 [..., inputs] to [..., rows]."""
        return self.unit.compute(self.matrix(values), values, self.a, self.b)


def adapter_integers(values: Tensor) -> IntegerMatrix:
    """A matrix of an adapter, float32, in its format, with one scale."""
    whole = quantize(values.reshape(1, -1), ADAPTER_FORMAT).integers()
    mant, exp = (scale.expand(len(values)) for scale in (whole.mant, whole.exp))
    return IntegerMatrix(whole.weights.view(values.shape), mant, exp)


def as_integers(values: Tensor, limit: int, device: torch.device) -> ExactMatrix:
    """The same, for products; limit: as of `ExactMatrix`."""
    whole = adapter_integers(values)
    return ExactMatrix(whole.weights, whole.mant, whole.exp, limit, device)


def joined(parts: Sequence[Tensor], dim: int) -> Tensor:
    """`torch.cat` that copies nothing where there is one part."""
    return parts[0] if len(parts) == 1 else torch.cat(list(parts), dim)


class Parts:
    """A layer's tensors by kind, as matrices and constants."""

    def __init__(
        self,
        checkpoint: QuantizedCheckpoint,
        units: Units,
        layer: int | None,
        device: torch.device,
        lora: Mapping[str, LowRank] | None = None,
    ) -> None:
        self.checkpoint, self.units, self.layer, self.device, self.lora = checkpoint, units, layer, device, lora or {}

    def matrix(self, kind: str, site: str, expert: int | None = None) -> HardwiredMatrix:
        name = self.checkpoint.model.tensor(kind, self.layer, expert).name
        w = self.checkpoint.integers(name)
        try:
            weights = ExactMatrix(w.weights, w.mant, w.exp, self.units.quantize(site).limit, self.device)
        except UserError as error:
            raise UserError(f"{name}: {error}") from None
        return HardwiredMatrix(weights, self.units.word_at(kind))

    def projection(self, kind: str, site: str) -> Projection:
        """A matrix, with its adapter where it has one. Raises `UserError` where gains are folded into it."""
        matrix, tensor = self.matrix(kind, site), self.checkpoint.model.tensor(kind, self.layer)
        if (lora := self.lora.get(tensor.name)) is None:
            return matrix
        if tensor.gain and self.units.numerics.gains != "behind":
            raise UserError(
                f"{self.checkpoint.path}: has the gains of its norms in its matrices, where {tensor.name} cannot have "
                "an adapter; quantize with --gains behind"
            )
        unit = Adapter(self.units.word_at(f"{kind}.adapter"))
        a = as_integers(lora.down, self.units.quantize(site).limit, self.device)
        return AdaptedMatrix(matrix, unit, a, as_integers(lora.up, unit.quantize.limit, self.device))

    def vector(self, kind: str) -> Tensor:
        """Constants of the layer, integers in float64."""
        return constants_of(self.checkpoint, kind, self.layer).to(self.device, torch.float64)

    def network(self, prefix: str = "", expert: int | None = None) -> "Network":
        gate, up = (self.matrix(f"{prefix}{name}_proj", "norm", expert) for name in ("gate", "up"))
        return Network(self.units, gate, up, self.matrix(f"{prefix}down_proj", "swiglu", expert))

    def norm(self, kind: str) -> "Norm":
        behind = self.units.numerics.gains == "behind"
        return Norm(self.units, self.vector(kind) if behind else None)


@dataclass(frozen=True)
class Norm:
    """RMSNorm, its gain where that stands behind it, and a packet of the result."""

    units: Units
    gain: Tensor | None

    def __call__(self, x: Tensor) -> Packet:
        y = self.units.norm.compute(x)
        y = y if self.gain is None else self.units.gain.compute(y, self.gain)
        return Packet(*self.units.quantize("norm").compute(y))


@dataclass(frozen=True)
class Network:
    """A SwiGLU network: an expert, a shared expert or a dense layer's."""

    units: Units
    gate: HardwiredMatrix
    up: HardwiredMatrix
    down: HardwiredMatrix

    def __call__(self, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """float32 [..., hidden] to gate, up and down in fixed-point."""
        gate, up = self.gate(values), self.up(values)
        return gate, up, self.down(self.hidden(gate, up))

    def hidden(self, gate: Tensor, up: Tensor) -> Tensor:
        """What enters the down projection, float32."""
        return Packet(*self.units.quantize("swiglu").compute(self.units.swiglu.compute(gate, up))).value


class Experts:
    """SwiGLU networks of one shape, each for some of the tokens."""

    def __init__(self, networks: Sequence[Network]) -> None:
        self.networks = networks

    def __call__(self, values: Tensor, chosen: Tensor) -> tuple[tuple[Tensor, Tensor, Tensor], Tensor]:
        """float32 [tokens, hidden] by the experts `chosen`, int64 [tokens, top_k]: gate, up and down of all jobs,
        [jobs, elements], and the place of each token's jobs among them, int64 [tokens, top_k]."""
        order = chosen.flatten().sort(stable=True).indices
        counts = chosen.flatten().bincount(minlength=len(self.networks)).tolist()
        values = values.index_select(0, order // chosen.shape[1])
        gate, up = (self.bank([getattr(n, name) for n in self.networks], values, counts) for name in ("gate", "up"))
        down = self.bank([n.down for n in self.networks], self.networks[0].hidden(gate, up), counts)
        place = torch.empty_like(order).scatter_(0, order, torch.arange(len(order), device=order.device))
        return (gate, up, down), place.view_as(chosen)

    @staticmethod
    def bank(matrices: list[HardwiredMatrix], values: Tensor, counts: list[int]) -> Tensor:
        """Runs of `counts` vectors, each by its own matrix."""
        runs = zip(matrices, values.split(counts), strict=True)
        return matrices[0].rounded(torch.cat([matrix.weights.product(run) for matrix, run in runs if len(run)]))
