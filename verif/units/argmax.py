"""Bench of `gen.units.argmax`."""

import torch
from torch import Generator, Tensor

from gen.design import latency
from gen.units.argmax import Argmax
from golden.units.argmax import Argmax as ArgmaxSpec
from golden.units.fixed import FIXED, FixedPoint
from golden.units.softmax import SoftmaxNumerator
from golden.units.table import LOG2E
from verif.streams.bench import Case, Stimulus, packets
from verif.streams.stimulus import integers, vectors

__all__ = ["CASES", "logits", "padded"]


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


def _case(lanes: int, vocab_size: int, word: FixedPoint = FIXED) -> Case:
    spec = ArgmaxSpec(SoftmaxNumerator(word))

    def stimulus(generator: Generator, kind: str) -> Stimulus:
        x = logits(generator, kind, vocab_size, spec.numerator)
        predictions = torch.stack(spec.compute(x), -1).tolist()
        expected = [[{"token": token, "spread": spread}] for token, spread in predictions]
        return Stimulus({"i": packets(padded(generator, x, lanes, spec.numerator.word), lanes)}, {"o": expected})

    beats = -(-vocab_size // lanes)
    return Case(
        f"argmax_{lanes}x{vocab_size}_{word.width}",
        lambda: Argmax(spec, vocab_size, lanes),
        stimulus,
        beats + 7,
        alone=latency.argmax(beats),
    )


CASES = [_case(4, 37), _case(8, 8), _case(3, 11), _case(1, 5), _case(2, 1)]
CASES += [_case(2, 7, FixedPoint(24, 12)), _case(2, 7, FixedPoint(36, 16))]
