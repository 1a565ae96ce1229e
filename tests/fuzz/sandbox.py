"""Runs a test case by seed in a process of its own, with limits, so that a crash, a hang or a flood is only a result.

`python -m tests.fuzz.sandbox MODULE SEED...` runs cases of a module and says what came of each: that is how to repeat
one. A module of cases has `prepare(given)`, called once with a folder that makes it quicker, or None, and
`case(seed, folder)`, which works in an empty folder, raises where something is wrong, and returns in a word what
happened.
"""

import argparse
import importlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

from hypothesis import settings

from hardloom.golden.parallel import cores

__all__ = ["Outcome", "run_cases", "seeds"]

MEMORY = 4 << 30
SECONDS = 60
"""Of computing; ten times as many may pass meanwhile, so that a busy machine is no hang."""

HANGS = (signal.SIGPROF, signal.SIGALRM)

Outcome = tuple[int, str, str]
"""Seed, what happened in a word ("failed" where something is wrong), and what was wrong."""


def seeds(count: int) -> range:
    """`count` seeds: always the same, or fresh ones under the Hypothesis profile `fresh`."""
    fresh = settings.get_current_profile_name() == "fresh"
    first = int.from_bytes(os.urandom(4), "little") if fresh else 0
    return range(first, first + count)


def run_cases(module: str, numbers: Sequence[int], given: Path | None = None) -> list[Outcome]:
    """The cases `numbers` of `module`, on all cores."""
    parts = [numbers[part :: cores()] for part in range(min(cores(), len(numbers)))]
    command = [sys.executable, "-m", __name__, *(["--given", str(given)] if given else []), module]
    workers = [subprocess.Popen([*command, *map(str, part)], stdout=subprocess.PIPE, text=True) for part in parts]
    lines = [line for worker in workers for line in worker.communicate()[0].splitlines()]
    outcomes = sorted(tuple(json.loads(line)) for line in lines)
    assert [outcome[0] for outcome in outcomes] == list(numbers), "a worker broke off"
    return outcomes


def outcomes_of(cases: ModuleType, numbers: list[int], given: Path | None) -> Iterator[Outcome]:
    cases.prepare(given)
    for number in numbers:
        with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as said:
            child = os.fork()
            if child == 0:
                attempt(cases, number, Path(folder), said.fileno())
            _, status, used = os.wait4(child, 0)
            said.seek(0)
            word, _, wrong = said.read().decode().partition("\n")
            if code := os.waitstatus_to_exitcode(status):
                cause = f"still at it after {SECONDS} s" if -code in HANGS else f"ended with code {code}"
                word, wrong = "failed", f"{cause}\n{wrong}"
            elif used.ru_maxrss * 1024 > MEMORY:
                word, wrong = "failed", f"{used.ru_maxrss / 2**20:.1f} GiB of memory"
            yield number, word, wrong


def attempt(cases: ModuleType, number: int, folder: Path, said: int) -> None:
    """In the child: the case under limits, its outcome written to the file `said`. Does not return."""
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    signal.alarm(10 * SECONDS)
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + MEMORY, mapped + MEMORY))
    try:
        text = cases.case(number, folder)
    except BaseException:
        text = "failed\n" + traceback.format_exc()[-3000:]
    os.write(said, text.encode(errors="backslashreplace"))
    os._exit(0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("module")
    parser.add_argument("seeds", type=int, nargs="+")
    parser.add_argument("--given", type=Path)
    asked = parser.parse_args()
    for found in outcomes_of(importlib.import_module(asked.module), asked.seeds, asked.given):
        print(json.dumps(found), flush=True)
