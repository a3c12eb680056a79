"""Stacked training: the runs of training alone, within rounding, whatever the networks differ in and whatever fails."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from axonometry.errors import ConfigurationError, RunError
from axonometry.populations import (
    Dataset,
    RunConfiguration,
    many,
    train,
    train_population,
    train_stacked,
)
from axonometry.populations.optimisers import OPTIMISERS, Rates, StackedForm
from axonometry.populations.sampling import BatchSampler
from axonometry.populations.schedule import optimiser_of
from axonometry.populations.stacked import alike, run as stacked, together
from axonometry.populations.stacked.stack import Stack
from axonometry.populations.training import initial_network, network_of
from axonometry.populations.workers import Work
from axonometry.trajectory import Trajectory, load
from axonometry.trajectory.state import read_state
from axonometry.trajectory.store import resume_path

MEASURES = ("link_weights",)


def pictures(n: int = 60, *, size: int = 8, channels: int = 1) -> Dataset:
    """Images of ten classes that a network can learn: a bright spot whose place is the class."""
    source = torch.Generator().manual_seed(5)
    labels = torch.randint(10, (n,), generator=source)
    inputs = 0.3 * torch.rand(n, channels, size, size, generator=source)
    inputs[torch.arange(n), :, labels // 4 * 2, labels % 4 * 2] += 0.7
    return Dataset("pictures", inputs, labels, inputs[:25].clone(), labels[:25].clone(), 10)


def configuration(**values: object) -> RunConfiguration:
    return RunConfiguration.from_dict({"dataset": "pictures", "batch_size": 16, "epochs": 2, **values})


def apart(one: Trajectory, other: Trajectory) -> float:
    """The largest difference of weights and buffers, in units of each tensor's largest entry (1 where all are 0)."""
    assert one.steps == other.steps
    assert one.configuration == other.configuration
    assert one.complete == other.complete
    most = 0.0
    for step in one.steps:
        first, second = one.snapshots[step], other.snapshots[step]
        assert first.keys() == second.keys()
        for name, tensor in first.items():
            assert tensor.dtype == second[name].dtype
            assert tensor.shape == second[name].shape
            scale = float(tensor.abs().max()) or 1.0
            most = max(most, float((tensor - second[name]).abs().max()) / scale)
    return most


def alone(configurations: Sequence[RunConfiguration], folder: Path, data: Dataset) -> dict[str, Trajectory]:
    return {c.identity: train(c, folder / c.identity, data=data, measures=MEASURES) for c in configurations}


def together_(
    configurations: Sequence[RunConfiguration], folder: Path, data: Dataset, **more: Any
) -> dict[str, Trajectory]:
    return train_stacked(configurations, folder, data=data, device="cpu", measures=MEASURES, **more)


VARIED: list[dict[str, object]] = [
    {"seed": 1},
    {"seed": 2, "learning_rate": 0.02, "weight_decay": 0.01, "label_noise": 0.4},
    {"seed": 3, "initialiser": "random-normal", "scale": 0.1, "dropout": 0.5},
    {"seed": 4, "dropout": 0.1, "scale": 2.0, "weight_decay": 0.1},
]
"""What networks of one stack may differ in: all of it at once."""


def varied(**values: object) -> list[RunConfiguration]:
    return [configuration(**{**values, **own}) for own in VARIED]


# Adam and RMSprop divide by the root of squared gradients: where a gradient is near 0, its rounding error decides on
# the sign of a whole step of the learning rate. So their weights may differ by more than float32's 1e-7; SGD's not.
TOLERANCE = {"sgd": 2e-5, "adam": 5e-3, "rmsprop": 5e-3, "adamw": 5e-3}


