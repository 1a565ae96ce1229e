"""Bench of `gen.units.rmsnorm`."""

from torch import Generator

from gen.units.rmsnorm import RMSNorm
from golden.units.rmsnorm import RMSNorm as RMSNormSpec
from verif.bench import Case, Stimulus, packets
from verif.stimulus import vectors

__all__ = ["CASES"]


def _case(lanes: int, count: int, eps: float) -> Case:
    spec = RMSNormSpec(count, eps)

    def stimulus(generator: Generator, kind: str) -> Stimulus:
        x = vectors(generator, kind, count, spec.word.width)
        return Stimulus({"i": packets(x, lanes)}, {"o": packets(spec.compute(x), lanes)})

    return Case(f"rmsnorm_{lanes}x{count}", lambda: RMSNorm(spec, lanes), stimulus, 2 * count // lanes + 14)


CASES = [_case(4, 16, 1e-5), _case(2, 12, 1e-6), _case(4, 64, 1e-5), _case(1, 3, 0.0), _case(8, 8, 1e-5)]
