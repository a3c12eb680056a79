"""Work on batches by several threads of the processor, each at a batch of its own.

Kernels on small batches hardly gain from a second thread, and much of a reading (counting, above all) is done by
kernels that never use one. Batches do not depend on one another: run side by side, they keep every core at work.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from itertools import chain, islice
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")
MAX_THREADS = 8
"""Lanes at most: Python itself runs one at a time, and each lane holds a batch."""


def parallel_map(function: Callable[[Item, int], Result], items: Iterable[Item], lanes: int) -> Iterator[Result]:
    """Results of a function for each item, in their order; item i is worked on in lane i modulo their number.

    The items are drawn by the calling thread, one a lane ahead. One item alone, and one lane, are worked on by the
    calling thread. Torch's threads are divided among the lanes.

    Args:
        function: Takes an item and the number of its lane. Two calls in one lane never overlap.
        items: What is worked on.
        lanes: How many items at once.

    Raises:
        Exception: What the function raised for the first item for which it did.
    """
    rest = iter(items)
    first = list(islice(rest, 2)) if lanes > 1 else []
    if len(first) < 2:
        yield from (function(item, 0) for item in chain(first, rest))
        return
    pending: deque[Future[Result]] = deque()
    with ExitStack() as stack:
        threads = [stack.enter_context(ThreadPoolExecutor(1, "axonometry")) for _ in range(lanes)]
        _divide_torchs_threads(threads)
        stack.callback(lambda: [future.cancel() for future in pending])
        for number, item in enumerate(chain(first, rest)):
            if len(pending) == lanes:
                yield pending.popleft().result()
            pending.append(threads[number % lanes].submit(function, item, number % lanes))
        while pending:
            yield pending.popleft().result()


def _divide_torchs_threads(threads: list[ThreadPoolExecutor]) -> None:
    """Each lane's kernels take a share of torch's threads; the calling thread's are left as they are."""
    total = torch.get_num_threads()
    try:
        for thread in threads:
            thread.submit(torch.get_num_threads).result()  # a thread's first question sets it to the process's number
            thread.submit(torch.set_num_threads, max(1, total // len(threads))).result()
    finally:
        torch.set_num_threads(total)  # the last call also decides what threads started later have
