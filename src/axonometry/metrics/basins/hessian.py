r"""Sharpness: the largest curvature of the loss.

The largest eigenvalue of the Hessian of the mean cross entropy (nats) over samples, with respect to the parameters, by
Lanczos on products with the Hessian, each a gradient of a gradient. ``scaled`` takes the Hessian in
the unit of a weight basin: with :math:`D` the standard deviation of each weight tensor, the eigenvalue of :math:`D H D`
over the weights alone, which scaling a ReLU layer up and the next one down leaves as it is. The mean loss under weight
noise of a small amplitude s rises by :math:`s^2 / 2` times the sum of all its eigenvalues.

Source: Keskar et al. 2017 and Yao et al. 2020 (PyHessian) for the eigenvalue [recalled]; the scaled Hessian is our
choice.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from axonometry.annotations import Seed
from axonometry.errors import WeightsError
from axonometry.metrics.basins.classifier import Classifier, examined, logits_of
from axonometry.metrics.basins.rows import curvature_rows
from axonometry.metrics.catalogue import Shared, measured
from axonometry.metrics.lanczos import dense_eigenpair, largest_eigenpair
from axonometry.metrics.rows import Row
from axonometry.program.entry import of_module
from axonometry.program.readings.samples import Samples

_FEW = 64
"""Up to so many parameters the whole Hessian costs less than an iteration."""
_RESTARTS = 100


@dataclass(frozen=True)
class Sharpness:
    """The largest eigenvalue of a Hessian.

    Attributes:
        value: In nats over the square of the parameters' unit; in nats where scaled.
        residual: ‖H v - λ v‖ / |λ| of its eigenvector.
        products: How many products with the Hessian it took.
        parameters: How many parameters the Hessian is of.
        scaled: Whether weights count in standard deviations of their tensors.
    """

    value: float
    residual: float
    products: int
    parameters: int
    scaled: bool


def _rows(shared: Shared) -> Iterator[Row]:
    def take(model: nn.Module, samples: Tensor, labels: Tensor, scaled: bool) -> float:
        return sharpness(model, samples, labels, scaled=scaled).value

    return curvature_rows(shared, take)


@measured(
    name="sharpness",
    title="Sharpness",
    units="nats over the square of the weights' unit; scaled: nats",
    range="all reals, above 0 near a minimum",
    invariances="permuting the neurons of a layer; scaled: scaling a ReLU layer up and the next one down",
    source="Keskar et al. 2017 and Yao et al. 2020; the scaled Hessian is our choice",
    needs_samples=True,
    needs_labels=True,
    cost="twice tens to hundreds of products with the Hessian, each about four passes over the samples",
    opt_in=True,
    table=_rows,
)
@of_module
def sharpness(
    model: nn.Module, samples: Samples, labels: Any = None, *, scaled: bool = False, tol: float = 1e-3, seed: Seed = 0
) -> Sharpness:
    """The largest eigenvalue of the Hessian of the mean cross entropy.

    Args:
        model: From a batch of samples to a row of logits each; it is measured in evaluation mode and left as it was.
        samples: A product costs about four passes over them: a few hundred are usually enough.
        labels: The class of each, shape (P,); none where samples are batches of both.
        scaled: Whether it is taken in the unit of a weight basin, over weights of two dimensions and more; all
            parameters otherwise.
        tol: The eigenvalue's relative accuracy.
        seed: What the iteration's start follows from.

    Raises:
        ConvergenceError: The iteration did not reach the tolerance.
        SamplesError: Samples and labels do not fit each other or the network.
        WeightsError: There are no parameters, or the loss is not finite.

    >>> from axonometry.testing import layers_of
    >>> model, one = layers_of([[0.0], [1.0]]), torch.ones(1, 1)
    >>> round(sharpness(model, one, torch.tensor([1])).value, 6)
    0.393224
    >>> p = 1 / (1 + math.exp(-1))
    >>> round(2 * p * (1 - p), 6)
    0.393224
    """
    with (
        examined(model, samples, labels) as classifier,
        torch.enable_grad(),
        sdpa_kernel(SDPBackend.MATH),  # the fused kernels of attention and recurrence have no second derivative
        torch.backends.cudnn.flags(enabled=False),
    ):
        hessian = _Hessian(classifier, scaled=scaled)
        value, vector = _largest(hessian, tol, seed)
        residual = float(np.linalg.norm(hessian.multiply(vector) - value * vector)) / abs(value) if value else 0.0
        return Sharpness(value, residual, hessian.products, hessian.size, scaled)


class _Hessian:
    """Products with the Hessian, counted."""

    def __init__(self, classifier: Classifier, *, scaled: bool) -> None:
        named = [(name, p.detach()) for name, p in classifier.model.named_parameters() if p.is_floating_point()]
        self.point = {name: p for name, p in named if p.dim() > 1 or not scaled}
        self.units = [float(p.double().std(correction=0)) if scaled else 1.0 for p in self.point.values()]
        self.classifier, self.products = classifier, 0
        self.size = sum(p.numel() for p in self.point.values())
        if self.size == 0:
            raise WeightsError("sharpness is of a network with parameters", "none")
        if not all(p.isfinite().all() for _, p in named):
            raise WeightsError("sharpness needs finite parameters", "NaN or infinity", "The training has diverged")

    def multiply(self, x: np.ndarray) -> np.ndarray:
        """``H x``."""
        self.products += 1
        ones = list(self.point.values())
        parts = torch.from_numpy(np.ascontiguousarray(x.ravel())).split([p.numel() for p in ones])
        # With U the diagonal of the units, the scaled Hessian is U H U: units on the way in, and on the way out below.
        direction = [(unit * part).view(p.shape).to(p) for part, unit, p in zip(parts, self.units, ones, strict=True)]
        total = [torch.zeros(p.shape, dtype=torch.float64, device=p.device) for p in ones]
        c = self.classifier
        for rows in torch.arange(len(c.samples), device=c.samples.device).split(c.rows):
            total = [whole + part for whole, part in zip(total, self._product(direction, rows), strict=True)]
        flat = [unit * whole.flatten().cpu() for unit, whole in zip(self.units, total, strict=True)]
        result = torch.cat(flat).numpy() / len(c.samples)
        if not np.isfinite(result).all():
            raise WeightsError("sharpness needs a loss with finite derivatives", "NaN or infinity")
        return result

    def _product(self, direction: list[Tensor], rows: Tensor) -> tuple[Tensor, ...]:
        """The product of the summed loss over some samples."""
        leaves = {name: p.clone().requires_grad_() for name, p in self.point.items()}
        loss = F.cross_entropy(self._logits(leaves, rows), self.classifier.labels[rows], reduction="sum")
        # H d is the gradient of the number (gradient of the loss) . d, which costs two backward passes and no matrix.
        slopes = torch.autograd.grad(loss, list(leaves.values()), create_graph=True, materialize_grads=True)
        along = sum(((slope * d).sum() for slope, d in zip(slopes, direction, strict=True)), loss.new_zeros(()))
        if not along.requires_grad:  # a loss that is linear in the parameters
            return tuple(torch.zeros_like(d) for d in direction)
        return torch.autograd.grad(along, list(leaves.values()), materialize_grads=True)

    def _logits(self, leaves: Mapping[str, Tensor], rows: Tensor) -> Tensor:
        c = self.classifier
        return logits_of(functional_call(c.model, dict(leaves), (c.samples[rows],)))


def _largest(hessian: _Hessian, tol: float, seed: int) -> tuple[float, np.ndarray]:
    """The largest eigenvalue and its vector."""
    n = hessian.size
    if n <= _FEW:
        return dense_eigenpair(np.stack([hessian.multiply(row) for row in np.eye(n)]))
    begin = np.random.default_rng(seed).standard_normal(n)
    if not hessian.multiply(begin).any():
        return 0.0, begin / math.sqrt(float(begin @ begin))
    return largest_eigenpair(hessian.multiply, begin, tol=tol, restarts=_RESTARTS)