@pytest.mark.parametrize("optimiser", list(TOLERANCE))
def test_runs_are_those_of_training_alone(tmp_path: Path, optimiser: str) -> None:
    data, configurations = pictures(), varied(optimiser=optimiser)
    if optimiser == "sgd":
        configurations = [replace(c, momentum=m) for c, m in zip(configurations, (0.0, 0.9, 0.5, 0.9))]
    one, many = alone(configurations, tmp_path / "one", data), together_(configurations, tmp_path / "many", data)
    assert list(many) == list(one)
    for name, run in one.items():
        assert apart(run, many[name]) < TOLERANCE[optimiser]
        columns = ["accuracy", "loss", "train_loss", "epoch"]
        torch.testing.assert_close(
            torch.tensor(run.scalars()[columns].to_numpy()),
            torch.tensor(many[name].scalars()[columns].to_numpy()),
            rtol=1e-3,
            atol=1e-3,
            equal_nan=True,
        )
        keys = ["step", "group", "metric", "statistic"]
        assert run.metrics[keys].equals(many[name].metrics[keys])


def test_the_tolerance_would_notice_another_seed(tmp_path: Path) -> None:
    data = pictures()
    one = train(configuration(seed=1), tmp_path / "one", data=data, measures=MEASURES)
    other = train(configuration(seed=2), tmp_path / "other", data=data, measures=MEASURES)
    other = replace(other, description=one.description)
    assert apart(one, other) > 100 * TOLERANCE["adam"]


@pytest.mark.parametrize(
    "values",
    [
        {"family": "convolutional", "augmentation": "crop-flip"},
        {"family": "lenet", "width": 0.5, "augmentation": "crop-flip", "activation": "gelu"},
        {"family": "vgg-like", "width": 0.05, "activation": "tanh"},
        # Few updates: batch norm over few images magnifies rounding with every one (see the comparison in float64).
        {"family": "resnet-20", "width": 0.2, "augmentation": "crop-flip", "activation": "tanh", "max_steps": 3},
        {"record_every": 3, "train_fraction": 0.9, "test_fraction": 0.5},
        {"max_steps": 5},
    ],
    ids=lambda values: values.get("family", str(values)),
)
def test_kinds_of_networks_and_trainings(tmp_path: Path, values: dict[str, object]) -> None:
    data = pictures(size=8 if values.get("family", "convolutional") == "convolutional" else 16, channels=2)
    configurations = varied(optimiser="sgd", learning_rate=0.01, **values)
    if "resnet" in str(values.get("family")):
        configurations = [replace(c, initialiser="torch-default", scale=1.0) for c in configurations]
    one, many = alone(configurations, tmp_path / "one", data), together_(configurations, tmp_path / "many", data)
    for name, run in one.items():
        assert apart(run, many[name]) < 1e-4


class Loop:
    """Networks in float64, trained one at a time for many updates, and their distance from a stack."""

    # Powers of two: a stack keeps its rates in float32.
    RATES = (2.0**-4, 2.0**-6)
    UPDATES = 24

    def __init__(self, activation: str, data: Dataset) -> None:
        common = {"family": "resnet-20", "width": 0.2, "activation": activation, "augmentation": "crop-flip"}
        rates = {"optimiser": "sgd", "momentum": 0.875, "weight_decay": 2.0**-10}
        self.runs = [configuration(seed=n, learning_rate=r, **common, **rates) for n, r in enumerate(self.RATES)]
        self.data = data
        self.batches = [
            [(inputs.double(), labels) for inputs, labels in islice(BatchSampler(run, data).batches(0), self.UPDATES)]
            for run in self.runs
        ]

    def networks(self) -> list[nn.Module]:
        return [initial_network(run, self.data).double() for run in self.runs]

    def alone(self, networks: Sequence[nn.Module]) -> list[nn.Module]:
        for run, network, batches in zip(self.runs, networks, self.batches):
            optimiser = optimiser_of(run, network.train())
            for inputs, labels in batches:
                optimiser.zero_grad()
                F.cross_entropy(network(inputs), labels).backward()
                optimiser.step()
        return list(networks)

    def stacked(self, networks: Sequence[nn.Module]) -> list[nn.Module]:
        template = network_of(self.runs[0], self.data.shape, 10).double()
        optimisers = [optimiser_of(run, network) for run, network in zip(self.runs, networks)]
        place = torch.device("cpu")
        stack = Stack(template, self.runs, networks=networks, optimisers=optimisers, step=0, device=place)
        for batches in zip(*self.batches):
            stack.update(*(torch.stack(part) for part in zip(*batches)))
        stack.write(networks, optimisers)
        return list(networks)


