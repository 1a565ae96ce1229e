"""What the text of an array holds, in one pass over it: instances, planes of `shared` units by their terms, logic.

A text may be gigabytes long, so it is drawn in pieces and nothing of it is kept.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

__all__ = ["Contents", "contents_of", "port_list", "whole_lines"]

INSTANCE = re.compile(rb" +(\w+) +\w+ *\(")
PLANE = re.compile(rb"(?:g\d+\[|1'b1[,)])")
STATEMENT = re.compile(rb" *(?:always|initial|assign \w+ = [^{])")
OPERATORS = (b"|", b"&", b"^", b"~", b"?")
HEAD = 1 << 20
"""Bytes of a text in which its ports end."""


@dataclass
class Contents:
    """What a module's text holds.

    Attributes
    ----------
    instances: of modules, by name, and how often. planes: those that are conjunctions of lines, by the number of lines;
    of none, a plane is a constant. has_logic: whether there is any other gate.
    """

    instances: Counter[str] = field(default_factory=Counter)
    planes: Counter[int] = field(default_factory=Counter)
    has_logic: bool = False


def contents_of(pieces: Iterable[bytes]) -> Contents:
    """Contents of a text as `gen.arrays` writes it: an instance begins a line, and so does a plane."""
    found, plane_text = Contents(), b""
    for block in whole_lines(pieces):
        planes = [plane_text]
        for line in block.split(b"\n"):
            if PLANE.match(line):
                planes.append(line)
            else:
                take_line(line, found)
        plane_text = take_planes(b"".join(planes), found)
    return found


def whole_lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The text in pieces that end where a line does."""
    rest = b""
    for piece in pieces:
        head, newline, tail = piece.rpartition(b"\n")
        if newline:
            yield rest + head
            rest = tail
        else:
            rest += tail
    yield rest


def take_line(line: bytes, found: Contents) -> None:
    """Count what a line outside the planes holds."""
    if instance := INSTANCE.match(line):
        found.instances[instance[1].decode()] += 1
    code = line.partition(b"//")[0]
    if STATEMENT.match(code) or any(operator in code for operator in OPERATORS):
        found.has_logic = True


def take_planes(text: bytes, found: Contents) -> bytes:
    """Count the planes of a text that begins with one, up to the last that ends; what is left of it."""
    letters = np.frombuffer(text, dtype=np.uint8)
    ends = np.flatnonzero((letters == ord(",")) | (letters == ord(")")))
    if not len(ends):
        return text
    before = np.searchsorted(np.flatnonzero(letters == ord("[")), ends)
    terms, planes = np.unique(np.diff(before, prepend=0), return_counts=True)
    found.planes.update(dict(zip(terms.tolist(), planes.tolist(), strict=True)))
    return text[ends[-1] + 1 :].removeprefix(b";")


def port_list(pieces: Iterable[bytes]) -> bytes:
    """The module with its ports and nothing in it, from the head of its text. Raises ValueError where there is none."""
    head = b""
    for piece in pieces:
        head += piece
        if (end := head.find(b"\n);")) >= 0 or len(head) > HEAD:
            break
    start = head.find(b"module ")
    if start < 0 or end < 0:
        raise ValueError("no port list")
    return head[start:end].replace(b"output reg ", b"output wire") + b"\n);\nendmodule\n"
