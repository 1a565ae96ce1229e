"""How much a chip does at once."""

from dataclasses import dataclass, field

from hardloom.gen.design.lanes import check_parallel
from hardloom.gen.design.queues import Queues
from hardloom.golden.errors import UserError
from hardloom.golden.shape import MOST_RANK, ModelShape

__all__ = ["AtOnce"]


@dataclass(frozen=True)
class AtOnce:
    """Of a chip that `hardloom generate` writes; fields of `gen.design.hardware.HardwareConfig`.

    head_lanes, query_lanes: heads, and queries of each, that a layer's attention works on; expert_groups: of a layer's
    experts, that work side by side; sequences: in flight; head_tiles: parts of the head that drain side by side;
    routers: of a layer, that take tokens in turns; queues: depths around a layer's experts; cache: keys and values of
    every sequence are kept from one pass to the next; temperature: there is noise on logits;
    adapter_rank: of the LoRA adapters beside q, k, v and o of every layer, of the projected chip as well.
    """

    head_lanes: int = 1
    query_lanes: int = 1
    expert_groups: int = 1
    sequences: int = 1
    head_tiles: int = 1
    routers: int = 1
    queues: Queues = field(default_factory=Queues)
    cache: bool = False
    temperature: bool = False
    adapter_rank: int = 0

    @property
    def pairs(self) -> int:
        """Of a query and a head, at work at once."""
        return self.head_lanes * self.query_lanes

    @property
    def passes(self) -> int:
        """Passes that attention's memories hold, as `HardwareConfig.passes`."""
        return min(2, self.sequences)

    @property
    def kept(self) -> int:
        """Sequences whose keys and values a layer's memories hold: of every slot, or of the passes."""
        return self.sequences if self.cache else self.passes

    def check(self, model: ModelShape, positions: float) -> None:
        """Raises UserError, by the names of options, for what a model's layers can't do with sequences of so many
        positions."""
        if self.query_lanes > positions:
            raise UserError(
                f"--query-lanes: {self.query_lanes} exceeds the {positions:,g} positions of a sequence; give fewer"
            )
        if not 0 <= self.adapter_rank <= MOST_RANK:
            raise UserError(f"--adapter-rank: {self.adapter_rank} is none of 0 to {MOST_RANK}")
        if wrong := check_parallel(self, model):
            field, sentence = wrong
            raise UserError(f"--{field.replace('_', '-')}: {sentence}")
