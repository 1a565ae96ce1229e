"""Which positions a pass computes where keys and values of the others are kept from the passes before."""

from golden.samplers.denoise import SamplerParams, Step

__all__ = ["span"]


def span(block_length: int, prompt_length: int, params: SamplerParams, step: Step, before: Step | None) -> range:
    """Positions that the pass of a step computes: whole blocks of attention, of `block_length`, that see no later one.

    From the block of the first position that is not known any more to the end of the block at work. Within a block of
    the sampler that is its own first position; with a new block the first one that the step before, which is the last
    one of the block before, has committed, if any; with the first block position 0.
    """
    start = prompt_length + step.block * params.block_length
    since = start
    if before is None:
        since = 0
    elif before.block != step.block and before.committed.any():
        since = int(before.committed[0].nonzero()[0])
    end = start + params.block_length
    stop = min(-(-end // block_length) * block_length, prompt_length + params.gen_length)
    return range(since // block_length * block_length, stop)
