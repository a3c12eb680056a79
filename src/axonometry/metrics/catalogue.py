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

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from axonometry.errors import ConfigurationError
from axonometry.metrics.modes.labels import has_labels
from axonometry.metrics.strength import node_strength
from axonometry.program.samples import Samples
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
        samples: What the network is run on, for the measures that need samples.
    """

    graph: NeuralGraph
    convention: Literal["links", "ictai2021"] = "links"
    samples: Samples | None = None

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
        needs_samples: Whether it is of samples that run through the network, besides the graph.
        needs_labels: Whether it is of the samples' classes, too: samples are then batches of inputs and labels.
    """

    name: str
    title: str
    function: Callable[..., Any]
    table: Callable[[Shared], Iterable[Row]]
    units: str
    range: str
    invariances: str
    source: str
    needs_samples: bool = False
    needs_labels: bool = False


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


def needing_samples(names: Iterable[str]) -> tuple[str, ...]:
    """Those of the measures that are of samples."""
    return tuple(name for name in names if name in CATALOGUE and CATALOGUE[name].needs_samples)


def measure(
    graph: NeuralGraph,
    names: Iterable[str] | None = None,
    convention: Literal["links", "ictai2021"] = "links",
    *,
    samples: Samples | None = None,
) -> pd.DataFrame:
    """Several measures of one graph in one tidy table.

    Args:
        graph: The network at one snapshot.
        names: Names out of the catalogue; by default all, those that need samples or labels where there are any.
        convention: How links are counted, for the measures that know conventions.
        samples: What the network is run on, for the measures that need samples, as
            :func:`~axonometry.metrics.neuron_activation` takes them.

    Returns:
        Columns group (for link weights, the synapse), metric, statistic, value; measures in the order of ``names``.

    Raises:
        ConfigurationError: A name is not in the catalogue, or a measure needs samples or labels and there are none.
        SamplesError: The samples do not fit the network.
    """
    import pandas as pd

    labelled = samples is not None and has_labels(graph, samples)
    everything = [
        name
        for name, spec in CATALOGUE.items()
        if (samples is not None or not spec.needs_samples) and (labelled or not spec.needs_labels)
    ]
    names = everything if names is None else list(names)
    for name in names:
        if name not in CATALOGUE:
            raise ConfigurationError(
                "a measure is named as in the catalogue", repr(name), f"There are: {', '.join(CATALOGUE)}"
            )
    if samples is None and needing_samples(names):
        raise ConfigurationError(
            "this measure is of samples that run through the network",
            f"none for {', '.join(needing_samples(names))}",
            "Pass samples=, what the network takes",
        )
    unlabelled = [name for name in names if CATALOGUE[name].needs_labels and not labelled]
    if unlabelled:
        raise ConfigurationError(
            "this measure is of samples and their classes",
            f"no labels for {', '.join(unlabelled)}",
            "Pass batches of inputs and labels, as a DataLoader gives them: samples=[(inputs, labels)]",
        )
    shared = Shared(graph, convention, samples)
    rows = [
        (group, name, statistic, value) for name in names for group, statistic, value in CATALOGUE[name].table(shared)
    ]
    return pd.DataFrame(rows, columns=["group", "metric", "statistic", "value"])
