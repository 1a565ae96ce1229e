"""Reads instances, `module name (pin, pin, ...);`, of Verilog text that may be hundreds of MB.

The one reader of such lines, here and in the floors above: it knows Verilog, and nothing of what an array is made of.
Pins are connected in order; their names are those of the instantiated module's ports.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from hardloom.verif.extract.errors import ExtractionError

__all__ = ["Instance", "instance_at", "instances"]

HEAD = re.compile(rb"^[ \t]*(?!module\b|else\b)(\w+)[ \t]+(\w+)[ \t]*\(", re.MULTILINE)
PIN = re.compile(rb"\s*(\{[^{}]*\}|[^\s,{}()]+)\s*([,)])")
END = b");"


@dataclass(frozen=True)
class Instance:
    """An instance in a text.

    Attributes
    ----------
    module, name: as in the text.
    begin, start, end, stop: bytes of `text` where its line begins, where its pins start and end (brackets excluded),
        and behind its semicolon.
    """

    text: bytes = field(repr=False)
    module: str
    name: str
    begin: int
    start: int
    end: int

    @property
    def stop(self) -> int:
        return self.end + len(END)

    @property
    def place(self) -> tuple[int, ...]:
        """Numbers at the end of its name: (1, 20) of `neuron_1_20`."""
        return tuple(int(part) for part in self.name.split("_")[1:] if part.isdecimal())

    @property
    def pins(self) -> list[bytes]:
        """What all pins are connected to, in order, without blanks around them; no pin is a concatenation."""
        return [pin.strip() for pin in self.text[self.start : self.end].split(b",")]

    def leading(self, ports: Sequence[str]) -> tuple[dict[str, str], int]:
        """What the first `ports` of its module are connected to, by name, and where in the text the others start.

        Raises ExtractionError where it has fewer pins, or they are malformed.
        """
        found, at = {}, self.start
        for port in ports:
            pin = PIN.match(self.text, at)
            if pin is None or (pin.start(2) == self.end) != (pin[2] == b")"):
                raise ExtractionError(f"instance {self.name} of {self.module}: its pin {port} is missing or malformed")
            found[port], at = b" ".join(pin[1].split()).decode(), pin.end()
        return found, at

    def replaced(self, pins: Iterable[bytes]) -> bytes:
        """The whole text with this instance connected to `pins` instead."""
        return self.text[: self.start] + b", ".join(pins) + self.text[self.end :]


def instance_at(text: bytes, at: int) -> Instance | None:
    """The instance whose line begins at byte `at`, if there is one."""
    return _instance(text, HEAD.match(text, at))


def instances(text: bytes, at: int = 0) -> Iterator[Instance]:
    """All instances of `text` whose lines begin at byte `at` or behind it, in order."""
    while (found := _instance(text, HEAD.search(text, at))) is not None:
        yield found
        at = found.stop


def _instance(text: bytes, head: re.Match[bytes] | None) -> Instance | None:
    end = text.find(END, head.end()) if head else -1
    if head is None or end < 0:
        return None
    return Instance(text, head[1].decode(), head[2].decode(), head.start(), head.end(), end)
