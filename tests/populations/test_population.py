"""Populations: training many networks anywhere, and reading them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from hypothesis import given, strategies as st

from axonometry.errors import ConfigurationError, DataError, RunError
from axonometry.populations import workers
from axonometry.populations.configuration import RunConfiguration
from axonometry.populations.datasets import Dataset
from axonometry.populations.many import train_population
from axonometry.populations.population import Population, load_population
from axonometry.populations.protocols import draw, grid
from axonometry.populations.training import train
from axonometry.program.sharing import store as sharing
from axonometry.trajectory import Recorder, Trajectory, load as load_run

QUICK = draw(range(4), {"optimiser": ("sgd", "adam")}, epochs=1, batch_size=128)


class Inline(Executor):
    """Does the work when it is submitted; the n-th submission can be made to fail."""

    def __init__(self, failing: Iterable[int] = (), error: BaseException | None = None) -> None:
        self.failing, self.error, self.submitted = set(failing), error, 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        number, self.submitted = self.submitted, self.submitted + 1
        if number in self.failing and self.error is None:
            future.cancel()
            future.set_running_or_notify_cancel()
        elif number in self.failing and self.error is not None:
            future.set_exception(self.error)
        else:
            try:
                future.set_result(fn(*args, **kwargs))
            except RunError as error:
                future.set_exception(error)
        return future


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Population:
    return train_population(QUICK, tmp_path_factory.mktemp("population"), executor=Inline())


# ------------------------------------------------------------------------------------------------- training anywhere


def test_every_configuration_has_its_run(trained: Population) -> None:
    assert list(trained.runs) == [c.identity for c in QUICK]
    assert list(trained.configurations.values()) == list(QUICK)
    assert sorted(path.name for path in trained.folder.iterdir()) == sorted(trained.runs)
    assert all(run.complete for run in trained.runs.values())
    assert len(trained) == 4


def test_what_exists_is_skipped(trained: Population) -> None:
    executor, reports = Inline(), []
    again = train_population([*QUICK, *QUICK], trained.folder, executor=executor, progress=lambda *r: reports.append(r))
    assert executor.submitted == 0
    assert reports == [(4, 4, "4 were there")]
    assert list(again.runs) == list(trained.runs)


def test_progress_counts_runs(tmp_path: Path) -> None:
    train_population(QUICK[:1], tmp_path, executor=Inline())
    reports: list[tuple[int, int, str]] = []
    train_population(QUICK[:3], tmp_path, executor=Inline(), progress=lambda *r: reports.append(r))
    assert [r[:2] for r in reports] == [(1, 3), (2, 3), (3, 3)]
    assert {r[2] for r in reports[1:]} == {c.identity for c in QUICK[1:3]}


def test_threads_will_do(tmp_path: Path, trained: Population) -> None:
    with ThreadPoolExecutor(1) as executor:
        population = train_population(QUICK[:2], tmp_path, executor=executor)
    for name, run in population.runs.items():
        assert run.metrics.equals(trained.runs[name].metrics)


def of_ones_own() -> Dataset:
    inputs = torch.rand(50, 1, 3, 3, generator=torch.Generator().manual_seed(0))
    labels = inputs.sum((1, 2, 3)).gt(4.5).long()
    return Dataset("mine", inputs, labels, inputs, labels, 2)


def test_data_of_ones_own(tmp_path: Path) -> None:
    mine = of_ones_own()
    configurations = grid({"seed": [0]}, dataset="mine", max_steps=2)
    assert len(train_population(configurations, tmp_path, executor=Inline(), data=mine)) == 1


def test_missing_data_is_said_before_any_process_starts(tmp_path: Path) -> None:
    executor = Inline()
    configurations = grid({"dataset": ["digits", "fashion-mnist"]}, max_steps=0)
    with pytest.raises(DataError, match="Fashion-MNIST is read from 4 files"):
        train_population(configurations, tmp_path, executor=executor, data=tmp_path)
    assert executor.submitted == 0


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (RunError("a", "b\nc"), r"\(RunError: a; got b\)"),
        (None, r"\(its executor cancelled it\)"),
        (BrokenProcessPool("gone"), r"\(BrokenProcessPool: gone\)"),
    ],
)
def test_runs_that_fail_are_named_and_the_others_go_on(tmp_path: Path, error: BaseException | None, words: str) -> None:
    configurations = [replace(c, max_steps=1) for c in QUICK]
    reports: list[tuple[int, int, str]] = []
    failed = configurations[1].identity
    with pytest.raises(RunError, match=rf"got 1 of 4 that were not: {failed} {words}. The others are finished"):
        train_population(configurations, tmp_path, executor=Inline([1], error), progress=lambda *r: reports.append(r))
    assert reports[-1][:2] == (4, 4)
    assert sum("failed" in r[2] for r in reports) == 1
    assert len(load_population(tmp_path)) == 3
    assert len(train_population(configurations, tmp_path, executor=Inline())) == 4


def test_many_failures_are_counted(tmp_path: Path) -> None:
    configurations = grid({"seed": range(8)}, max_steps=0)
    with pytest.raises(RunError, match=r"got 8 of 8 that were not: (\w+ \(RunError: no\), ){5}and 3 more. The others"):
        train_population(configurations, tmp_path, executor=Inline(range(8), RunError("no")))


def test_two_processes_never_write_one_run(tmp_path: Path) -> None:
    configuration = replace(QUICK[0], max_steps=1)
    network = torch.nn.Linear(2, 2)
    with (
        Recorder(tmp_path / configuration.identity, network, torch.zeros(1, 2), configuration=configuration.to_dict()),
        pytest.raises(RunError, match=f"{configuration.identity} .*one recorder writes a run folder at a time"),
    ):
        train_population([configuration], tmp_path, executor=Inline())


def test_a_folder_with_another_run_in_it(tmp_path: Path) -> None:
    train(replace(QUICK[1], max_steps=0), tmp_path / QUICK[0].identity)
    with pytest.raises(RunError, match="another configuration's run"):
        train_population(QUICK[:1], tmp_path, executor=Inline())


# ------------------------------------------------------------------------------------------------- local processes


def children(process: int) -> set[int]:
    listing = Path(f"/proc/{process}/task/{process}/children")
    if not listing.exists():
        return set()
    found = {int(child) for child in listing.read_text().split()}
    return {child for child in found if b"spawn_main" in command(child)}


def command(process: int) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except FileNotFoundError:
        return b""


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


def our_processes() -> list[multiprocessing.process.BaseProcess]:
    """Those that train; joblib's, which other tests leave waiting for work, are none."""
    return [child for child in multiprocessing.active_children() if "Loky" not in type(child).__name__]


