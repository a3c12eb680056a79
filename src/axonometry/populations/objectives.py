"""What networks are trained for, and how well they do it: classes from images or tokens, or the input itself."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from axonometry.populations.configuration import RunConfiguration
from axonometry.populations.datasets import Dataset

EVALUATION_METRICS = ("accuracy", "variance_explained")
"""What is recorded as performance: of classification, of reconstruction."""

_TEST_BATCH = 1000


def n_outputs(configuration: RunConfiguration, dataset: Dataset) -> int:
    """How many numbers the network puts out: one a class, or one for each number of its input."""
    return prod(dataset.shape) if configuration.reconstructs else dataset.n_classes


def loss_of(objective: str, outputs: Tensor, inputs: Tensor, labels: Tensor, reduction: str = "mean") -> Tensor:
    """The loss of a batch.

    Args:
        objective: A name in ``configuration.OBJECTIVES``. Reconstruction is judged number by number: ``"bce"`` is the
            binary cross entropy of the outputs' sigmoids, as in the official code of paper 1 (definitions 1.2),
            ``"mse"`` the squared error of the outputs as they are.
        outputs: Of the network.
        inputs: Of the network.
        labels: The inputs' classes.
        reduction: ``"mean"`` or ``"sum"``, over inputs or, for reconstruction, over all their numbers.
    """
    if objective == "cross-entropy":
        return F.cross_entropy(outputs, labels, reduction=reduction)
    wanted = inputs.flatten(1)
    if objective == "bce":
        return F.binary_cross_entropy_with_logits(outputs, wanted, reduction=reduction)
    return F.mse_loss(outputs, wanted, reduction=reduction)


def evaluate_network(objective: str, network: nn.Module, inputs: Tensor, labels: Tensor) -> dict[str, float]:
    """What is recorded of a network on test data: its performance, called by its name, and the mean loss.

    Args:
        objective: A name in ``configuration.OBJECTIVES``.
        network: In any mode, which is put back.
        inputs: Of the test data.
        labels: Their classes.
    """
    if objective == "cross-entropy":
        return dict(zip(("accuracy", "loss"), accuracy_and_loss(network, inputs, labels), strict=True))
    return dict(zip(("variance_explained", "loss"), reconstruction(network, inputs, objective), strict=True))


def accuracy_and_loss(network: nn.Module, inputs: Tensor, labels: Tensor) -> tuple[float, float]:
    """Accuracy and mean cross entropy of a network in evaluation mode; its mode is put back."""
    correct, loss = 0, 0.0
    outputs = _outputs(network, inputs)
    for logits, some_labels in zip(outputs, labels.split(_TEST_BATCH), strict=True):
        correct += int((logits.argmax(1) == some_labels).sum())
        loss += float(F.cross_entropy(logits, some_labels, reduction="sum"))
    return correct / len(labels), loss / len(labels)


def reconstruction(network: nn.Module, inputs: Float[Tensor, "n ..."], objective: str = "bce") -> tuple[float, float]:
    """How much of what differs between inputs a network puts out again, and the mean loss; its mode is put back.

    The share of variance explained is 1 - Σ (x - x̂)² / Σ (x - x̄)², over inputs and their numbers, with x̄ the mean of
    the inputs, number by number [our choice]: 0 for putting out the mean image always, 1 for a copy; below 0 for worse.
    It is NaN where all inputs are one.

    Args:
        network: In any mode.
        inputs: What goes in and should come out.
        objective: ``"bce"``, where x̂ is the sigmoid of the outputs, or ``"mse"``, where it is the outputs.
    """
    wanted = inputs.flatten(1)
    total, error = 0.0, 0.0
    for outputs, some in zip(_outputs(network, inputs), wanted.split(_TEST_BATCH), strict=True):
        total += float(loss_of(objective, outputs, some, some, "sum"))
        copies = outputs.sigmoid() if objective == "bce" else outputs
        error += float((copies - some).square().sum(dtype=torch.float64))
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
