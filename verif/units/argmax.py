"""Bench of `gen.units.argmax`."""

import torch
from torch import Generator, Tensor

from hardloom.gen.design import latency
from hardloom.gen.design.head_tiles import head_tiles
from hardloom.gen.units.argmax import Argmax
from hardloom.golden.samplers.machine import SUPPRESSED
from hardloom.golden.units.argmax import Argmax as ArgmaxSpec
from hardloom.golden.units.fixed import FIXED, FixedPoint
from hardloom.golden.units.softmax import SoftmaxNumerator
from hardloom.golden.units.table import LOG2E
from hardloom.verif.streams.bench import Case, Packet, Stimulus, packets
from hardloom.verif.streams.manners import drawn_manners, manner_packet, random_manners, suppressed_in
from hardloom.verif.streams.stimulus import integers, vectors
from hardloom.verif.units.gumbel import noise_of

__all__ = ["CASES", "logits", "padded", "side_by_side"]


def logits(generator: Generator, kind: str, count: int, spec: SoftmaxNumerator) -> Tensor:
    """`vectors`; their corners also where exponentials, whole powers of two, become 0, at 17 and 18 halvings."""
    x = vectors(generator, kind, count, spec.word.width)
    if kind != "corners":
        return x
    halvings = torch.arange(15, 21).repeat(-(-count // 6))[: count - 1] << spec.exp2.frac
    below = (halvings << spec.shift) // LOG2E + 1
    return torch.cat((x, torch.cat((torch.zeros(1, dtype=torch.int64), -below))[None]))


def padded(generator: Generator, x: Tensor, lanes: int, word: FixedPoint) -> Tensor:
    """int64 [n, count] with elements that must not matter, so that whole beats result: the largest, or anything."""
    shape = (len(x), -x.shape[1] % lanes)
    padding = torch.where(
        integers(generator, 0, 1, shape) == 1, word.max, integers(generator, word.min, word.max, shape)
    )
    return torch.cat((x, padding), 1)


def side_by_side(generator: Generator, x: Tensor, lanes: int, tiles: int, word: FixedPoint) -> list[Packet]:
    """Logits int64 [n, vocabulary] as beats of all tiles; elements past a tile's last logit are as of `padded`."""
    rows = [tile.rows for tile in head_tiles(x.shape[1], tiles)]
    beats = -(-rows[0] // lanes)
    parts = [padded(generator, part, beats * lanes, word) for part in x.split(rows, 1)]
    wide = torch.stack([part.unflatten(1, (beats, lanes)) for part in parts], 2)
    return packets(wide.flatten(1), tiles * lanes)


def largest(row: list[int], count: int) -> list[int]:
    """So many tokens of the largest logits; all, where there are no more."""
    return sorted(range(len(row)), key=lambda token: -row[token])[:count]


def _case(lanes: int, vocab_size: int, word: FixedPoint = FIXED, tiles: int = 1, noise: bool = False) -> Case:
    spec = ArgmaxSpec(SoftmaxNumerator(word))

    def stimulus(generator: Generator, kind: str) -> Stimulus:
        x = logits(generator, kind, vocab_size, spec.numerator)
        if tiles > 1 and kind == "random":  # the same largest logit in several tiles, of every other packet
            again = integers(generator, 0, vocab_size - 1, (len(x[::2]), 3))
            x[::2] = x[::2].scatter(1, again, x[::2].amax(1, keepdim=True).expand(-1, 3))
        hot = 12 * (noise and kind == "corners")
        x = torch.cat((x, x[-1:].expand(hot, -1)))
        manners = random_manners(generator, vocab_size, len(x))
        if kind == "corners":
            most = [number % (SUPPRESSED + 1) for number in range(len(x) - hot)] + [0] * hot
            words = [largest(row, count) for row, count in zip(x.tolist(), most, strict=True)]
            manners = [manner_packet(row, vocab_size) for row in words]
        added = None
        if noise:
            manners = drawn_manners(generator, manners)
            for (manner,) in manners[len(x) - hot :]:  # so that tokens are drawn whose exponential is 0
                manner["temperature"] = (1 << 16) - 1
            added = noise_of(manners, vocab_size, word)
        predictions = torch.stack(spec.compute(x, suppressed_in(manners, vocab_size), added), -1).tolist()
        expected = [[{"token": token, "spread": spread}] for token, spread in predictions]
        beats_in = side_by_side(generator, x, lanes, tiles, spec.numerator.word)
        return Stimulus({"i": beats_in, "manner": manners}, {"o": expected})

    beats = -(-vocab_size // (lanes * tiles))
    promised = latency.argmax(beats, lanes, tiles, noise)
    return Case(
        f"argmax_{lanes}x{vocab_size}_{word.width}" + f"_{tiles}" * (tiles > 1) + "_noise" * noise,
        lambda: Argmax(spec, vocab_size, lanes, tiles, noise=noise),
        stimulus,
        promised + 2,
        alone=promised,
    )


CASES = [_case(4, 37), _case(8, 8), _case(3, 11), _case(1, 5), _case(2, 1)]
CASES += [_case(2, 7, FixedPoint(24, 12)), _case(2, 7, FixedPoint(36, 16))]
CASES += [
    _case(4, 37, tiles=2),
    _case(2, 17, tiles=4),
    _case(2, 13, tiles=3),
    _case(3, 23, tiles=7),
    _case(1, 5, tiles=5),
]
CASES += [_case(4, 37, noise=True), _case(1, 5, noise=True), _case(2, 7, FixedPoint(36, 16), noise=True)]
CASES += [_case(4, 37, tiles=2, noise=True), _case(2, 13, FixedPoint(24, 12), tiles=6, noise=True)]
WIDE = FixedPoint(24, 12)
CASES += [_case(lanes, count, WIDE) for lanes, count in ((16, 37), (32, 100), (24, 20), (128, 300))]
CASES += [_case(lanes, count, WIDE, noise=True) for lanes, count in ((16, 37), (20, 50))]
CASES += [
    _case(7, 40, tiles=2),
    _case(16, 90, tiles=2),
    _case(72, 301, WIDE, tiles=2),
    _case(12, 50, WIDE, tiles=3, noise=True),
]
