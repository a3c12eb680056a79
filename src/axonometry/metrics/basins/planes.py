"""Sections through basins: what a network says on a plane through three samples, or through three weight vectors.

The plane's first axis leads from the first corner to the second, the second axis to the third at a right angle to it;
both in Euclidean distance. Lin et al. 2025 (arXiv 2501.02436) show projections; sections are our choice.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.func import functional_call

from axonometry.annotations import Count
from axonometry.arguments import argument_errors
from axonometry.errors import SamplesError, WeightsError
from axonometry.metrics.basins.classifier import classes_of, examined, logits_of
from axonometry.program.entry import of_module
from axonometry.program.readings.samples import Samples

_AROUND = 0.3
"""How far the grid reaches beyond the triangle, in its width and height [our choice]."""


@dataclass(frozen=True, eq=False)
class SamplePlane:
    """A network's answers on a plane through three samples.

    Attributes:
        x: Distance from the first corner towards the second.
        y: Distance at a right angle to that, towards the third.
        corners: Where the three samples are.
        predicted: The class at each point; -1 where a logit is NaN.
        margin: The largest logit less the second largest.
    """

    x: Float[np.ndarray, " columns"]
    y: Float[np.ndarray, " rows"]
    corners: Float[np.ndarray, "3 2"]
    predicted: Int[Tensor, "rows columns"]
    margin: Float[Tensor, "rows columns"]


@dataclass(frozen=True, eq=False)
class WeightPlane:
    """How networks on a plane through three weight vectors answer for some samples.

    Attributes:
        x: Distance from the first corner towards the second, over all parameters.
        y: Distance at a right angle to that, towards the third.
        corners: Where the three networks are.
        predicted: The class that each point's network gives to each sample; -1 where a logit is NaN.
        margin: The logit of each sample's own class less the largest of the others: above 0 where it is right.
        labels: The samples' own classes.
    """

    x: Float[np.ndarray, " columns"]
    y: Float[np.ndarray, " rows"]
    corners: Float[np.ndarray, "3 2"]
    predicted: Int[Tensor, "rows columns samples"]
    margin: Float[Tensor, "rows columns samples"]
    labels: Int[Tensor, " samples"]

    @property
    def accuracy(self) -> Float[Tensor, "rows columns"]:
        """The share of the samples that each network classifies right."""
        return (self.predicted == self.labels).double().mean(-1)


@argument_errors
def sample_plane(model: nn.Module, corners: Tensor, *, resolution: Count = 61) -> SamplePlane:
    """The predicted class and its margin on the plane through three samples.

    Args:
        model: From a batch of samples to a row of logits each; it is measured in evaluation mode and left as it was.
        corners: The three samples, shape (3, ...), floating point.
        resolution: Points along each axis.

    Raises:
        SamplesError: There are not three samples, or they lie on one line.

    >>> found = sample_plane(nn.Identity(), torch.eye(3), resolution=2)
    >>> found.corners.round(4)
    array([[0.    , 0.    ],
           [1.4142, 0.    ],
           [0.7071, 1.2247]])
    >>> found.predicted
    tensor([[0, 1],
            [2, 2]])
    """
    if len(corners) != 3 or not corners.is_floating_point():
        came = f"{corners.dtype} of shape {tuple(corners.shape)}"
        raise SamplesError("a plane goes through three samples in floating point", came)
    with examined(model, corners, torch.zeros(3, dtype=torch.int64)) as classifier:
        three = classifier.samples.double()
        gram = _gram([three.flatten(1)])
        if gram is None:
            raise SamplesError("three samples that lie on no line span a plane", "three that do", "Choose others")
        x, y, places = _grid(gram, resolution)
        shares = _barycentric(gram, x, y).to(three.device)
        logits = []
        for part in shares.split(classifier.rows):
            points = torch.einsum("pk,k...->p...", part, three).to(classifier.samples.dtype)
            logits.append(logits_of(classifier.model(points)).cpu())
    both = torch.cat(logits)
    largest = both.topk(2).values
    shape = (len(y), len(x))
    margin = (largest[:, 0] - largest[:, 1]).double()
    return SamplePlane(x, y, places, classes_of(both).reshape(shape), margin.reshape(shape))


@of_module
def weight_plane(
    model: nn.Module,
    states: Sequence[Mapping[str, Tensor]],
    samples: Samples,
    labels: Any = None,
    *,
    resolution: Count = 21,
) -> WeightPlane:
    """Predicted classes and margins of the networks on the plane through three weight vectors.

    A point's parameters are the corners' with shares that add up to 1. Its floating-point buffers, such as running
    statistics, take the shares too, cut to [0, 1] and made to add up to 1, so that no variance is negative.

    Args:
        model: The network, with any weights; it is measured in evaluation mode and left as it was.
        states: Three state dicts of it.
        samples: What it takes, shape (P, ...).
        labels: The class of each, shape (P,).
        resolution: Points along each axis.

    Raises:
        SamplesError: Samples and labels do not fit each other or the network.
        WeightsError: There are not three states of this network, or they lie on one line.

    >>> from axonometry.testing import layers_of
    >>> model = layers_of([[1.0], [0.0]])
    >>> states = [{"0.weight": torch.tensor(rows)} for rows in ([[1.0], [0.0]], [[0.0], [1.0]], [[1.0], [1.0]])]
    >>> weight_plane(model, states, torch.ones(1, 1), torch.tensor([0]), resolution=2).accuracy
    tensor([[1., 0.],
            [1., 0.]], dtype=torch.float64)
    """
    with examined(model, samples, labels) as classifier:
        device = classifier.samples.device
        parameters, buffers = (
            _three(states, [name for name, value in named if value.is_floating_point()], device)
            for named in (classifier.model.named_parameters(), classifier.model.named_buffers())
        )
        gram = _gram([three.double().flatten(1) for three in parameters.values()])
        if gram is None:
            raise WeightsError("three networks that lie on no line span a plane", "three that do", "Choose others")
        x, y, places = _grid(gram, resolution)
        predicted, margins = [], []
        for share in _barycentric(gram, x, y).to(device):
            inside = share.clamp(0, 1) / share.clamp(0, 1).sum()
            state = _mixture(parameters, share) | _mixture(buffers, inside)
            logits = torch.cat(
                [
                    logits_of(functional_call(classifier.model, state, (part,)))
                    for part in classifier.samples.split(classifier.rows)
                ]
            )
            own = torch.nn.functional.one_hot(classifier.labels, classifier.n_classes).bool()
            predicted.append(classes_of(logits).cpu())
            margins.append((logits[own] - logits.masked_fill(own, -math.inf).amax(1)).double().cpu())
        shape = (len(y), len(x), len(classifier.samples))
        labels = classifier.labels.cpu()
    return WeightPlane(x, y, places, torch.stack(predicted).reshape(shape), torch.stack(margins).reshape(shape), labels)


def _three(states: Sequence[Mapping[str, Tensor]], names: list[str], device: torch.device) -> dict[str, Tensor]:
    """The three networks' tensors, stacked."""
    if len(states) != 3:
        raise WeightsError("a plane goes through three state dicts", str(len(states)))
    lacking = [name for name in names if any(name not in state for state in states)]
    if lacking:
        raise WeightsError("the states are the model's own", f"one without {', '.join(lacking[:3])}")
    return {name: torch.stack([state[name].detach().to(device) for state in states]) for name in names}


