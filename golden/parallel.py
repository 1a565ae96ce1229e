"""Where work runs: on all cores, or on what else has `Workers.map`; results in order (docs/decisions/0013).

Matrices are worked on in ranges of rows.
"""

import math
import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Generic, Protocol, TypeVar

import torch

__all__ = ["HERE", "Opened", "Threads", "Workers", "cores", "ordered_map", "row_ranges"]

Item = TypeVar("Item")
Result = TypeVar("Result")
Value = TypeVar("Value")
AHEAD = 2
"""Items under way for every thread."""


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def weightless(item: object) -> int:
    """The size of what needs no memory to speak of."""
    return 0


class Workers(Protocol):
    """Where work runs: threads of this process, or processes anywhere (`flows.cluster`)."""

    def map(
        self,
        function: Callable[[Item], Result],
        items: Iterable[Item],
        size: Callable[[Item], int] = weightless,
        budget: int = 0,
    ) -> Generator[Result, None, None]:
        """Results of `function` for `items`, in order.

        An exception of `function` is raised where its result would come; what waits then is dropped. `function` may be
        called again for an item, or twice at once, and somewhere else: it, items and results can be pickled, and what
        it does besides its result is under a name of its own. size, budget: what items under way in one process have
        together at most, where the place knows to keep it.
        """
        ...


@dataclass(frozen=True)
class Threads:
    """Threads of this process.

    Attributes
    ----------
    count: of them; None: one a core.
    ahead: items under way for every one of them, finished ones that wait for one before them included.
    """

    count: int | None = None
    ahead: int = AHEAD

    def map(
        self,
        function: Callable[[Item], Result],
        items: Iterable[Item],
        size: Callable[[Item], int] = weightless,
        budget: int = 0,
    ) -> Generator[Result, None, None]:
        """As `Workers` says; each item runs once.

        Items are drawn as they are needed. Those under way, finished ones that wait included, have a `size` of at most
        `budget` together; an item above that runs alone. What runs is waited for after an exception. PyTorch uses one
        thread an item meanwhile.
        """
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        count = self.count or cores()
        pool = ThreadPoolExecutor(count)
        waiting: deque[tuple[int, Future[Result]]] = deque()
        held = 0
        try:
            for item in items:
                need = size(item)
                while waiting and (held + need > budget > 0 or len(waiting) >= self.ahead * count):
                    freed, future = waiting.popleft()
                    yield future.result()
                    del future
                    held -= freed
                waiting.append((need, pool.submit(function, item)))
                held += need
            while waiting:
                yield waiting.popleft()[1].result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            torch.set_num_threads(threads)


HERE = Threads()
"""All cores of this machine: where work runs unless something else is asked for."""

ordered_map = HERE.map
"""Of work that stays on this machine."""


class Opened(Generic[Value]):
    """What is too large to be sent to where work runs: it travels as the call that opens it there, once a process.

    Attributes
    ----------
    value: what `opener` of `arguments` gives; of the process that made this object, what that has at hand.
    """

    def __init__(self, opener: Callable[..., Value], *arguments: Any, here: Value | None = None) -> None:
        """opener: a function of a module; arguments: which can be pickled, and are hashable; here: the value."""
        self.opener, self.arguments, self.here = opener, arguments, here

    def __reduce__(self) -> tuple[type["Opened[Value]"], tuple[Any, ...]]:
        return Opened, (self.opener, *self.arguments)

    @property
    def value(self) -> Value:
        if self.here is not None:
            return self.here
        with _OPENING:
            return _opened(self.opener, self.arguments)


_OPENING = threading.Lock()


@lru_cache(maxsize=4)
def _opened(opener: Callable[..., Value], arguments: tuple[Any, ...]) -> Value:
    return opener(*arguments)


def row_ranges(shape: Sequence[int], elements: int) -> Iterator[tuple[int, int]]:
    """Ranges (start, stop) of rows of a tensor of `shape`, of at most `elements` elements or of one row, in order."""
    step = max(1, elements // math.prod(shape[1:]))
    yield from ((start, min(start + step, shape[0])) for start in range(0, shape[0], step))
