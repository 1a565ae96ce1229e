"""What a command prints: its figures as JSON, or as tables and sentences for people."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

__all__ = ["Check", "Line", "Part", "facts", "notice", "show", "table", "totals"]


PIPED = 10_000
"""Characters of a line that nobody's terminal cuts."""


class Line(str):
    """A line that is printed as it is, however long."""


Part = Table | Line | str
"""A table, a line, or a sentence that is broken where the terminal ends."""


@dataclass(frozen=True)
class Check:
    """Figures of a check, what is printed of them, and whether everything is as it must be."""

    figures: Any
    parts: Iterable[Part]
    passed: bool

    def show(self, as_json: bool, width: int = 0) -> bool:
        """Print it; whether it passed."""
        show(self.figures, as_json, self.parts, width)
        return self.passed


def show(figures: Any, as_json: bool, parts: Iterable[Part], width: int = 0, indent: int | None = 1) -> None:
    """Print `figures` as JSON, or `parts`, which are not asked for otherwise, on a terminal of `width` at least.

    What is piped has no width: a table takes what it needs, and a sentence is one line.
    """
    if as_json:
        print(json.dumps(figures, indent=indent, default=to_json))
        return
    console = Console(highlight=False, markup=False)
    console.width = max(console.width, width if console.is_terminal else PIPED)
    for part in parts:
        if isinstance(part, Line):
            print(part)
        else:
            console.print(part)


def to_json(held: Any) -> Any:
    """An object that is no JSON by itself: by its `to_json_dict`, or a dataclass by its fields."""
    return held.to_json_dict() if hasattr(held, "to_json_dict") else asdict(held)


def notice(text: str) -> None:
    """A line about what is being done, on standard error."""
    Console(stderr=True, markup=False).print(text)


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str | Text]],
    title: str | None = None,
    left: Collection[str] = (),
    no_wrap: bool = False,
) -> Table:
    """A table whose columns are numbers, to the right, but for the first, or those named in `left`."""
    made = Table(title=title)
    for column in columns:
        made.add_column(column, justify="left" if column in (left or columns[:1]) else "right", no_wrap=no_wrap)
    for row in rows:
        made.add_row(*row)
    return made


def facts(rows: Iterable[tuple[str, str]]) -> Table:
    """Labels and texts side by side, without lines."""
    made = Table(show_header=False, box=None)
    for row in rows:
        made.add_row(*row)
    return made


def totals(title: str, rows: Mapping[str, Any]) -> Table:
    """Names and numbers, the numbers to the right with commas at thousands."""
    made = Table(title=title, show_header=False)
    made.add_column()
    made.add_column(justify="right")
    for name, value in rows.items():
        made.add_row(name, f"{value:,}" if isinstance(value, int | float) else str(value))
    return made
