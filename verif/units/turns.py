"""Benches of `gen.units.turns`."""

from torch import Generator

from hardloom.gen.stream.stream import activations
from hardloom.gen.units.turns import Deal, Gather
from hardloom.golden.units.quantize import Quantize
from hardloom.verif.streams.bench import Case, Stimulus, packets
from hardloom.verif.streams.stimulus import Flat, integers

__all__ = ["CASES"]


def _deal(count: int, beats: int) -> Case:
    def stimulus(generator: Generator, kind: str) -> Stimulus:
        sent = packets(integers(generator, -128, 127, (5 * count - 1, 2 * beats)), 2)
        return Stimulus({"i": sent}, {f"o_{k}": sent[k::count] for k in range(count)})

    return Case(f"deal_{count}x{beats}", lambda: Flat(Deal(activations(Quantize(), 2), count)), stimulus, 0)


def _gather(count: int) -> Case:
    def stimulus(generator: Generator, kind: str) -> Stimulus:
        sent = [[item] for item in integers(generator, 0, 255, (5 * count - 1,)).tolist()]
        return Stimulus({f"i_{k}": sent[k::count] for k in range(count)}, {"o": sent})

    return Case(f"gather_{count}", lambda: Flat(Gather(8, count)), stimulus, 0)


CASES = [_deal(2, 3), _deal(3, 1), _gather(2), _gather(3)]
