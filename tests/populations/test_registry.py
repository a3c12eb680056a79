"""Registries: a user's own entries, by name, in a configuration; what is missing is said in one line."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Generator, Tensor, nn

import axonometry as ax
from axonometry.errors import ConfigurationError, DataError
from axonometry.importing import import_parts, import_places
from axonometry.populations import (
    ACTIVATIONS,
    DATASETS,
    INITIALISERS,
    NETWORKS,
    OBJECTIVES,
    OPTIMISERS,
    Dataset,
    RunConfiguration,
    load_population,
    train,
    train_stacked,
)
from axonometry.populations.registry import Registry, as_it_is
from axonometry.populations.stacked import why_alone
from axonometry.populations.workers import Work
from axonometry.registering import registering_places

REGISTRIES: tuple[Registry[..., object], ...] = (
    ACTIVATIONS, DATASETS, INITIALISERS, NETWORKS, OBJECTIVES, OPTIMISERS,
)  # fmt: skip
TINY = {"epochs": 2, "batch_size": 16}


@pytest.fixture(autouse=True)
def _nothing_stays() -> Iterator[None]:
    yield
    for registry in REGISTRIES:
        for name in list(registry):
            if name.startswith("my-"):
                registry.unregister(name)


def rings() -> Dataset:
    """Points in two rings."""
    source = torch.Generator().manual_seed(0)
    labels = torch.arange(120) % 2
    angles = 6.283 * torch.rand(120, generator=source)
    points = (1 + labels)[:, None] * torch.stack([angles.cos(), angles.sin()], 1)
    return Dataset("rings", points[:80], labels[:80], points[80:], labels[80:], 2)


def perceptron(input_shape: tuple[int, ...], n_outputs: int, *, units: int, activation: str = "relu") -> nn.Module:
    middle = ACTIVATIONS[activation]()
    return nn.Sequential(nn.Linear(input_shape[0], units), middle, nn.Linear(units, n_outputs))


class SignDescent(torch.optim.Optimizer):
    """Goes against the gradient's sign."""

    def __init__(self, parameters: object, lr: float, weight_decay: float) -> None:
        super().__init__(parameters, {"lr": lr, "weight_decay": weight_decay})  # type: ignore[arg-type]

    @torch.no_grad()
    def step(self, closure: object = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.sub_(group["lr"] * parameter.grad.sign())


def all_equal(parameter: Tensor, kernel: Tensor, scale: float, generator: Generator) -> object:
    return parameter.fill_(scale)


def hinge(outputs: Tensor, inputs: Tensor, labels: Tensor, reduction: str) -> Tensor:
    return nn.functional.multi_margin_loss(outputs, labels, reduction=reduction)


# ------------------------------------------------------------------------------------------------- one of each


def test_a_new_optimiser(tmp_path: Path) -> None:
    OPTIMISERS.register("my-sign", SignDescent, learning_rate=0.25)
    configuration = RunConfiguration.from_json(json.dumps({"optimiser": "my-sign", "max_steps": 3, **TINY}))
    assert configuration.learning_rate == 0.25
    run = train(configuration, tmp_path / "run")
    moved = (run.snapshots[1]["fc1.weight"] - run.snapshots[0]["fc1.weight"]).abs()
    assert set(moved.mul(4).round().unique().tolist()) <= {0.0, 1.0, 2.0, 3.0}  # 0 or 0.25 in each of three updates
    # A stack does not know it: it trains alone, in the open.
    assert why_alone(configuration) == "my-sign has no stacked form"
    heard: list[str] = []
    train_stacked([configuration], tmp_path / "stack", device="cpu", progress=lambda d, t, w: heard.append(w))
    assert "1 trained alone: my-sign has no stacked form" in heard
    with pytest.raises(ConfigurationError, match=r"`momentum` belongs to sgd; got 0\.9"):
        replace(configuration, momentum=0.9)


def test_a_new_data_set(tmp_path: Path) -> None:
    DATASETS.register("my-rings", rings)
    configurations = [
        RunConfiguration(dataset="my-rings", units=16, layers=2, epochs=40, learning_rate=0.01, batch_size=8, seed=s)
        for s in (0, 1)
    ]
    runs = [train(one, tmp_path / one.identity) for one in configurations]
    assert min(run.scalars()["accuracy"].iloc[-1] for run in runs) > 0.9
    assert load_population(tmp_path).measured(["neuron_activation"]).runs.keys() == {c.identity for c in configurations}


def test_a_new_network(tmp_path: Path) -> None:
    DATASETS.register("my-rings", rings)
    NETWORKS.register("my-perceptron", perceptron, usual={"units": 8})
    configuration = RunConfiguration(dataset="my-rings", family="my-perceptron", activation="tanh", **TINY)
    assert configuration.units == 8
    run = train(configuration, tmp_path / configuration.identity)
    assert tuple(run.snapshots[2]["0.weight"].shape) == (8, 2)
    assert load_population(tmp_path).graph(configuration.identity).groups[-1].shape == (2,)
    with pytest.raises(ConfigurationError, match=r"my-perceptron has no choice of `width`; got `width` 0.5"):
        replace(configuration, width=0.5)
    assert why_alone(configuration) == "my-perceptron cannot be mapped over"
    NETWORKS.register("my-perceptron", perceptron, usual={"units": 8}, stacks=True)
    stacked = train_stacked([configuration], tmp_path / "stack", device="cpu")[configuration.identity]
    torch.testing.assert_close(stacked.snapshots[2]["0.weight"], run.snapshots[2]["0.weight"], rtol=1e-3, atol=1e-4)


class Bare(nn.Module):
    """A network with a parameter that no initialiser reaches."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.randn(inputs, outputs))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.matrix


def test_all_initial_parameters_are_of_the_seed(tmp_path: Path) -> None:
    DATASETS.register("my-rings", rings)
    NETWORKS.register("my-bare", lambda shape, n_outputs: Bare(shape[0], n_outputs), usual={})
    configuration = RunConfiguration(dataset="my-rings", family="my-bare", **TINY)
    found = []
    for number, one in enumerate((configuration, configuration, replace(configuration, seed=1))):
        torch.manual_seed(number)
        before = torch.get_rng_state()
        found.append(train(one, tmp_path / str(number)).snapshots[0]["matrix"])
        assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_a_new_initialiser(tmp_path: Path) -> None:
    INITIALISERS.register("my-constant", all_equal)
    run = train(RunConfiguration(initialiser="my-constant", scale=0.125, **TINY), tmp_path)
    assert all(value.eq(0.125).all() for value in run.snapshots[0].values())


def test_a_new_activation_and_a_new_objective(tmp_path: Path) -> None:
    ACTIVATIONS.register("my-softplus", nn.Softplus)
    OBJECTIVES.register("my-hinge", hinge)
    run = train(
        RunConfiguration(activation="my-softplus", objective="my-hinge", epochs=4, learning_rate=0.01), tmp_path
    )
    assert run.scalars()["accuracy"].iloc[-1] > 0.8
    assert run.scalars()["loss"].iloc[-1] < run.scalars()["loss"].iloc[0] < 1.1


# ------------------------------------------------------------------------------------------------- what is missing


def test_a_run_whose_parts_are_not_registered_here(tmp_path: Path) -> None:
    DATASETS.register("my-rings", rings)
    NETWORKS.register("my-perceptron", perceptron, usual={"units": 8})
    configuration = RunConfiguration(dataset="my-rings", family="my-perceptron", **TINY)
    train(configuration, tmp_path / configuration.identity)
    NETWORKS.unregister("my-perceptron")
    population = load_population(tmp_path)
    assert population.runs[configuration.identity].scalars()["accuracy"].iloc[-1] > 0  # what is recorded can be read
    line = (
        r"`family` is one of fully-connected, .*; got 'my-perceptron'\. "
        r"Correct the spelling, or import the file that registers it: axonometry --import"
    )
    with pytest.raises(ConfigurationError, match=line):
        population.graph(configuration.identity)
    DATASETS.unregister("my-rings")
    NETWORKS.register("my-perceptron", perceptron, usual={"units": 8})
    with pytest.raises(DataError, match=r"a data set is one of digits, .*; got 'my-rings'"):
        load_population(tmp_path).measured(["neuron_activation"])


@pytest.mark.parametrize("registry", REGISTRIES, ids=lambda registry: next(iter(registry)))
def test_our_own_entries_stay(registry: Registry[..., object]) -> None:
    name = next(iter(registry))
    with pytest.raises(ConfigurationError, match=f"is new; got '{name}', which Axonometry brings"):
        registry.register(name, None)
    with pytest.raises(ConfigurationError, match="is new; got an empty name"):
        registry.register("", None)
    with pytest.raises(ConfigurationError, match="is taken out; got"):
        registry.unregister(name)


def test_a_registry_is_a_mapping_that_grows() -> None:
    registry = Registry("`kind`", as_it_is, {"one": 1})
    registry.register("two", 2)
    registry.register("two", 3)  # a notebook's cell that runs twice
    assert dict(registry) == {"one": 1, "two": 3}
    assert (len(registry), "two" in registry, registry.get("three")) == (2, True, None)
    words = r"`kind` is one of one, two; got 'three'\. Correct the spelling, or import"
    with pytest.raises(ConfigurationError, match=words):
        registry.lookup("three")
    registry.unregister("two")
    registry.unregister("two")
    assert list(registry) == ["one"]


# ------------------------------------------------------------------------------------------------- other processes

PARTS = """
import torch
from torch import nn
from axonometry.populations import DATASETS, NETWORKS, OPTIMISERS, INITIALISERS, Dataset

def stripes():
    labels = torch.arange(60) % 2
    inputs = torch.rand(60, 3, generator=torch.Generator().manual_seed(0))
    inputs[:, 1] += labels
    return Dataset("stripes", inputs[:40], labels[:40], inputs[40:], labels[40:], 2)

DATASETS.register("file-stripes", stripes)
NETWORKS.register("file-network", lambda shape, n: nn.Sequential(nn.Linear(shape[0], 4), nn.Tanh(), nn.Linear(4, n)))
OPTIMISERS.register("file-sgd", torch.optim.SGD, learning_rate=0.5)
INITIALISERS.register("file-small", lambda p, kernel, scale, generator: p.normal_(0, 0.1 * scale, generator=generator))
"""
CHOSEN = {
    "dataset": "file-stripes",
    "family": "file-network",
    "optimiser": "file-sgd",
    "initialiser": "file-small",
    "epochs": 20,
}


@pytest.mark.timeout(300)
def test_a_users_file_stands_in_a_configuration_file(tmp_path: Path) -> None:
    """As a user would: parts in one file, choices in another, one command; then the same without the parts."""
    (tmp_path / "parts.py").write_text(PARTS)
    (tmp_path / "runs.json").write_text(json.dumps([{**CHOSEN, "seed": seed} for seed in (0, 1)]))

    def axonometry(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "axonometry", *words]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=250, check=False)

    train_them = ("runs", "train", "--config", "runs.json", "--folder", "runs", "--workers", "1")
    without = axonometry(*train_them)
    assert without.returncode == 2
    assert "`family` is one of fully-connected" in " ".join(without.stderr.split())
    assert "axonometry --import FILE.py" in " ".join(without.stderr.split())
    done = axonometry("--import", "parts.py", *train_them)
    assert done.returncode == 0, done.stderr
    runs = load_population(tmp_path / "runs").runs
    assert min(run.scalars()["accuracy"].iloc[-1] for run in runs.values()) >= 0.9


def test_what_is_imported_is_a_file_or_a_module(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no such file: .*nowhere\.py"):
        import_parts(str(tmp_path / "nowhere.py"))
    with pytest.raises(ConfigurationError, match=r"No module named 'nowhere_at_all'\. Check the module's name"):
        import_parts("nowhere_at_all")
    import_parts("json")
    with pytest.raises(ConfigurationError, match=r"\.json cannot be imported: TypeError"):
        import_parts(".json")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"import os\n\n1 / 0\n", r"ZeroDivisionError: division by zero \(line 3\)"),
        (b"def f(:\n", r"SyntaxError: invalid syntax.* \(line 1\)"),
        (b"a = 1\0", r"null bytes"),
        (b"\xff", r"SyntaxError"),
    ],
)
def test_a_file_that_raises_is_told_in_one_line(tmp_path: Path, text: bytes, message: str) -> None:
    file = tmp_path / "wrong_parts.py"
    file.write_bytes(text)
    with pytest.raises(ConfigurationError, match=rf"wrong_parts\.py cannot be run: .*{message}") as e:
        import_parts(str(file))
    assert "\n" not in str(e.value)
    assert "wrong_parts" not in sys.modules


MEASURE = """
import axonometry as ax
@ax.measured(name="file-links", title="t", units="none", range="all", invariances="all", source="here")
def links(graph):
    return {"": graph.n_links}
"""
RULE = """
import torch, axonometry as ax
library = torch.library.Library("file_parts", "DEF")
library.define("double(Tensor x) -> Tensor")
@ax.rule(torch.ops.file_parts.double, kind="{kind}")
def double(links, x):
    return x * links(2.0)
"""


@pytest.mark.parametrize("text", [MEASURE, RULE.format(kind="wiring"), RULE.format(kind="carrier")])
def test_measures_and_rules_go_along_too(tmp_path: Path, text: str) -> None:
    file = tmp_path / "measures_and_rules.py"
    file.write_text(text)
    try:
        import_parts(str(file))
        assert [place.module for place in registering_places()] == ["measures_and_rules"]
        assert Work(tmp_path, None, (), None).parts == registering_places()
    finally:
        ax.CATALOGUE.pop("file-links", None)
        sys.modules.pop("measures_and_rules").__dict__.pop("library", None)


def test_a_file_is_run_once_and_its_place_goes_along(tmp_path: Path) -> None:
    file = tmp_path / "parts_of_mine.py"
    file.write_text(
        "from torch import nn\nfrom axonometry.populations import ACTIVATIONS\n"
        "ACTIVATIONS.register('my-silu', nn.SiLU)\n"
    )
    import_parts(str(file))
    (place,) = [one for one in registering_places() if one.module == "parts_of_mine"]
    assert place.file == str(file.resolve())
    ACTIVATIONS.unregister("my-silu")
    import_parts(str(file))  # it is here already
    import_places([place])
    assert "my-silu" not in ACTIVATIONS
    del sys.modules["parts_of_mine"]  # as in a new process
    import_places([place])
    assert "my-silu" in ACTIVATIONS
    del sys.modules["parts_of_mine"]
    file.unlink()
    with pytest.raises(ConfigurationError, match=r"no such file: .*parts_of_mine\.py"):
        import_places([place])
