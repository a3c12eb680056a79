r"""Class structure of features: how far classes have collapsed to their means, and how modular they are.

Neural collapse, of the features :math:`h` of samples of C classes, their class means :math:`\mu_c` and the mean of
these :math:`\mu_G`:

- ``within`` (NC1): :math:`\mathrm{tr}(\Sigma_W \Sigma_B^+) / C`, the scatter inside classes beside that of the means;
- ``equinorm`` and ``equiangle`` (NC2): the spread of :math:`\|\mu_c - \mu_G\|` over their mean, and the mean over pairs
  of classes of :math:`|\cos + 1 / (C - 1)|`; both are 0 of a simplex, whose means are as far apart as can be;
- ``duality`` (NC3): :math:`\|W / \|W\| - M / \|M\|\|` of the classifier's weights and the centred means, from 0 to 2;
- ``nearest_mean`` (NC4): how often the nearest class mean is what the network decides, from 0 to 1.

Worked: two classes on a line at 1 and -1, each of two samples that are 0.1 to either side. Σ_W = 0.01, Σ_B = 1, C = 2:
``within`` is 0.005; norms are equal and the cosine is -1 = -1 / (C - 1): the rest of NC2 is 0.

Source: Papyan, Han and Donoho 2020, arXiv 2008.08186, section 3. Modularity of classes: Lu et al. 2022, arXiv
2111.12485: samples are nodes, each linked to the k others of the most similar features (cosine), and Newman's
modularity is taken of the partition into classes. Their code weights links by distances of softmaxed features; here, as
in the text, by the similarity, which below 0 is no link ([our choice]).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from axonometry.arguments import argument_errors
from axonometry.errors import SamplesError, ValuesError
from axonometry.metrics.networks.communities import modularity

ROUNDING = 1e-10
"""Directions of class means that are smaller, relative to the means, are rounding [our choice]."""
NEIGHBOURS = 3
"""Links a sample has, as in the example of the source."""


@dataclass(frozen=True)
class NeuralCollapse:
    """How far the features of classes have collapsed; all but ``nearest_mean`` are 0 of a whole collapse.

    Attributes:
        within: Scatter inside classes beside that of their means, NC1.
        equinorm: Spread of the norms of the centred means over their mean, NC2.
        equiangle: Mean distance of their cosines from -1 / (C - 1), NC2.
        duality: Distance of classifier and means, NC3; NaN without a classifier.
        nearest_mean: Share of samples whose nearest mean is what the network decides, NC4; NaN without decisions.
    """

    within: float
    equinorm: float
    equiangle: float
    duality: float = math.nan
    nearest_mean: float = math.nan


@argument_errors
def neural_collapse(
    features: Float[Tensor, "samples n"],
    labels: Int[Tensor, " labels"],
    *,
    classifier: Float[Tensor, "classes width"] | None = None,
    decisions: Int[Tensor, " samples"] | None = None,
) -> NeuralCollapse:
    """The four signs of neural collapse in features.

    Args:
        features: A row a sample, of the layer in front of the classifier, or of any other.
        labels: The class of each sample.
        classifier: Weights behind these features, a row a class, where NC3 is wanted.
        decisions: What the network says of each sample, where NC4 is wanted.

    Raises:
        SamplesError: There are fewer than two classes.

    >>> x = torch.tensor([[1.1], [0.9], [-1.1], [-0.9]], dtype=torch.float64)
    >>> found = neural_collapse(x, torch.tensor([0, 0, 1, 1]), decisions=torch.tensor([0, 0, 1, 0]))
    >>> round(found.within, 6), round(found.equinorm, 6), round(found.equiangle, 6), found.nearest_mean
    (0.005, 0.0, 0.0, 0.75)
    """
    h, classes, members = _by_class(features, labels)
    means = torch.stack([h[members == c].mean(0) for c in range(len(classes))])
    centred = means - means.mean(0)
    norms = centred.norm(dim=1)
    inside = h - means[members]
    # tr(S_W S_B^+) / C without an n x n matrix: S_B = M'M / C, so that S_B^+ = C M^+ (M^+)', and what is left of it is
    # the mean square of the samples' deviations in the coordinates that the means span.
    # C means that sum to zero span C - 1 directions at most: what rounding leaves of another one is none to divide by.
    within = float(
        (inside @ torch.linalg.pinv(centred, atol=ROUNDING * means.abs().max(), rtol=0.0)).square().sum() / len(h)
    )
    directions = centred / norms.clamp_min(1e-300)[:, None]
    cosines = (directions @ directions.T)[~torch.eye(len(classes), dtype=torch.bool, device=h.device)]
    equiangle = float((cosines + 1 / (len(classes) - 1)).abs().mean())
    equinorm = float(norms.std(correction=0) / norms.mean()) if norms.mean() > 0 else math.nan
    duality = math.nan if classifier is None else _duality(classifier.detach().to(h)[classes], centred)
    nearest = math.nan
    if decisions is not None:
        nearest = float((classes[torch.cdist(h, means).argmin(1)] == decisions.to(classes)).double().mean())
    return NeuralCollapse(within if norms.max() > 0 else math.nan, equinorm, equiangle, duality, nearest)


@argument_errors
def class_modularity(
    features: Float[Tensor, "samples n"], labels: Int[Tensor, " labels"], neighbours: int = NEIGHBOURS
) -> float:
    """Modularity of the classes in the graph of similar samples, below 1.

    Args:
        features: A row a sample.
        labels: The class of each sample.
        neighbours: To how many others a sample is linked.

    Raises:
        SamplesError: There are fewer than two classes.
        ValuesError: There are not more samples than neighbours.

    >>> x = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0], [0.0, 3.0]])
    >>> class_modularity(x, torch.tensor([0, 0, 1, 1]), 1), class_modularity(x, torch.tensor([0, 1, 0, 1]), 1)
    (0.5, -0.5)
    """
    h, _, members = _by_class(features, labels)
    if not 0 < neighbours < len(h):
        came = f"{neighbours} of {len(h)} samples"
        raise ValuesError("a sample is linked to one other or more, and not to all", came, "Pass more samples")
    directions = h / h.norm(dim=1).clamp_min(1e-300)[:, None]
    alike = (directions @ directions.T).fill_diagonal_(-math.inf)
    near = alike.topk(neighbours, dim=1).indices
    links = torch.zeros_like(alike).scatter_(1, near, alike.gather(1, near).clamp_min(0))
    links = torch.maximum(links, links.T)  # a link that both ends chose is one link
    if not links.sum() > 0:
        return math.nan
    return float(modularity(links.cpu().numpy(), members.cpu().numpy()))


def _by_class(features: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Features in double precision, the classes there are, and to which of them each sample belongs."""
    classes, members = labels.to(features.device).unique(return_inverse=True)
    if len(labels) != len(features):
        raise SamplesError("labels are one a sample", f"{len(labels)} for {len(features)}", "Pass them in pairs")
    if len(classes) < 2:
        rule = "class structure is of two classes or more"
        raise SamplesError(rule, f"{len(classes)}", "Pass samples of other classes as well")
    return features.detach().double().reshape(len(features), -1), classes, members


def _duality(weights: Tensor, centred: Tensor) -> float:
    if weights.shape != centred.shape:
        came = f"{tuple(weights.shape)} for means of shape {tuple(centred.shape)}"
        raise ValuesError("a classifier has a row a class and a column a feature", came, "Pass the last layer's")
    return float((weights / weights.norm() - centred / centred.norm()).norm())
