"""From an item to its outcome: samples, network, training, and the moments at which it is measured."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from axonometry.files import write_text
from axonometry.papers.lin2025.items import ADDITION, Item, Network, Outcome, Task, Training
from axonometry.papers.lin2025.measuring import Measuring
from axonometry.populations import datasets
from axonometry.populations.sampling import order
from axonometry.populations.seeds import derive, generator
from axonometry.populations.training import reproducible

_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh, "identity": nn.Identity}
_LOOKED_AT = 2000
"""Training samples on which accuracy and loss are taken, at most."""


@dataclass(frozen=True, eq=False)
class Samples:
    """What a network is trained and tested on.

    Attributes:
        train: Inputs, flat.
        train_labels: With their noise.
        test: Inputs, flat.
        test_labels: Without noise.
        n_classes: Number of classes.
    """

    train: Float[Tensor, "n inputs"]
    train_labels: Int[Tensor, " n"]
    test: Float[Tensor, "m inputs"]
    test_labels: Int[Tensor, " m"]
    n_classes: int


@dataclass(frozen=True)
class Work:
    """What a process does with each item.

    Attributes:
        folder: Where outcomes are kept, a file an item.
        data: Directory of the data sets' files.
    """

    folder: Path
    data: str | Path | None

    def __call__(self, item: Item) -> None:
        """Train the item, measure it, and write its outcome whole."""
        outcome = carry_out(item, self.data)
        write_text(path_of(item, self.folder), outcome.to_json())


def path_of(item: Item, folder: Path) -> Path:
    """Where an item's outcome is kept."""
    return folder / f"{item.identity}.json"


def read_outcome(item: Item, folder: Path) -> Outcome | None:
    """The outcome that is there; None where the item was not carried out."""
    path = path_of(item, folder)
    return Outcome.of(item, json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None


def carry_out(item: Item, data: str | Path | None = None) -> Outcome:
    """Train a network and measure it before, at its moments and at the end; where it diverges, that is the end.

    The outcome is that of one thread, whatever the caller's number of threads.

    Args:
        item: The network.
        data: Directory of the data sets' files; ``$AXONOMETRY_DATA`` where None.

    Raises:
        DataError: The data set is not there.
    """
    with reproducible():
        return _carried_out(item, data)


def _carried_out(item: Item, data: str | Path | None) -> Outcome:
    begin = time.process_time()
    samples = samples_of(item.task, item.seed, data)
    model = network_of(item.network, samples.train.shape[1], samples.n_classes, item.seed)
    measuring = Measuring(item.plan, model, samples.test, samples.test_labels, samples.train, samples.train_labels)
    curve = [looked_at(model, samples, item.training, 0)]
    moments = [{"step": 0, **measuring()}]
    wanted = {*item.plan.looked, *item.plan.moments, item.training.steps}
    for step in trained(model, samples, item.training, item.seed):
        if step not in wanted:
            continue
        curve.append(looked_at(model, samples, item.training, step))
        if not math.isfinite(curve[-1]["train_loss"]):
            break
        ends = step == item.training.steps or curve[-1]["train_loss"] <= item.training.enough
        if ends or step in item.plan.moments:
            moments.append({"step": step, **measuring()})
        if ends:
            break
    return Outcome(item, curve, moments, time.process_time() - begin)


def samples_of(task: Task, seed: int, data: str | Path | None = None) -> Samples:
    """The samples of a task, drawn by a seed."""
    train, labels, test, test_labels, classes = _sums(task, seed) if task.name == ADDITION else _images(task, data)
    if task.name != ADDITION:
        chosen = torch.randperm(len(train), generator=generator(seed, "subset"))[: task.n_train]
        train, labels = train[chosen], labels[chosen]
    return Samples(train, _noisy(labels, task.label_noise, classes, seed), test, test_labels, classes)


def network_of(network: Network, inputs: int, outputs: int, seed: int) -> nn.Sequential:
    """The initial network; the random state outside is left alone."""
    sizes = (inputs, *network.widths, outputs)
    layers: list[nn.Module] = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "initial parameters"))
        for before, behind in pairwise(sizes):
            linear = nn.Linear(before, behind)
            if network.initial == "he":
                nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
                nn.init.zeros_(linear.bias)
            layers += [linear, _ACTIVATIONS[network.activation]()]
    model = nn.Sequential(*layers[:-1])
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(network.factor)
    return model


