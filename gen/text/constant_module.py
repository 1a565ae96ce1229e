"""Constants in the wiring: row scales, gains, biases, embedding rows as combinational ROM modules.

A ROM module holds a table of `beats` words of `lanes` elements and has no clock. Like a hardwired array's
connection file, its text is the only thing that differs between two checkpoints of one geometry.
"""

import numpy as np

from gen.text.provenance import digest, header

__all__ = ["emit_constants", "index_width"]

HEX = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)
BITS_AT_ONCE = 1 << 24  # bounds the memory of one pass


def index_width(count: int) -> int:
    """Bits of a number from 0 to `count` - 1, at least 1: of a word in a memory, of an expert, of a token."""
    return max(1, (count - 1).bit_length())


def emit_constants(name: str, words: np.ndarray, width: int, signed: bool = True) -> str:
    """Verilog-2005 text of module `name`: `data = words[index]`, latency 0.

    Ports: `input [index_width(beats)-1:0] index`, `output [lanes*width-1:0] data`; element k of a word sits
    in bits `k*width+width-1 : k*width`, two's complement if `signed`. An index past the last word gives 0.

    words: integers [beats, lanes]; width: bits of an element, 1..63.
    Raises ValueError when an element does not fit into `width` bits.
    """
    words = np.asarray(words).astype(np.int64)
    if words.ndim != 2 or words.size == 0:
        raise ValueError(f"ROM {name}: words must be a non-empty [beats, lanes] array, not shape {words.shape}")
    if not 1 <= width <= 63:
        raise ValueError(f"ROM {name}: width must be in 1..63, not {width}")
    low, high = (-(1 << (width - 1)), (1 << (width - 1)) - 1) if signed else (0, (1 << width) - 1)
    if words.min() < low or words.max() > high:
        raise ValueError(f"ROM {name}: an element is outside [{low}, {high}], it needs more than {width} bits")
    beats, lanes = words.shape
    index_bits = index_width(beats)
    kind = "signed" if signed else "unsigned"
    step = max(1, BITS_AT_ONCE // (lanes * width))
    body = b"".join(_entries(words, start, step, width, index_bits) for start in range(0, beats, step))
    return (
        header(name, f"ROM, {beats} words of {lanes} {kind} {width}-bit elements", digest(words))
        + f"module {name} (\n"
        + f"    input  wire [{index_bits - 1}:0] index,\n"
        + f"    output reg  [{lanes * width - 1}:0] data\n);\n"
        + "    always @* case (index)\n"
        + body.decode("ascii")
        + f"        default: data = {lanes * width}'h0;\n"
        + "    endcase\nendmodule\n"
    )


def _entries(words: np.ndarray, start: int, step: int, width: int, index_bits: int) -> bytes:
    """Case items of words `start` to `start + step`, as fixed-width lines made without a loop over elements."""
    block = words[start : start + step]
    count, lanes = block.shape
    bits = ((block[:, :, None] >> np.arange(width)) & 1).reshape(count, lanes * width)
    index = ((np.arange(start, start + count)[:, None] >> np.arange(index_bits)) & 1).astype(np.int64)

    def same(text: str) -> np.ndarray:
        return np.broadcast_to(np.frombuffer(text.encode(), dtype=np.uint8), (count, len(text)))

    address, word = same(f"        {index_bits}'h"), same(f": data = {lanes * width}'h")
    return np.concatenate([address, _hex(index), word, _hex(bits), same(";\n")], axis=1).tobytes()


def _hex(bits: np.ndarray) -> np.ndarray:
    """Hex digits, most significant first: bits [rows, n], least significant first, to ASCII [rows, ceil(n/4)]."""
    rows, count = bits.shape
    padded = np.zeros((rows, -(-count // 4) * 4), dtype=np.uint8)
    padded[:, :count] = bits
    nibbles = padded.reshape(rows, -1, 4) @ np.array([1, 2, 4, 8], dtype=np.uint8)
    return HEX[nibbles[:, ::-1]]