def distance(some: Sequence[nn.Module], others: Sequence[nn.Module]) -> float:
    """The largest difference of parameters and running statistics, in units of each tensor's largest entry."""
    pairs = [
        (values, other.state_dict()[name])
        for one, other in zip(some, others, strict=True)
        for name, values in one.state_dict().items()
        if values.is_floating_point()
    ]
    return max(float((one - other).abs().max() / one.abs().max()) for one, other in pairs)


def nudged(networks: Sequence[nn.Module]) -> list[nn.Module]:
    """The networks with every parameter moved by about a rounding error."""
    source = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in (p for network in networks for p in network.parameters()):
            parameter.mul_(1 + 2.2e-16 * torch.randint(-1, 2, parameter.shape, generator=source).double())
    return list(networks)


@pytest.mark.parametrize(("activation", "most"), [("relu", 1e-10), ("tanh", 1e-6)])
def test_over_many_updates_a_stack_drifts_as_a_network_moved_by_rounding_does(activation: str, most: float) -> None:
    """What float32 shows of a drift in networks with batch norm is rounding: with float64's it goes away.

    A network alone that starts a rounding error away drifts as far, so the training amplifies it and not the stack.
    """
    loop = Loop(activation, pictures(size=8))
    alone_ = loop.alone(loop.networks())
    assert distance(alone_, loop.networks()) > 0.1  # they have learned something
    stacked_ = loop.stacked(loop.networks())
    assert {int(network.bn1.num_batches_tracked) for network in (*alone_, *stacked_)} == {Loop.UPDATES}
    apart_ = distance(alone_, stacked_)
    assert apart_ < most
    assert apart_ < 100 * distance(alone_, loop.alone(nudged(loop.networks())))


def test_a_network_that_diverges_harms_itself_alone(tmp_path: Path) -> None:
    data = pictures()
    configurations = varied(optimiser="sgd")
    bad = replace(configurations[1], learning_rate=1e30, scale=5.0)
    one = alone(configurations, tmp_path / "one", data)
    many = together_([configurations[0], bad, *configurations[1:]], tmp_path / "many", data)
    assert not many[bad.identity].snapshots[2]["fc1.weight"].isfinite().any()
    assert many[bad.identity].complete
    assert max(apart(run, many[name]) for name, run in one.items()) < TOLERANCE["sgd"]


def test_running_statistics_move(tmp_path: Path) -> None:
    c = configuration(family="resnet-20", width=0.2, epochs=1)
    run = together_([c, replace(c, seed=1)], tmp_path, pictures(size=8))[c.identity]
    before, after = run.snapshots[0], run.snapshots[1]
    assert not torch.equal(before["bn1.running_mean"], after["bn1.running_mean"])
    assert (before["bn1.num_batches_tracked"], after["bn1.num_batches_tracked"]) == (0, 4)
    assert after["bn1.num_batches_tracked"].dtype == torch.int64


# ------------------------------------------------------------------------------------------------- optimisers


