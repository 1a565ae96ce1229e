"""`hardloom verify --sim --tiles`: real-shape tiles in the wiring view, and a whole expert in the table view."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from flows.progress import progress_bar
from flows.verify import Outcome, report_outcomes
from gen.build import Build
from verif.expert import bench_expert, experts_of
from verif.extract.errors import ExtractionError
from verif.tiles import bench_tiles, choose_tiles

__all__ = ["verify_tiles"]


def verify_tiles(path: Path, count: int, as_json: bool) -> bool:
    """Simulate `count` random tiles, then the first expert there is; whether everything passed.

    Writes JUnit XML to `path`/verify.xml.
    """
    build, folder = Build(path), path / "simulation" / "tiles"
    outcomes = []
    experts = experts_of(build)[:1]
    with progress_bar("simulating", "tests") as progress:
        total = count + len(experts)
        for number, tile in enumerate(choose_tiles(build, count)):
            progress(number, total)
            work = folder / f"tile_{number}"
            outcomes.append(outcome("tile", str(tile), partial(bench_tiles, build, [tile], work)))
        for prefix, expert in experts:
            progress(count, total)
            name = f"{prefix}, expert {expert}, whole"
            work = folder / "expert"
            outcomes.append(outcome("expert", name, partial(bench_expert, build, prefix, expert, work)))
    return report_outcomes(path, outcomes, as_json)


def outcome(group: str, name: str, run: Callable[[], int]) -> Outcome:
    """Time one simulation, its build included."""
    begin = time.perf_counter()
    try:
        failed = run()
        failure = f"{failed} tests of its bench failed" if failed else None
    except ExtractionError as error:
        failure = str(error)
    return Outcome(group, name, time.perf_counter() - begin, "", failure)
