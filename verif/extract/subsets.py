"""Reads which subsets of the address lines an array of the shared style makes: `n[m]` is 0 when a line of m is 1."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from verif.extract.errors import ExtractionError
from verif.extract.prefab import one_line, read_prefab

__all__ = ["Subsets", "read_groups", "read_subsets"]

MODULE = re.compile(r"module (\w+) \( input wire \[(\d+):0\] a, output wire \[(\d+):0\] n \); (.*); endmodule")
INSTANCE = re.compile(r"    (\w+) subsets_(\d+) \(\{([^}]*)\}, g(\d+)\);\n")


class Subsets(NamedTuple):
    """A module that makes the ORs of all subsets of ``size`` lines, inverted."""

    name: str
    size: int


def read_subsets(text: str) -> Subsets:
    """The module in ``text``. Raises ExtractionError where it makes anything else."""
    code = one_line(text)
    head = MODULE.fullmatch(code)
    if head is None:
        raise ExtractionError(f"not a module of subsets: {code[:60]}")
    size, body = int(head[2]) + 1, head[4].split("; ")
    low = sum(statement.split(" = ")[0].split()[-1].startswith("low") for statement in body) - 1
    want = [*_doubled("low", 0, low), *_doubled("high", low, size - low)]
    for j in range(1 << max(0, size - low)):
        want.append(
            f"assign n[{(j + 1 << low) - 1}:{j << low}] = ~({{{1 << low}{{high{size - low}[{j}]}}}} | low{low})"
        )
    if int(head[3]) + 1 != 1 << size or body != want:
        raise ExtractionError(f"{head[1]}: does not make the subsets of its {size} lines")
    return Subsets(head[1], size)


def _doubled(name: str, first: int, size: int) -> list[str]:
    """Statements of the subsets of ``size`` lines from ``first`` on, each line doubling them."""
    return [f"wire [0:0] {name}0 = 1'd0"] + [
        f"wire [{(2 << i) - 1}:0] {name}{i + 1} = {{{name}{i} | {{{1 << i}{{a[{first + i}]}}}}, {name}{i}}}"
        for i in range(size)
    ]


def read_groups(array: str, data: bytes, start: int, slices: int, prefab: Mapping[str, str]) -> tuple[list[int], int]:
    """Address lines of each group of ``array``, whose subsets begin at ``start`` of ``data``, and where they end.

    Raises ExtractionError where the groups do not take all ``slices`` lines in order.
    """
    found, first = data.find(b" mac_0_0 ", start), 0
    sizes: list[int] = []
    end = data.rfind(b"\n", start, found) + 1
    text = data[start:end].decode()
    at = text.find("    shared_subsets")
    declared = text[: max(0, at)]
    known: dict[str, Subsets] = {}
    while match := INSTANCE.match(text, at):
        if match[1] not in known:
            known[match[1]] = read_prefab(array, "subsets", match[1], prefab, read_subsets)
        size, number = known[match[1]].size, len(sizes)
        lines = ", ".join(f"a{i}" for i in range(first + size - 1, first - 1, -1))
        if (match[2], match[4]) != (str(number), str(number)) or " ".join(match[3].split()) != lines:
            raise ExtractionError(f"{array}: subsets {number} do not read the next {size} address lines")
        sizes.append(size)
        first, at = first + size, match.end()
    wires = {size: ", ".join(f"g{g}" for g, other in enumerate(sizes) if other == size) for size in sizes}
    want = " ".join(f"wire [{(1 << size) - 1}:0] {names};" for size, names in wires.items())
    if found < 0 or at != len(text) or first != slices or one_line(declared) != want:
        raise ExtractionError(f"{array}: its subsets of address lines are malformed")
    return sizes, end
