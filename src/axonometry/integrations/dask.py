"""Populations on a Dask cluster: its executor in the place of local processes.

>>> from axonometry.integrations.dask import dask_executor  # doctest: +SKIP
>>> with dask_executor("tcp://10.0.0.1:8786") as executor:  # doctest: +SKIP
...     population = train_population(configurations, "/shared/runs", executor=executor)
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager

from axonometry.errors import ConfigurationError, MissingExtraError

LOCAL = "local"
"""In the place of an address: a scheduler and worker processes of this machine, which end with the work."""
RETRIES = 3
"""How many workers may die of one run. It resumes on another one from its last whole step."""


@contextmanager
def dask_executor(address: str, workers: int | None = None) -> Iterator[Executor]:
    """An executor on a Dask cluster, whose workers see the population's folder under the same path.

    Args:
        address: A scheduler's, as ``tcp://HOST:PORT``, or ``local``.
        workers: Number of worker processes of ``local``; one per core where None.

    Raises:
        MissingExtraError: Dask is not installed.
        ConfigurationError: No scheduler answers, or its workers have several threads.
    """
    try:
        import dask
        from distributed import Client, LocalCluster
    except ImportError as error:
        missing = MissingExtraError.of("distributed", "dask")
        raise missing from error
    if workers is not None and address != LOCAL:
        raise ConfigurationError("a cluster has its own workers", f"{workers} workers too", "Leave the number out")
    with ExitStack() as opened:
        opened.enter_context(dask.config.set({"distributed.scheduler.allowed-failures": RETRIES}))
        where: str | LocalCluster = address
        if address == LOCAL:
            # One thread each: a thread more would draw from the same random numbers.
            where = LocalCluster(workers, threads_per_worker=1, processes=True, dashboard_address=None)
            opened.enter_context(where)
        try:
            client = opened.enter_context(Client(where, timeout=5))
        except (OSError, ValueError, TimeoutError) as error:
            remedy = "Start one: dask scheduler; dask worker ADDRESS --nthreads 1; or pass `local`"
            raise ConfigurationError(f"no Dask scheduler answers at {address}", "", remedy) from error
        wide = [worker for worker, threads in client.nthreads().items() if threads > 1]
        if wide:
            rule = "a Dask worker trains one network at a time, since a process has one state of random numbers"
            raise ConfigurationError(rule, f"several threads in {wide[0]}", "Start it with: dask worker --nthreads 1")
        with client.get_executor(pure=False, retries=0) as executor:
            yield executor
