"""Reads the initial values of memories back out of a unit's Verilog text, knowing nothing of the emitter."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from verif.extract.errors import ExtractionError

__all__ = ["InitialMemory", "read_memories"]

NAME = r"(?:\\\S+|\w+)"
DECLARATION = re.compile(rf"^ *reg (?:\[(\d+):0\] )?({NAME}) +\[(\d+):0\];$", re.MULTILINE)
INITIAL = re.compile(r"^ *initial\b([^\n]*)\n(.*?)^ *end$", re.MULTILINE | re.DOTALL)
ENTRY = re.compile(rf" *({NAME}) *\[(\d+)\] = (\d+)'([hd])([0-9a-f]+);")


@dataclass(frozen=True)
class InitialMemory:
    """Words of `width` bits that a memory starts with, in order."""

    width: int
    words: Sequence[int]

    def fields(self, layout: Sequence[tuple[int, bool]]) -> np.ndarray:
        """int64 [words, fields]; `layout`: width and signedness of each field, from the least significant bit.

        Raises ExtractionError when the fields do not fill a word.
        """
        if sum(width for width, _ in layout) != self.width:
            raise ExtractionError(f"a table's words have {self.width} bits, not {sum(width for width, _ in layout)}")
        size = (self.width + 7) // 8
        packed = np.frombuffer(b"".join(word.to_bytes(size, "little") for word in self.words), dtype=np.uint8)
        bits = np.unpackbits(packed.reshape(-1, size), axis=1, bitorder="little").astype(np.int64)
        columns, start = [], 0
        for width, signed in layout:
            weight = 1 << np.arange(width, dtype=np.int64)
            weight[-1] *= -1 if signed else 1
            columns.append(bits[:, start : start + width] @ weight)
            start += width
        return np.stack(columns, axis=1)


def read_memories(text: str) -> dict[str, InitialMemory]:
    """Memories of the module in `text`, by name.

    Raises ExtractionError when a memory's initial values are not each of its words once and in order, or when anything
    else is initialised.
    """
    shapes = {name: (int(top or 0) + 1, int(last) + 1) for top, name, last in DECLARATION.findall(text)}
    found: dict[str, list[int]] = {name: [] for name in shapes}
    for head, body in INITIAL.findall(text):
        if head.strip() != "begin":
            raise ExtractionError(f"an initial block is no list of words: {head.strip()[:60]}")
        for line in body.splitlines():
            name, value = _entry(line, shapes, found)
            found[name].append(value)
    for name, (_, depth) in shapes.items():
        if len(found[name]) != depth:
            raise ExtractionError(f"memory {name} has {depth} words, of which {len(found[name])} have a value")
    return {name: InitialMemory(shapes[name][0], words) for name, words in found.items()}


def _entry(line: str, shapes: dict[str, tuple[int, int]], found: dict[str, list[int]]) -> tuple[str, int]:
    """Memory and value of one line of an initial block; `found` holds the words before it."""
    entry = ENTRY.fullmatch(line)
    if entry is None or entry[1] not in shapes:
        raise ExtractionError(f"an initial value is malformed, or belongs to no memory: {line.strip()[:60]}")
    name, width = entry[1], shapes[entry[1]][0]
    if (int(entry[2]), int(entry[3])) != (len(found[name]), width):
        raise ExtractionError(f"memory {name}: a word is out of order or not {width} bits wide: {line.strip()[:60]}")
    try:
        value = int(entry[5], 16 if entry[4] == "h" else 10)
    except ValueError as error:
        raise ExtractionError(f"memory {name}: a word is no number: {line.strip()[:60]}") from error
    if value >> width:
        raise ExtractionError(f"memory {name}: a word is wider than {width} bits: {line.strip()[:60]}")
    return name, value
