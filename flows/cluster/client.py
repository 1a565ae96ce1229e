"""The workers of a Dask scheduler, as `golden.parallel.Workers`."""

import logging
import time
import uuid
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import torch

from hardloom.flows.cluster.identity import Sight, identity, other_identity, problem
from hardloom.golden.errors import UserError
from hardloom.golden.files import sha256
from hardloom.golden.folders import MARK
from hardloom.golden.parallel import HERE, Workers

if TYPE_CHECKING:
    from distributed import Client, Future

__all__ = ["Cluster", "workers_at"]

Item = TypeVar("Item")
Result = TypeVar("Result")

CONNECT_S, BEAT_S, ALONE_S = 10.0, 2.0, 60.0
"""Seconds: in which a scheduler answers; between two looks for its workers; that it may be without any."""


@dataclass(frozen=True)
class Call(Generic[Item, Result]):
    """`function`, as a worker calls it; identity: of the process that asks, which a worker that joins late has too."""

    function: Callable[[Item], Result]
    identity: dict[str, str]

    def __call__(self, item: Item) -> Result:
        if other := other_identity(self.identity):
            raise UserError(f"--cluster: a worker {other}")
        torch.set_num_threads(1)
        return self.function(item)


def called(item: Item, call: Call[Item, Result]) -> Result:
    """What Dask calls."""
    return call(item)


class Cluster:
    """Where work runs when a Dask scheduler gives it out: `golden.parallel.Workers`.

    A worker has as many items at once as it has threads. What a worker that died had, others get.
    """

    def __init__(self, client: "Client", address: str) -> None:
        self.client, self.address = client, address

    def map(
        self,
        function: Callable[[Item], Result],
        items: Iterable[Item],
        size: Callable[[Item], int] = lambda item: 0,
        budget: int = 0,
    ) -> Generator[Result, None, None]:
        """As `Workers` says; items under way are bounded by the workers' threads alone.

        Raises UserError where workers die on one item again and again, where none is left, and where the scheduler is
        gone.
        """
        todo = list(items)
        if not todo:
            return
        call = self.client.submit(Call, function, identity(), pure=False)
        futures = deque(self.client.map(called, todo, call=call, pure=False))
        try:
            while futures:
                yield self._result(futures[0])
                futures.popleft()
        finally:
            with suppress(Exception):  # a scheduler that is gone has nothing to cancel
                self.client.cancel([*futures, call])

    def _result(self, future: "Future[Result]") -> Result:
        """The result of a task, waited for as long as there is somebody to wait for."""
        from distributed import CancelledError, KilledWorker

        try:
            return self._awaited(future)
        except CancelledError:
            raise self._gone() from None
        except KilledWorker:
            raise UserError(
                f"--cluster: several workers of {self.address} died over the same work; look into their logs, give "
                "them more memory or fewer threads, and run the same again"
            ) from None

    def _awaited(self, future: "Future[Result]") -> Result:
        """The result of a task, once it is here: a worker that dies takes with it what it has done and not yet given.

        Raises UserError where nobody is left to do it.
        """
        seen = time.monotonic()
        while True:
            try:
                return future.result(timeout=BEAT_S)
            except TimeoutError:
                if future.status == "error":  # the work's own
                    raise
            if workers := self._workers():
                seen = time.monotonic()
            elif time.monotonic() - seen > ALONE_S:
                left = f"--cluster: no worker of {self.address} is left; start some, and run the same again"
                raise self._gone() if workers is None else UserError(left)

    def _gone(self) -> UserError:
        return UserError(f"--cluster: the scheduler at {self.address} is gone; start it and run the same again")

    def _workers(self) -> int | None:
        """Workers that the scheduler has; None where it does not answer."""
        try:
            return len(self.client.nthreads())
        except (OSError, ValueError):
            return None


@contextmanager
def workers_at(
    address: str | None, read: Sequence[Path] = (), write: Path | None = None, here: Workers = HERE
) -> Iterator[Workers]:
    """Where work runs: the workers of the Dask scheduler at `address`, or `here` where that is None.

    read: files that work reads, by which the workers' sight of their folders is tried; write: the folder that it will
    write, there or to be made. Raises UserError where the package `distributed` is missing, nobody answers, or a worker
    does not do (`flows.cluster.identity`); nothing is left written then.
    """
    if address is None:
        yield here
        return
    client = connected(address)
    try:
        check_workers(client, address, read, write)
        yield Cluster(client, address)
    finally:
        with suppress(Exception):
            client.close(timeout=BEAT_S)


def connected(address: str) -> "Client":
    """A client of the scheduler at `address`; what Dask would log of its connection is left to our own sentences."""
    try:
        from distributed import Client
    except ImportError:
        raise UserError("--cluster: needs the package distributed; run: pip install 'hardloom[cluster]'") from None
    for name in ("distributed", "tornado"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(action="ignore"):
            return Client(address, timeout=CONNECT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise UserError(
            f"--cluster: no Dask scheduler answers at {address}; start one with `dask scheduler`, and give the address "
            "that it prints"
        ) from error


def check_workers(client: "Client", address: str, read: Sequence[Path], write: Path | None) -> None:
    """Raise UserError where there is no worker, or one that does not do."""
    sights = [Sight(file.parent, file.absolute(), sha256(file)) for file in read]
    with probed(write) as probe:
        found: dict[str, Any] = client.run(problem, identity(), [*sights, *probe], on_error="return")
    if not found:
        raise UserError(f"--cluster: {address} has no workers; start some with `dask worker {address}`")
    for worker, why in sorted(found.items()):
        if isinstance(why, Exception) and "ModuleNotFoundError" in repr(why):  # as Dask wraps it
            why = "has no hardloom, or another one; install the same there, and start it again"
        elif isinstance(why, Exception):
            why = f"does not answer ({type(why).__name__}: {why}); look into its log"
        if why is not None:
            raise UserError(f"--cluster: worker {worker} {why}")


@contextmanager
def probed(folder: Path | None) -> Iterator[list[Sight]]:
    """The sight of a file that is there for a moment: in `folder`, or in the nearest one above that is there."""
    if folder is None:
        yield []
        return
    place = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir())
    probe = place / f"{MARK}-probe-{uuid.uuid4().hex}"
    try:
        probe.write_text(probe.name)
        yield [Sight(folder, probe, sha256(probe), write=True)]
    finally:
        probe.unlink(missing_ok=True)
