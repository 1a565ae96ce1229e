"""Assumptions: numbers with a range and a source, read from `data/*.toml`; every one that a result used is listed."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from hardloom.golden.errors import UserError

__all__ = ["KINDS", "NODES", "Assumption", "Assumptions", "parse", "read_data"]

NODES = ("5nm", "7nm", "28nm", "130nm")
KINDS = ("published", "measured", "design", "assumed", "given")
"""Somebody else's figure; ours; a choice of ours; judgement; what the user gave."""


@dataclass(frozen=True)
class Assumption:
    """One number: `value` in `unit`, between `low` and `high`, of a kind in `KINDS`, and where it comes from."""

    name: str
    value: float
    low: float
    high: float
    unit: str
    kind: str
    source: str

    def __post_init__(self) -> None:
        if self.kind not in KINDS or not self.low <= self.value <= self.high:
            raise ValueError(f"assumption {self.name}: kind {self.kind}, {self.low} <= {self.value} <= {self.high}")


@cache
def read_data(name: str) -> dict[str, Any]:
    """The data file `name` of this package."""
    return tomllib.loads((Path(__file__).parent / "data" / f"{name}.toml").read_text(encoding="utf-8"))


def parse(table: Mapping[str, Any]) -> dict[str, Assumption]:
    """Assumptions by name. Raises ValueError for one whose source does not tell what each end of its range rests on
    (`Low:`, `High:`), or, where it has no range, why (`No range:`)."""
    entries = {name: Assumption(name, **fields) for name, fields in table.items()}
    for entry in entries.values():
        if missing := [words for words in wanted(entry) if not re.search(rf"\b{words}\b", entry.source, re.IGNORECASE)]:
            raise ValueError(f"assumption {entry.name}: its source does not say `{missing[0]}`")
    return entries


def wanted(entry: Assumption) -> list[str]:
    """What the source of an assumption must speak of; a choice of ours needs no range."""
    if entry.low == entry.high:
        return [] if entry.kind == "design" else ["no range"]
    return ["low"] * (entry.low < entry.value) + ["high"] * (entry.high > entry.value)


@cache
def collect(node: str, workload: tuple[str, ...], hnlpu: bool) -> dict[str, Assumption]:
    entries = parse(read_data("common")) | parse(read_data("nodes")[node])
    for name in workload:
        entries |= parse(read_data("workloads")[name])
    return entries | (parse(read_data("hnlpu")) if hnlpu else {})


class Assumptions:
    """Named numbers. `a["pue"]` is a value and notes that it was used; `used` lists those in order of first use."""

    def __init__(self, entries: dict[str, Assumption]) -> None:
        self.entries = entries
        self._used: dict[str, None] = {}

    @classmethod
    def of(cls, node: str, workload: tuple[str, ...] = (), hnlpu: bool = False) -> "Assumptions":
        """Those of a process node, of workloads (tables of `workloads.toml`, later ones win) and of the HNLPU paper."""
        if node not in NODES:
            raise UserError(f"--node {node}: no data for this node; choose one of {', '.join(NODES)}")
        return cls(dict(collect(node, workload, hnlpu)))

    def __getitem__(self, name: str) -> float:
        self._used[name] = None
        return self.entries[name].value

    def range(self, name: str) -> tuple[float, float]:
        """Low and high of an assumption, which counts as used."""
        self._used[name] = None
        return self.entries[name].low, self.entries[name].high

    def __contains__(self, name: str) -> bool:
        return name in self.entries

    @property
    def used(self) -> list[Assumption]:
        return [self.entries[name] for name in self._used]

    def given(self, **values: float | None) -> "Assumptions":
        """The same with values that the user gave; None leaves one as it is."""
        entries = dict(self.entries)
        for name, value in values.items():
            if value is not None:
                unit = entries[name].unit if name in entries else ""
                entries[name] = Assumption(name, value, value, value, unit, "given", "given by the user")
        return Assumptions(entries)

    def at(self, name: str, value: float) -> "Assumptions":
        """The same with one value moved, for sensitivity."""
        entry = self.entries[name]
        moved = Assumption(
            name, value, min(value, entry.low), max(value, entry.high), entry.unit, entry.kind, entry.source
        )
        return Assumptions(self.entries | {name: moved})

    def to_json_list(self) -> list[dict[str, Any]]:
        return [asdict(entry) for entry in self.used]
