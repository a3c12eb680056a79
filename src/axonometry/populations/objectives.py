"""What networks are trained for, and how well they do it: classes from images or tokens, or the input itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from math import prod

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from axonometry.populations.datasets import Dataset
from axonometry.populations.layers import Dropout
from axonometry.populations.registry import Registry

EVALUATION_METRICS = ("accuracy", "variance_explained")
"""What is recorded as performance: of classification, of reconstruction."""

_TEST_BATCH = 1000


@dataclass(frozen=True)
class Objective:
    """A task and its loss.

    Attributes:
        loss: From outputs, inputs, labels and ``"mean"`` or ``"sum"`` to the loss of a batch; the sum is over inputs
            or, for reconstruction, over all their numbers.
        reconstructs: Whether the network learns to reconstruct its input, rather than to name its class; labels
            are then not looked at.
        copy: For reconstruction: from the outputs to the input that they stand for.
    """

    loss: Callable[[Tensor, Tensor, Tensor, str], Tensor]
    reconstructs: bool = False
    copy: Callable[[Tensor], Tensor] = torch.Tensor.detach


def _cross_entropy(outputs: Tensor, inputs: Tensor, labels: Tensor, reduction: str) -> Tensor:
    return F.cross_entropy(outputs, labels, reduction=reduction)


def _squared_error(outputs: Tensor, inputs: Tensor, labels: Tensor, reduction: str) -> Tensor:
    """(2, 1) for class 0 of two: ((2 - 1)² + (1 - 0)²) / 2 = 1."""
    each = (outputs - F.one_hot(labels, outputs.shape[1])).square().mean(1)
    return each.sum() if reduction == "sum" else each.mean()


def _bce(outputs: Tensor, inputs: Tensor, labels: Tensor, reduction: str) -> Tensor:
    return F.binary_cross_entropy_with_logits(outputs, inputs.flatten(1), reduction=reduction)


def _mse(outputs: Tensor, inputs: Tensor, labels: Tensor, reduction: str) -> Tensor:
    return F.mse_loss(outputs, inputs.flatten(1), reduction=reduction)


OBJECTIVES = Registry(
    "`objective`",
    Objective,
    {
        "cross-entropy": Objective(_cross_entropy),
        "bce": Objective(_bce, reconstructs=True, copy=torch.sigmoid),
        "mse": Objective(_mse, reconstructs=True),
        "squared-error": Objective(_squared_error),
    },
)
"""Objectives by the name that configurations use; ``OBJECTIVES.register(name, loss)`` adds one.