def under_way(folder: Path, name: str) -> bool:
    return any((folder / name / "metrics").glob("[1-9]*.parquet"))


@pytest.fixture
def killer() -> Iterator[Callable[[Callable[[], bool], bool], None]]:
    """Starts a thread that kills our worker processes when a condition holds: once, or as often as it holds."""
    stop = threading.Event()
    threads: list[threading.Thread] = []

    def start(condition: Callable[[], bool], again: bool) -> None:
        def watch() -> None:
            while not stop.is_set():
                if condition():
                    for child in our_processes():
                        child.kill()
                    if not again:
                        return
                time.sleep(0.01)

        threads.append(threading.Thread(target=watch))
        threads[-1].start()

    yield start
    stop.set()
    for thread in threads:
        thread.join()


@pytest.mark.timeout(300)
def test_processes_train_what_one_process_trains(tmp_path: Path, trained: Population) -> None:
    population = train_population(QUICK, tmp_path)
    for name, run in population.runs.items():
        assert run.metrics.equals(trained.runs[name].metrics)
        last = run.steps[-1]
        ours, theirs = run.snapshots[last], trained.runs[name].snapshots[last]
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    wait_for(lambda: not our_processes())


@pytest.mark.timeout(300)
def test_a_run_that_kills_its_process_is_named(tmp_path: Path, killer: Any) -> None:
    mine = of_ones_own()
    slow, other = (RunConfiguration(dataset="mine", epochs=epochs, batch_size=10) for epochs in (10_000, 3))
    seen = [0]

    def went_on() -> bool:
        before, seen[0] = seen[0], len(list((tmp_path / "all" / slow.identity).glob("metrics/*.parquet")))
        return seen[0] > before

    killer(went_on, again=True)
    with pytest.raises(RunError, match=rf"got 1 of 2 that were not: {slow.identity} \(its process died, also when"):
        train_population([slow, other], tmp_path / "all", data=mine)
    population = load_population(tmp_path / "all")
    assert population.unfinished == (slow.identity,)
    # The other one's process was killed with it, yet it is what it would have been.
    assert population.runs[other.identity].metrics.equals(train(other, tmp_path / "here", data=mine).metrics)


