"""Reads the words of an emitted ROM back out of its Verilog text, knowing nothing of the emitter."""

import re

import numpy as np

from verif.extract.errors import ExtractionError

__all__ = ["read_constants"]

MODULE = re.compile(
    r"\A(?://[^\n]*\n)*module (\w+) \(\s*input  wire \[(\d+):0\] index,\s*output reg  \[(\d+):0\] data\s*\);\s*"
    r"always @\* case \(index\)\n(.*)\n\s*default: data = (\d+)'h0;\s*endcase\s*endmodule\s*\Z",
    re.DOTALL,
)
ENTRY = re.compile(r"\s*(\d+)'h([0-9a-f]+): data = (\d+)'h([0-9a-f]+);")


def read_constants(text: str, width: int, signed: bool = True) -> np.ndarray:
    """Words of the ROM module in `text`: int64 [beats, lanes], elements of `width` bits.

    Raises ExtractionError when the text is not one ROM module with every index from 0 once and in order.
    """
    module = MODULE.match(text)
    if module is None:
        raise ExtractionError("the text is not one ROM module")
    name, index_width, data_width = module[1], int(module[2]) + 1, int(module[3]) + 1
    if data_width % width or int(module[5]) != data_width:
        raise ExtractionError(f"ROM {name}: {data_width} data bits are no multiple of {width}, or differ by place")
    lines = module[4].split("\n")
    rows = [_row(name, beat, line, index_width, data_width) for beat, line in enumerate(lines)]
    packed = np.frombuffer(b"".join(rows), dtype=np.uint8).reshape(len(rows), -1)
    bits = np.unpackbits(packed, axis=1, bitorder="little")[:, :data_width].reshape(len(rows), -1, width)
    weight = 1 << np.arange(width, dtype=np.int64)
    if signed:
        weight[-1] = -weight[-1]
    return bits.astype(np.int64) @ weight


def _row(name: str, beat: int, line: str, index_width: int, data_width: int) -> bytes:
    """The data bits of one case item, little-endian."""
    entry = ENTRY.fullmatch(line)
    if entry is None or (int(entry[1]), int(entry[2], 16), int(entry[3])) != (index_width, beat, data_width):
        raise ExtractionError(f"ROM {name}: the item of index {beat} is malformed or out of order: {line.strip()[:60]}")
    value = int(entry[4], 16)
    if value >> data_width or beat >> index_width:
        raise ExtractionError(f"ROM {name}: the item of index {beat} is wider than its port")
    return value.to_bytes((data_width + 7) // 8, "little")
