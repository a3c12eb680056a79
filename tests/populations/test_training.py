"""Training one run: what is recorded, that it repeats bit for bit, and that interruptions change nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from itertools import islice, pairwise
from math import ceil
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, strategies as st
from torch import Tensor, nn

from axonometry.errors import ConfigurationError, DataError, RunError
from axonometry.populations import loop, objectives, training
from axonometry.populations.configuration import RunConfiguration
from axonometry.populations.datasets import Dataset, load_dataset
from axonometry.populations.objectives import accuracy_and_loss
from axonometry.populations.sampling import BatchSampler
from axonometry.populations.schedule import segments
from axonometry.populations.training import initial_network, train
from axonometry.trajectory import Trajectory

QUICK = RunConfiguration(epochs=2, batch_size=64)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_dataset("digits")


@pytest.fixture(scope="module")
def small() -> Dataset:
    """100 training images, so that an epoch is a few updates."""
    data = load_dataset("digits")
    test = data.test_inputs[:50], data.test_labels[:50]
    return Dataset("small", data.train_inputs[:100], data.train_labels[:100], *test, 10)


def difference(one: Trajectory, other: Trajectory) -> str:
    """Where two runs differ first; empty where they are equal bit for bit."""
    assert one.steps == other.steps
    for step in one.steps:
        first, second = one.snapshots[step], other.snapshots[step]
        assert first.keys() == second.keys()
        for name in first:
            if not torch.equal(first[name], second[name]):
                return f"{name} at step {step}"
    rows = one.metrics.compare(other.metrics)
    return "" if one.metrics.equals(other.metrics) else str(one.metrics.loc[rows.index])


# ------------------------------------------------------------------------------------------------- segments


@given(
    n=st.integers(1, 300),
    batch=st.integers(1, 70),
    epochs=st.integers(1, 5),
    most=st.none() | st.integers(0, 400),
    every=st.just("epoch") | st.integers(1, 90),
)
def test_segments_cover_the_run(n: int, batch: int, epochs: int, most: int | None, every: str | int) -> None:
    configuration = RunConfiguration(batch_size=batch, epochs=epochs, max_steps=most, record_every=every)
    plan = segments(configuration, n)
    per_epoch = ceil(n / batch)
    total = min(per_epoch * epochs, per_epoch * epochs if most is None else most)
    assert sum(s.stop - s.start for s in plan) == total
    assert all(one.stop == two.start and one.step < two.step for one, two in pairwise(plan))
    assert all(s.epoch == s.stop / per_epoch for s in plan)
    assert all(s.stop - s.start == (per_epoch if every == "epoch" else every) for s in plan[:-1])
    if plan:
        assert (plan[0].start, plan[-1].stop) == (0, total)
        assert plan[-1].step == (ceil(total / per_epoch) if every == "epoch" else total)


# ------------------------------------------------------------------------------------------------- what is recorded


def test_a_run_learns_and_says_so(tmp_path: Path, digits: Dataset) -> None:
    configuration = RunConfiguration(epochs=4)
    reports: list[tuple[int, int, str]] = []
    run = train(configuration, tmp_path / "run", data=digits, progress=lambda *report: reports.append(report))
    assert run.complete
    assert run.steps == (0, 1, 2, 3, 4)
    assert run.configuration == configuration.to_dict()
    scalars = run.scalars()
    assert list(scalars["epoch"]) == [0, 1, 2, 3, 4]
    assert scalars["accuracy"][0] < 0.3
    assert scalars["accuracy"][4] > 0.85
    assert scalars["train_loss"].isna().tolist() == [True] + [False] * 4
    assert scalars["train_loss"][1:].is_monotonic_decreasing
    done, total, words = reports[-1]
    assert done == total == 4 * 45
    assert words == f"accuracy {scalars['accuracy'][4]:.3f}"
    assert {"link_weights", "node_strength", "layer_fluctuation"} <= set(run.metrics["metric"])


def test_the_scalars_are_those_of_the_weights(tmp_path: Path, digits: Dataset) -> None:
    run = train(QUICK, tmp_path, data=digits)
    network = initial_network(QUICK, digits)
    initial = network.state_dict()
    assert all(torch.equal(run.snapshots[0][name], initial[name]) for name in initial)
    network.load_state_dict(run.snapshots[2])
    with torch.no_grad():
        logits = network(digits.test_inputs)
    assert run.scalars()["accuracy"][2] == float((logits.argmax(1) == digits.test_labels).double().mean())
    assert run.scalars()["loss"][2] == pytest.approx(float(F.cross_entropy(logits, digits.test_labels)), rel=1e-5)
    torch.testing.assert_close(run.graph(2).kernel("fc1").weight, run.snapshots[2]["fc1.weight"])


@pytest.mark.parametrize(
    "changes",
    [{"optimiser": "sgd"}, {"optimiser": "sgd", "momentum": 0.9, "weight_decay": 0.01}, {"weight_decay": 0.1}],
    ids=["sgd", "momentum", "adam"],
)
def test_one_epoch_by_hand(tmp_path: Path, small: Dataset, changes: dict[str, object]) -> None:
    configuration = RunConfiguration.from_dict({"dataset": "small", "epochs": 1, "batch_size": 40, **changes})
    run = train(configuration, tmp_path, data=small)
    network = initial_network(configuration, small)
    weights = {name: p.detach().double().clone() for name, p in network.named_parameters()}
    first = {name: torch.zeros_like(w) for name, w in weights.items()}
    second = {name: torch.zeros_like(w) for name, w in weights.items()}
    rate, decay, losses = configuration.learning_rate, configuration.weight_decay, []
    assert rate is not None
    for number, (inputs, labels) in enumerate(islice(BatchSampler(configuration, small).batches(0), 3), start=1):
        network.double().load_state_dict(weights)
        network.zero_grad()
        loss = F.cross_entropy(network(inputs.double()), labels)
        loss.backward()
        losses.append(float(loss.detach()))
        for name, p in network.named_parameters():
            assert p.grad is not None
            g = p.grad + decay * weights[name]
            if configuration.optimiser == "sgd":
                first[name] = configuration.momentum * first[name] + g
                weights[name] = weights[name] - rate * first[name]
            else:
                first[name] = 0.9 * first[name] + 0.1 * g
                second[name] = 0.999 * second[name] + 0.001 * g * g
                scaled = first[name] / (1 - 0.9**number) / ((second[name] / (1 - 0.999**number)).sqrt() + 1e-8)
                weights[name] = weights[name] - rate * scaled
    assert run.steps == (0, 1)
    for name, weight in weights.items():
        torch.testing.assert_close(run.snapshots[1][name].double(), weight, rtol=1e-3, atol=2e-5)
    assert run.scalars()["train_loss"][1] == pytest.approx(np.mean(losses), rel=1e-4)


def test_a_fraction_is_the_first_images(tmp_path: Path, digits: Dataset) -> None:
    part = Dataset(
        "digits", digits.train_inputs[:359], digits.train_labels[:359], digits.test_inputs, digits.test_labels, 10
    )
    fraction = RunConfiguration(train_fraction=0.25, epochs=1)  # 359.25 images
    run = train(fraction, tmp_path / "a", data=digits)
    whole = train(RunConfiguration(epochs=1), tmp_path / "b", data=part)
    assert torch.equal(run.snapshots[1]["fc1.weight"], whole.snapshots[1]["fc1.weight"])


def test_a_fraction_is_meant_as_written(tmp_path: Path, small: Dataset) -> None:
    run = train(
        RunConfiguration(dataset="small", train_fraction=0.29, batch_size=1, epochs=1, record_every=29),
        tmp_path,
        data=small,
    )
    assert run.steps == (0, 29)  # 0.29 * 100 is a little less than 29


def test_a_run_that_diverges_is_recorded(tmp_path: Path, small: Dataset) -> None:
    configuration = RunConfiguration(dataset="small", optimiser="sgd", learning_rate=1e30, scale=5.0, epochs=2)
    run = train(configuration, tmp_path, data=small)
    assert run.complete
    assert run.scalars()["loss"].isna().tolist() == [False, True, True]
    assert not run.snapshots[2]["fc1.weight"].isfinite().all()


def test_recording_by_updates_changes_nothing(tmp_path: Path, digits: Dataset) -> None:
    by_epoch = train(QUICK, tmp_path / "epoch", data=digits)
    steps = RunConfiguration(epochs=2, batch_size=64, record_every=15)
    by_step = train(steps, tmp_path / "step", data=digits)
    assert by_step.steps == (0, 15, 30, 45, 46)
    assert list(by_step.scalars()["epoch"]) == [0, 15 / 23, 30 / 23, 45 / 23, 2]
    assert all(torch.equal(by_epoch.snapshots[2][n], w) for n, w in by_step.snapshots[46].items())


def test_the_training_loss_is_the_mean_of_a_segments_own_updates(tmp_path: Path, digits: Dataset) -> None:
    each = train(RunConfiguration(max_steps=10, record_every=1), tmp_path / "each", data=digits).scalars()
    parts = train(RunConfiguration(max_steps=10, record_every=4), tmp_path / "parts", data=digits).scalars()
    for start, stop in ((0, 4), (4, 8), (8, 10)):
        mean = each["train_loss"].loc[start + 1 : stop].mean()
        assert parts["train_loss"].loc[stop] == pytest.approx(mean, rel=1e-6)


def test_stopping_in_the_middle_of_an_epoch(tmp_path: Path, digits: Dataset) -> None:
    cut = train(RunConfiguration(epochs=2, batch_size=64, max_steps=30), tmp_path / "cut", data=digits)
    assert cut.steps == (0, 1, 2)
    assert list(cut.scalars()["epoch"]) == [0, 1, 30 / 23]
    steps = train(RunConfiguration(epochs=2, batch_size=64, record_every=15), tmp_path / "steps", data=digits)
    assert torch.equal(cut.snapshots[2]["fc3.weight"], steps.snapshots[30]["fc3.weight"])


def test_a_network_may_stay_untrained(tmp_path: Path, digits: Dataset) -> None:
    run = train(RunConfiguration(max_steps=0), tmp_path, data=digits)
    assert (run.steps, run.complete) == ((0,), True)


def test_a_convolutional_network_learns(tmp_path: Path, digits: Dataset) -> None:
    run = train(RunConfiguration(family="convolutional", epochs=3), tmp_path, data=digits)
    assert run.scalars()["accuracy"][3] > 0.8


def test_evaluation_puts_the_mode_back(digits: Dataset) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(64, 10))
    network[0].eval()
    accuracies = {
        accuracy_and_loss(network.train(mode), digits.test_inputs, digits.test_labels) for mode in (True, False)
    }
    assert len(accuracies) == 1
    assert not network.training
    accuracy_and_loss(network.train(), digits.test_inputs, digits.test_labels)
    assert network.training


def test_evaluation_in_batches(digits: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    network = initial_network(QUICK, digits)
    whole = accuracy_and_loss(network, digits.test_inputs, digits.test_labels)
    monkeypatch.setattr(objectives, "_TEST_BATCH", 7)
    accuracy, loss = accuracy_and_loss(network, digits.test_inputs, digits.test_labels)
    assert accuracy == whole[0]
    assert loss == pytest.approx(whole[1], rel=1e-6)


# ------------------------------------------------------------------------------------------------- bit for bit


@pytest.mark.parametrize(
    "changes",
    [{}, {"optimiser": "sgd", "momentum": 0.9}, {"family": "convolutional", "epochs": 1}],
    ids=["adam", "sgd", "conv"],
)
def test_the_same_configuration_gives_the_same_run(tmp_path: Path, digits: Dataset, changes: dict[str, object]) -> None:
    configuration = RunConfiguration.from_dict({**QUICK.to_dict(), "learning_rate": None, **changes})
    one = train(configuration, tmp_path / "one", data=digits)
    torch.manual_seed(99)
    torch.rand(5)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        other = train(configuration, tmp_path / "other", data=digits)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert not difference(one, other)
    another_seed = RunConfiguration.from_dict({**configuration.to_dict(), "seed": 1})
    assert difference(one, train(another_seed, tmp_path / "third", data=digits))


def test_the_callers_random_states_are_left_alone(tmp_path: Path, digits: Dataset) -> None:
    def states() -> tuple[object, ...]:
        # Python's own state is put back too, but the shape checker that runs under test draws from it.
        return torch.get_rng_state().tolist(), np.random.get_state()[1].tolist()

    before = states()
    train(QUICK, tmp_path, data=digits)
    assert states() == before


class _StopError(Exception):
    pass


def stop_at(n: int) -> Callable[[int, int, str], None]:
    calls = iter(range(n))

    def progress(done: int, total: int, words: str) -> None:
        if words and next(calls, None) is None:
            raise _StopError("here")

    return progress


def with_dropout(monkeypatch: pytest.MonkeyPatch) -> None:
    build = training.network_of

    def network(*arguments: object) -> nn.Module:
        return nn.Sequential(nn.Dropout(0.2), build(*arguments))  # type: ignore[arg-type]

    monkeypatch.setattr(training, "network_of", network)


@pytest.mark.parametrize("stops", [[0], [1], [0, 0, 1]])
def test_an_interrupted_run_goes_on_bit_for_bit(
    tmp_path: Path, digits: Dataset, stops: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    with_dropout(monkeypatch)
    configuration = RunConfiguration(epochs=2, batch_size=64, record_every=10)
    whole = train(configuration, tmp_path / "whole", data=digits)
    for stop in stops:
        with pytest.raises(_StopError, match=r"^here$"):
            train(configuration, tmp_path / "cut", data=digits, progress=stop_at(stop))
        torch.manual_seed(stop + 17)
    assert not difference(whole, train(configuration, tmp_path / "cut", data=digits))


def test_running_statistics_go_on_too(tmp_path: Path, small: Dataset) -> None:
    configuration = RunConfiguration(dataset="small", family="resnet-18", batch_size=8, max_steps=4, record_every=2)
    whole = train(configuration, tmp_path / "whole", data=small)
    with pytest.raises(_StopError, match=r"^here$"):
        train(configuration, tmp_path / "cut", data=small, progress=stop_at(0))
    assert not difference(whole, train(configuration, tmp_path / "cut", data=small))
    means = [snapshot["layer4.1.bn2.running_mean"] for snapshot in whole.snapshots.values()]
    assert len({float(mean.abs().sum()) for mean in means}) == 3


KILLED = """
import os, signal, sys
from axonometry.populations import loop, objectives, training
from axonometry.populations.configuration import RunConfiguration

