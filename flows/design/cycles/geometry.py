"""What decides the cycles of a chip: beats of its packets, its arrays, its queues."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gen.design.latency import GAIN, quantize, rms_norm, router
from gen.design.queues import Queues
from golden.shape import AttentionShape, ExpertsShape, ModelShape

if TYPE_CHECKING:  # else an estimate, which needs none of it, would load the whole generator
    from gen.design.hardware import HardwareConfig

__all__ = ["ArrayCycles", "Geometry", "unmodelled"]


@dataclass(frozen=True)
class ArrayCycles:
    """Cycles of one array (`gen.arrays.style.ArrayPlan`).

    load, drain: beats in and out; packet: from one packet to the next when nobody waits.
    """

    load: int
    drain: int
    packet: int

    @property
    def compute(self) -> int:
        """From a packet's start to its first result; where loading is longer, the most that loading hides."""
        return self.packet - self.drain

    @property
    def latency(self) -> int:
        """From the last beat in to the last beat out, where the array is idle."""
        return 1 + self.packet


def unmodelled(model: ModelShape) -> Iterator[str]:
    """What a model has, in words, that chips have and this account of their cycles has not."""
    for layer in dict.fromkeys(model.layers):
        attention, mlp = layer.attention, layer.mlp
        if not isinstance(mlp, ExpertsShape):
            yield "layers without experts"
        elif mlp.shared_size:
            yield "a shared expert"
        if isinstance(mlp, ExpertsShape) and (mlp.capacity or (mlp.scale != 1 and not mlp.renormalise)):
            yield "a router by blocks, or scaled alone"
        if attention.clip is not None or attention.bias:
            yield "clipped q, k and v, or biases of them"
        if attention.num_key_value_heads != attention.num_heads:
            yield "heads that share keys"
        if attention.block_length is not None:
            yield "attention by blocks"
        if not attention.head_norms:
            yield "heads without norms"
    if len(set(model.layers)) > 1:
        yield "layers that differ"


@dataclass(frozen=True)
class Geometry:
    """A chip as its cycles see it.

    Attributes
    ----------
    model: one that is modelled (`unmodelled`).
    lanes: elements a beat of every stream.
    packets: cycles of one array of each kind from one packet to the next.
    queues: depths, in tokens.
    gains_behind: norms of hidden vectors have their gain behind them.
    head_lanes, query_lanes: heads and queries that attention works on at once.
    passes: that attention's memories hold.
    """

    model: ModelShape
    lanes: int
    packets: Mapping[str, int]
    queues: Queues = field(default_factory=Queues)
    gains_behind: bool = False
    head_lanes: int = 1
    query_lanes: int = 1
    passes: int = 1

    @classmethod
    def of(
        cls, model: ModelShape, hardware: "HardwareConfig", packets: Mapping[str, int], gains_behind: bool = False
    ) -> "Geometry":
        """Of a chip with this hardware."""
        at_once = {name: getattr(hardware, name) for name in ("head_lanes", "query_lanes", "passes")}
        return cls(model, hardware.lanes, packets, hardware.queues, gains_behind, **at_once)

    @property
    def attention(self) -> AttentionShape:
        return self.model.layers[0].attention

    @property
    def experts(self) -> ExpertsShape:
        mlp = self.model.layers[0].mlp
        assert isinstance(mlp, ExpertsShape)  # as `unmodelled` says
        return mlp

    def beats(self, elements: int) -> int:
        """Beats of a packet of `elements`."""
        return -(-elements // self.lanes)

    @property
    def hidden(self) -> int:
        """Beats of a hidden vector."""
        return self.beats(self.model.hidden_size)

    @property
    def head(self) -> int:
        """Beats of a head vector."""
        return self.beats(self.attention.head_dim)

    @property
    def middle(self) -> int:
        """Beats of an expert's intermediate vector."""
        return self.beats(self.experts.intermediate_size)

    @property
    def normed(self) -> int:
        """From a hidden vector's last beat into its norm to the last beat of the packet made of it."""
        return rms_norm(self.hidden) + self.gains_behind * GAIN + quantize(self.hidden)

    @property
    def router(self) -> int:
        """From a token's last logit to its experts."""
        mlp = self.experts
        softmax, grouped = mlp.score == "softmax", mlp.top_groups < mlp.groups
        return router(
            mlp.num_experts, mlp.top_k, self.lanes, softmax=softmax, grouped=grouped, renormalised=mlp.renormalise
        )

    def array(self, kind: str) -> ArrayCycles:
        """Of one array of a kind."""
        found = next(matrix for matrix in self.model.kinds() if matrix.kind == kind)
        return ArrayCycles(self.beats(found.inputs), self.beats(found.rows), self.packets[kind])
