"""Many defects of a chip at once as the weights that they leave: wrong wires, dead neurons; for the integer model."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from hardloom.gen.design.matrices import array_units
from hardloom.golden.errors import UserError
from hardloom.golden.quantization.integers import IntegerMatrix
from hardloom.golden.quantization.quantized import QuantizedCheckpoint

__all__ = ["DEFECTS", "Defective", "Defects", "hardwired", "neurons", "wires"]

Defects = Callable[[Mapping[str, np.ndarray], int, np.random.Generator], dict[str, np.ndarray]]
"""Makes so many random defects in matrices, int [rows, inputs] by name; those that changed, the others left out."""

MISSING, INVERTED, MISPLACED, FOREIGN = range(4)
"""What is wrong with a wire: it is not there; it is that of the input's negative; it enters the region of another
magnitude; it is the wire of another input."""


class Defective(QuantizedCheckpoint):
    """A quantized checkpoint, the weights of some matrices replaced: int [rows, inputs] by name."""

    def __init__(self, path: Path, weights: Mapping[str, np.ndarray]) -> None:
        super().__init__(path)
        self.weights = weights

    def integers(self, name: str, start: int = 0, stop: int | None = None) -> IntegerMatrix:
        """As of the checkpoint, with the weights that the defects left."""
        sound = super().integers(name, start, stop)
        return replace(sound, weights=self._of(name)[start:stop]) if name in self.weights else sound

    def _of(self, name: str) -> Tensor:
        return torch.from_numpy(self.weights[name]).int()


def hardwired(checkpoint: QuantizedCheckpoint) -> dict[str, np.ndarray]:
    """Weights of all matrices in arrays, int32 [rows, inputs] by name; the embedding is a ROM and not among them."""
    names = [name for unit in array_units(checkpoint.model) for name in unit.matrices]
    return {name: checkpoint.integers(name).weights.int().numpy() for name in names}


def wires(matrices: Mapping[str, np.ndarray]) -> int:
    """Wires into neurons: one for every weight that is not 0."""
    return sum(int(np.count_nonzero(weights)) for weights in matrices.values())


def neurons(matrices: Mapping[str, np.ndarray]) -> int:
    """Neurons: rows of all matrices."""
    return sum(len(weights) for weights in matrices.values())


def wrong_wires(matrices: Mapping[str, np.ndarray], count: int, random: np.random.Generator) -> dict[str, np.ndarray]:
    """`count` wires wrong, each in one of the four ways, all equally likely."""
    counts = [int(np.count_nonzero(weights)) for weights in matrices.values()]
    return {name: rewired(matrices[name], chosen, random) for name, chosen in drawn(matrices, counts, count, random)}


def dead_neurons(matrices: Mapping[str, np.ndarray], count: int, random: np.random.Generator) -> dict[str, np.ndarray]:
    """`count` neurons whose sums are always 0."""
    changed = {}
    for name, rows in drawn(matrices, [len(weights) for weights in matrices.values()], count, random):
        changed[name] = matrices[name].copy()
        changed[name][rows] = 0
    return changed


DEFECTS: dict[str, Defects] = {"wrong wires": wrong_wires, "dead neurons": dead_neurons}


def drawn(
    matrices: Mapping[str, np.ndarray], counts: list[int], count: int, random: np.random.Generator
) -> Iterator[tuple[str, np.ndarray]]:
    """`count` different ones of all that the matrices have, `counts` each: of each that is met, their numbers in it.

    Raises UserError where there are not so many.
    """
    ends = np.cumsum(counts)
    if count > ends[-1]:
        raise UserError(f"--faults: {count:,} defects are more than the {ends[-1]:,} places for them; give fewer")
    chosen = np.sort(random.choice(int(ends[-1]), count, replace=False))
    of_matrix = np.searchsorted(ends, chosen, side="right")
    for number, name in enumerate(matrices):
        if (here := chosen[of_matrix == number]).size:
            yield name, here - (ends[number] - counts[number])


def rewired(weights: np.ndarray, chosen: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Weights int [rows, inputs] as the wiring says when the `chosen` wires, numbers among the non-zero weights, are
    wrong."""
    changed, inputs = weights.copy(), weights.shape[1]
    places = np.flatnonzero(weights)[chosen]
    held, kind = weights.flat[places], random.integers(0, 4, len(places))
    sizes = np.unique(np.abs(weights[weights != 0]))
    if len(sizes) == 1:
        kind[kind == MISPLACED] = INVERTED
    if inputs == 1:
        kind[kind == FOREIGN] = MISSING
    further = random.integers(1, max(2, len(sizes)), len(places))
    others = sizes[(np.searchsorted(sizes, np.abs(held)) + further) % len(sizes)]
    shift = random.integers(1, max(2, inputs), len(places))
    flat = changed.reshape(-1)
    flat[places] = np.select([kind == INVERTED, kind == MISPLACED], [-held, np.sign(held) * others], 0)
    rows, columns = np.divmod(places, inputs)
    foreign = kind == FOREIGN
    np.add.at(changed, (rows[foreign], (columns + shift)[foreign] % inputs), held[foreign])
    return changed
