"""Samplers that tests ask for."""

from hardloom.golden.samplers.sampling import Sampling

__all__ = ["by_quota", "by_threshold"]


def by_quota(gen_length: int, block_length: int, steps: int) -> Sampling:
    """LLaDA's, in so many steps of the whole run."""
    return Sampling.of("llada", gen_length=gen_length, block_length=block_length, steps=steps)


def by_threshold(gen_length: int, block_length: int, threshold: float) -> Sampling:
    """dInfer's."""
    return Sampling.of("threshold", gen_length=gen_length, block_length=block_length, threshold=threshold)
