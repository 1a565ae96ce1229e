"""A layer: its attention half, then its experts or the network that it has instead."""

from hardloom.flows.design.cycles.attention import AttentionHalf
from hardloom.flows.design.cycles.experts import ExpertHalf, Routes
from hardloom.flows.design.cycles.geometry import Geometry
from hardloom.flows.design.cycles.networks import DenseHalf
from hardloom.flows.design.cycles.times import Record, Times, unrecorded
from hardloom.golden.shape import DenseShape

__all__ = ["Layer"]


class Layer:
    """State of a layer, that of `g`, while passes go through it."""

    def __init__(self, g: Geometry, record: Record = unrecorded) -> None:
        self.attention = AttentionHalf(g, record)
        self.mlp = DenseHalf(g, record) if isinstance(g.shape.mlp, DenseShape) else ExpertHalf(g, record)

    def follow(self, arrivals: Times, routes: Routes | None, first: int = 0, kept: int = 0) -> Times:
        """Last beats of the residual stream behind the layer, by position; routes: None where it has no experts; first:
        the pass's first position, where keys of those before it are kept; kept: as `Pass` has it."""
        between = self.attention.follow(arrivals, first, kept)
        if isinstance(self.mlp, DenseHalf):
            return self.mlp.follow(between)
        assert routes is not None
        return self.mlp.follow(between, routes)
