"""What the sampler asks of the chip: positions computed for every token it generates."""

from dataclasses import dataclass

from flows.design.estimate.assumptions import Assumptions
from golden.errors import UserError

__all__ = ["Workload", "default_sampler", "workload_tables"]

SAMPLERS = ("whole", "cached", "block", "autoregressive")
"""whole: every forward computes the whole sequence (LLaDA); cached: the current block and its vicinity, and the whole
sequence once a block (dInfer); block: the current block, earlier ones cached (LLaDA2.0); autoregressive: one token."""


def default_sampler(model_type: str) -> str:
    """The sampler a `model_type` of `config.json` was made for."""
    return {"llada": "whole", "lladamoe": "whole", "llada2_moe": "block"}.get(model_type, "autoregressive")


def workload_tables(sampler: str, hidden: int) -> tuple[str, ...]:
    """Tables of `workloads.toml` for a sampler; the published tokens a forward of LLaDA2.0 differ by size."""
    if sampler not in SAMPLERS:
        raise UserError(f"--sampler {sampler}: unknown; choose one of {', '.join(SAMPLERS)}")
    return (sampler, "block-flash" if hidden > 2048 else "block-mini") if sampler == "block" else (sampler,)


@dataclass(frozen=True)
class Workload:
    """Positions and tokens.

    length: positions of a full sequence; positions_per_forward: computed in one; tokens_per_forward: committed by one;
    refresh_per_token: positions of whole-sequence passes beside those, a token; sequences: whose keys and values must
    stay on the chip, a layer; span: positions that a layer must hold of the sequence it works on.
    """

    length: float
    positions_per_forward: float
    tokens_per_forward: float
    refresh_per_token: float = 0.0

    @property
    def positions_per_token(self) -> float:
        return self.positions_per_forward / self.tokens_per_forward + self.refresh_per_token

    @classmethod
    def of(cls, sampler: str, a: Assumptions) -> "Workload":
        length = a["prompt_length"] + a["gen_length"]
        if sampler == "autoregressive":
            return cls(length, 1.0, 1.0)
        if sampler == "whole":
            return cls(length, length, a["tokens_per_forward"])
        block = a["block_length"]
        if sampler == "block":
            return cls(length, block, a["tokens_per_forward"], 1.0)
        positions = min(length, block + a["vicinity"])
        return cls(length, positions, a["tokens_per_forward"], length / block)
