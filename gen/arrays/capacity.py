"""How many lines every region of a neuron cell has: from the geometry and a statistical model, never from weights.

A region counts lines of one value, (1 or 3) * 2^k. Its capacity is what rows of normally distributed weights,
quantized to the format, need nearly always; the few that need more spill into other regions, and a matrix that still
does not fit takes the next capacity class.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import torch

from hardloom.golden.quantization.formats import format_rules, quantize

__all__ = ["CapacityError", "Regions", "base_lines", "classes", "magnitude_bits"]

PHASES = [2 ** (i / 8) for i in range(8)]  # standard deviation relative to a power of two
SPREAD = 5  # block exponents above the row's smallest that class 0 provides for
SIGMAS = 2.0  # deviations from the mean that class 0 provides for
ODD_SIGMAS = 3.5  # the same for odd values: an odd weight needs an odd line, wherever it spills
LONE_SIGMAS = 6.0  # the same where there is no other region to spill into
RESERVE = 0.03  # share of the inputs that every region takes at least: trained matrices are not quite normal
SAMPLE = 1 << 17  # normal numbers whose rows stand for all
FEWEST = 64  # such rows
GROWTH = 1.5  # lines of a class over those of the one below
MAX_BITS = 24


class CapacityError(Exception):
    """A row needs more lines than the regions have."""


@dataclass(frozen=True)
class Regions:
    """Regions of a neuron cell: `bits` of value 2^k, then `bits - 1` of value 3 * 2^k.

    Attributes
    ----------
    bits: magnitudes below 2^bits can be held.
    lines: capacity of every region; level: capacity class.
    """

    bits: int
    lines: tuple[int, ...]
    level: int

    @property
    def name(self) -> str:
        return f"c{self.level}b{self.bits}"

    @cached_property
    def values(self) -> tuple[int, ...]:
        """Value of a line of every region."""
        return _values(self.bits)

    @cached_property
    def spills(self) -> tuple[tuple[tuple[int, int, bool], ...], ...]:
        """For every region, pairs (a, b, minus) of others: its value is that of a plus (`minus`: minus) that of b."""
        index = {value: region for region, value in enumerate(self.values)}
        ways = []
        for value in self.values:
            half, one = value // 2 * (1 - value % 2), value & -value  # an odd value has no half
            if value == one:
                pairs = [
                    (half, half, False),
                    (3 * half, half, True),
                    (3 * one, 2 * one, True),
                    (4 * one, 3 * one, True),
                ]
            else:
                pairs = [(one, 2 * one, False), (half, half, False), (4 * one, one, True)]
            ways.append(tuple((index[a], index[b], m) for a, b, m in pairs if a in index and b in index))
        return tuple(ways)

    def part_table(self, largest: int) -> np.ndarray:
        """Regions whose values sum to each magnitude up to `largest`: int8 [parts, 1 + largest], -1 for none.

        Raises CapacityError for a `largest` of more than `bits` bits.
        """
        if largest >> self.bits:
            raise CapacityError(f"a weight needs more than {self.bits} bits")
        table = _part_table(self.bits)[:, : largest + 1]
        return np.ascontiguousarray(table[(table >= 0).any(axis=1)])


def classes(inputs: int, slices: int, format: str, bits: int) -> Iterator[Regions]:
    """Capacity classes from the smallest on; the last has a line for every input of a slice in every region."""
    per_slice = inputs // slices
    bits = max(bits, magnitude_bits(format))
    if bits > MAX_BITS:
        raise CapacityError(f"magnitudes of {bits} bits; an array holds at most {MAX_BITS}")
    base = base_lines(inputs, slices, format, bits)
    for level in range(64):
        lines = tuple(min(per_slice, math.ceil(n * GROWTH**level)) for n in base)
        yield Regions(bits, lines, level)
        if min(lines) == per_slice:
            return


def base_lines(inputs: int, slices: int, format: str, bits: int) -> tuple[int, ...]:
    """Lines of every region at class 0."""
    per_slice = inputs // slices
    floor = max(1, math.ceil(RESERVE * per_slice))
    need = _normal_need(inputs, slices, format)
    return tuple(min(per_slice, max(floor, need.get(value, 0))) for value in _values(bits))


def _values(bits: int) -> tuple[int, ...]:
    return tuple(1 << k for k in range(bits)) + tuple(3 << k for k in range(bits - 1))


def magnitude_bits(format: str) -> int:
    """Bits of the magnitudes that the first class provides for."""
    rules = format_rules(format)
    return rules.units.bit_length() + (0 if rules.block is None else SPREAD)


@cache
def _part_table(bits: int) -> np.ndarray:
    """Regions of every magnitude below 2^bits, lowest first: int8 [parts, 2^bits], -1 for none."""
    rest = np.arange(1 << bits, dtype=np.int64)
    parts = []
    while rest.any():
        one = rest & -rest
        three = (rest & (one << 1)) != 0
        k = np.frexp(one.astype(np.float64))[1] - 1
        parts.append(np.where(rest == 0, -1, np.where(three, bits + k, k)).astype(np.int8))
        rest = rest - np.where(three, 3 * one, one)
    return np.stack(parts or [np.full(1 << bits, -1, dtype=np.int8)])


@cache
def _normal_need(inputs: int, slices: int, format: str) -> dict[int, int]:
    """Lines for value -> mean of its count in a slice and some deviations, at the worst phase."""
    per_slice = inputs // slices
    need: dict[int, int] = {}
    for shares in _shares(inputs, format):
        for value, (mean, variance) in shares.items():
            sigmas = LONE_SIGMAS if len(shares) == 1 else ODD_SIGMAS if value & 1 else SIGMAS
            count = per_slice * mean + sigmas * math.sqrt(per_slice * mean * (1 - mean) + per_slice**2 * variance)
            need[value] = max(need.get(value, 0), math.ceil(round(count, 6)))
    return need


@cache
def _shares(inputs: int, format: str) -> list[dict[int, tuple[float, float]]]:
    """Share of the inputs of a row whose wire goes to each region value, mean and variance between rows beyond chance,
    for deviations of all phases: of rows of normal numbers, always the same."""
    rows = max(FEWEST, SAMPLE // inputs)
    normal = torch.from_numpy(np.random.default_rng(0).standard_normal((rows, inputs))).float()
    return [_shares_of(quantize(normal * phase, format).integers().weights.abs().numpy(), inputs) for phase in PHASES]


def _shares_of(magnitudes: np.ndarray, inputs: int) -> dict[int, tuple[float, float]]:
    bits = int(magnitudes.max()).bit_length()
    parts = _part_table(bits)[:, magnitudes]
    shares = {}
    for region, value in enumerate(_values(bits)):
        share = (parts == region).sum(axis=(0, 2)) / inputs
        if mean := float(share.mean()):
            shares[value] = mean, max(0.0, float(share.var()) - mean * (1 - mean) / inputs)
    return shares