Of classification: cross entropy, and the squared error to one-hot vectors, a mean over classes. Of reconstruction,
which is judged number by number: ``"bce"``, the binary cross entropy of the outputs' sigmoids, as in the official code
of paper 1 (definitions 1.2), and ``"mse"``, the squared error of the outputs as they are.
"""


def n_outputs(objective: str, dataset: Dataset) -> int:
    """The network's number of outputs: one a class, or one for each number of its input.

    >>> images, labels = torch.zeros(2, 1, 8, 8), torch.zeros(2, dtype=torch.int64)
    >>> data = Dataset("images", images, labels, images, labels, n_classes=10)
    >>> n_outputs("cross-entropy", data), n_outputs("mse", data)
    (10, 64)
    """
    return prod(dataset.shape) if OBJECTIVES.lookup(objective).reconstructs else dataset.n_classes


def loss_of(objective: str, outputs: Tensor, inputs: Tensor, labels: Tensor, reduction: str = "mean") -> Tensor:
    """The loss of a batch.

    Args:
        objective: A name in :data:`OBJECTIVES`.
        outputs: Of the network.
        inputs: Of the network.
        labels: The inputs' classes.
        reduction: ``"mean"`` or ``"sum"``, over inputs or, for reconstruction, over all their numbers.

    >>> outputs, labels = torch.tensor([[2.0, 1.0], [0.0, 1.0]]), torch.tensor([0, 1])
    >>> loss_of("squared-error", outputs, outputs, labels)
    tensor(0.5000)
    """
    return OBJECTIVES.lookup(objective).loss(outputs, inputs, labels, reduction)


def evaluate_network(objective: str, network: nn.Module, inputs: Tensor, labels: Tensor) -> dict[str, float]:
    """What is recorded of a network on test data: its performance, called by its name, and the mean loss.

    Args:
        objective: A name in :data:`OBJECTIVES`.
        network: In any mode, which is put back.
        inputs: Of the test data.
        labels: Their classes.

    >>> evaluate_network("squared-error", nn.Identity(), torch.eye(3), torch.tensor([0, 1, 1]))
    {'accuracy': 0.6666..., 'loss': 0.2222...}
    """
    if OBJECTIVES.lookup(objective).reconstructs:
        return dict(zip(("variance_explained", "loss"), reconstruction(network, inputs, objective), strict=True))
    return dict(zip(("accuracy", "loss"), accuracy_and_loss(network, inputs, labels, objective), strict=True))


def accuracy_and_loss(
    network: nn.Module, inputs: Tensor, labels: Tensor, objective: str = "cross-entropy"
) -> tuple[float, float]:
    """Accuracy and mean loss of a network in evaluation mode; its mode is put back.

    >>> accuracy_and_loss(nn.Identity(), torch.tensor([[0.0, 0.0], [0.0, 30.0]]), torch.tensor([0, 1]))
    (1.0, 0.34657359...)
    """
    correct, loss = 0, 0.0
    for start, logits in zip(range(0, len(labels), _TEST_BATCH), _outputs(network, inputs), strict=True):
        some = slice(start, start + _TEST_BATCH)
        correct += int((logits.argmax(1) == labels[some]).sum())
        loss += float(loss_of(objective, logits, inputs[some], labels[some], "sum"))
    return correct / len(labels), loss / len(labels)


def batch_statistics_accuracy(network: nn.Module, inputs: Tensor, labels: Tensor, batch: int) -> float:
    """Accuracy of a network whose batch norms take mean and variance from each batch, as in training.

    In evaluation mode they take running ones, which lag behind; the two accuracies differ by that lag alone where the
    network has no dropout. The network is left as it is, running statistics too.

    Args:
        network: In any mode, which is put back.
        inputs: In an order that mixes the classes; the last batch is left out where it is shorter.
        labels: Their classes.
        batch: Inputs a batch.

    >>> network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    >>> _ = network[0].weight.data.copy_(torch.eye(2)), network[0].bias.data.fill_(9.0)
    >>> inputs, labels = torch.tensor([[0.0, 50.0], [1.0, 42.0], [2.0, 30.0]]), torch.tensor([1, 1, 0])
    >>> batch_statistics_accuracy(network, inputs, labels, 3), accuracy_and_loss(network, inputs, labels)[0]
    (1.0, 0.6666...)
    """
    own = deepcopy(network).train()
    for module in own.modules():
        if isinstance(module, Dropout | nn.Dropout):
            module.eval()
    whole = len(labels) // batch * batch
    with torch.inference_mode():
        found = [own(some).argmax(1) for some in inputs[:whole].split(batch)]
    return float((torch.cat(found) == labels[:whole]).double().mean())


def reconstruction(network: nn.Module, inputs: Float[Tensor, "n ..."], objective: str = "bce") -> tuple[float, float]:
    """How much of what differs between inputs a network reconstructs, and the mean loss; its mode is put back.

    The share of variance explained is 1 - Σ (x - x̂)² / Σ (x - x̄)², over inputs and their numbers, with x̄ the mean of
    the inputs, number by number [our choice]: 0 for the mean image always, 1 for a copy; below 0 for worse.
    It is NaN where all inputs are one.

    Args:
        network: In any mode.
        inputs: What goes in and should come out.
        objective: ``"bce"``, where x̂ is the sigmoid of the outputs, or ``"mse"``, where it is the outputs.

    >>> reconstruction(nn.Identity(), torch.tensor([[0.0, 1.0], [1.0, 1.0]]), "mse")
    (1.0, 0.0)
    """
    wanted, copy = inputs.flatten(1), OBJECTIVES.lookup(objective).copy
    total, error = 0.0, 0.0
    for outputs, some in zip(_outputs(network, inputs), wanted.split(_TEST_BATCH), strict=True):
        total += float(loss_of(objective, outputs, some, some, "sum"))
        error += float((copy(outputs) - some).square().sum(dtype=torch.float64))
    spread = float((wanted - wanted.mean(0)).square().sum(dtype=torch.float64))
    return (1 - error / spread if spread else float("nan")), total / wanted.numel()


def _outputs(network: nn.Module, inputs: Tensor) -> Iterator[Tensor]:
    """The outputs in evaluation mode, batch by batch."""
    training = network.training
    network.eval()
    try:
        for some in inputs.split(_TEST_BATCH):
            with torch.inference_mode():
                outputs = network(some).detach()
            yield outputs
    finally:
        network.train(training)
