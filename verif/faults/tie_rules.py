"""A comparison that decides ties, in the text of a unit."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from torch import Generator

from hardloom.gen.stream.component import Component
from hardloom.golden.errors import UserError
from hardloom.verif.streams.bench import Stimulus
from hardloom.verif.streams.stimulus import integers

__all__ = ["TieRule", "TieUnit", "draw"]

COMPARISON = re.compile(r"^  assign \S+ +=(?P<left> .*) (?P<operator>[<>]) (?P<right>.*);$", re.MULTILINE)


@dataclass(frozen=True)
class TieRule:
    """One comparison.

    name: what it decides; match: whether a line's `COMPARISON` is it; stimulus: makes a random stimulus in which a tie
    that this comparison decides changes the outcome.
    """

    name: str
    match: Callable[[re.Match], bool] = field(repr=False)
    stimulus: Callable[[Generator], Stimulus] = field(repr=False)

    def broken(self, text: str) -> str:
        """`text` with the comparison taking equality too."""
        found = [m for m in COMPARISON.finditer(text) if self.match(m)]
        if len(found) != 1:
            raise UserError(f"tie rule {self.name}: {len(found)} comparisons of the emitted Verilog decide it, not 1")
        end = found[0].end("operator")
        return text[:end] + "=" + text[end:]


@dataclass(frozen=True)
class TieUnit:
    """A unit that decides ties: `component` has streams alone; its Verilog modules start with `name`."""

    name: str
    component: Component = field(repr=False)
    rules: list[TieRule] = field(repr=False)


def draw(generator: Generator, values: list[int]) -> int:
    return values[int(integers(generator, 0, len(values) - 1, ()))]
