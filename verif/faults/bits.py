"""One bit of a constant in emitted text flipped at random."""

import random
import re

__all__ = ["flip_rom_bit", "flip_table_bit"]

ROM_WORD = re.compile(rb"(?P<place>\w+'h\w+): data = (?P<width>\d+)'h(?P<digits>[0-9a-f]+);")
TABLE_WORD = re.compile(rb"(?P<place>\w+\[\d+\]) = (?P<width>\d+)'h(?P<digits>[0-9a-f]+);")


def flip_rom_bit(text: bytes, rng: random.Random) -> tuple[bytes, str]:
    """A word of a ROM module, and which bit of it was flipped."""
    return _flip(text, ROM_WORD, rng)


def flip_table_bit(text: bytes, rng: random.Random) -> tuple[bytes, str]:
    """An initial word of a unit's memory, and which bit of it was flipped."""
    return _flip(text, TABLE_WORD, rng)


def _flip(text: bytes, pattern: re.Pattern, rng: random.Random) -> tuple[bytes, str]:
    word = rng.choice(list(pattern.finditer(text)))
    bit = rng.randrange(min(int(word["width"]), 4 * len(word["digits"])))
    digits = format(int(word["digits"], 16) ^ (1 << bit), f"0{len(word['digits'])}x").encode()
    return text[: word.start("digits")] + digits + text[word.end("digits") :], f"{word['place'].decode()}, bit {bit}"