def trained(model: nn.Module, samples: Samples, training: Training, seed: int) -> Iterator[int]:
    """Update the network, and give the number of updates after each."""
    optimiser = _optimiser(model, training)
    n, step = len(samples.train), 0
    targets = _targets(samples.train_labels, samples.n_classes, training)
    epoch = 0
    while step < training.steps:
        for rows in order(seed, n, epoch).split(training.batch):
            optimiser.zero_grad(set_to_none=True)
            _loss(model(samples.train[rows]), targets[rows], training).backward()
            optimiser.step()
            step += 1
            yield step
            if step == training.steps:
                return
        epoch += 1


@torch.no_grad()
def looked_at(model: nn.Module, samples: Samples, training: Training, step: int) -> dict[str, float]:
    """Accuracies and losses; on the first 2,000 training samples."""
    row: dict[str, float] = {"step": float(step)}
    for name, inputs, labels in (
        ("train", samples.train[:_LOOKED_AT], samples.train_labels[:_LOOKED_AT]),
        ("test", samples.test, samples.test_labels),
    ):
        outputs = torch.cat([model(part) for part in inputs.split(512)])
        row[f"{name}_accuracy"] = float((outputs.argmax(1) == labels).double().mean())
        row[f"{name}_loss"] = float(_loss(outputs, _targets(labels, samples.n_classes, training), training))
    return row


def _optimiser(model: nn.Module, training: Training) -> torch.optim.Optimizer:
    kinds: dict[str, Callable[..., torch.optim.Optimizer]] = {
        "sgd": torch.optim.SGD,
        "adam": torch.optim.Adam,
        "adamw": torch.optim.AdamW,
    }
    kind = kinds[training.optimiser]
    return kind(model.parameters(), lr=training.learning_rate, weight_decay=training.weight_decay)


def _targets(labels: Tensor, n_classes: int, training: Training) -> Tensor:
    return F.one_hot(labels, n_classes).float() if training.loss == "mse" else labels


def _loss(outputs: Tensor, targets: Tensor, training: Training) -> Tensor:
    return F.mse_loss(outputs, targets) if training.loss == "mse" else F.cross_entropy(outputs, targets)


@lru_cache(maxsize=1)
def _loaded(name: str, data: str | Path | None) -> datasets.Dataset:
    return datasets.load(name, data)


def _images(task: Task, data: str | Path | None) -> tuple[Tensor, Tensor, Tensor, Tensor, int]:
    held = _loaded(task.name, data)
    tests = slice(task.n_test)
    return (
        held.train_inputs.flatten(1),
        held.train_labels,
        held.test_inputs[tests].flatten(1),
        held.test_labels[tests],
        held.n_classes,
    )


def _sums(task: Task, seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor, int]:
    """Two numbers as one-hot vectors side by side, and their sum modulo p."""
    p = task.modulus
    first, second = torch.cartesian_prod(torch.arange(p), torch.arange(p)).T
    inputs = torch.cat([F.one_hot(first, p), F.one_hot(second, p)], dim=1).float()
    labels = (first + second) % p
    chosen = torch.randperm(p * p, generator=generator(seed, "subset"))
    train, test = chosen[: task.n_train], chosen[task.n_train :][: task.n_test]
    return inputs[train], labels[train], inputs[test], labels[test], p


def _noisy(labels: Tensor, share: float, n_classes: int, seed: int) -> Tensor:
    source = generator(seed, "label noise")
    changed = torch.randperm(len(labels), generator=source)[: round(share * len(labels))]
    moves = torch.randint(1, n_classes, (len(changed),), generator=source)
    labels = labels.clone()
    labels[changed] = (labels[changed] + moves) % n_classes
    return labels
