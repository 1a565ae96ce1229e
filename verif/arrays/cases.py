"""Array units as cases of the stream bench: vectors in, every sum compared with `matrix @ x`."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import torch
from torch import Generator, Tensor

from hardloom.gen.arrays import ArrayPlan
from hardloom.gen.engine.hardwired import ArrayPorts, HardwiredArray
from hardloom.golden.units.fixed import FixedPoint
from hardloom.golden.units.quantize import Quantize
from hardloom.verif.simulators.job import Job
from hardloom.verif.streams.bench import Case, Stimulus, packets
from hardloom.verif.streams.stimulus import integers

__all__ = ["ArrayCase", "ArraysJob"]


class BenchedArray(TypedDict):
    """An array of the bench; word, width: of what made its inputs; cycles: of a packet when nobody waits."""

    name: str
    word: tuple[int, int]
    width: int
    lanes: int
    acc_width: int
    cycles: int


@dataclass(frozen=True)
class ArrayCase(Case):
    """A unit with its matrices: int64 [banks, rows, inputs].

    cycles: of a packet when nobody waits; packets: of a random stimulus.
    """

    array: BenchedArray
    matrices: np.ndarray
    packets: int

    @classmethod
    def of(cls, array: BenchedArray, matrices: np.ndarray, count: int) -> "ArrayCase":
        made = Quantize(FixedPoint(*array["word"]), array["width"])

        def component() -> HardwiredArray:
            return HardwiredArray(array["name"], ArrayPorts(made, array["lanes"], len(matrices), array["acc_width"]))

        def stimulus(generator: Generator, kind: str) -> Stimulus:
            inputs = matrices.shape[2]
            some = corners(inputs, made.limit, generator) if kind == "corners" else None
            x = vectors(inputs, count, made.limit, generator) if some is None else some
            return case.exchange(x, integers(generator, 0, (1 << made.scale_width) - 1, (len(x), 1)))

        case = cls(f"{array['name']}_unit", component, stimulus, 0, array, matrices, count)
        return case

    def exchange(self, x: Tensor, scale: Tensor) -> Stimulus:
        """Vectors `x`, int64 [packets, inputs], with their `scale` [packets, 1], and what must come of them."""
        lanes, (banks, rows, inputs) = self.array["lanes"], self.matrices.shape
        beats = -(-rows // lanes)
        sums = np.zeros((len(x), banks, beats * lanes), dtype=np.int64)
        sums[:, :, :rows] = np.einsum("bri,ni->nbr", self.matrices, x.numpy())
        by_beat = sums.reshape(len(x), banks, beats, lanes).swapaxes(1, 2).reshape(len(x), -1)
        out = packets(torch.from_numpy(by_beat), banks * lanes, scale)
        cycles = len(x) * self.array["cycles"] + inputs // lanes + beats
        return Stimulus({"i": packets(x, lanes, scale)}, {"o": out}, {"test_enable": 0}, cycles)

    def activity(self, count: int, seed: int = 1) -> Stimulus:
        """Normal vectors, three standard deviations being full scale; more of them begin with the same ones."""
        rng, inputs = random.Random(f"{self.array['name']} {seed}"), self.matrices.shape[2]
        limit = (1 << (self.array["width"] - 1)) - 1
        x = [[max(-limit, min(limit, round(rng.gauss(0, limit / 3)))) for _ in range(inputs)] for _ in range(count)]
        return self.exchange(torch.tensor(x), torch.full((count, 1), 5))


@dataclass(frozen=True)
class ArraysJob(Job):
    """weights: file of the matrices by name; packets: of a random stimulus, or of an activity."""

    arrays: list[BenchedArray]
    weights: str
    packets: int

    @classmethod
    def of(cls, plans: list[ArrayPlan], folder: Path, packets: int) -> "ArraysJob":
        """The job of `plans`, whose weights are written into `folder`."""
        path = folder.resolve() / "weights.npz"
        weights: dict[str, Any] = {plan.name: np.stack(plan.matrices) for plan in plans}
        np.savez(path, **weights)
        arrays = [
            BenchedArray(
                name=p.name,
                word=(p.activation.word.width, p.activation.word.frac),
                width=p.activation.width,
                lanes=p.lanes,
                acc_width=p.acc_width,
                cycles=p.cycles_per_packet,
            )
            for p in plans
        ]
        return cls(arrays, str(path), packets)

    def cases(self) -> Iterator[ArrayCase]:
        store = np.load(self.weights)
        for array in self.arrays:
            yield ArrayCase.of(array, store[array["name"]].astype(np.int64), self.packets)


def vectors(inputs: int, count: int, limit: int, generator: Generator) -> Tensor:
    """Random activations, int64 [count, inputs]."""
    return integers(generator, -limit, limit, (count, inputs))


def corners(inputs: int, limit: int, generator: Generator) -> Tensor:
    """Activations of one value, alternating ones, and one-hot ones: int64 [8, inputs]."""
    x = torch.zeros((8, inputs), dtype=torch.int64)
    x[1], x[2], x[3] = limit, -limit, torch.tensor([-limit, limit]).repeat(-(-inputs // 2))[:inputs]
    for row, value in enumerate((1, -1, limit, -limit), start=4):
        x[row, integers(generator, 0, inputs - 1, ())] = value
    return x
