"""Which positions a pass computes where keys and values of the others are kept from the passes before."""

from golden.samplers.denoise import Pass

__all__ = ["span"]


def span(block_length: int, one: Pass, positions: int) -> range:
    """Positions that a pass computes: whole blocks of attention, of `block_length`, that see no later one.

    From the block of the first position that is not known any more to the end of the block at work; positions: of the
    whole sequence.
    """
    stop = min(-(-one.end // block_length) * block_length, positions)
    return range(one.since // block_length * block_length, stop)
