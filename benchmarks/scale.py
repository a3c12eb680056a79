"""A population on Dask's workers against as many local processes."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from axonometry.integrations.dask import dask_executor
from axonometry.populations import RunConfiguration, train_population
from benchmarks.timing import Row

WORKERS = 2
RUNS = 24


def on_dask() -> list[Row]:
    """Runs a second of two Dask workers relative to two local processes; both are started before the clock is."""
    usual = RunConfiguration(dataset="digits", epochs=30, batch_size=16)
    warm, measured = ([replace(usual, seed=seed) for seed in seeds] for seeds in (range(WORKERS), range(10, 10 + RUNS)))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        local = _local(warm + measured, folder / "local") - _local(warm, folder / "warm")
        with dask_executor("local", WORKERS) as executor:
            train_population(warm, folder / "dask", executor=executor)
            begun = time.perf_counter()
            train_population(measured, folder / "dask", executor=executor)
            dask = time.perf_counter() - begun
    ratio = local / dask
    detail = f"{RUNS / local:.2f} runs a second locally, {RUNS / dask:.2f} on Dask; {os.cpu_count()} cores"
    words = f"population of {RUNS} networks, {WORKERS} Dask workers against {WORKERS} processes"
    return [Row(words, f"{ratio:.2f} of the throughput", "at least 0.95", ratio >= 0.95, 1, detail)]


def _local(configurations: Sequence[RunConfiguration], folder: Path) -> float:
    begun = time.perf_counter()
    train_population(configurations, folder, workers=WORKERS)
    return time.perf_counter() - begun
