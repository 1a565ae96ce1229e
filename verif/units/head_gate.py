"""Bench of `gen.units.head_gate`."""

from torch import Generator

from hardloom.gen.units.head_gate import HeadGate, PositionBefore
from hardloom.gen.units.manner import told_manner
from hardloom.verif.streams.bench import Case, Packet, Stimulus, ended, packets
from hardloom.verif.streams.manners import random_manners, told_manners
from hardloom.verif.streams.stimulus import integers, vectors

__all__ = ["CASES"]


def _case(lanes: int, count: int, coming: int, passed: int, noise: bool = False) -> Case:
    def stimulus(generator: Generator, kind: str) -> Stimulus:
        x = vectors(generator, kind, count, 28)
        wanted = integers(generator, 0, 1, (len(x),))
        if kind == "corners":  # none for longer than a queue holds, then all
            wanted = (wanted.new_tensor(range(len(x))) > len(x) // 2).long()
        ends = integers(generator, 0, 1, (len(x),)).tolist()
        given = ended(packets(x, lanes), ends)
        manners = random_manners(generator, 37, sum(ends[:-1]) + 1)
        manners = told_manners(generator, manners) if noise else manners
        bits = [[bit] for bit in wanted.tolist()]
        passing = packets(x[wanted == 1], lanes)
        passes = [sum(ends[:at]) for at, one in enumerate(wanted.tolist()) if one]
        passed_on = [manners[number] for number in passes]
        if noise:
            firsts = [0, *(at + 1 for at, end in enumerate(ends) if end)]
            at_head = [at for at, one in enumerate(wanted.tolist()) if one]
            passed_on = [
                [manner | {"position": manner["position"] + at - firsts[number] & 0xFFFF}]
                for at, number, (manner,) in zip(at_head, passes, passed_on, strict=True)
            ]
        inputs = {"wanted": bits, "i": given, "manners": manners}
        return Stimulus(inputs, {"o": passing, "passed": bits, "manner": passed_on})

    shape, name = told_manner(37, noise), f"head_gate_{lanes}x{count}_{passed}" + "_noise" * noise
    return Case(name, lambda: HeadGate(28, lanes, coming, passed, shape), stimulus, 5)


def _before() -> Case:
    def stimulus(generator: Generator, kind: str) -> Stimulus:
        lengths = [1] * 20 if kind == "corners" else integers(generator, 1, 7, (60,)).tolist()
        told: list[Packet] = []
        bits: list[Packet] = []
        for length in lengths:
            wanted = [0, *integers(generator, 0, 1, (length - 1,)).tolist()]
            told += [[{"wanted": bit, "end": at + 1 == length}] for at, bit in enumerate(wanted)]
            bits += [[bit] for bit in [*wanted[1:], 0]]
        return Stimulus({"i": told}, {"o": bits}, cycles=len(told) + len(lengths) + 5)

    return Case("position_before", PositionBefore, stimulus, 0)


CASES = [_before(), _case(4, 16, 20, 9), _case(2, 2, 4, 4), _case(3, 9, 5, 6), _case(2, 6, 5, 6, noise=True)]
