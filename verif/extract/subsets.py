"""Reads which subsets of the address lines an array of the shared style makes: `n[m]` is 0 when a line of m is 1."""

import re
from collections.abc import Mapping
from itertools import takewhile
from typing import NamedTuple

from hardloom.verif.extract.comments import one_line
from hardloom.verif.extract.errors import ExtractionError
from hardloom.verif.extract.instances import instances
from hardloom.verif.extract.prefab import read_prefab

__all__ = ["Subsets", "read_groups", "read_subsets"]

MODULE = re.compile(r"module (\w+) \( input wire \[(\d+):0\] a, output wire \[(\d+):0\] n \); (.*); endmodule")


class Subsets(NamedTuple):
    """A module that makes the ORs of all subsets of `size` lines, inverted."""

    name: str
    size: int


def read_subsets(text: str) -> Subsets:
    """The module in `text`. Raises ExtractionError where it makes anything else."""
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
    """Statements of the subsets of `size` lines from `first` on, each line doubling them."""
    return [f"wire [0:0] {name}0 = 1'd0"] + [
        f"wire [{(2 << i) - 1}:0] {name}{i + 1} = {{{name}{i} | {{{1 << i}{{a[{first + i}]}}}}, {name}{i}}}"
        for i in range(size)
    ]


def read_groups(array: str, data: bytes, start: int, slices: int, prefab: Mapping[str, str]) -> tuple[list[int], int]:
    """Address lines of each group of `array`, whose subsets begin at `start` of `data`, and where they end.

    Raises ExtractionError where the groups do not take all `slices` lines in order.
    """
    sizes: list[int] = []
    known: dict[str, Subsets] = {}
    groups = list(takewhile(lambda instance: instance.name.startswith("subsets_"), instances(data, start)))
    end = first = groups[0].begin if groups else start
    for number, group in enumerate(groups):
        if group.module not in known:
            known[group.module] = read_prefab(array, "subsets", group.module, prefab, read_subsets)
        taken, size = sum(sizes), known[group.module].size
        lines = ", ".join(f"a{i}" for i in range(taken + size - 1, taken - 1, -1))
        pins, behind = group.leading(("a", "n"))
        if pins != {"a": f"{{{lines}}}", "n": f"g{number}"} or group.name != f"subsets_{number}":
            raise ExtractionError(f"{array}: subsets {number} do not read the next {size} address lines")
        if (group.begin, behind) != (end, group.end + 1):
            raise ExtractionError(f"{array}: subsets {number} are malformed")
        sizes.append(size)
        end = group.stop + 1
    wires = {size: ", ".join(f"g{g}" for g, other in enumerate(sizes) if other == size) for size in sizes}
    want = " ".join(f"wire [{(1 << size) - 1}:0] {names};" for size, names in wires.items())
    if sum(sizes) != slices or one_line(data[start:first].decode()) != want:
        raise ExtractionError(f"{array}: its subsets of address lines are malformed")
    return sizes, end