def _mixture(three: Mapping[str, Tensor], share: Tensor) -> dict[str, Tensor]:
    return {name: torch.einsum("k,k...->...", share, t.double()).to(t.dtype) for name, t in three.items()}


def _gram(parts: Sequence[Float[Tensor, "3 _"]]) -> Float[np.ndarray, "2 2"] | None:
    """Inner products of the two sides that leave the first corner; None where the corners lie on one line."""
    gram = np.zeros((2, 2))
    for three in parts:
        sides = three[1:] - three[:1]
        gram += (sides @ sides.T).cpu().numpy()
    area = gram[0, 0] * gram[1, 1] - gram[0, 1] ** 2
    return gram if area > 1e-12 * gram[0, 0] * gram[1, 1] > 0 else None


def _triangle(gram: Float[np.ndarray, "2 2"]) -> tuple[float, float, float]:
    """The second corner's x, and the third's x and y."""
    width = math.sqrt(gram[0, 0])
    along = float(gram[0, 1]) / width
    return width, along, math.sqrt(gram[1, 1] - along**2)


def _grid(gram: Float[np.ndarray, "2 2"], resolution: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The axes, and where the corners are."""
    width, along, height = _triangle(gram)
    corners = np.array([[0.0, 0.0], [width, 0.0], [along, height]])
    low, high = corners.min(axis=0), corners.max(axis=0)
    around = _AROUND * (high - low)
    x, y = (np.linspace(low[i] - around[i], high[i] + around[i], resolution) for i in (0, 1))
    return x, y, corners


def _barycentric(gram: Float[np.ndarray, "2 2"], x: np.ndarray, y: np.ndarray) -> Float[Tensor, "points 3"]:
    """Each point's shares of the three corners, row by row."""
    width, along, height = _triangle(gram)
    rows, columns = np.meshgrid(y, x, indexing="ij")
    third = rows.ravel() / height
    second = (columns.ravel() - third * along) / width
    return torch.from_numpy(np.stack([1 - second - third, second, third], axis=1))
