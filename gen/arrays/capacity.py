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

__all__ = ["CapacityError", "Regions", "base_lines", "classes"]

MXFP4_BLOCK = 32
PHASES = [2 ** (i / 8) for i in range(8)]  # standard deviation relative to a power of two
SPREAD = 5  # block exponents above the row's smallest that class 0 provides for
SIGMAS = 2.0  # deviations from the mean that class 0 provides for
ODD_SIGMAS = 3.5  # the same for odd values: an odd weight needs an odd line, wherever it spills
LONE_SIGMAS = 6.0  # the same where there is no other region to spill into
RESERVE = 0.03  # share of the inputs that every region takes at least: trained matrices are not quite normal
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
    bits = max(bits, _format_bits(format))
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


def _format_bits(format: str) -> int:
    return {"mxfp4": 4 + SPREAD, "int4": 3, "ternary": 1}[format]


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
    for deviation in PHASES:
        for value, (mean, variance) in _shares(inputs, format, deviation).items():
            sigmas = LONE_SIGMAS if format == "ternary" else ODD_SIGMAS if value & 1 else SIGMAS
            count = per_slice * mean + sigmas * math.sqrt(per_slice * mean * (1 - mean) + per_slice**2 * variance)
            need[value] = max(need.get(value, 0), math.ceil(round(count, 6)))
    return need


def _shares(inputs: int, format: str, deviation: float) -> dict[int, tuple[float, float]]:
    """Share of the inputs of a row whose wire goes to each region value: mean and variance between rows."""
    if format == "mxfp4":
        return _mxfp4_shares(inputs, deviation)
    if format == "ternary":  # threshold at half the mean magnitude, 0.4 deviations
        return {1: (1 - _inside(0.5 * math.sqrt(2 / math.pi)), 0.0)}
    shares: dict[int, tuple[float, float]] = {}
    top = math.sqrt(2 * math.log(max(2, inputs)))  # largest magnitude of a row, in deviations, more or less
    for scale in (0.6 * top / 7, 0.8 * top / 7, top / 7, 1.25 * top / 7):
        found: dict[int, float] = {}
        for code in range(1, 8):
            share = _inside((code + 0.5) * scale if code < 7 else math.inf) - _inside((code - 0.5) * scale)
            for value in {5: (1, 4), 7: (3, 4)}.get(code, (code,)):
                found[value] = found.get(value, 0.0) + share
        shares = {v: max(shares.get(v, (0.0, 0.0)), (s, 0.0)) for v, s in found.items()}
    return shares


def _inside(limit: float) -> float:
    """Probability that a standard normal value is within +-limit."""
    return math.erf(limit / math.sqrt(2))


def _mxfp4_shares(inputs: int, deviation: float) -> dict[int, tuple[float, float]]:
    """A row's blocks have exponents of their own; the row's smallest exponent counts as no shift."""
    blocks = max(1, inputs // MXFP4_BLOCK)
    exponents = range(-4, 5)  # of a block's largest magnitude
    below = {e: _inside(2.0**e / deviation) ** MXFP4_BLOCK for e in range(-4, 6)}
    chance = {e: below[e + 1] - below[e] for e in exponents}
    first: dict[int, float] = {}
    second: dict[int, float] = {}
    within: dict[int, float] = {}
    for smallest in exponents:
        weight = (1 - below[smallest]) ** blocks - (1 - below[smallest + 1]) ** blocks
        given = {e: chance[e] / max(1e-300, 1 - below[smallest]) for e in exponents if e >= smallest}
        shares: dict[int, float] = {}
        squares: dict[int, float] = {}
        for e, p in given.items():
            for code, share in _e2m1_shares(e, deviation).items():
                value = code << (e - smallest)
                shares[value] = shares.get(value, 0.0) + p * share
                squares[value] = squares.get(value, 0.0) + p * share * share
        for value, share in shares.items():
            first[value] = first.get(value, 0.0) + weight * share
            second[value] = second.get(value, 0.0) + weight * share * share
            within[value] = within.get(value, 0.0) + weight * (squares[value] - share * share) / blocks
    return {v: (first[v], max(0.0, second[v] - first[v] ** 2) + within[v]) for v in first}


@cache
def _e2m1_shares(exponent: int, deviation: float) -> dict[int, float]:
    """Codes (twice the element) of a block whose largest magnitude is in [2^e, 2^(e+1)), zeros left out."""
    unit = 2.0 ** (exponent - 2) / deviation
    limits = {
        1: (0.25, 0.75),
        2: (0.75, 1.25),
        3: (1.25, 1.75),
        4: (1.75, 2.5),
        6: (2.5, 3.5),
        8: (3.5, 5.0),
        12: (5.0, 8.0),
    }
    whole = _inside(8 * unit)
    return {code: (_inside(high * unit) - _inside(low * unit)) / whole for code, (low, high) in limits.items()}
