"""Synthesis for a clock: the smallest adders with which a module meets it, by the timing of its whole netlist."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hardloom.flows.synth.timing import has_open_sta, open_sta
from hardloom.flows.synth.yosys import Adders, Options, Synthesis, attempt
from hardloom.golden.files import write_file

__all__ = ["synthesize"]


def synthesize(
    sources: Sequence[Path],
    top: str,
    options: Options,
    *,
    black_boxes: Sequence[Path] = (),
    netlist: Path | None = None,
    connections: Path | None = None,
) -> Synthesis:
    """`flows.synth.yosys.attempt` with the smallest adders, or, where the options have a clock, with the smallest of
    those that meet it; of none that does, with those that come nearest.

    What it took to find out counts as CPU seconds. Raises as `attempt`.
    """
    if options.clock_ns is None or options.library is None:
        given: dict[str, Any] = {"black_boxes": black_boxes, "netlist": netlist, "connections": connections}
        return attempt(sources, top, options, Adders.RIPPLE, **given)
    with tempfile.TemporaryDirectory() as folder:
        tried: list[tuple[Synthesis, Path]] = []
        for found in attempts(sources, top, options, black_boxes, Path(folder), connections is not None):
            tried.append(found)
            if (found[0].longest_ns or 0) <= options.clock_ns:
                break
        best, where = min(tried, key=lambda found: max(found[0].longest_ns or 0, options.clock_ns or 0))
        for wanted, name in ((netlist, "netlist.v"), (connections, "netlist.json")):
            if wanted is not None:
                write_file(wanted, (where / name).read_bytes())
        return replace(best, cpu_seconds=round(sum(one.cpu_seconds for one, _ in tried), 2))


def attempts(
    sources: Sequence[Path],
    top: str,
    options: Options,
    black_boxes: Sequence[Path],
    folder: Path,
    connections: bool,
) -> Iterator[tuple[Synthesis, Path]]:
    """With ever faster adders, each timed, with the folder of its `netlist.v` and, with `connections`, `netlist.json`.

    Without OpenSTA there is one: of gates alone, through all of which ABC sees.
    """
    assert options.library is not None
    for adders in (Adders.GATES,) if not has_open_sta() else Adders:
        where = folder / adders.name
        where.mkdir()
        files: dict[str, Any] = {
            "netlist": where / "netlist.v",
            "connections": where / "netlist.json" if connections else None,
        }
        found = attempt(sources, top, options, adders, black_boxes=black_boxes, **files)
        timing = open_sta(where / "netlist.v", top, options.library, options.clock_ns)
        if timing is not None:
            found = replace(found, longest_ns=timing.longest_ns, tool=timing.tool)
        elif adders is Adders.GATES:
            found = replace(found, longest_ns=found.abc_delay_ns, tool="ABC")
        yield found, where