def form_of(optimiser: str) -> StackedForm:
    form = OPTIMISERS[optimiser].stacked
    assert form is not None
    return form


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("optimiser", list(OPTIMISERS))
def test_updates_are_torchs(optimiser: str, decay: float) -> None:
    source = torch.Generator().manual_seed(0)
    start = torch.randn(3, 20, generator=source)
    gradients = torch.randn(6, 3, 20, generator=source)
    momenta = (0.0, 0.9, 0.3) if optimiser == "sgd" else (0.0,) * 3
    runs = [
        RunConfiguration(optimiser=optimiser, learning_rate=rate, momentum=momentum, weight_decay=decay)
        for rate, momentum in zip((0.1, 0.01, 0.3), momenta)
    ]
    weights = start.clone()
    form = form_of(optimiser)
    memory = {name: torch.zeros_like(weights) for name in form.memories}
    for step, gradient in enumerate(gradients, start=1):
        form.update(weights, gradient, memory, Rates.of(runs, torch.device("cpu")), step)
    for row, run in enumerate(runs):
        holder = nn.Module()
        holder.weight = nn.Parameter(start[row].clone())
        torchs = optimiser_of(run, holder)
        for gradient in gradients:
            holder.weight.grad = gradient[row].clone()
            torchs.step()
        torch.testing.assert_close(weights[row], holder.weight.detach(), rtol=1e-5, atol=1e-6)
        for name in form.memories if run.momentum or optimiser != "sgd" else ():
            torch.testing.assert_close(memory[name][row], torchs.state[holder.weight][name], rtol=1e-5, atol=1e-6)


def test_a_row_of_nothing_but_nan_leaves_the_others() -> None:
    runs = [RunConfiguration(), RunConfiguration()]
    weights, gradient = torch.ones(2, 3), torch.tensor([[float("nan")] * 3, [1.0] * 3])
    form = form_of("adam")
    memory = {name: torch.zeros(2, 3) for name in form.memories}
    form.update(weights, gradient, memory, Rates.of(runs, torch.device("cpu")), 1)
    assert weights.isnan().tolist() == [[True] * 3, [False] * 3]


def test_one_update_by_hand() -> None:
    data = pictures()
    runs = [configuration(seed=seed, optimiser="sgd", learning_rate=0.1, dropout=d) for seed, d in ((0, 0.4), (1, 0.0))]
    networks = [initial_network(run, data) for run in runs]
    optimisers = [optimiser_of(run, network) for run, network in zip(runs, networks)]
    template = network_of(runs[0], data.shape, 10)
    stack = Stack(template, runs, networks=networks, optimisers=optimisers, step=0, device=torch.device("cpu"))
    inputs, labels = data.train_inputs[:10].view(2, 5, 1, 8, 8), data.train_labels[:10].view(2, 5)
    noise = [torch.rand(2, 5, 32), torch.rand(2, 5, 32), torch.rand(2, 5, 200)]
    losses = stack.update(inputs, labels, noise)

    def by_hand(row: int) -> tuple[Tensor, dict[str, Tensor]]:
        p = {name: value.detach().double().requires_grad_() for name, value in networks[row].named_parameters()}
        x = inputs[row].double().flatten(1)
        for number in (1, 2, 3):
            x = F.relu(x @ p[f"fc{number}.weight"].T + p[f"fc{number}.bias"])
            rate = runs[row].dropout
            x = x * (noise[number - 1][row] >= rate) / (1 - rate)
        loss = F.cross_entropy(x @ p["fc4.weight"].T + p["fc4.bias"], labels[row])
        gradients = torch.autograd.grad(loss, list(p.values()))
        return loss.detach(), {name: (w - 0.1 * g).detach() for (name, w), g in zip(p.items(), gradients)}

    expected = [by_hand(row) for row in range(2)]
    stack.write(networks, optimisers)
    for row, (loss, weights) in enumerate(expected):
        assert float(losses[row]) == pytest.approx(float(loss), rel=1e-5)
        for name, weight in weights.items():
            torch.testing.assert_close(networks[row].state_dict()[name].double(), weight, rtol=1e-4, atol=1e-6)


# ------------------------------------------------------------------------------------------------- going on


class _StopError(Exception):
    pass


