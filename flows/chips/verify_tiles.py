"""`hardloom verify --sim --tiles`: real-shape tiles in the wiring view, and a whole expert in the table view."""

import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from functools import partial
from pathlib import Path

from hardloom.flows.chips.outcomes import Outcome, report_outcomes
from hardloom.flows.console.progress import progress_bar
from hardloom.flows.console.report import Check
from hardloom.gen.build.folder import Build
from hardloom.golden.cache import work_folder
from hardloom.golden.errors import UserError
from hardloom.golden.folders import check_ours
from hardloom.verif.arrays.expert import bench_expert, experts_of
from hardloom.verif.arrays.tiles import bench_tile, choose_tiles
from hardloom.verif.extract.errors import ExtractionError
from hardloom.verif.simulators.runner import SIMULATORS
from hardloom.verif.streams import player

__all__ = ["verify_tiles"]


def verify_tiles(path: Path, count: int, simulator: str) -> Check:
    """Simulate `count` random tiles, then the first expert there is.

    simulator: of the tiles, one of `verif.simulators.runner.SIMULATORS`; the expert, behind which stand units from
    elsewhere, is Verilator's. Writes JUnit XML to `path`/verify.xml.
    """
    if simulator not in SIMULATORS:
        raise UserError(f"--simulator: {simulator!r} is unknown; choose of {', '.join(SIMULATORS)}")
    build, folder = Build(path), work_folder(path, "tiles")
    check_ours(path, "build")
    outcomes = []
    experts = experts_of(build)[:1]
    with progress_bar("simulating", "tests") as progress:
        total = count + len(experts)
        for number, tile in enumerate(choose_tiles(build, count)):
            progress(number, total)
            work = folder / f"tile_{number}"
            run = partial(bench_tile, build, tile, work, simulator=simulator)
            outcomes.append(outcome(f"tile, {simulator}", str(tile), work, run))
        for prefix, expert in experts:
            progress(count, total)
            name = f"{prefix}, expert {expert}, whole"
            work = folder / "expert"
            outcomes.append(outcome("expert", name, work, partial(bench_expert, build, prefix, expert, work)))
    return report_outcomes(path, outcomes)


def outcome(group: str, name: str, folder: Path, run: Callable[[], int]) -> Outcome:
    """Time one simulation in `folder`, its build included, and count its cycles."""
    begin, detail = time.perf_counter(), ""
    try:
        failed = run()
        failure = f"{failed} tests of its bench failed" if failed else None
        detail = f"{round(simulated_ns(folder) / player.CLOCK_NS):,} cycles"
    except ExtractionError as error:
        failure = str(error)
    return Outcome(group, name, time.perf_counter() - begin, detail, failure)


def simulated_ns(folder: Path) -> float:
    """Nanoseconds that the tests of a bench simulated."""
    found = ElementTree.parse(folder / "results.xml").getroot().iter("property")
    return sum(float(each.get("value", 0)) for each in found if each.get("name") == "sim_time_duration")
