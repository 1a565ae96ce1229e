"""Manners of passes, at random, for benches of the units that they go through."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from hardloom.golden.samplers.machine import SUPPRESSED
from hardloom.verif.streams.bench import Packet
from hardloom.verif.streams.stimulus import integers

__all__ = ["manner_packet", "random_manners", "suppressed_in"]


def manner_packet(words: Sequence[int], vocab_size: int) -> Packet:
    """The manner of so many words, of which those outside the vocabulary, and those that are left out, are none."""
    given = [{"given": 1, "token": word} if word < vocab_size else {} for word in words]
    return [{"suppressed": [*given, *[{}] * (SUPPRESSED - len(given))]}]


def random_manners(generator: Generator, vocab_size: int, count: int) -> list[Packet]:
    """So many; words that are not given have a token all the same, which must not matter."""
    given = integers(generator, 0, 1, (count, SUPPRESSED)) * integers(generator, 0, 1, (count, 1))
    tokens = integers(generator, 0, vocab_size - 1, (count, SUPPRESSED))
    rows = zip(given.tolist(), tokens.tolist(), strict=True)
    return [[{"suppressed": [{"given": g, "token": t} for g, t in zip(*row, strict=True)]}] for row in rows]


def suppressed_in(manners: list[Packet], vocab_size: int) -> Tensor:
    """Tokens that each manner suppresses, bool [manners, vocab_size]."""
    off = torch.zeros(len(manners), vocab_size, dtype=torch.bool)
    for row, (manner,) in enumerate(manners):
        off[row, [one["token"] for one in manner["suppressed"] if one.get("given")]] = True
    return off
