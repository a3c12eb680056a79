r"""Link weights: how the weights of a synapse's links are distributed.

The weights are the effective ones: what a link multiplies its signal with once batch norm and constant scales are
folded in. Each weight counts once, however many links share it: a convolution's kernel entry counts once, and so does a
tensor that two synapses share.

Source: La Malfa et al. 2021 (arXiv 2110.02628), link weights. Their code pools every layer's biases with its weights;
that is the convention ``"ictai2021"``. Leaving the biases out by default is our choice: a bias is not a link.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from axonometry.arguments import argument_errors
from axonometry.metrics.catalogue import Shared, measured
from axonometry.metrics.conventions import check_convention
from axonometry.metrics.rows import Row
from axonometry.program.entry import of_graph
from axonometry.statistics import moments

if TYPE_CHECKING:
    import pandas as pd

    from axonometry.program import NeuralGraph
    from axonometry.program.ir import Kernel, Synapse

LinkConvention = Literal["links", "ictai2021"]
CONVENTIONS = ("links", "ictai2021")
STATISTICS = ("count", "nonfinite", "mean", "std", "skewness", "kurtosis", "minimum", "maximum")


def _rows(shared: Shared) -> Iterator[Row]:
    for row in link_weights(shared.graph, shared.convention).to_dict("records"):
        for statistic in STATISTICS:
            yield row["synapse"], statistic, float(row[statistic])


@measured(
    name="link_weights",
    title="Link weights",
    units="weight; skewness and kurtosis have none",
    range="all reals",
    invariances="permuting neurons; how often a weight is shared",
    source="La Malfa et al. 2021, arXiv 2110.02628",
    cost="one pass over the weights",
    table=_rows,
)
@of_graph
def link_weights(graph: NeuralGraph, convention: LinkConvention = "links") -> pd.DataFrame:
    r"""Moments of every synapse's link weights.

    For the n weights w of a synapse: mean m = 1/n Σ w, std = sqrt(1/n Σ (w - m)²), skewness = 1/n Σ (w - m)³ / std³,
    kurtosis = 1/n Σ (w - m)⁴ / std⁴ - 3. One pass over the weights, which are never copied as a whole.

    Args:
        graph: The network at one snapshot; maps such as ``graph.abs()`` are not applied.
        convention: ``"links"``: weights alone. ``"ictai2021"``: each synapse's weights pooled with the biases of the
            group that it is the first to feed, as in the code of La Malfa et al. 2021.

    Returns:
        One row for each synapse; for a tied weight, the first synapse that has it. Columns: synapse, target, count,
        nonfinite (NaN or infinite weights, which enter no other number), mean, std, skewness, kurtosis (excess),
        minimum, maximum. Weights have no unit; mean, std and extremes scale with the weights, skewness and kurtosis
        do not.

    Raises:
        ConfigurationError: There is no such convention.

    >>> from axonometry.testing import graph_of
    >>> graph = graph_of([[1, 3], [-2, 1], [0.5, -1]], [[2, 0, -1], [-1, 1, 0.5]])
    >>> link_weights(graph)[["synapse", "target", "count", "mean", "std", "minimum", "maximum"]].round(4)
      synapse target  count    mean     std  minimum  maximum
    0       0      0      6  0.4167  1.5921     -2.0      3.0
    1       2      2      6  0.2500  1.0704     -1.0      2.0
    """
    import pandas as pd

    check_convention(convention, CONVENTIONS)
    kernels = _distinct(graph)
    biases = _pooled_biases(graph, kernels) if convention == "ictai2021" else {}
    rows = []
    for synapse, kernel in kernels:
        if synapse.name in biases:
            found = moments(_pool(kernel, biases[synapse.name]), median=False)
        else:
            found = moments(kernel.weight, gain=kernel.gain, median=False)
        rows.append((synapse.name, synapse.target, *(getattr(found, name) for name in STATISTICS)))
    return pd.DataFrame(rows, columns=["synapse", "target", *STATISTICS])


@argument_errors
def link_samples(graph: NeuralGraph, convention: LinkConvention = "links") -> dict[str, Float[Tensor, " n"]]:
    """The link weights themselves, for densities and divergences.

    Args:
        graph: The network at one snapshot; maps such as ``graph.abs()`` are not applied.
        convention: As for :func:`link_weights`.

    Returns:
        For each synapse, or the first of those that share a weight, its effective weights as a vector; in the
        convention ``"ictai2021"`` its pooled biases follow.

    Raises:
        ConfigurationError: There is no such convention.

    >>> from axonometry.testing import graph_of
    >>> link_samples(graph_of([[1.0, 3.0], [2.0, 4.0]]))
    {'0': tensor([1., 3., 2., 4.])}
    """
    check_convention(convention, CONVENTIONS)
    kernels = _distinct(graph)
    biases = _pooled_biases(graph, kernels) if convention == "ictai2021" else {}
    return {synapse.name: _pool(kernel, biases.get(synapse.name)) for synapse, kernel in kernels}


def _pool(kernel: Kernel, biases: Tensor | None) -> Tensor:
    weights = kernel.effective.detach().reshape(-1)
    return weights if biases is None else torch.cat([weights, biases.to(weights)])


def _distinct(graph: NeuralGraph) -> list[tuple[Synapse, Kernel]]:
    """Each synapse with its kernel, without those whose effective weights an earlier one has already."""
    earlier: dict[str, list[Kernel]] = {}
    kernels = graph.kernels()
    found = []
    for synapse in graph.synapses:
        kernel = kernels[synapse.name]
        same_parameter = earlier.setdefault(synapse.parameter, [])
        if not any(_equal(kernel, other, computed=_computed(graph, synapse)) for other in same_parameter):
            same_parameter.append(kernel)
            found.append((synapse, kernel))
    return found


def _computed(graph: NeuralGraph, synapse: Synapse) -> bool:
    return synapse.parameter not in graph.state


def _equal(a: Kernel, b: Kernel, *, computed: bool) -> bool:
    """Whether two kernels of one parameter weigh their links alike; one shared tensor may be folded in two ways."""
    if (a.gain is None) != (b.gain is None):
        return False
    same_gain = a.gain is None or b.gain is None or torch.equal(a.gain, b.gain)
    return same_gain and (not computed or torch.equal(a.weight, b.weight))


def _pooled_biases(graph: NeuralGraph, kernels: list[tuple[Synapse, Kernel]]) -> dict[str, Tensor]:
    """The biases of each group, one a channel, by the first synapse into the group; none where the layer has none."""
    constants = graph.biases()
    axes = {group.name: group.channel_axis for group in graph.groups}
    owners = {coverage.claimed_by for coverage in graph.coverage if coverage.role == "bias"}
    pooled: dict[str, Tensor] = {}
    targets: set[str] = set()
    for synapse, _ in kernels:
        if synapse.target in targets:
            continue
        targets.add(synapse.target)
        field = constants[synapse.target]
        biases = field.movedim(axes[synapse.target], 0).flatten(1)[:, 0] if field.dim() > 1 else field.reshape(-1)
        if synapse.name in owners or bool(biases.any()):
            pooled[synapse.name] = biases
    return pooled