@pytest.mark.parametrize("deadly", [set(), {1}, {0, 3}, {0, 1, 2, 3, 4}])
def test_suspects_are_tried_alone(monkeypatch: pytest.MonkeyPatch, deadly: set[int]) -> None:
    configurations = grid({"seed": range(5)})
    dying = {configurations[number] for number in deadly}
    pools: list[int] = []

    def work_off(queue: Any, work: object, report: Any, *, workers: int) -> list[RunConfiguration]:
        pools.append(workers)
        while queue:
            under_way = [queue.popleft() for _ in range(min(workers, len(queue)))]
            if dying & set(under_way):
                return under_way
            for configuration in under_way:
                report(configuration, None)
        return []

    monkeypatch.setattr(workers, "_work_off", work_off)
    ended: dict[RunConfiguration, str | None] = {}
    work = workers.Work(Path(), None, ("link_weights",), None)
    workers.run_locally(configurations, work, lambda c, wrong: ended.update({c: wrong}), workers=2)
    assert {c for c, wrong in ended.items() if wrong == workers.DIED} == dying
    assert {c for c, wrong in ended.items() if wrong is None} == set(configurations) - dying
    assert max(pools) <= 2


INTERRUPTED = """
import sys, torch
from axonometry.populations import Dataset, RunConfiguration, train_population

if __name__ == "__main__":
    images, labels = torch.zeros(50, 1, 3, 3), torch.zeros(50).long()
    data = Dataset("mine", images, labels, images, labels, 2)
    train_population([RunConfiguration(dataset="mine", epochs=10000)], sys.argv[1], data=data, workers=1)
"""


