"""Shapes of arrays, and the quantities of those that the published models have, counted once and kept as data."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path

__all__ = ["STORED", "ArrayShape", "Counted", "Quantities", "lines_of", "stored"]

STORED = Path(__file__).parent / "data" / "quantities.jsonl"
"""A line an array; `hardloom bench tiles` writes it."""


@dataclass(frozen=True)
class ArrayShape:
    """An array unit of random normal weights: `banks` matrices of [rows, inputs] in a style and a weight format, for
    activations of so many bits."""

    style: str
    rows: int
    inputs: int
    slices: int
    lanes: int
    banks: int = 1
    format: str = "mxfp4"
    bits: int = 8


@dataclass(frozen=True)
class Quantities:
    """Of one array.

    Attributes
    ----------
    neurons: of all neurons together, and in proportion to them; shell: of the shell; common: of what neurons share,
        which is synthesized with them. By name.
    steps: cycles of a packet in which neurons add.
    wire_toggles: gates that a packet toggles between an input or an address and where neurons count or multiply.
    clocks, shell_clocks: register bits of neurons and shell, each as often as a packet clocks it.
    """

    neurons: dict[str, float]
    shell: dict[str, float]
    steps: int
    wire_toggles: float
    clocks: float
    shell_clocks: float
    common: dict[str, float] = field(default_factory=dict)

    @property
    def core(self) -> dict[str, float]:
        """All but the shell's."""
        return self.neurons | self.common

    def mixed(self, others: Sequence[tuple[float, "Quantities"]]) -> "Quantities":
        """These, but for the neurons, which are like those of `others` in shares."""
        return replace(
            self,
            neurons={name: sum(share * other.neurons[name] for share, other in others) for name in self.neurons},
            wire_toggles=sum(share * other.wire_toggles for share, other in others),
            clocks=sum(share * other.clocks for share, other in others),
        )

    def times(self, neurons: float, lane_bits: int) -> "Quantities":
        """Of an array with so many times the neurons, whose beats have so many bits."""
        return Quantities(
            {name: neurons * value for name, value in self.neurons.items()},
            self.shell | ({"lane_bits": lane_bits} if "lane_bits" in self.shell else {}),
            self.steps,
            neurons * self.wire_toggles,
            neurons * self.clocks,
            self.shell_clocks,
            self.common,
        )


@dataclass(frozen=True)
class Counted:
    """Quantities of an array, and the cycles between the last beat of one packet and the first of the next."""

    quantities: Quantities
    compute_cycles: int


def lines_of(counted: Iterable[tuple[ArrayShape, Counted]]) -> str:
    """Text that `stored` reads."""
    return "".join(
        json.dumps({"shape": asdict(shape), **asdict(found)}, separators=(",", ":")) + "\n" for shape, found in counted
    )


@cache
def stored() -> dict[ArrayShape, Counted]:
    """Arrays that have been counted before."""
    rows = map(json.loads, STORED.read_text(encoding="utf-8").splitlines())
    return {ArrayShape(**row["shape"]): Counted(Quantities(**row["quantities"]), row["compute_cycles"]) for row in rows}
