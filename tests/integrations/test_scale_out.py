"""Populations on a real Dask cluster whose worker is killed, and as jobs of submitit's local executor."""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from axonometry.cli import main
from axonometry.errors import ConfigurationError
from axonometry.populations import RunConfiguration, load_population, train, train_population

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("distributed")
libraries = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore")
SMALL = RunConfiguration(train_fraction=0.1, epochs=2, batch_size=16)


@libraries
def test_a_worker_that_is_killed_loses_nothing_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from distributed import Client, LocalCluster

    from axonometry.integrations.dask import dask_executor

    configurations = [replace(SMALL, epochs=15, seed=seed) for seed in range(3)]
    with LocalCluster(2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        with Client(cluster) as client:
            pids = list(client.run(os.getpid).values())

        def kill_one() -> None:
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline and not list((tmp_path / "runs").glob("*/metrics/5.parquet")):
                time.sleep(0.01)
            os.kill(pids[0], signal.SIGKILL)

        killer = threading.Thread(target=kill_one)
        killer.start()
        monkeypatch.chdir(tmp_path)
        with dask_executor(cluster.scheduler_address) as executor:
            population = train_population(configurations, "runs", executor=executor)
        killer.join()
        with (
            pytest.raises(ConfigurationError, match="a cluster has its own workers; got 2 workers too"),
            dask_executor(cluster.scheduler_address, 2),
        ):
            pass
    assert [run.steps for run in population.runs.values()] == [tuple(range(16))] * 3
    assert len(load_population(tmp_path / "runs")) == 3
    alone = train(configurations[0], tmp_path / "alone")
    assert alone.metrics.equals(population.runs[configurations[0].identity].metrics)


@libraries
def test_a_cluster_that_is_not_there_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "train", "--dask", "tcp://127.0.0.1:1"]) == 2
    assert "no Dask scheduler answers at tcp://127.0.0.1:1" in " ".join(capsys.readouterr().err.split())


@libraries
def test_workers_of_several_threads_are_refused() -> None:
    from distributed import LocalCluster

    from axonometry.integrations.dask import dask_executor

    with (
        LocalCluster(1, threads_per_worker=2, processes=False, dashboard_address=None) as cluster,
        pytest.raises(ConfigurationError, match="Start it with: dask worker --nthreads 1"),
        dask_executor(cluster.scheduler_address),
    ):
        pass


@libraries
def test_the_recipe_for_slurm_with_submitits_local_executor(tmp_path: Path) -> None:
    submitit = pytest.importorskip("submitit")
    configurations = [replace(SMALL, seed=7)]
    executor = submitit.AutoExecutor(folder=tmp_path / "logs", cluster="local")
    executor.update_parameters(timeout_min=2)
    folders = [tmp_path / "runs" / one.identity for one in configurations]
    jobs = executor.map_array(_trained, configurations, folders)
    assert [job.result() for job in jobs] == [3]
    assert len(load_population(tmp_path / "runs")) == 1


def _trained(configuration: RunConfiguration, folder: Path) -> int:
    return len(train(configuration, folder).steps)
