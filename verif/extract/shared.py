"""Reads the pins of a unit of the shared style: planes, each an AND of lines of the groups' subsets.

Line m of a group is 0 when an address line of the subset m is 1; so a pin is 0 at the addresses of all its subsets.
"""

import re
from collections.abc import Mapping

import numpy as np
from numba import njit

from hardloom.verif.extract.errors import ExtractionError
from hardloom.verif.extract.mac import UNSOUND, MacUnit
from hardloom.verif.extract.subsets import read_groups

__all__ = ["PlaneReader"]

MOST_BITS = 12  # of a code
LINE, OPEN, CLOSE, AND, COMMA, BRACKET, BLANK, LINE_END, ZERO = (ord(character) for character in "g[]&,) \n0")
NONE = tuple(b"1'b1")


class PlaneReader:
    """Weights of units from the text of their planes."""

    def __init__(
        self, name: str, data: bytes, start: int, unit: MacUnit, slices: int, prefab: Mapping[str, str]
    ) -> None:
        """`start`: where the subsets begin in the array's text `data`. Raises ExtractionError where they are
        malformed, or the pins of `unit` are not planes."""
        self.name, self.pins = name, len(unit.pins)
        sizes, self.start = read_groups(name, data, start, slices, prefab)
        self.sizes = np.array(sizes)
        bits = [self._bits(unit, str(column)) for column in (*range(len(unit.columns)), "e")]
        if sum(map(len, bits)) != len(unit.pins) or max(map(len, bits)) > MOST_BITS:
            raise ExtractionError(f"{unit.name}: its pins are not planes of its columns")
        self.bits = np.full((len(bits), max(map(len, bits))), -1)
        self.tables = np.zeros((len(bits), 1 << self.bits.shape[1]), dtype=np.int64)
        for column, planes in enumerate(bits):
            self.bits[column, : len(planes)] = planes
            codes = np.arange(1 << len(planes))
            states = {unit.pins[plane]: codes >> bit & 1 == 0 for bit, plane in enumerate(planes)}
            last = column == len(unit.columns)
            table = unit.shifts(states, len(codes)) if last else unit.weights(column, states, len(codes))
            self.tables[column, : len(codes)] = table

    def _bits(self, unit: MacUnit, column: str) -> list[int]:
        """Pins of a column, or of the exponent."""
        return [number for number, pin in enumerate(unit.pins) if re.fullmatch(rf"z{column}_\d+", pin)]

    def read(self, data: bytes, at: int, weights: np.ndarray) -> int:
        """See `verif.extract.serial.PinReader`."""
        planes = np.zeros((self.pins, len(self.sizes)), dtype=np.uint64)
        end = _read_planes(np.frombuffer(data, dtype=np.uint8), at, self.sizes, planes)
        if end < 0:
            raise ExtractionError(f"{self.name}: a plane is neither 1'b1 nor lines of its groups' subsets")
        if not _decode(planes, self.sizes, self.bits, self.tables, weights):
            raise ExtractionError(f"{self.name}: a unit reads a code that it does not multiply by, or past 32 bits")
        return end


@njit(cache=True, nogil=True)
def _number(code, at):
    """The number at `at`, at most six digits, no leading zeros, and where it ends; -1 where there is none."""
    start, number = at, 0
    while at < len(code) and at < start + 6 and ZERO <= code[at] < ZERO + 10:
        number = 10 * number + code[at] - ZERO
        at += 1
    if at == start or (code[start] == ZERO and at > start + 1):
        return -1, at
    return number, at


@njit(cache=True, nogil=True)
def _read_planes(code, at, sizes, planes):
    """Fill `planes`, uint64 [planes, groups], with the subsets of all pins from `at` on in text `code` (uint8);
    where the bracket behind them is, or -1 where they are malformed."""
    for plane in range(len(planes)):
        first = True
        while True:
            while at < len(code) and (code[at] == BLANK or code[at] == LINE_END):
                at += 1
            if at + len(NONE) >= len(code):
                return -1
            if code[at] == LINE:
                group, at = _number(code, at + 1)
                if group < 0 or group >= len(sizes) or code[at] != OPEN:
                    return -1
                subset, at = _number(code, at + 1)
                if subset < 0 or subset >> sizes[group] or code[at] != CLOSE:
                    return -1
                planes[plane, group] |= np.uint64(subset)
                at += 1
            elif first:
                for character in NONE:
                    if code[at] != character:
                        return -1
                    at += 1
                break
            else:
                return -1
            if code[at] != AND:
                break
            first = False
            at += 1
        if code[at] != (COMMA if plane + 1 < len(planes) else BRACKET):
            return -1
        at += plane + 1 < len(planes)
    return at


@njit(cache=True, nogil=True)
def _decode(planes, sizes, bits, tables, weights):
    """Fill `weights`, int32 [columns, addresses], from subsets `planes`; `bits`: pins of each column, then of the
    exponent, -1 behind the last; `tables`: their values by code. False where a value is unsound or too long."""
    address = 0
    for group in range(len(sizes)):
        for place in range(sizes[group]):
            shift = np.int64(0)
            for column in range(len(bits) - 1, -1, -1):
                code = np.int64(0)
                for bit in range(bits.shape[1]):
                    if bits[column, bit] < 0:
                        break
                    code |= np.int64(planes[bits[column, bit], group] >> np.uint64(place) & np.uint64(1)) << bit
                value = tables[column, code]
                if value == UNSOUND:
                    return False
                if column == len(bits) - 1:
                    shift = value
                elif shift >= 0:
                    if abs(value) >> max(0, 31 - shift):
                        return False
                    weights[column, address] = value << shift
            address += 1
    return True
