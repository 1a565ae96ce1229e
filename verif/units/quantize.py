"""Bench of `gen.units.quantize`."""

from torch import Generator

from hardloom.gen.design import latency
from hardloom.gen.units.quantize import Quantize
from hardloom.golden.units.fixed import FixedPoint
from hardloom.golden.units.quantize import Quantize as QuantizeSpec
from hardloom.verif.streams.bench import Case, Stimulus, packets
from hardloom.verif.streams.stimulus import vectors

__all__ = ["CASES"]


def _case(lanes: int, count: int, spec: QuantizeSpec = QuantizeSpec()) -> Case:

    def stimulus(generator: Generator, kind: str) -> Stimulus:
        x = vectors(generator, kind, count, spec.word.width)
        q, scale = spec.compute(x)
        return Stimulus({"i": packets(x, lanes)}, {"o": packets(q, lanes, scale)})

    beats = count // lanes
    return Case(
        f"quantize_{lanes}x{count}_{spec.word.width}_{spec.width}",
        lambda: Quantize(spec, lanes, max(4, 2 * beats)),
        stimulus,
        beats + 6,
        alone=latency.quantize(beats),
    )


CASES = [
    *(_case(4, 16), _case(2, 12), _case(8, 8)),
    *(_case(4, 16, QuantizeSpec(width=6)), _case(2, 4, QuantizeSpec(FixedPoint(36, 16), 10))),
    _case(2, 4, QuantizeSpec(FixedPoint(24, 12), 12)),
]
