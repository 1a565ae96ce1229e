"""What the sampler asks of the chip: positions computed for every token it generates."""

from dataclasses import dataclass

from hardloom.flows.assumptions.assumptions import Assumptions
from hardloom.golden.errors import UserError
from hardloom.golden.shape import ModelShape

__all__ = ["KEEPING", "Workload", "default_sampler", "workload_tables"]

SAMPLERS = ("whole", "cached", "block", "autoregressive")
"""whole: every forward computes the whole sequence (LLaDA); cached: the current block and its vicinity, and the whole
sequence once a block (dInfer); block: the current block, earlier ones cached (LLaDA2.0); autoregressive: one token."""


KEEPING = ("cached", "block")
"""Samplers of chips with `cache`."""


def default_sampler(shape: ModelShape) -> str:
    """The sampler that a model was made for: by blocks where its attention goes by them, one token at a time without
    masks, else the whole sequence."""
    if shape.mask_token_id is None:
        return "autoregressive"
    return "block" if any(layer.attention.block_length is not None for layer in shape.layers) else "whole"


def workload_tables(sampler: str, hidden: int) -> tuple[str, ...]:
    """Tables of `workloads.toml` for a sampler; the published tokens a forward of LLaDA2.0 differ by size."""
    if sampler not in SAMPLERS:
        raise UserError(f"--sampler {sampler}: unknown; choose one of {', '.join(SAMPLERS)}")
    return (sampler, "block-flash" if hidden > 2048 else "block-mini") if sampler == "block" else (sampler,)


@dataclass(frozen=True)
class Workload:
    """Positions and tokens.

    length: positions of a full sequence; generated: those that are not the prompt's; positions_per_forward: computed in
    one; tokens_per_forward: committed by one; refresh_per_token: positions beside those, a token: of prompts and
    finished blocks, or of whole-sequence passes. vicinity: positions either side of a block, where it has some.
    """

    length: float
    generated: float
    positions_per_forward: float
    tokens_per_forward: float
    refresh_per_token: float = 0.0
    vicinity: float = 0.0

    @property
    def positions_per_token(self) -> float:
        return self.positions_per_forward / self.tokens_per_forward + self.refresh_per_token

    @classmethod
    def of(cls, sampler: str, a: Assumptions) -> "Workload":
        generated = a["gen_length"]
        length = a["prompt_length"] + generated
        if sampler == "autoregressive":
            return cls(length, generated, 1.0, 1.0)
        if sampler == "whole":
            return cls(length, generated, length, a["tokens_per_forward"])
        block = a["block_length"]
        if sampler == "block":
            return cls(length, generated, block, a["tokens_per_forward"], max(0.0, length - block) / generated)
        positions = min(length, block + a["vicinity"])
        return cls(length, generated, positions, a["tokens_per_forward"], length / block, a["vicinity"] / 2)
