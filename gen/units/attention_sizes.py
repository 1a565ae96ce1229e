"""What all parts of attention are built from: the specification, and how much is done at once."""

from dataclasses import dataclass

from golden.units.attention import Attention as AttentionSpec

__all__ = ["AttentionSizes"]


@dataclass(frozen=True)
class AttentionSizes:
    """Validated when it is made.

    Parameters
    ----------
    spec: specification.
    heads: heads a position.
    lanes: elements a beat, divides `spec.head_dim`.
    max_positions: most positions of a pass.
    head_lanes: heads at work at once, divides `heads`.
    query_lanes: queries of a head at work at once, those of consecutive positions; for all of them a key is read once.
    passes: that are held at once, 1 or 2.
    """

    spec: AttentionSpec
    heads: int
    lanes: int
    max_positions: int
    head_lanes: int = 1
    query_lanes: int = 1
    passes: int = 1

    def __post_init__(self) -> None:
        for name in ("heads", "lanes", "max_positions", "head_lanes", "query_lanes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.spec.head_dim % self.lanes:
            raise ValueError(f"lanes must divide head_dim {self.spec.head_dim}, not be {self.lanes}")
        if self.heads % self.head_lanes:
            raise ValueError(f"head_lanes must divide the {self.heads} heads, not be {self.head_lanes}")

    @property
    def beats(self) -> int:
        """Beats of a head's vector."""
        return self.spec.head_dim // self.lanes

    @property
    def groups(self) -> int:
        """Groups of `head_lanes` heads, at work one after the other."""
        return self.heads // self.head_lanes

    @property
    def pairs(self) -> int:
        """Queries and heads at work at once: pair i * head_lanes + j is query i of a group of positions, head j of a
        group of heads."""
        return self.query_lanes * self.head_lanes

    @property
    def interleaved(self) -> bool:
        """Whether heads of one position come between those of another."""
        return self.query_lanes > 1 and self.groups > 1
