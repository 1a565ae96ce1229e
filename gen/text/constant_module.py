"""Constants in the wiring: row scales, gains, biases, embedding rows as combinational ROM modules.

A ROM module holds a table of `beats` words of `lanes` elements and has no clock. Like a hardwired array's
connection file, its text is the only thing that differs between two checkpoints of one geometry.
"""

from collections.abc import Iterator

import numpy as np
from numba import njit

from hardloom.gen.text.provenance import digest, header

__all__ = ["emit_constants", "index_width"]

HEX = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)
TEXT_AT_ONCE = 1 << 20  # bytes: what is made in one pass stays in the cache


def index_width(count: int) -> int:
    """Bits of a number from 0 to `count` - 1, at least 1: of a word in a memory, of an expert, of a token."""
    return max(1, (count - 1).bit_length())


def emit_constants(name: str, words: np.ndarray, width: int, signed: bool = True) -> Iterator[bytes]:
    """Verilog-2005 text of module `name`: `data = words[index]`, latency 0; in pieces, to be drawn once.

    Ports: `input [index_width(beats)-1:0] index`, `output [lanes*width-1:0] data`; element k of a word sits
    in bits `k*width+width-1 : k*width`, two's complement if `signed`. An index past the last word gives 0.

    words: integers of any dtype [beats, lanes]; width: bits of an element, 1..63.
    Raises ValueError when an element does not fit into `width` bits.
    """
    if words.ndim != 2 or words.size == 0:
        raise ValueError(f"ROM {name}: words must be a non-empty [beats, lanes] array, not shape {words.shape}")
    if not 1 <= width <= 63:
        raise ValueError(f"ROM {name}: width must be in 1..63, not {width}")
    low, high = (-(1 << (width - 1)), (1 << (width - 1)) - 1) if signed else (0, (1 << width) - 1)
    if int(words.min()) < low or int(words.max()) > high:
        raise ValueError(f"ROM {name}: an element is outside [{low}, {high}], it needs more than {width} bits")
    return _pieces(name, words, width, "signed" if signed else "unsigned")


def _pieces(name: str, words: np.ndarray, width: int, kind: str) -> Iterator[bytes]:
    beats, lanes = words.shape
    index_bits, data_bits = index_width(beats), lanes * width
    head = (
        header(name, f"ROM, {beats} words of {lanes} {kind} {width}-bit elements", digest(words))
        + f"module {name} (\n"
        + f"    input  wire [{index_bits - 1}:0] index,\n"
        + f"    output reg  [{data_bits - 1}:0] data\n);\n"
        + "    always @* case (index)\n"
    )
    yield head.encode()
    address, digits = f"        {index_bits}'h", -(-index_bits // 4)
    item = f"{address}{'0' * digits}: data = {data_bits}'h{'0' * -(-data_bits // 4)};\n"
    line = np.frombuffer(item.encode(), dtype=np.uint8)
    step = max(1, TEXT_AT_ONCE // len(line))
    for start in range(0, beats, step):
        block = words[start : start + step]
        text = np.tile(line, (len(block), 1))
        _write_hex(np.arange(start, start + len(block))[:, None], index_bits, text, len(address) + digits)
        _write_hex(block, width, text, len(line) - len(";\n"))
        yield text.tobytes()
    yield f"        default: data = {data_bits}'h0;\n    endcase\nendmodule\n".encode()


@njit(cache=True, nogil=True)
def _write_hex(words, width, text, end):
    """Write elements [rows, lanes] of `width` bits as hex digits into `text`, uint8 [rows, line]: the first element's
    lowest digit ends before column `end`."""
    rows, lanes = words.shape
    for row in range(rows):
        at, digit, bits = end - 1, 0, 0
        for lane in range(lanes):
            word = words[row, lane]
            place = 0
            while place < width:
                count = min(4 - bits, width - place)
                digit |= ((word >> place) & ((1 << count) - 1)) << bits
                place, bits = place + count, bits + count
                if bits == 4:
                    text[row, at] = HEX[digit]
                    at, digit, bits = at - 1, 0, 0
        if bits:
            text[row, at] = HEX[digit]
