"""A progress bar with rate and time left, on standard error, silent when that is not a terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

__all__ = ["progress_bar"]

PREFIXES = ("", "k", "M", "G")


class Rate(ProgressColumn):
    """Units a second, with a metric prefix."""

    def __init__(self, unit: str):
        super().__init__()
        self.unit = unit

    def render(self, task) -> Text:
        rate = task.finished_speed or task.speed
        if rate is None:
            return Text("")
        power = 0
        while rate >= 1000 and power < len(PREFIXES) - 1:
            rate, power = rate / 1000, power + 1
        return Text(f"{rate:.3g} {PREFIXES[power]}{self.unit}/s")


@contextmanager
def progress_bar(what: str, unit: str | None) -> Iterator[Callable[[int, int], None]]:
    """Yields a function of (done, total) that moves the bar named `what`, counting in `unit`; None: in no one unit."""
    console = Console(stderr=True)
    rate = () if unit is None else (Rate(unit),)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        *rate,
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
