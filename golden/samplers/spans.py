"""Which positions a pass computes where keys and values of the others are kept from the passes before."""

from hardloom.golden.samplers.denoise import Pass

__all__ = ["span"]


def span(block_length: int | None, one: Pass, positions: int, shift: int = 0) -> range:
    """Positions that a pass computes: whole blocks of attention, of `block_length`, that see no later one.

    From the block of the first position that is not known any more to the end of the block at work; positions: of the
    whole sequence; shift: by which logits are before what they predict, so that they are computed too.
    Where all positions see each other (block_length None), those of `Pass.span`.
    """
    if block_length is None:
        return range(positions) if one.span is None else range(max(0, one.span.start - shift), one.span.stop)
    first = min(one.since, max(0, one.start - shift))
    stop = min(-(-one.end // block_length) * block_length, positions)
    return range(first // block_length * block_length, stop)
