"""The bench of hardwired array units: emitted, in one simulation, through the tests of `verif/arrays/tests.py`."""

from collections.abc import Callable, Sequence
from pathlib import Path

from hardloom.gen.arrays import ArrayPlan, emit
from hardloom.verif.arrays.cases import ArraysJob
from hardloom.verif.simulators.runner import build_and_test
from hardloom.verif.simulators.verilator import QUICK_BUILD
from hardloom.verif.streams.bench import BENCH, bench_verilog

__all__ = ["bench_arrays", "write_bench"]


def write_bench(plans: Sequence[ArrayPlan], folder: Path, packets: int) -> tuple[dict[str, list[Path]], ArraysJob]:
    """Files of every unit by its name, and the top around them, `bench.v`, in `folder`; and the job of the bench.

    A random stimulus has `packets` packets.
    """
    files: dict[str, list[Path]] = {}
    folder.mkdir(parents=True, exist_ok=True)
    for plan in plans:
        emission = emit(plan)
        emitted = {name: text.encode() for name, text in emission.prefab.items()} | emission.connections
        for name, text in emitted.items():
            (folder / name).write_bytes(text)
        files[plan.name] = [folder / name for name in sorted(emitted)]
    job = ArraysJob.of(list(plans), folder, packets)
    (folder / f"{BENCH}.v").write_text(bench_verilog(job.cases()))
    return files, job


def bench_arrays(
    plans: Sequence[ArrayPlan],
    folder: Path,
    packets: int = 40,
    mapped: Callable[[dict[str, list[Path]]], tuple[Path, list[str]]] | None = None,
    arguments: Sequence[str] = (),
    simulator: str = "verilator",
) -> int:
    """Emit `plans` into `folder`, build one simulation of all and run it; the number of failed tests.

    mapped: makes one file of gates of the files of every unit, to be simulated instead, and names the modules in it
    that are better compiled once for all of their instances. arguments: for Verilator, where nothing is mapped.
    """
    files, job = write_bench(plans, folder, packets)
    if mapped is None:
        units, blocks = sorted({path for paths in files.values() for path in paths}), list[str]()
    else:
        gates, blocks = mapped(files)
        units, arguments = [gates], QUICK_BUILD
    sources, environment = [folder / f"{BENCH}.v", *units], job.hand_over(folder)
    return build_and_test(
        sources, BENCH, "hardloom.verif.arrays.tests", folder, environment, arguments, blocks, simulator
    )
