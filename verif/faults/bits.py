"""One bit of a constant in emitted text flipped at random."""

import random
import re

__all__ = ["flip_rom_bit"]

ROM_WORD = re.compile(rb"(?P<place>\w+'h\w+): data = (?P<width>\d+)'h(?P<digits>[0-9a-f]+);")


def flip_rom_bit(text: bytes, rng: random.Random) -> tuple[bytes, str]:
    """A word of a ROM module, and which bit of it was flipped."""
    word = rng.choice(list(ROM_WORD.finditer(text)))
    bit = rng.randrange(min(int(word["width"]), 4 * len(word["digits"])))
    digits = format(int(word["digits"], 16) ^ (1 << bit), f"0{len(word['digits'])}x").encode()
    return text[: word.start("digits")] + digits + text[word.end("digits") :], f"{word['place'].decode()}, bit {bit}"