if sys.argv[3] == "in the middle of an epoch":
    accuracy_and_loss, calls = objectives.accuracy_and_loss, iter(range(2))

    def evaluate_or_die(*arguments):
        if next(calls, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        return accuracy_and_loss(*arguments)

    objectives.accuracy_and_loss = evaluate_or_die
    progress = None
else:
    progress = lambda done, total, words: os.kill(os.getpid(), signal.SIGKILL)

training.train(RunConfiguration.from_json(sys.argv[1]), sys.argv[2], progress=progress)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
@pytest.mark.parametrize("moment", ["in the middle of an epoch", "after a record"])
def test_a_killed_run_goes_on_bit_for_bit(tmp_path: Path, digits: Dataset, moment: str) -> None:
    every: str | int = "epoch" if moment == "after a record" else 15
    configuration = RunConfiguration(epochs=3, batch_size=64, record_every=every)
    command = [sys.executable, "-c", KILLED, configuration.to_json(), str(tmp_path / "killed"), moment]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=100, env=os.environ, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    from axonometry.trajectory import load as load_run

    cut = load_run(tmp_path / "killed")
    assert cut.steps == ((0, 1) if moment == "after a record" else (0, 15))
    assert not cut.complete
    resumed = train(configuration, tmp_path / "killed", data=digits)
    assert not difference(train(configuration, tmp_path / "whole", data=digits), resumed)
    assert resumed.complete


def test_a_whole_run_is_left_as_it_is(tmp_path: Path, digits: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    train(QUICK, tmp_path, data=digits)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}

    def never(*arguments: object) -> Tensor:
        raise AssertionError

    monkeypatch.setattr(loop.TrainingLoop, "_update", never)
    assert train(QUICK, tmp_path, data=digits).complete
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


# ------------------------------------------------------------------------------------------------- what is refused


def test_the_folder_of_another_configuration(tmp_path: Path, digits: Dataset) -> None:
    train(RunConfiguration(max_steps=0), tmp_path, data=digits)
    with pytest.raises(RunError, match="another configuration's run"):
        train(RunConfiguration(max_steps=0, seed=1), tmp_path, data=digits)


@pytest.mark.parametrize("batch", [1, 8])
def test_a_last_batch_of_one_image(tmp_path: Path, small: Dataset, batch: int) -> None:
    configuration = RunConfiguration(dataset="small", family="resnet-18", train_fraction=0.33, batch_size=batch)
    found = f"at least 2 images; got a last batch of 1: 33 images in batches of {batch}"
    with pytest.raises(ConfigurationError, match=found):
        train(configuration, tmp_path / "run", data=small)
    assert not (tmp_path / "run").exists()


def test_data_of_another_name(tmp_path: Path, small: Dataset) -> None:
    with pytest.raises(DataError, match="the configuration's data set is digits; got small"):
        train(QUICK, tmp_path / "run", data=small)
    assert not (tmp_path / "run").exists()


def test_missing_data(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="MNIST is read from 4 files"):
        train(RunConfiguration(dataset="mnist"), tmp_path / "run", data=tmp_path)


def test_a_network_too_large_for_the_images(tmp_path: Path, digits: Dataset) -> None:
    with pytest.raises(ConfigurationError, match="LeNet needs inputs of at least 16 x 16; got inputs of 8 x 8"):
        train(RunConfiguration(family="lenet"), tmp_path / "run", data=digits)


def test_a_run_that_is_being_written(tmp_path: Path, digits: Dataset) -> None:
    def once_more(done: int, total: int, words: str) -> None:
        train(QUICK, tmp_path, data=digits)

    with pytest.raises(RunError, match="one recorder writes a run folder at a time"):
        train(QUICK, tmp_path, data=digits, progress=once_more)


def test_mnist_by_steps(tmp_path: Path, data_directory: Path) -> None:
    configuration = RunConfiguration(dataset="mnist", batch_size=64, epochs=1, train_fraction=0.1, record_every=50)
    run = train(configuration, tmp_path, data=data_directory)
    assert run.steps == (0, 50, 94)
    assert run.scalars()["accuracy"][94] > 0.8
