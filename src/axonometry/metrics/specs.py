"""The measures that Axonometry knows: what is known about each, as data for tables, reports and the documentation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

from axonometry.metrics.activity import neuron_activation, rows_of
from axonometry.metrics.attention import attention_rows, attention_strength
from axonometry.metrics.catalogue import MetricSpec, Row, Shared, register
from axonometry.metrics.centrality_rows import centrality_rows, degree_rows, spectral_rows
from axonometry.metrics.degree import weighted_degree
from axonometry.metrics.disparity import disparity
from axonometry.metrics.eigenvector import eigenvector_centrality
from axonometry.metrics.fluctuation import layer_fluctuation
from axonometry.metrics.links import STATISTICS, link_weights
from axonometry.metrics.modes import linear_truncation, neuron_modes, rank_distribution
from axonometry.metrics.modes.rows import gradient_rows, mode_rows, truncation_rows
from axonometry.metrics.neuron_strength import neuron_strength
from axonometry.metrics.paths import linear_map_rows, linear_map_spectrum
from axonometry.metrics.spectrum import spectral_norms
from axonometry.metrics.strength import node_strength
from axonometry.statistics import moments
from axonometry.values import NodeValues


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
register(
    MetricSpec(
        name="neuron_strength",
        title="Neuron strength",
        function=neuron_strength,
        table=lambda shared: rows_of(shared.graph, lambda: neuron_strength(shared.graph, shared.samples)),
        units="local field",
        range="all reals",
        invariances="permuting the neurons of a layer permutes it; the order of the samples",
        source="La Malfa et al. 2022, arXiv 2209.05488; the formula is our choice",
        needs_samples=True,
    )
)
register(
    MetricSpec(
        name="neuron_activation",
        title="Neuron activation",
        function=neuron_activation,
        table=lambda shared: rows_of(shared.graph, lambda: neuron_activation(shared.graph, shared.samples)),
        units="activation",
        range="that of the activation function",
        invariances="permuting the neurons of a layer permutes it; the order of the samples",
        source="La Malfa et al. 2022, arXiv 2209.05488; formula recalled",
        needs_samples=True,
    )
)
register(
    MetricSpec(
        name="attention_strength",
        title="Attention strength",
        function=attention_strength,
        table=lambda shared: attention_rows(shared.graph, shared.samples),
        units="none; entropy in nats",
        range="0 to the number of tokens; entropy from 0 to its logarithm",
        invariances="permuting heads permutes it; the order of the samples",
        source="La Malfa et al. 2022, arXiv 2209.05488, names attention; the formula is our choice",
        needs_samples=True,
    )
)
register(
    MetricSpec(
        name="neuron_modes",
        title="Neuron modes",
        function=neuron_modes,
        table=lambda shared: mode_rows(shared.graph, shared.samples),
        units="none",
        range="0 to 1",
        invariances="permuting the neurons of a layer; the order of the samples; rising maps of a neuron's local field",
        source="Lin et al. 2025, arXiv 2501.02436; the test by pairs of samples is our choice",
        needs_samples=True,
    )
)
register(
    MetricSpec(
        name="rank_gradient",
        title="Gradient of the rank distribution",
        function=rank_distribution,
        table=lambda shared: gradient_rows(shared.graph, shared.samples),
        units="none",
        range="-6 to 6",
        invariances="permuting the neurons of a layer; the order of the samples; rising maps of a neuron's local field",
        source="Lin et al. 2025, arXiv 2501.02436",
        needs_samples=True,
        needs_labels=True,
    )
)
register(
    MetricSpec(
        name="linear_truncation",
        title="Linear network behind a layer",
        function=linear_truncation,
        table=lambda shared: truncation_rows(shared.graph, shared.samples),
        units="none",
        range="accuracy and agreement from 0 to 1, error 0 and more",
        invariances="permuting the neurons of a layer; the order of the samples",
        source="map: Lin et al. 2025, arXiv 2501.02436; its error is our choice",
        needs_samples=True,
        needs_labels=True,
    )
)
