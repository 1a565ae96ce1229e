"""What all parts of attention are built from: the specification, and how much is done at once."""

from dataclasses import dataclass

from hardloom.golden.units.attention import Attention as AttentionSpec

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
    key_heads: heads of keys and values a position, each for as many query heads that follow one another; 0: `heads`.
        Those of a group of `head_lanes` share one, or each of them has whole ones.
    slots: sequences whose keys and values are kept from one pass to the next, of which a pass computes what changes;
        0: a pass computes all, and nothing is kept.
    """

    spec: AttentionSpec
    heads: int
    lanes: int
    max_positions: int
    head_lanes: int = 1
    query_lanes: int = 1
    passes: int = 1
    key_heads: int = 0
    slots: int = 0

    def __post_init__(self) -> None:
        for name in ("heads", "lanes", "max_positions", "head_lanes", "query_lanes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.spec.head_dim % self.lanes:
            raise ValueError(f"lanes must divide head_dim {self.spec.head_dim}, not be {self.lanes}")
        if self.heads % self.head_lanes:
            raise ValueError(f"head_lanes must divide the {self.heads} heads, not be {self.head_lanes}")
        if self.heads % (self.key_heads or self.heads):
            raise ValueError(f"{self.key_heads} heads of keys do not divide the {self.heads} heads")
        if self.shared % self.head_lanes and self.head_lanes % self.shared:
            raise ValueError(f"head_lanes {self.head_lanes} are neither within nor whole groups of {self.shared} heads")
        if self.spec.block_length is not None and self.spec.block_length % self.query_lanes:
            raise ValueError(
                f"query_lanes must divide block_length {self.spec.block_length}, not be {self.query_lanes}"
            )

    @property
    def beats(self) -> int:
        """Beats of a head's vector."""
        return self.spec.head_dim // self.lanes

    @property
    def groups(self) -> int:
        """Groups of `head_lanes` heads, at work one after the other."""
        return self.heads // self.head_lanes

    @property
    def shared(self) -> int:
        """Query heads that have their keys and values in common."""
        return self.heads // (self.key_heads or self.heads)

    @property
    def key_lanes(self) -> int:
        """Heads of keys that are read at once."""
        return max(1, self.head_lanes // self.shared)

    @property
    def key_groups(self) -> int:
        """Groups of `key_lanes` heads of keys."""
        return self.heads // self.shared // self.key_lanes

    @property
    def repeats(self) -> int:
        """Groups of query heads that follow one another and have their keys in common."""
        return self.groups // self.key_groups

    def key_lane(self, pair: int) -> int:
        """Which of the heads of keys that are read at once is that of a pair."""
        return pair % self.head_lanes * self.key_lanes // self.head_lanes

    @property
    def pairs(self) -> int:
        """Queries and heads at work at once: pair i * head_lanes + j is query i of a group of positions, head j of a
        group of heads."""
        return self.query_lanes * self.head_lanes

    @property
    def interleaved(self) -> bool:
        """Whether heads of one position come between those of another."""
        return self.query_lanes > 1 and self.groups > 1
