"""Reads the words of an emitted ROM back out of its Verilog text, knowing nothing of the emitter."""

import re
from collections.abc import Iterable, Iterator

import numpy as np

from hardloom.verif.extract.comments import check_comments
from hardloom.verif.extract.errors import ExtractionError
from hardloom.verif.extract.window import Window

__all__ = ["constant_ports", "read_constants"]

HEAD = re.compile(
    rb"\A(?://[^\n]*\n)*module (\w+) \(\s*input  wire \[(\d{1,9}):0\] index,\s*"
    rb"output reg  \[(\d{1,9}):0\] data\s*\);\s*always @\* case \(index\)\n"
)
TAIL = re.compile(rb"        default: data = (\d{1,9})'h0;\s*endcase\s*endmodule\s*\Z")
ITEM = re.compile(rb"\s*(\d{1,9})'h([0-9a-f]{1,15}): data = (\d{1,9})'h([0-9a-f]+);\n")
MOST_BITS = 1 << 20
"""Of a word: far more than beats have."""

DEFAULT = b"        default:"
DIGITS = np.full(256, 255, dtype=np.uint8)
DIGITS[np.frombuffer(b"0123456789abcdef", dtype=np.uint8)] = range(16)


def constant_ports(text: bytes) -> tuple[int, int]:
    """Bits of the index and of a word of the ROM module that `text` begins with.

    Raises ExtractionError where it begins with none.
    """
    if (module := HEAD.match(text)) is None:
        raise ExtractionError("the text does not begin with a ROM module")
    return int(module[2]) + 1, int(module[3]) + 1


def read_constants(pieces: Iterable[bytes], name: str, width: int, signed: bool = True) -> Iterator[np.ndarray]:
    """Words of the ROM module `name` whose text `pieces` are, some at a time: int64 [beats, lanes], of `width` bits.

    Raises ExtractionError when the text is not that ROM module alone, with every index from 0 once and in order.
    """
    window = Window(pieces)
    window.hold(0, b"case (index)\n")
    module = HEAD.match(window.data)
    if module is None or module[1] != name.encode():
        raise ExtractionError(f"the text is not the ROM module {name} alone")
    check_comments(module[0].decode())
    index_width, data_width = int(module[2]) + 1, int(module[3]) + 1
    if data_width % width:
        raise ExtractionError(f"ROM {name}: {data_width} data bits are no multiple of {width}")
    if data_width > MOST_BITS:
        raise ExtractionError(f"ROM {name}: a word of {data_width} bits is wider than any")
    at = window.hold(module.end(), b";\n")
    first = ITEM.match(window.data, at)
    if first is None or (int(first[1]), int(first[3])) != (index_width, data_width):
        raise ExtractionError(f"ROM {name}: its first item is malformed")
    items, beat = _Items(name, first, index_width, data_width), 0
    while (stop := window.data.find(DEFAULT, at)) != at:
        end = stop if stop >= 0 else at + (len(window.data) - at) // items.size * items.size
        nibbles = items.read(window.data[at:end], beat)
        yield _words(nibbles, data_width, width, signed)
        beat, at = beat + len(nibbles), window.hold(end, b";\n")
    if index_width != max(1, (beat - 1).bit_length()):
        raise ExtractionError(f"ROM {name}: {index_width} bits of the index are not those of {beat} words")
    tail = TAIL.fullmatch(window.rest(at))
    if tail is None or int(tail[1]) != data_width:
        raise ExtractionError(f"ROM {name}: its end is malformed")


class _Items:
    """Reads items that are written like the `first` one, of as many characters each: only digits differ."""

    def __init__(self, name: str, first: re.Match[bytes], index_width: int, data_width: int) -> None:
        self.name, self.size, self.index_width, self.data_width = name, len(first[0]), index_width, data_width
        self.index, self.data = (slice(first.start(n) - first.start(), first.end(n) - first.start()) for n in (2, 4))
        self.text = np.frombuffer(first[0], dtype=np.uint8)
        self.fixed = np.ones(self.size, dtype=bool)
        self.fixed[self.index] = self.fixed[self.data] = False

    def read(self, text: bytes, beat: int) -> np.ndarray:
        """Digits of the data of items from number `beat` on, the lowest first: uint8 [items, digits]."""
        if not text or len(text) % self.size:
            raise ExtractionError(f"ROM {self.name}: an item behind index {beat} is longer or shorter than the first")
        lines = np.frombuffer(text, dtype=np.uint8).reshape(-1, self.size)
        index, data = DIGITS[lines[:, self.index]], DIGITS[lines[:, self.data]][:, ::-1]
        numbers = index.astype(np.int64) @ (1 << 4 * np.arange(index.shape[1], dtype=np.int64)[::-1])
        wanted = np.arange(beat, beat + len(lines))
        sound = (lines[:, self.fixed] == self.text[self.fixed]).all(axis=1)
        sound &= (index < 16).all(axis=1) & (numbers == wanted) & (wanted >> self.index_width == 0)
        sound &= (data < 16).all(axis=1)
        top, rest = divmod(self.data_width, 4)
        high = data[:, top:]
        sound &= (high[:, :1] >> rest == 0).all(axis=1) & (high[:, 1:] == 0).all(axis=1)
        if not sound.all():
            place = int(np.flatnonzero(~sound)[0])
            line = lines[place].tobytes().decode(errors="replace").strip()[:60]
            raise ExtractionError(
                f"ROM {self.name}: the item of index {beat + place} is malformed, out of order or wider than its port: "
                + line
            )
        return data


def _words(nibbles: np.ndarray, data_width: int, width: int, signed: bool) -> np.ndarray:
    """Words, int64 [items, lanes], from the digits of items."""
    count = -(-data_width // 8) * 2
    padded = np.zeros((len(nibbles), count), dtype=np.uint8)
    padded[:, : nibbles.shape[1]] = nibbles[:, :count]
    packed = (padded[:, ::2] | padded[:, 1::2] << 4).astype(np.uint8)
    bits = np.unpackbits(packed, axis=1, bitorder="little")[:, :data_width].reshape(len(packed), -1, width)
    weight = 1 << np.arange(width, dtype=np.int64)
    if signed:
        weight[-1] = -weight[-1]
    return bits.astype(np.int64) @ weight
