"""Tables of constants as samples: their first words, and a few of many that are alike."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hardloom.flows.synth.contents import whole_lines
from hardloom.gen.text.constant_module import index_width

__all__ = ["Table", "read_table", "stand_ins"]

WORDS = 4096
"""Words of a table that are synthesized, at most. The more there are, the less a word takes: a sample is a bound."""

ALIKE = 3
"""Tables that are synthesized of those that have as many words of as many bits."""

ITEM = re.compile(rb"^ +(\d+)'h([0-9a-f]+): data = (\d+)'h", re.MULTILINE)
INDEX = re.compile(rb"input +wire \[\d+:0\] index")


@dataclass(frozen=True)
class Table:
    """words: of `bits` each. text: of the module that is synthesized for it, its first words alone; held: how many."""

    words: int
    bits: int
    text: bytes
    held: int

    @property
    def kind(self) -> tuple[int, int]:
        """Tables of one kind are alike."""
        return self.words, self.bits


def read_table(pieces: Iterable[bytes]) -> Table:
    """A table from its text, as `gen.text.constant_module` writes it. Raises ValueError where it is none."""
    start, words = b"", 0
    for block in whole_lines(pieces):
        if words <= WORDS:
            start += block + b"\n"
        words += block.count(b": data = ")
    words -= 1  # the default
    first = ITEM.search(start)
    if first is None or words < 1:
        raise ValueError("no table")
    held, bits = min(words, WORDS), int(first[3])
    return Table(words, bits, start if words == held else cut(start, held, bits), held)


def cut(start: bytes, held: int, bits: int) -> bytes:
    """A table's first words, `held` of them, of `bits` each, under an index as wide as they need."""
    width = index_width(held)
    digits = -(-width // 4)
    head = INDEX.sub(b"input  wire [%d:0] index" % (width - 1), start[: start.index(b"case (index)") + 13])
    lines = [line for line in start.split(b"\n") if ITEM.match(line)][:held]
    items = [ITEM.sub(lambda m: b"        %d'h%s: data = %s'h" % (width, m[2][-digits:], m[3]), line) for line in lines]
    end = [b"        default: data = %d'h0;" % bits, b"    endcase\nendmodule\n"]
    return b"\n".join([head.rstrip(b"\n"), *items, *end])


def stand_ins(names: Sequence[str]) -> dict[str, str]:
    """For each of some tables that are alike, the one that is synthesized for it: `ALIKE` of them, spread evenly."""
    names = sorted(names)
    chosen = min(ALIKE, len(names))
    return {name: names[(number * chosen // len(names)) * len(names) // chosen] for number, name in enumerate(names)}
