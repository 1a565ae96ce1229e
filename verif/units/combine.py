"""Bench of `gen.units.combine`."""

from torch import Generator

from gen.units.combine import Combine
from golden.units.combine import Combine as CombineSpec
from verif.bench import Case, Stimulus, packets
from verif.stimulus import integers, vectors

__all__ = ["CASES"]


def _case(lanes: int, count: int, top_k: int) -> Case:
    spec = CombineSpec()

    def stimulus(generator: Generator, kind: str) -> Stimulus:
        x = vectors(generator, kind, count, spec.word.width, packets=16 * top_k)
        x = x[: len(x) - len(x) % top_k]
        weight = integers(generator, 0, 65536, (len(x), 1))
        if kind == "corners":
            weight[::2], weight[1::4] = 65536, 32768
        total = (x * weight).unflatten(0, (-1, top_k)).sum(1)
        weighted = [
            [{"beat": beat, "weight": w} for beat in packet]
            for packet, w in zip(packets(x, lanes), weight.flatten().tolist(), strict=True)
        ]
        return Stimulus({"i": weighted}, {"o": packets(spec.compute(total), lanes)})

    return Case(f"combine_{lanes}x{count}_top{top_k}", lambda: Combine(spec, lanes, count // lanes, top_k), stimulus, 4)


CASES = [_case(4, 16, 2), _case(2, 12, 3), _case(4, 4, 8), _case(3, 9, 1)]
