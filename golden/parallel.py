"""All cores on a list of work, results in order, memory bounded; in threads (docs/decisions/0013).

Matrices are worked on in ranges of rows.
"""

import math
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

__all__ = ["cores", "ordered_map", "row_ranges"]

Item = TypeVar("Item")
Result = TypeVar("Result")
AHEAD = 2
"""Items under way for every core."""


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def ordered_map(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    size: Callable[[Item], int] = lambda item: 0,
    budget: int = 0,
) -> Iterator[Result]:
    """Results of `function` for `items`, in order, made on all cores.

    Items are drawn as they are needed. Those under way, finished ones that wait included, have a `size` of at most
    `budget` together; an item above that runs alone. An exception of `function` is raised where its result would come;
    what runs is waited for, what waits is dropped. PyTorch uses one thread an item meanwhile.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    pool = ThreadPoolExecutor(cores())
    waiting: deque[tuple[int, Future[Result]]] = deque()
    held = 0
    try:
        for item in items:
            need = size(item)
            while waiting and (held + need > budget > 0 or len(waiting) >= AHEAD * cores()):
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


def row_ranges(shape: Sequence[int], elements: int) -> Iterator[tuple[int, int]]:
    """Ranges (start, stop) of rows of a tensor of `shape`, of at most `elements` elements or of one row, in order."""
    step = max(1, elements // math.prod(shape[1:]))
    yield from ((start, min(start + step, shape[0])) for start in range(0, shape[0], step))
