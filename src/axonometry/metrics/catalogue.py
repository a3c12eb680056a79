"""The catalogue of measures: facts about each as data, and one function that takes several of them from one graph.

Registering a measure of one's own makes it available to recorders, the command line and reports:

>>> from axonometry.metrics.catalogue import CATALOGUE, MetricSpec, Shared, register
>>> def largest(shared: Shared):
...     for group, tensor in shared.strengths.items():
...         yield group, "value", float(tensor.max())
>>> spec = MetricSpec(
...     name="largest_strength",
...     title="Largest node strength",
...     function=largest,
...     table=largest,
...     units="weight",
...     range="all reals",
...     invariances="permuting the neurons of a layer",
...     source="this example",
... )
>>> register(spec)
>>> del CATALOGUE["largest_strength"]
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from axonometry.errors import ConfigurationError
from axonometry.metrics.centrality_rows import centrality_rows, degree_rows, spectral_rows
from axonometry.metrics.degree import weighted_degree
from axonometry.metrics.disparity import disparity
from axonometry.metrics.eigenvector import eigenvector_centrality
from axonometry.metrics.fluctuation import layer_fluctuation
from axonometry.metrics.links import STATISTICS, link_weights
from axonometry.metrics.paths import linear_map_rows, linear_map_spectrum
from axonometry.metrics.spectrum import spectral_norms
from axonometry.metrics.strength import node_strength
from axonometry.statistics import moments
from axonometry.values import NodeValues

if TYPE_CHECKING:
    import pandas as pd

    from axonometry.program import NeuralGraph
    from axonometry.program.channels import ChannelGraph

Row = tuple[str, str, float]
"""Group (or synapse), statistic, value."""


@dataclass(frozen=True)
class Shared:
    """One graph with what several measures need of it, computed when first asked for.

    Attributes:
        graph: The network at one snapshot.
        convention: How links are counted, for the measures that know conventions.
    """

    graph: NeuralGraph
    convention: Literal["links", "ictai2021"] = "links"

    @cached_property
    def strengths(self) -> NodeValues:
        """Node strength of every neuron."""
        return node_strength(self.graph, self.convention)

    @cached_property
    def channels(self) -> ChannelGraph:
        """The channel graph."""
        return self.graph.channels()


@dataclass(frozen=True)
class MetricSpec:
    """What is known about a measure.

    Attributes:
        name: Name in tables and options.
        title: Name in prose.
        function: The measure itself, from a graph.
        table: The measure's rows for one graph: group (or synapse), statistic, value.
        units: Unit of its values.
        range: What values it can have.
        invariances: What does not change it.
        source: Where it is defined.
    """

    name: str
    title: str
    function: Callable[..., Any]
    table: Callable[[Shared], Iterable[Row]]
    units: str
    range: str
    invariances: str
    source: str


CATALOGUE: dict[str, MetricSpec] = {}
"""All measures by name, in the order of registration."""


def register(spec: MetricSpec) -> None:
    """Add a measure to the catalogue.

    Raises:
        ConfigurationError: There is one of that name.
    """
    if spec.name in CATALOGUE:
        raise ConfigurationError("a measure's name is its own", f"a second {spec.name!r}", "Choose another name")
    CATALOGUE[spec.name] = spec


def measure(
    graph: NeuralGraph, names: Iterable[str] | None = None, convention: Literal["links", "ictai2021"] = "links"
) -> pd.DataFrame:
    """Several measures of one graph in one tidy table.

    Args:
        graph: The network at one snapshot.
        names: Names out of the catalogue; all of them by default.
        convention: How links are counted, for the measures that know conventions.

    Returns:
        Columns group (for link weights, the synapse), metric, statistic, value; measures in the order of ``names``.

    Raises:
        ConfigurationError: A name is not in the catalogue.
    """
    import pandas as pd

    names = list(CATALOGUE if names is None else names)
    for name in names:
        if name not in CATALOGUE:
            raise ConfigurationError(
                "a measure is named as in the catalogue", repr(name), f"There are: {', '.join(CATALOGUE)}"
            )
    shared = Shared(graph, convention)
    rows = [
        (group, name, statistic, value) for name in names for group, statistic, value in CATALOGUE[name].table(shared)
    ]
    return pd.DataFrame(rows, columns=["group", "metric", "statistic", "value"])


def _link_rows(shared: Shared) -> Iterator[Row]:
    for row in link_weights(shared.graph, shared.convention).to_dict("records"):
        for statistic in STATISTICS:
            yield row["synapse"], statistic, float(row[statistic])


def _node_rows(values: NodeValues) -> Iterator[Row]:
    for group, tensor in values.items():
        for statistic, value in asdict(moments(tensor)).items():
            yield group, statistic, float(value)


register(
    MetricSpec(
        name="link_weights",
        title="Link weights",
        function=link_weights,
        table=_link_rows,
        units="weight; skewness and kurtosis have none",
        range="all reals",
        invariances="permuting neurons; how often a weight is shared",
        source="La Malfa et al. 2021, arXiv 2110.02628",
    )
)
register(
    MetricSpec(
        name="node_strength",
        title="Node strength",
        function=node_strength,
        table=lambda shared: _node_rows(shared.strengths),
        units="weight",
        range="all reals",
        invariances="permuting the neurons of a layer permutes it",
        source="La Malfa et al. 2021, arXiv 2110.02628",
    )
)
register(
    MetricSpec(
        name="layer_fluctuation",
        title="Layer fluctuation",
        function=layer_fluctuation,
        table=lambda shared: ((g, "value", y) for g, y in layer_fluctuation(shared.strengths).items()),
        units="weight",
        range="0 and more",
        invariances="permuting the neurons of a layer; adding a constant to their strengths",
        source="La Malfa et al. 2021, arXiv 2110.02628",
    )
)
register(
    MetricSpec(
        name="disparity",
        title="Disparity",
        function=disparity,
        table=lambda shared: _node_rows(disparity(shared.graph)),
        units="none",
        range="above 0, at most 1",
        invariances="scaling all weights; permuting the neurons of a layer permutes it",
        source="Barthélemy et al. 2005, on absolute weights (our choice)",
    )
)
register(
    MetricSpec(
        name="weighted_degree",
        title="Weighted degree",
        function=weighted_degree,
        table=lambda shared: degree_rows(weighted_degree(shared.graph)),
        units="weight; log_mean, log_std, skewness and kurtosis have none",
        range="0 and more",
        invariances="the signs of weights; permuting the neurons of a layer permutes it",
        source="Vahedian et al. 2021, arXiv 2111.05410; absolute weights are our choice",
    )
)
register(
    MetricSpec(
        name="eigenvector_centrality",
        title="Eigenvector centrality",
        function=eigenvector_centrality,
        table=lambda shared: centrality_rows(shared.graph),
        units="none",
        range="0 to 1",
        invariances="the signs of weights; scaling all links; permuting the neurons of a layer permutes it",
        source="Vahedian et al. 2021, arXiv 2111.05410; symmetry and normalisation are our choice",
    )
)
register(
    MetricSpec(
        name="channel_degree",
        title="Weighted degree of channels",
        function=weighted_degree,
        table=lambda shared: degree_rows(weighted_degree(shared.channels)),
        units="weight; log_mean, log_std, skewness and kurtosis have none",
        range="0 and more",
        invariances="the signs of weights; permuting the channels of a layer permutes it",
        source="Vahedian et al. 2021, arXiv 2111.05410, the rolled graph",
    )
)
register(
    MetricSpec(
        name="channel_centrality",
        title="Eigenvector centrality of channels",
        function=eigenvector_centrality,
        table=lambda shared: centrality_rows(shared.channels, tol=1e-10),
        units="none",
        range="0 to 1",
        invariances="the signs of weights; scaling all links; permuting the channels of a layer permutes it",
        source="Vahedian et al. 2021, arXiv 2111.05410, the rolled graph; normalisation is our choice",
    )
)
register(
    MetricSpec(
        name="spectral_norm",
        title="Spectral norm",
        function=spectral_norms,
        table=lambda shared: spectral_rows(spectral_norms(shared.graph, shared.channels)),
        units="weight",
        range="0 and more",
        invariances="permuting the neurons of a layer; orthogonal maps of a linear layer's inputs or outputs",
        source="Yoshida and Miyato 2017, arXiv 1705.10941; channel blocks are our choice",
    )
)
register(
    MetricSpec(
        name="linear_map",
        title="Spectrum of the linear map",
        function=linear_map_spectrum,
        table=lambda shared: linear_map_rows(shared.graph),
        units="log10 of weight products; effective_rank and coherence have none",
        range="all reals; effective_rank from 1 to one less than the outputs, coherence from 0 to 1",
        invariances="permuting the neurons of a layer; adding one number to all outputs' maps",
        source="map: Lin et al. 2025, arXiv 2501.02436; its spectrum is our choice",
    )
)
