"""The straight line between two networks: the loss along it, its barrier, and networks that are averaged.

Two networks of one architecture that were trained from different seeds lie in basins with a barrier of the loss between
them; much of it goes where the neurons of one are first exchanged to match the other's (Ainsworth et al. 2022, Git
Re-Basin; ``ax.align``). Running statistics of batch norms do not average: they are estimated anew at each point, as
Jordan et al. (2022, REPAIR) ask.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from axonometry.arguments import argument_errors
from axonometry.errors import ConfigurationError, SamplesError, WeightsError
from axonometry.metrics.basins.classifier import Classifier, classes_of, examined, logits_of
from axonometry.program.readings.samples import Samples
from axonometry.program.weights.state_names import elsewhere, renamed


@dataclass(frozen=True, eq=False)
class WeightLine:
    """A network's loss and accuracy on the straight line between two weight vectors.

    Attributes:
        shares: The second network's share at each point, from 0 to 1.
        loss: Mean cross-entropy of the samples at each point, in nats.
        accuracy: The share of the samples that each point's network classifies right.
    """

    shares: Float[np.ndarray, " points"]
    loss: Float[np.ndarray, " points"]
    accuracy: Float[np.ndarray, " points"]

    @property
    def barrier(self) -> float:
        """The most by which the loss lies above the straight line between the ends' losses, in nats; at least 0.

        >>> WeightLine(np.array([0, 0.5, 1]), np.array([1.0, 3.0, 2.0]), np.zeros(3)).barrier
        1.5
        """
        return float((self.loss - (1 - self.shares) * self.loss[0] - self.shares * self.loss[-1]).max())


@argument_errors
def weight_line(
    model: nn.Module,
    a: Mapping[str, Tensor],
    b: Mapping[str, Tensor],
    samples: Samples,
    labels: Any = None,
    *,
    points: int = 11,
) -> WeightLine:
    """The loss and the accuracy on the straight line from one network to another.

    Running means and variances of batch norms are estimated from the samples at every point, the ends included.

    Args:
        model: The network, with any weights; it is measured in evaluation mode and left as it was.
        a: The state dict at share 0.
        b: The state dict at share 1; exchange its neurons first (``ax.align``), else the line crosses a barrier that
            says nothing but that the neurons stand in another order.
        samples: What it takes, shape (P, ...).
        labels: The class of each, shape (P,).
        points: Points of the line, at least two.

    Raises:
        SamplesError: Samples and labels do not fit each other or the network.
        WeightsError: A state lacks a tensor of the network.
        ConfigurationError: There are fewer than two points.

    >>> from axonometry.testing import layers_of
    >>> model = layers_of([[1.0], [0.0]])
    >>> a, b = ({"0.weight": torch.tensor(rows)} for rows in ([[2.0], [0.0]], [[0.0], [2.0]]))
    >>> found = weight_line(model, a, b, torch.ones(1, 1), torch.tensor([0]), points=3)
    >>> found.loss.round(4), found.accuracy, round(found.barrier, 4)
    (array([0.1269, 0.6931, 2.1269]), array([1., 1., 0.]), 0.0)
    """
    if points < 2:
        raise ConfigurationError("a line has at least two points", str(points))
    shares = np.linspace(0, 1, points)
    with examined(model, samples, labels) as classifier:
        states = [_own(classifier.model, state) for state in (a, b)]
        measured = [_at(classifier, mixed(states, (1 - share, share))) for share in shares]
    loss, accuracy = np.array(measured).T
    return WeightLine(shares, loss, accuracy)


@argument_errors
def merge(model: nn.Module, states: Sequence[Mapping[str, Tensor]], samples: Tensor) -> dict[str, Tensor]:
    """The mean of networks, with the running statistics of its batch norms estimated anew.

    Args:
        model: The network, with any weights; it is left as it was.
        states: State dicts of it, of aligned neurons (``ax.align``).
        samples: What the statistics are estimated from, shape (P, ...).

    Returns:
        A state dict.

    Raises:
        WeightsError: There is no state, or one lacks a tensor of the network.
        SamplesError: Samples do not fit the network, or there is only one for statistics of batch norms.

    >>> model = nn.Linear(1, 2, bias=False)
    >>> states = [{"weight": torch.tensor([[1.0], [2.0]])}, {"weight": torch.tensor([[3.0], [0.0]])}]
    >>> merge(model, states, torch.ones(1, 1))["weight"].tolist()
    [[2.0], [1.0]]
    """
    if not states:
        raise WeightsError("networks are averaged", "none", "Give at least one state dict")
    with examined(model, samples, torch.zeros(len(samples), dtype=torch.int64)) as classifier:
        own = [_own(classifier.model, state) for state in states]
        state = mixed(own, [1 / len(own)] * len(own))
        return state | _statistics(classifier, state)


def mixed(states: Sequence[Mapping[str, Tensor]], shares: Sequence[float]) -> dict[str, Tensor]:
    """The weighted sum of states; of what is no floating-point number, such as counters, the first state's.

    >>> mixed([{"w": torch.tensor([0.0])}, {"w": torch.tensor([4.0])}], [0.75, 0.25])
    {'w': tensor([1.])}
    """
    sums = {}
    for name, first in states[0].items():
        parts = [share * state[name].double() for state, share in zip(states, shares, strict=True)]
        sums[name] = torch.stack(parts).sum(0).to(first.dtype) if first.is_floating_point() else first
    return sums


def _own(model: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a state that the network has, where the network is."""
    own = model.state_dict()
    state = renamed(state, [*own])
    for name, tensor in own.items():
        rule = "a state holds every tensor of the network, in its shape"
        if name not in state:
            raise WeightsError(rule, *elsewhere(name, f"none called {name!r}", state))
        if state[name].shape != tensor.shape:
            came = f"{name!r} of shape {tuple(state[name].shape)}, where it is {tuple(tensor.shape)}"
            raise WeightsError(rule, came, "Take it from model.state_dict() of a network of this architecture")
    return {name: state[name].detach().to(tensor.device, tensor.dtype) for name, tensor in own.items()}