@pytest.mark.timeout(300)
@pytest.mark.skipif(sys.platform != "linux", reason="finds the processes in /proc, which only Linux has")
@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "kill"])
def test_the_processes_end_with_their_parent(tmp_path: Path, signal_number: signal.Signals) -> None:
    script = tmp_path / "script.py"
    script.write_text(INTERRUPTED)
    folder = tmp_path / "population"
    name = RunConfiguration(dataset="mine", epochs=10000).identity
    parent = subprocess.Popen(
        [sys.executable, str(script), str(folder)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_for(lambda: parent.poll() is not None or under_way(folder, name), 100)
    found = children(parent.pid)
    assert found, parent.communicate()[1]
    parent.send_signal(signal_number)
    _, errors = parent.communicate(timeout=60)
    wait_for(lambda: not any(command(child) for child in found))
    assert parent.returncode != 0
    # Python's resource tracker may have a last word.
    assert signal_number == signal.SIGKILL or "\nKeyboardInterrupt" in errors
    left = load_population(folder)
    assert left.unfinished == (name,)
    assert load_run(folder / name).steps[:2] == (0, 1)


def test_a_script_without_a_main_guard_is_told(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(INTERRUPTED.replace('if __name__ == "__main__":', "if True:"))
    ended = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "population")],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ended.returncode == 1
    assert "RunError: a population is trained by new processes" in ended.stderr
    assert 'put what trains under: if __name__ == "__main__":' in ended.stderr


def test_as_many_processes_as_cores() -> None:
    assert workers.n_cores() == len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def test_the_number_of_processes(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="`workers` is at least 1; got 0"):
        train_population(QUICK, tmp_path, workers=0)
    with pytest.raises(ConfigurationError, match="`workers` is the number of local processes"):
        train_population(QUICK, tmp_path, executor=Inline(), workers=2)


# ------------------------------------------------------------------------------------------------- reading


def test_loading_finds_whole_and_unfinished_runs(tmp_path: Path, trained: Population) -> None:
    train_population(QUICK[:2], tmp_path, executor=Inline())

    def stop(done: int, total: int, words: str) -> None:
        raise KeyboardInterrupt("now")

    with pytest.raises(KeyboardInterrupt, match=r"^now$"):
        train(QUICK[2], tmp_path / QUICK[2].identity, progress=stop)
    (tmp_path / "notes").mkdir()
    (tmp_path / "README").write_text("mine")
    population = load_population(tmp_path)
    assert list(population.runs) == sorted(c.identity for c in QUICK[:2])
    assert population.unfinished == (QUICK[2].identity,)
    assert len(train_population(QUICK[:3], tmp_path, executor=Inline())) == 3
    assert load_population(tmp_path).unfinished == ()


def test_the_frame(trained: Population) -> None:
    frame = trained.frame
    assert list(frame.index) == [c.identity for c in QUICK]
    assert list(frame["seed"]) == [0, 1, 2, 3]
    assert list(frame["optimiser"]) == [c.optimiser for c in QUICK]
    assert list(frame["epoch"]) == [1.0] * 4
    for name, run in trained.runs.items():
        assert frame.loc[name, "accuracy"] == run.scalars()["accuracy"].iloc[-1]
        assert frame.loc[name, "loss"] == run.scalars()["loss"].iloc[-1]


def test_an_empty_folder(tmp_path: Path) -> None:
    empty = load_population(tmp_path)
    assert len(empty) == 0
    assert empty.accuracy_bins([0.0, 1.0])[0].runs == ()
    with pytest.raises(RunError, match=r"a population is a folder of runs; got .*nowhere, which is none"):
        load_population(tmp_path / "nowhere")


def test_graphs_of_networks_that_read_signals(tmp_path: Path) -> None:
    """A signal has two axes, as tokens have in the graph; it was taken for tokens."""
    inputs = torch.rand(12, 1, 8, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(12) % 2
    waves = Dataset("waves", inputs, labels, inputs, labels, 2)
    choices = {"seed": [0], "family": ["recurrent", "attention"]}
    train_population(grid(choices, dataset="waves", units=4, max_steps=1), tmp_path, executor=Inline(), data=waves)
    population = load_population(tmp_path)
    assert {population.graph(name).groups[0].shape for name in population.runs} == {(1, 8)}


def test_a_damaged_run_is_named(tmp_path: Path) -> None:
    train(replace(QUICK[0], max_steps=0), tmp_path / "run")
    (tmp_path / "run" / "run.json").write_text("{")
    with pytest.raises(RunError, match=r"corrupt file: .*run/run.json"):
        load_population(tmp_path)


def test_runs_that_are_not_of_a_population(tmp_path: Path) -> None:
    with Recorder(tmp_path / "mine", torch.nn.Linear(2, 2), torch.zeros(1, 2)) as recorder:
        recorder.record(0, accuracy=0.5)
    assert load_population(tmp_path).frame.to_dict("index") == {"mine": {"accuracy": 0.5}}
    with pytest.raises(ConfigurationError, match=r"a run of a population has its configuration; got .*mine: none"):
        _ = load_population(tmp_path).configurations


def test_graphs_of_all_runs_share_one_export(trained: Population, monkeypatch: pytest.MonkeyPatch) -> None:
    exports = []
    export = torch.export.export
    monkeypatch.setattr(torch.export, "export", lambda *a: exports.append(1) or export(*a))
    sharing.forget()
    fresh = load_population(trained.folder)
    for name, run in fresh.runs.items():
        for step in (None, 0):
            weights = run.snapshots[run.steps[-1] if step is None else step]
            graph = fresh.graph(name, step)
            assert torch.equal(graph.kernel("fc2").weight, weights["fc2.weight"])
    assert len(exports) == 1
    with pytest.raises(RunError, match="holds the run; got 'nobody'"):
        fresh.graph("nobody")
    with pytest.raises(RunError, match="no weights at step 7"):
        fresh.graph(next(iter(fresh.runs)), 7)


# ------------------------------------------------------------------------------------------------- accuracy bins


def with_accuracies(accuracies: list[float]) -> Population:
    population = Population(Path("nowhere"), {})
    frame = pd.DataFrame({"accuracy": accuracies}, index=[f"run {n}" for n in range(len(accuracies))], dtype=float)
    population.__dict__["frame"] = frame
    return population


def test_bins_hold_their_lower_edge_only() -> None:
    bins = with_accuracies([0.2, 0.3, 0.35, 0.4, 0.1, 0.5, 0.05]).accuracy_bins([0.1, 0.3, 0.4])
    assert [(b.low, b.high, b.runs) for b in bins] == [
        (0.1, 0.3, ("run 4", "run 0")),
        (0.3, 0.4, ("run 1", "run 2", "run 3")),  # the last bin holds its upper edge as well
    ]


def test_rounding_puts_no_run_into_the_wrong_bin() -> None:
    edges = [n * 0.025 for n in range(41)]  # 0.1 * 3 and the like: not the decimals that they are meant to be
    accuracies = [n / 40 for n in range(41)]
    bins = with_accuracies(accuracies).accuracy_bins(edges)
    assert [b.runs for b in bins] == [(f"run {n}",) for n in range(39)] + [("run 39", "run 40")]


@given(
    counts=st.lists(st.integers(0, 1000), max_size=30),
    edges=st.lists(st.integers(0, 100), min_size=2, max_size=12, unique=True).map(sorted),
)
def test_bins_partition_what_lies_between_the_outer_edges(counts: list[int], edges: list[int]) -> None:
    bins = with_accuracies([n / 1000 for n in counts]).accuracy_bins([e / 100 for e in edges])
    binned = [name for b in bins for name in b.runs]
    inside = [f"run {i}" for i, n in enumerate(counts) if edges[0] * 10 <= n <= edges[-1] * 10]
    assert sorted(binned) == sorted(inside)
    for b, low, high in zip(bins, edges, edges[1:], strict=False):
        last = high == edges[-1]
        for name in b.runs:
            n = counts[int(name.split()[1])]
            assert low * 10 <= n < high * 10 or (last and n == high * 10)


@pytest.mark.parametrize("edges", [[], [0.5], [0.1, 0.1], [0.5, 0.4], [0.1, float("nan")], [0.1, 0.1 + 1e-12]])
def test_edges_increase(edges: list[float]) -> None:
    with pytest.raises(ConfigurationError, match="the edges of accuracy bins increase"):
        with_accuracies([0.5]).accuracy_bins(edges)


def test_a_run_ends_early_when_asked(tmp_path: Path) -> None:
    asked = [RunConfiguration(epochs=4, train_fraction=0.05, seed=seed) for seed in range(2)]
    population = train_population(asked, tmp_path, workers=1, stop=_after_two)
    assert [run.steps for run in population.runs.values()] == [(0, 1, 2)] * 2
    assert all(run.complete for run in population.runs.values())
    assert [(run.state, run.description.planned_steps) for run in population.runs.values()] == [("stopped", 5)] * 2
    whole = train(asked[0], tmp_path / "whole")
    assert (whole.state, whole.description.planned_steps) == ("finished", 5)
    assert whole.scalars().loc[:2].equals(population.runs[asked[0].identity].scalars())


def _after_two(run: Trajectory) -> bool:
    return run.steps[-1] >= 2
