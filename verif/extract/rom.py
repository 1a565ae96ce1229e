"""Reads the pins of a unit of the rom style: nodes, each an OR of the address lines that read its weights."""

import re
from collections.abc import Mapping

import numpy as np

from hardloom.verif.extract.errors import ExtractionError
from hardloom.verif.extract.mac import UNSOUND, MacUnit

__all__ = ["NodeReader"]


class NodeReader:
    """Weights of units from the text of their nodes."""

    def __init__(
        self, name: str, data: bytes, start: int, unit: MacUnit, slices: int, prefab: Mapping[str, str]
    ) -> None:
        """`start`: where the units begin in the array's text `data`. Raises ExtractionError for another unit."""
        matches = [match for pin in unit.pins if (match := re.fullmatch(r"n(\d+)_\d+", pin))]
        if len(matches) < len(unit.pins):
            raise ExtractionError(f"{unit.name}: its pins are not nodes")
        self.name, self.start, self.slices = name, start, slices
        self.groups = np.array([int(match[1]) for match in matches])
        self.values = np.zeros((len(matches), len(unit.columns)), dtype=np.int32)
        for column in range(len(unit.columns)):
            self._column(unit, column)

    def _column(self, unit: MacUnit, column: int) -> None:
        """What a column reads from its group's nodes, one of them being 1; it reads 0 where none is."""
        nodes = np.flatnonzero(self.groups == column // 2)
        single = np.eye(len(nodes) + 1, dtype=bool)
        states = {unit.pins[node]: single[place] for place, node in enumerate(nodes)}
        weights = unit.weights(column, states, len(nodes) + 1)
        if weights[-1] or (weights == UNSOUND).any():
            raise ExtractionError(f"{unit.name}: column {column} multiplies without an address, or does not multiply")
        self.values[nodes, column] = weights[:-1]

    def read(self, data: bytes, at: int, weights: np.ndarray) -> int:
        """See `verif.extract.serial.PinReader`. An address in two nodes of a group is an error."""
        end = data.find(b")", at)
        node, address = self._terms(data[at:end])
        taken = self.groups[node] * self.slices + address
        if np.bincount(taken, minlength=1).max() > 1:
            raise ExtractionError(f"{self.name}: an address line is in two nodes of a group, where weights would mix")
        for column, values in enumerate(self.values.T):
            used = values[node] != 0
            weights[column, address[used]] = values[node][used]
        return end

    def _terms(self, text: bytes) -> tuple[np.ndarray, np.ndarray]:
        """Node and address of every address line in `text`."""
        code = np.frombuffer(text.translate(None, b" \n") + b",", dtype=np.uint8)
        ends = np.flatnonzero((code == ord(",")) | (code == ord("|")))
        starts = np.concatenate([[0], ends[:-1] + 1])
        length = ends - starts
        node = np.cumsum(code[ends] == ord(",")) - (code[ends] == ord(","))
        if node[-1] != len(self.groups) - 1 or (length < 2).any():
            raise ExtractionError(f"{self.name}: a unit does not have {len(self.groups)} nodes")
        wired = code[starts] == ord("a")
        tie = np.frombuffer(b"1'b0", dtype=np.uint8)
        loose = starts[~wired]
        sound = (length[~wired] == 4).all() and (code[loose[:, None] + np.arange(4)] == tie).all()
        starts, length, node = starts[wired], length[wired], node[wired]
        address = np.zeros(len(starts), dtype=np.int64)
        for place in range(1, int(length.max(initial=1))):
            here = np.flatnonzero(length > place)
            digit = code[starts[here] + place] - np.int64(ord("0"))
            sound &= bool(((digit >= 0) & (digit <= 9)).all())
            sound &= place > 1 or bool(((digit > 0) | (length[here] == 2)).all())
            address[here] = address[here] * 10 + digit
        if not sound or (address >= self.slices).any():
            raise ExtractionError(f"{self.name}: a node holds neither address lines below {self.slices} nor 1'b0")
        return node, address