def _at(classifier: Classifier, state: Mapping[str, Tensor]) -> tuple[float, float]:
    state = {**state, **_statistics(classifier, state)}
    logits = torch.cat([logits_of(functional_call(classifier.model, state, (part,))) for part in _parts(classifier)])
    right = classes_of(logits) == classifier.labels
    return float(F.cross_entropy(logits.double(), classifier.labels)), float(right.double().mean())


def _parts(classifier: Classifier) -> Sequence[Tensor]:
    return classifier.samples.split(classifier.rows)


def _statistics(classifier: Classifier, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The running statistics of the network's batch norms with these weights: means over the batches of samples."""
    norms: dict[str, _BatchNorm] = {
        name: module
        for name, module in classifier.model.named_modules()
        if isinstance(module, _BatchNorm) and module.running_mean is not None
    }
    if not norms:
        return {}
    names = [f"{name}.{kind}".lstrip(".") for name in norms for kind in ("running_mean", "running_var")]
    batches = [part for part in _parts(classifier) if len(part) > 1]
    if not batches:
        rule = "statistics of batch norms are estimated from samples, two or more"
        raise SamplesError(rule, str(len(classifier.samples)), "Pass some of the training data")
    running = {name: state[name].clone() for name in names}
    counters = {f"{name}.num_batches_tracked".lstrip("."): torch.zeros((), dtype=torch.long) for name in norms}
    with _averaging(list(norms.values())):
        for part in batches:
            functional_call(classifier.model, {**state, **running, **counters}, (part,))
    return running


@contextmanager
def _averaging(norms: Sequence[_BatchNorm]) -> Iterator[None]:
    """Batch norms in training mode, whose running statistics are plain means over the batches."""
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.train()
        norm.momentum = None  # torch's word for a plain mean
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.eval()
            norm.momentum = momentum
