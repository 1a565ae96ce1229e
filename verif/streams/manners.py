"""Manners of passes, at random, for benches of the units that they go through."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from hardloom.golden.samplers.machine import SUPPRESSED
from hardloom.verif.streams.bench import Packet
from hardloom.verif.streams.stimulus import integers

__all__ = ["drawn_manners", "manner_packet", "random_manners", "suppressed_in", "told_manners"]


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


def told_manners(generator: Generator, manners: list[Packet]) -> list[Packet]:
    """With temperature, seed, step and position at random, or at an end of their range."""
    widths = {"temperature": 16, "seed": 32, "step": 16, "position": 16}
    for (manner,) in manners:
        for name, width in widths.items():
            most = (1 << width) - 1
            manner[name] = (0, most, *integers(generator, 0, most, (4,)).tolist())[int(integers(generator, 0, 5, ()))]
    return manners


def drawn_manners(generator: Generator, manners: list[Packet]) -> list[Packet]:
    """With a word of noise at random, and a temperature from none to the highest."""
    for (manner,) in manners:
        manner["word"] = int(integers(generator, 0, (1 << 32) - 1, ()))
        bits = int(integers(generator, 0, 16, ()))
        manner["temperature"] = int(integers(generator, (1 << bits) >> 1, (1 << bits) - 1, ()))
    return manners


def suppressed_in(manners: list[Packet], vocab_size: int) -> Tensor:
    """Tokens that each manner suppresses, bool [manners, vocab_size]."""
    off = torch.zeros(len(manners), vocab_size, dtype=torch.bool)
    for row, (manner,) in enumerate(manners):
        off[row, [one["token"] for one in manner["suppressed"] if one.get("given")]] = True
    return off
