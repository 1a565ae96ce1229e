"""Verilator's coverage: runs added up, a table by module, and a file for lcov. It imports the standard library alone.

`hardloom export` copies it into the bench. From the command line it takes Verilator's files and the one to write:

python hardloom_coverage.py coverage.dat coverage.info
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = [
    "ARGUMENTS",
    "HEADER",
    "KINDS",
    "LEFT_OUT",
    "Covered",
    "Point",
    "configuration",
    "dat",
    "info",
    "read_points",
    "text_table",
    "totals",
]

HEADER = "# SystemC::Coverage-3\n"
"""First line of Verilator's files."""

KINDS = ("line", "branch", "toggle")
"""Of points: a block of statements that ran; a branch that was taken; a bit that rose, and one that fell."""

LEFT_OUT = ("*/rtl/arrays/*", "*/rtl/prefab/*")
"""Files without points: the insides of arrays, each wire of which is proven by its text, and models of cells."""

ARGUMENTS = ("--coverage-line", "--coverage-toggle")
"""Verilator's, with the files of `configuration`."""

KIND_OF = {"line": "line", "elsif": "branch", "branch": "branch", "toggle": "toggle"}


@dataclass(frozen=True)
class Point:
    """A place that is counted.

    kind: one of `KINDS`. module: with all its instances. file, line (from 1): where. lines: of its
    block, as in 4-6,9, or none. key: what Verilator calls it.
    """

    kind: str
    module: str
    file: str
    line: int
    lines: str
    key: str


@dataclass(frozen=True)
class Covered:
    """Of one kind of points in one module: how many there are, and how many were reached at least once."""

    hit: int
    points: int

    def __str__(self) -> str:
        return f"{self.hit:,} of {self.points:,}" if self.points else ""


def configuration(others: Sequence[str] = ()) -> str:
    """Text of a file (`.vlt`) that leaves out what has no points: `LEFT_OUT` and other files."""
    return "".join(["`verilator_config\n", *(f'coverage_off -file "{name}"\n' for name in (*LEFT_OUT, *others))])


def read_points(paths: Iterable[Path], root: Path | None = None) -> dict[Point, int]:
    """Points of Verilator's files and how often each was reached, the runs added up. Raises ValueError for others.

    root: of the names of sources, which are given in full then, links followed.
    """
    counts: dict[str, int] = {}
    for path in paths:
        with path.open(encoding="utf-8") as file:
            if file.readline() != HEADER:
                raise ValueError(f"{path}: is no coverage of Verilator; give a file that it wrote")
            for line in file:
                key, _, count = line.rpartition("' ")
                counts[key] = counts.get(key, 0) + int(count)
    named = cache(lambda name: str((root / name).resolve()) if root else name)
    return {point_of(key, named): count for key, count in counts.items()}


def point_of(key: str, named: Callable[[str], str]) -> Point:
    r"""The point of a line `C '\x01NAME\x02VALUE...` of such a file, whose source is renamed."""
    values = dict(item.split("\x02", 1) for item in key.split("\x01")[1:])
    file = named(values["f"])
    key = key.replace(f"\x02{values['f']}\x01", f"\x02{file}\x01", 1)
    kind, _, module = values["page"].removeprefix("v_").partition("/")
    line = int(values["l"])
    return Point(KIND_OF[kind], module, file, line, values.get("S", ""), key)


def totals(points: Mapping[Point, int]) -> dict[str, dict[str, Covered]]:
    """Of each module, by name, what was covered of each of `KINDS`."""
    found: dict[str, dict[str, list[int]]] = {}
    for point, count in points.items():
        both = found.setdefault(point.module, {kind: [0, 0] for kind in KINDS})[point.kind]
        both[0] += count > 0
        both[1] += 1
    return {name: {kind: Covered(*both) for kind, both in kinds.items()} for name, kinds in sorted(found.items())}


def added(modules: Iterable[Mapping[str, Covered]]) -> dict[str, Covered]:
    """What was covered in several modules together."""
    each = [*modules]
    return {kind: Covered(sum(m[kind].hit for m in each), sum(m[kind].points for m in each)) for kind in KINDS}


def text_table(modules: Mapping[str, Mapping[str, Covered]], most: int = 25) -> list[tuple[str, ...]]:
    """Rows of module, lines, branches, toggles: the `most` modules with most points missed, the others, and all."""
    missed = {name: sum(c.points - c.hit for c in kinds.values()) for name, kinds in modules.items()}
    first = sorted(modules, key=lambda name: (-missed[name], name))
    shown = [name for name in first[:most] if missed[name]]
    rest = [modules[name] for name in first if name not in shown]
    rows = [(name, modules[name]) for name in shown]
    rows += [(f"{len(rest):,} more modules", added(rest))] if rest else []
    rows.append(("all", added(modules.values())))
    return [(name, *(str(kinds[kind]) for kind in KINDS)) for name, kinds in rows]


def dat(points: Mapping[Point, int]) -> Iterator[str]:
    """Text of a file of Verilator, which `verilator_coverage` reads."""
    yield HEADER
    for point, count in points.items():
        yield f"{point.key}' {count}\n"


def info(points: Mapping[Point, int]) -> Iterator[str]:
    """Text of a tracefile of lcov: a line counts as often as the point of it that was reached least.

    Where a line has several points, each is a branch of it, as `verilator_coverage --write-info` writes them.
    """
    files: dict[str, dict[int, list[int]]] = {}
    for point, count in points.items():
        lines = files.setdefault(point.file, {})
        for line in {point.line, *spans(point.lines)}:
            lines.setdefault(line, []).append(count)
    yield "TN:\n"
    for file, lines in sorted(files.items()):
        yield f"SF:{file}\n"
        for line, found in sorted(lines.items()):
            yield f"DA:{line},{min(found)}\n"
            if len(found) > 1:
                yield from (f"BRDA:{line},0,{number},{count}\n" for number, count in enumerate(found))
        yield f"LF:{len(lines)}\nLH:{sum(map(all, lines.values()))}\n"
        yield "end_of_record\n"


def spans(lines: str) -> Iterator[int]:
    """Numbers of lines given as in 4-6,9."""
    for span in filter(None, lines.split(",")):
        first, _, last = span.partition("-")
        yield from range(int(first), int(last or first) + 1)


def main(words: Sequence[str]) -> None:
    """Print the table of the files but the last, which is written."""
    points = read_points(map(Path, words[:-1]))
    Path(words[-1]).write_text("".join(info(points)))
    rows = [("module", "lines", "branches", "toggles"), *text_table(totals(points))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *numbers in rows:
        print(name.ljust(widths[0]), *(text.rjust(width) for text, width in zip(numbers, widths[1:], strict=True)))


if __name__ == "__main__":
    main(sys.argv[1:])
