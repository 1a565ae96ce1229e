"""A Dask scheduler and its workers, each a process of this machine as a user starts it."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests import ROOT

__all__ = ["DaskCluster", "Worker", "dask_cluster"]

READY_S = 60


@dataclass(frozen=True)
class Worker:
    """A running worker, and where it listens."""

    process: subprocess.Popen[bytes]
    address: str


@dataclass
class DaskCluster:
    """A running scheduler.

    Attributes
    ----------
    folder: of the processes' logs; address: of the scheduler; processes: all that were started.
    """

    folder: Path
    address: str = ""
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, ready: str, *words: str, code: Path = ROOT, cwd: Path | None = None) -> re.Match[str]:
        """Start `dask` with `words` and wait until its log has `ready`; code: where it imports hardloom from."""
        log = self.folder / f"{len(self.processes)}.log"
        environment = os.environ | {"PYTHONPATH": str(code)}
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "dask", *words],
                cwd=cwd or self.folder,
                env=environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.processes.append(process)
        end = time.monotonic() + READY_S
        while (found := re.search(ready, log.read_text(errors="replace"))) is None:
            assert process.poll() is None and time.monotonic() < end, log.read_text(errors="replace")
            time.sleep(0.05)
        return found

    def worker(self, code: Path = ROOT, cwd: Path | None = None) -> Worker:
        """Start a worker of one thread and wait until the scheduler has it."""
        words = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", str(self.folder))
        ready = r"(?s)Start worker at: +(\S+).*Registered to: "
        found = self.start(ready, "worker", self.address, *words, code=code, cwd=cwd)
        return Worker(self.processes[-1], found[1])

    def kill(self, *processes: subprocess.Popen[bytes]) -> None:
        """SIGKILL to some of the processes."""
        for process in processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextmanager
def dask_cluster(folder: Path) -> Iterator[DaskCluster]:
    """A scheduler without workers, on a port that is free; all processes are killed as the block ends."""
    cluster = DaskCluster(folder)
    try:
        words = ("--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--no-show")
        cluster.address = cluster.start(r"Scheduler at: +(tcp://[\d.:]+)", "scheduler", *words)[1]
        yield cluster
    finally:
        cluster.kill(*cluster.processes)
