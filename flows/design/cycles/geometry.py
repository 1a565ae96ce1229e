"""What decides the cycles of a chip: beats of its packets, its arrays, its queues."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from hardloom.gen.design.latency import ADDED, GAIN, RESCALE, adapter, narrow_beats, quantize, rms_norm, router
from hardloom.gen.design.queues import Queues
from hardloom.golden.shape import AttentionShape, ExpertsShape, LayerShape, ModelShape

__all__ = ["ArrayCycles", "ArrayPace", "Geometry"]


class ArrayPace(NamedTuple):
    """How an array takes packets.

    packet: cycles from one to the next when nobody waits. serial: beats are taken as they are added up; else a packet
    is taken whole, while the one before it is added up.
    """

    packet: int
    serial: bool = False


@dataclass(frozen=True)
class ArrayCycles:
    """Cycles of one array (`gen.arrays.style.ArrayPlan`).

    load, drain: beats in and out; packet, serial: as of `ArrayPace`.
    """

    load: int
    drain: int
    packet: int
    serial: bool

    @property
    def compute(self) -> int:
        """From a packet's start to its first result; where loading is longer, the most that loading hides."""
        return self.packet - self.drain

    @property
    def pace(self) -> float:
        """From one beat that is taken to the next."""
        return self.compute / self.load if self.serial else 1.0

    @property
    def taking(self) -> float:
        """From a packet's first beat that is taken to its last, at the quickest."""
        return (self.load - 1) * self.pace

    @property
    def latency(self) -> int:
        """From the last beat in to the last beat out, where the array is idle and beats come one a cycle.

        A serial array works while they come: it holds them back, but not the time that they take.
        """
        return 1 + self.packet - (self.load if self.serial else 0)


@dataclass(frozen=True)
class Geometry:
    """A chip as its cycles see it, and one of its layers.

    Attributes
    ----------
    model: of which chips can be written.
    lanes: elements a beat of every stream.
    paces: of one array of each kind.
    queues: depths, in tokens.
    gains_behind: norms of hidden vectors have their gain behind them.
    head_lanes, query_lanes: heads and queries that attention works on at once. head_tiles: parts of the head.
    temperature: there is noise on logits. adapter_rank: of the adapters, which are on; 0: there are none.
    passes: that attention's memories hold.
    routers: of the layer.
    expert_groups: groups of experts that work side by side.
    layer: number of the layer.
    """

    model: ModelShape
    lanes: int
    paces: Mapping[str, ArrayPace]
    queues: Queues = field(default_factory=Queues)
    gains_behind: bool = False
    head_lanes: int = 1
    query_lanes: int = 1
    passes: int = 1
    routers: int = 1
    expert_groups: int = 1
    head_tiles: int = 1
    temperature: bool = False
    adapter_rank: int = 0
    layer: int = 0

    @classmethod
    def of(
        cls,
        model: ModelShape,
        lanes: int,
        at_once: Any,
        paces: Mapping[str, ArrayPace],
        gains_behind: bool = False,
    ) -> "Geometry":
        """Of a chip that does so much at once as `at_once` says, in fields of `gen.design.hardware.HardwareConfig`."""
        attention = ("head_lanes", "query_lanes", "passes", "adapter_rank")
        names = (*attention, "routers", "expert_groups", "head_tiles", "temperature")
        return cls(model, lanes, paces, at_once.queues, gains_behind, **{n: getattr(at_once, n) for n in names})

    def at(self, layer: int) -> "Geometry":
        """The same chip, another layer."""
        return replace(self, layer=layer)

    @property
    def shape(self) -> LayerShape:
        return self.model.layers[self.layer]

    @property
    def attention(self) -> AttentionShape:
        return self.shape.attention

    @property
    def experts(self) -> ExpertsShape:
        """Of a layer that has experts."""
        assert isinstance(self.shape.mlp, ExpertsShape)
        return self.shape.mlp

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
    def normed(self) -> int:
        """From a hidden vector's last beat into its norm to the last beat of the packet made of it."""
        return rms_norm(self.hidden, self.lanes) + self.gains_behind * GAIN + quantize(self.hidden)

    def router(self, tokens: int) -> int:
        """From the last logit of one token, or of those of a block that admits experts, to the last one's experts."""
        mlp = self.experts
        return router(
            mlp.num_experts,
            mlp.top_k,
            self.lanes,
            softmax=mlp.score == "softmax",
            grouped=mlp.top_groups < mlp.groups,
            renormalised=mlp.renormalise,
            scaled=mlp.scale != 1,
            block=tokens if mlp.capacity else 0,
        )

    def projected(self, kind: str) -> int:
        """From a packet's last beat into q, k, v or o to its last beat behind the rescale, and the adapter."""
        array, rank = self.array(kind), self.adapter_rank
        plain = array.latency + RESCALE
        return max(plain + ADDED, adapter(narrow_beats(rank, self.lanes), array.drain)) if rank else plain

    def array(self, kind: str) -> ArrayCycles:
        """Of one array of a kind, of this layer or around the layers."""
        layer = replace(self.model, layers=(self.shape,))
        found = next(matrix for matrix in layer.kinds() if matrix.kind == kind)
        rows = -(-found.rows // self.head_tiles) if kind == "head" else found.rows
        return ArrayCycles(self.beats(found.inputs), self.beats(rows), *self.paces[kind])
