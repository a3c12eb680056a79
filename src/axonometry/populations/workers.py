"""Training runs by local processes: what one of them does, and what happens when one dies."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

from axonometry.errors import RunError
from axonometry.importing import import_places
from axonometry.populations.configuration import RunConfiguration
from axonometry.populations.datasets import Dataset
from axonometry.populations.loop import Stop
from axonometry.populations.training import train
from axonometry.registering import Place, registering_places
from axonometry.trajectory.choices import known_measures


@runtime_checkable
class Named(Protocol):
    """What a process is given to do: a configuration, or anything else that has a name and can be pickled."""

    @property
    def identity(self) -> str:
        """Its name."""
        ...


AnyNamed = TypeVar("AnyNamed", bound=Named)

Data = Dataset | str | Path | None
Report = Callable[[RunConfiguration, str | None], None]
"""Called when a run has ended: with None, or with what went wrong."""

DIED = "its process died, also when it ran alone (killed, or out of memory?)"


@dataclass(frozen=True)
class Work:
    """What is done with each configuration of a population, in any process.

    Attributes:
        folder: The population's.
        data: Data set, or where it is.
        measures: What is measured at each record.
        stop: Whether a run ends early.
        parts: Where names, measures and rules were registered.
    """

    folder: Path
    data: Data
    measures: tuple[str, ...]
    stop: Stop | None
    parts: tuple[Place, ...] = field(default_factory=registering_places)

    def __post_init__(self) -> None:
        known_measures(self.measures)  # here, before a process is started, and not once in every one of them

    def __call__(self, configuration: RunConfiguration) -> None:
        """Train one run."""
        import_places(self.parts)
        folder = self.folder / configuration.identity
        train(configuration, folder, data=self.data, measures=self.measures, stop=self.stop)


_work: Callable[[Any], None] | None = None


def run_locally(
    configurations: Iterable[AnyNamed],
    work: Callable[[AnyNamed], None],
    report: Callable[[AnyNamed, str | None], None],
    *,
    workers: int,
) -> None:
    """Train runs in local processes; each process gets the work, and the data with it, once.

    When a process dies, all runs that were under way are suspects: each of them is taken up again alone, and the one
    whose process dies once more is reported. The others continue.

    Raises:
        RunError: No process can be started.
    """
    queue = deque(configurations)
    while queue:
        for suspect in _work_off(queue, work, report, workers=min(workers, len(queue))):
            if _work_off(deque([suspect]), work, report, workers=1):
                report(suspect, DIED)


def n_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def failure(future: Future[None]) -> str | None:
    r"""What went wrong in a run, in one line; None where nothing did.

    >>> future: Future[None] = Future()
    >>> future.set_exception(ValueError("no such file\nand more"))
    >>> failure(future)
    'ValueError: no such file'
    """
    error = future.exception()
    return None if error is None else f"{type(error).__name__}: {error}".splitlines()[0]


def _work_off(
    queue: deque[AnyNamed],
    work: Callable[[AnyNamed], None],
    report: Callable[[AnyNamed, str | None], None],
    *,
    workers: int,
) -> list[AnyNamed]:
    """Train runs of the queue until it is empty or a process dies; the runs that were then under way."""
    running: dict[Future[None], AnyNamed] = {}
    with _pool(work, workers) as pool:
        while queue or running:
            try:
                while queue and len(running) < workers:
                    running[pool.submit(_do, queue[0])] = queue[0]
                    queue.popleft()
            except BrokenProcessPool:
                return list(running.values())
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                if isinstance(future.exception(), BrokenProcessPool):
                    return list(running.values())
                report(running.pop(future), failure(future))
    return []


@contextmanager
def _pool(work: Callable[[Any], None], workers: int) -> Iterator[ProcessPoolExecutor]:
    # Never fork: torch's threads do not survive it.
    context = multiprocessing.get_context("spawn")
    lifeline, held = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start, initargs=(lifeline, work))
    finished = False
    try:
        _require_workers(pool)
        yield pool
        finished = True
    finally:
        if not finished:  # an interrupted run resumes from its last whole step next time
            held.close()
        pool.shutdown(cancel_futures=True)
        held.close()
        lifeline.close()


def _require_workers(pool: ProcessPoolExecutor) -> None:
    try:
        pool.submit(os.getpid).result()
    except BrokenProcessPool as error:
        raise RunError(
            "a population is trained by new processes that import the calling program",
            "one that ended as it started; its own message is on standard error",
            'In a script, put what trains under: if __name__ == "__main__":',
        ) from error


def _start(lifeline: Connection, work: Callable[[Any], None]) -> None:
    """Make a new process ready: it leaves Ctrl-C to its parent, and ends when its parent lets go or dies."""
    global _work  # noqa: PLW0603 - a process's own copy, set once
    _work = work
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, args=(lifeline,), daemon=True).start()


def _end_with_parent(lifeline: Connection) -> None:
    try:
        lifeline.recv_bytes()
    except (EOFError, OSError):
        os._exit(1)


def _do(configuration: Named) -> None:
    assert _work is not None  # _start sees to it
    _work(configuration)
