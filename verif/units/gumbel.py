"""Bench of `gen.units.gumbel`."""

import torch
from torch import Generator, Tensor
from torch.nn.functional import pad

from hardloom.gen.design import latency
from hardloom.gen.design.head_tiles import head_tiles
from hardloom.gen.units.gumbel import Gumbel, NoiseWord, ranked_beat
from hardloom.golden.samplers.manner import AMOUNT_FRAC
from hardloom.golden.units.fixed import FIXED, FixedPoint
from hardloom.golden.units.gumbel import GUMBEL_FRAC, OCTAVES, ROUNDS, noise, noise_word
from hardloom.golden.units.rounding import round_shift
from hardloom.verif.streams.bench import Case, Packet, Stimulus
from hardloom.verif.streams.manners import drawn_manners, random_manners, told_manners
from hardloom.verif.streams.stimulus import integers, vectors

__all__ = ["CASES", "noise_of"]

TOKENS, WORD = 37, (1 << 32) - 1


def field(manners: list[Packet], name: str) -> Tensor:
    """int64 [manners]."""
    return torch.tensor([manner[name] for (manner,) in manners])


def noise_of(manners: list[Packet], vocab_size: int, word: FixedPoint) -> Tensor:
    """What each manner adds to the logits of its packet, int64 [manners, vocab_size]."""
    hot = field(manners, "temperature")[:, None] * noise(field(manners, "word"), vocab_size)
    return round_shift(hot, AMOUNT_FRAC + GUMBEL_FRAC - word.frac)


def _words() -> Case:
    def stimulus(generator: Generator, kind: str) -> Stimulus:
        manners = told_manners(generator, random_manners(generator, TOKENS, 80))
        words = noise_word(*(field(manners, name) for name in ("seed", "step", "position"))).tolist()
        kept = ("suppressed", "temperature")
        told: list[Packet] = [
            [{name: manner[name] for name in kept} | {"word": word}]
            for (manner,), word in zip(manners, words, strict=True)
        ]
        return Stimulus({"i": manners}, {"o": told})

    return Case("noise_word", lambda: NoiseWord(TOKENS), stimulus, 14, alone=12)


def unmixed(word: int) -> int:
    """Of which `golden.units.gumbel.mixed`, a permutation, makes `word`."""
    for left, right in reversed(ROUNDS):
        before = word
        for _ in range(32 // right):
            before = word ^ before >> right
        word = before * pow(1 + (1 << left), -1, 1 << 32) & WORD
    return word


def every_octave(generator: Generator, manners: list[Packet], vocab_size: int) -> None:
    """Words by which a token finds each octave of the table in turn, at the highest temperature, at 1 and at the
    lowest."""
    for number, (manner,) in enumerate(manners):
        tail = int(integers(generator, 0, WORD >> 1, ()))
        wanted = (1 << 31 | tail) >> number % (OCTAVES + 1)
        manner["word"] = unmixed(wanted) - number % vocab_size & WORD
        manner["temperature"] = ((1 << 16) - 1, 1 << 12, 1)[number % 3]


def side_by_side(x: Tensor, rows: list[int], lanes: int, fill: int) -> list[list[list[int]]]:
    """int64 [n, vocabulary] as beats of all tiles, [n, beats, elements]; `fill` past a tile's last element."""
    beats = -(-rows[0] // lanes)
    parts = [pad(part, (0, beats * lanes - part.shape[1]), value=fill) for part in x.split(rows, 1)]
    return torch.cat([part.unflatten(1, (beats, lanes)) for part in parts], 2).tolist()


def _case(lanes: int, vocab_size: int, word: FixedPoint = FIXED, tiles: int = 1) -> Case:
    rows = [tile.rows for tile in head_tiles(vocab_size, tiles)]
    rank = ranked_beat(word, 1).members["rank"].elem_shape.width

    def stimulus(generator: Generator, kind: str) -> Stimulus:
        x = vectors(generator, kind, vocab_size, word.width)
        manners = drawn_manners(generator, random_manners(generator, vocab_size, len(x)))
        if kind == "corners":
            every_octave(generator, manners, vocab_size)
        out, below = integers(generator, 0, 4, x.shape) == 0, -(1 << rank - 1)
        ranks = (x + noise_of(manners, vocab_size, word)).masked_fill(out, below)
        wide = [side_by_side(part, rows, lanes, fill) for part, fill in ((x, 0), (out.long(), 1), (ranks, below))]
        given: list[Packet] = []
        told: list[Packet] = []
        for (manner,), *packet in zip(manners, *wide, strict=True):
            drawn = {name: manner[name] for name in ("temperature", "word")}
            beats = [
                ({"data": data, "out": sum(bit << k for k, bit in enumerate(bits))}, ranked)
                for data, bits, ranked in zip(*packet, strict=True)
            ]
            beats[-1][0]["last"] = 1
            given.append([{"beat": beat, **drawn} for beat, _ in beats])
            told.append([beat | {"rank": ranked} for beat, ranked in beats])
        return Stimulus({"i": given}, {"o": told})

    name = f"gumbel_{lanes}x{vocab_size}_{word.width}" + f"_{tiles}" * (tiles > 1)
    return Case(name, lambda: Gumbel(word, lanes, rows), stimulus, latency.NOISE + 2, alone=latency.NOISE)


CASES = [
    _words(),
    _case(4, 37),
    _case(1, 5, FixedPoint(36, 16)),
    _case(3, 7, FixedPoint(24, 12)),
    _case(2, 13, tiles=3),
]