def interrupted(monkeypatch: pytest.MonkeyPatch, after: int, begin: Callable[[], object]) -> None:
    """Begin a training that breaks off in the middle, after some records."""
    real, calls = together.Recorder.record, iter(range(after))

    def record(self: together.Recorder, *arguments: Any, **more: Any) -> None:
        if next(calls, None) is None:
            raise _StopError("here")
        real(self, *arguments, **more)

    with monkeypatch.context() as patch:
        patch.setattr(together.Recorder, "record", record)
        with pytest.raises(_StopError, match=r"^here$"):
            begin()


@pytest.mark.parametrize("optimiser", list(TOLERANCE))
@pytest.mark.parametrize("first", ["stacked", "alone"])
def test_either_way_of_training_goes_on_with_the_others_runs(
    tmp_path: Path, optimiser: str, first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, configurations = pictures(), varied(optimiser=optimiser, family="fully-connected", epochs=3)[2:]
    if optimiser == "sgd":
        configurations = [replace(c, momentum=0.9) for c in configurations]
    whole = alone(configurations, tmp_path / "whole", data)
    if first == "stacked":
        interrupted(monkeypatch, 4, lambda: together_(configurations, tmp_path / "cut", data))
    else:
        for c in configurations:
            interrupted(monkeypatch, 2, lambda c=c: alone([c], tmp_path / "cut", data))
    cut = [load(tmp_path / "cut" / c.identity) for c in configurations]
    assert [(run.steps, run.complete) for run in cut] == [((0, 1), False)] * 2
    for c in configurations:
        ((_, here), (_, there)) = (
            read_state(resume_path(folder / c.identity, 1))
            for folder in (tmp_path / "cut", until_one(c, tmp_path / "until", data, monkeypatch))
        )
        assert same_layout(here["optimizer"], there["optimizer"])
    go_on = alone if first == "stacked" else together_
    for name, run in go_on(configurations, tmp_path / "cut", data).items():
        assert apart(whole[name], run) < TOLERANCE[optimiser]


def until_one(c: RunConfiguration, folder: Path, data: Dataset, monkeypatch: pytest.MonkeyPatch) -> Path:
    interrupted(monkeypatch, 2, lambda: alone([c], folder, data))
    return folder


def same_layout(one: Any, other: Any) -> bool:
    """Whether two state dicts have the same keys, types and shapes; numbers that are not in tensors are equal."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same_layout(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(same_layout(a, b) for a, b in zip(one, other))
    if isinstance(one, Tensor):
        return (one.shape, one.dtype) == (other.shape, other.dtype)
    return one == other


def test_runs_at_other_steps_go_on_in_stacks_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, configurations = pictures(), varied(optimiser="sgd", epochs=3)
    whole = alone(configurations, tmp_path / "whole", data)
    interrupted(monkeypatch, 4, lambda: together_(configurations[:2], tmp_path / "cut", data))
    together_(configurations[2:3], tmp_path / "cut", data)
    stacks = alike(configurations, tmp_path / "cut")
    assert [[c.seed for c in stack] for stack in stacks] == [[1, 2], [3], [4]]
    for name, run in together_(configurations, tmp_path / "cut", data).items():
        assert apart(whole[name], run) < TOLERANCE["sgd"]


def test_whole_runs_are_left_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, configurations = pictures(), varied(epochs=1)
    together_(configurations, tmp_path, data)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}

    def never(*arguments: object, **more: object) -> None:
        raise AssertionError

    monkeypatch.setattr(stacked, "run_together", never)
    reports: list[tuple[int, int, str]] = []
    together_(configurations * 2, tmp_path, data, progress=lambda *report: reports.append(report))
    assert reports == [(4, 4, "4 were there")]
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_some_stop_early(tmp_path: Path) -> None:
    data, configurations = pictures(), varied(optimiser="sgd", epochs=3)

    def stop(run: Trajectory) -> bool:
        assert run.configuration is not None
        return run.configuration["seed"] == 2 and run.steps[-1] == 1

    one = {
        c.identity: train(c, tmp_path / "one" / c.identity, data=data, measures=MEASURES, stop=stop)
        for c in configurations
    }
    many = together_(configurations, tmp_path / "many", data, stop=stop)
    assert [run.steps[-1] for run in many.values()] == [3, 1, 3, 3]
    for runs in (one, many):
        assert [run.state for run in runs.values()] == ["finished", "stopped", "finished", "finished"]
        assert [run.description.planned_steps for run in runs.values()] == [4] * 4
    assert max(apart(run, many[name]) for name, run in one.items()) < TOLERANCE["sgd"]


def test_all_stop_early(tmp_path: Path) -> None:
    runs = together_(varied(), tmp_path, pictures(), stop=lambda run: True)
    assert [(run.steps, run.complete) for run in runs.values()] == [((0,), True)] * 4


def test_an_untrained_network(tmp_path: Path) -> None:
    (run,) = together_([configuration(max_steps=0)], tmp_path, pictures()).values()
    assert (run.steps, run.complete) == ((0,), True)


# ------------------------------------------------------------------------------------------------- groups and failures


def test_what_may_differ_within_a_stack(tmp_path: Path) -> None:
    base = configuration(optimiser="sgd")
    free = [replace(base, **own) for own in ({"momentum": 0.9}, *VARIED)]
    assert [len(group) for group in alike([base, *free], tmp_path)] == [6]


@pytest.mark.parametrize(
    "own",
    [
        {"optimiser": "adam", "learning_rate": 0.001},
        {"batch_size": 8},
        {"epochs": 3},
        {"max_steps": 2},
        {"record_every": 2},
        {"augmentation": "crop-flip"},
        {"train_fraction": 0.5},
        {"test_fraction": 0.5},
        {"activation": "tanh"},
        {"size": "medium"},
        {"layers": 3},
        {"family": "convolutional"},
        {"dataset": "other"},
    ],
    ids=str,
)
def test_what_may_not(tmp_path: Path, own: dict[str, Any]) -> None:
    base = configuration(optimiser="sgd")
    other = replace(base, **own)
    assert alike([base, other, replace(base, seed=1)], tmp_path) == [[base, replace(base, seed=1)], [other]]


def test_at_most_so_many_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, sizes = stacked.run_together, []

    def counted(chunk: Sequence[RunConfiguration], *arguments: Any, **more: Any) -> None:
        sizes.append(len(chunk))
        real(chunk, *arguments, **more)

    monkeypatch.setattr(stacked, "run_together", counted)
    together_([configuration(seed=seed, max_steps=1) for seed in range(5)], tmp_path, pictures(), at_once=2)
    assert sizes == [2, 2, 1]


@pytest.mark.parametrize("at_once", [0, -1])
def test_no_network_at_once(tmp_path: Path, at_once: int) -> None:
    with pytest.raises(ConfigurationError, match=f"`at_once` is at least 1; got {at_once}"):
        together_([configuration()], tmp_path, pictures(), at_once=at_once)


def test_a_run_that_fails_is_named_and_the_others_go_on(tmp_path: Path) -> None:
    data, configurations = pictures(), varied(optimiser="sgd")
    (tmp_path / configurations[1].identity).mkdir(parents=True)
    (tmp_path / configurations[1].identity / "mine.txt").write_text("mine")
    reports: list[tuple[int, int, str]] = []
    words = rf"got 1 of 4 that were not: {configurations[1].identity} \(RunError: .* is not empty"
    with pytest.raises(RunError, match=words):
        together_(configurations, tmp_path, data, progress=lambda *report: reports.append(report))
    assert reports[-1][:2] == (4, 4)
    others = [c for c in configurations if c is not configurations[1]]
    one = alone(others, tmp_path / "one", data)
    for c in others:
        assert apart(one[c.identity], load(tmp_path / c.identity)) < TOLERANCE["sgd"]


def test_a_record_that_fails_costs_its_own_run_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, configurations = pictures(), varied(optimiser="sgd")
    real, failing = together.Recorder.record, configurations[0].identity

    def record(self: together.Recorder, step: int, **more: Any) -> None:
        if self.folder.name == failing and step == 1:
            raise RunError("there is room on the disk", "none")
        real(self, step, **more)

    with monkeypatch.context() as patch:
        patch.setattr(together.Recorder, "record", record)
        with pytest.raises(RunError, match=rf"1 of 4 .* {failing} \(RunError: there is room"):
            together_(configurations, tmp_path / "many", data)
    cut = load(tmp_path / "many" / failing)
    assert (cut.steps, cut.complete) == ((0,), False)
    one = alone(configurations, tmp_path / "one", data)
    many = together_(configurations, tmp_path / "many", data)
    assert max(apart(run, many[name]) for name, run in one.items()) < TOLERANCE["sgd"]


def test_images_that_no_network_takes(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"2 of 2 .* LeNet needs inputs of at least 16 x 16"):
        together_([configuration(family="lenet", seed=seed) for seed in (0, 1)], tmp_path, pictures())


def test_a_stack_too_large_for_the_device_is_halved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, configurations = pictures(), varied(optimiser="sgd", epochs=3)
    real, sizes = Stack.update, []

    def update(self: Stack, *arguments: Any) -> Tensor:
        if len(self.configurations) > 1 and self.step >= 4 * (3 - len(self.configurations) // 2):
            sizes.append(len(self.configurations))
            raise torch.OutOfMemoryError
        return real(self, *arguments)

    monkeypatch.setattr(Stack, "update", update)
    many = together_(configurations, tmp_path / "many", data)
    assert sizes == [4, 2, 2]
    one = alone(configurations, tmp_path / "one", data)
    assert max(apart(run, many[name]) for name, run in one.items()) < TOLERANCE["sgd"]


def test_the_callers_random_states_and_threads_are_left_alone(tmp_path: Path) -> None:
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    together_(varied(epochs=1), tmp_path, pictures())
    assert torch.equal(before, torch.get_rng_state())
    assert torch.get_num_threads() == threads


# ------------------------------------------------------------------------------------------------- populations and GPUs


def test_a_population_is_stacked_where_there_is_a_gpu_and_nothing_else_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[str] = []

    def run(configurations: Sequence[RunConfiguration], work: Work, report: Any, **more: Any) -> None:
        called.append("workers" if "workers" in more else "stacked")
        for c in configurations:
            train(c, work.folder / c.identity, data=work.data)
            report(c, None)

    monkeypatch.setattr(many, "run_stacked", run)
    monkeypatch.setattr(many, "run_locally", run)
    for number, (there, more) in enumerate([(False, {}), (True, {}), (True, {"workers": 1})]):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        train_population([configuration(max_steps=0)], tmp_path / str(number), data=pictures(), **more)
    assert called == ["workers", "stacked", "workers", "workers"]  # with a GPU, processes for what cannot be stacked


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("family", ["fully-connected", "lenet", "resnet-20"])
def test_on_a_gpu(tmp_path: Path, family: str) -> None:
    data = pictures(size=16)
    more: dict[str, object] = {"width": 0.5} if family != "fully-connected" else {}
    more |= {"activation": "tanh", "max_steps": 3}
    configurations = varied(optimiser="sgd", family=family, augmentation="crop-flip", **more)
    configurations = [replace(c, initialiser="torch-default", scale=1.0) for c in configurations]
    one = alone(configurations, tmp_path / "one", data)
    many = train_stacked(configurations, tmp_path / "many", data=data, device="cuda", measures=MEASURES)
    # Another device adds in another order.
    assert max(apart(run, many[name]) for name, run in one.items()) < 1e-3
