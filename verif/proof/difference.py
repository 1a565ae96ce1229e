"""What differs between two build folders: prefabricated text must not, connections may, wire by wire."""

import re
from dataclasses import dataclass, field

import numpy as np

from hardloom.gen.build.folder import Build, chip_texts
from hardloom.gen.build.names import FILE_LIST

__all__ = ["Difference", "difference"]

CONNECTIONS = ("rtl/arrays/", "rtl/constants/")
SLOT = re.compile(rb"\b(?:[pn]\d+|1'b0)\b")
WORD = re.compile(rb"data = \d+'h([0-9a-f]+);")


@dataclass
class Difference:
    """Two builds compared.

    Attributes
    ----------
    prefab, prefab_different: files that no weight may touch, and the names of those that are not the same.
    connections, connections_different: files that hold the weights, and how many of them differ.
    wires, wires_changed: slots of all neuron cells (style `metal`), and those that another wire, or none, enters.
    rom_bits, rom_bits_changed: constant bits of all ROM words, and those that change.
    """

    prefab: int = 0
    prefab_different: list[str] = field(default_factory=list)
    connections: int = 0
    connections_different: int = 0
    wires: int = 0
    wires_changed: int = 0
    rom_bits: int = 0
    rom_bits_changed: int = 0

    @property
    def same_prefab(self) -> bool:
        return not self.prefab_different


def slots(text: bytes) -> np.ndarray:
    """Wires at the slots of all neuron cells of an array's text, in order, as bytes."""
    start = text.find(b" neuron_0_0 ")
    return np.array(SLOT.findall(text[start:]) if start >= 0 else [], dtype="S12")


def rom_bits(text: bytes) -> np.ndarray:
    """Bits of all words of a ROM's text, in order, uint8."""
    words = b"".join(word.rjust(len(word) + len(word) % 2, b"0") for word in WORD.findall(text))
    return np.unpackbits(np.frombuffer(bytes.fromhex(words.decode()), dtype=np.uint8))


def changed(a: np.ndarray, b: np.ndarray) -> tuple[int, int]:
    """Places in the longer of two, and how many of them differ."""
    common = min(len(a), len(b))
    return max(len(a), len(b)), int((a[:common] != b[:common]).sum()) + max(len(a), len(b)) - common


def difference(build: Build, other: Build) -> Difference:
    """Compare two build folders, every file read and its hash checked.

    Raises `UserError` where a file is not as its manifest says.
    """
    result = Difference()
    for name in sorted(build.files.keys() | other.files.keys()):
        if not name.endswith(".v") and name not in (FILE_LIST, *chip_texts()):
            continue
        texts = [b.file(name).read_bytes() if name in b.files else b"" for b in (build, other)]
        same = texts[0] == texts[1] and name in build.files and name in other.files
        if not name.startswith(CONNECTIONS):
            result.prefab += 1
            result.prefab_different += [] if same else [name]
            continue
        result.connections += 1
        result.connections_different += not same
        if name.startswith("rtl/arrays/"):
            count, different = changed(*map(slots, texts))
            result.wires, result.wires_changed = result.wires + count, result.wires_changed + different
        else:
            count, different = changed(*map(rom_bits, texts))
            result.rom_bits, result.rom_bits_changed = result.rom_bits + count, result.rom_bits_changed + different
    return result
