"""The catalogue of measures: facts about each as data, and one function that takes several of them from one graph.

A measure says its facts where it stands, in the decorator of its function. One of your own registers in the same way,
and is then available to recorders, the command line and reports:

>>> import torch
>>> from torch import nn
>>> from axonometry.metrics import CATALOGUE, measure, measured, node_strength
>>> from axonometry.program import capture
>>> @measured(
...     name="largest_strength",
...     title="Largest node strength",
...     units="weight",
...     range="all reals",
...     invariances="permuting the neurons of a layer",
...     source="this example",
... )
... def largest_strength(graph):
...     return {group: float(tensor.max()) for group, tensor in node_strength(graph).items()}
>>> network = nn.Linear(2, 2, bias=False)
>>> _ = network.weight.data.copy_(torch.tensor([[1.0, 2.0], [-3.0, 4.0]]))
>>> measure(capture(network, torch.zeros(1, 2)), ["largest_strength"])
    group            metric statistic  value
0   input  largest_strength     value    6.0
1  weight  largest_strength     value    3.0
>>> del CATALOGUE["largest_strength"]
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from axonometry.arguments import argument_errors
from axonometry.errors import ConfigurationError, closest
from axonometry.metrics.labels import has_labels
from axonometry.metrics.rows import Row, moment_rows
from axonometry.program.entry import of_graph
from axonometry.program.readings.samples import Samples
from axonometry.registering import note_home
from axonometry.values import NodeValues

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from axonometry.program import NeuralGraph
    from axonometry.program.channels import ChannelGraph

Function = TypeVar("Function", bound=Callable[..., Any])
Convention = Literal["links", "ictai2021"]


@dataclass(frozen=True)
class TrainingState:
    """What training did at a step, besides the weights that came out: for measures of gradients and updates.

    Attributes:
        gradients: The gradients by parameter.
        before: The weights before the last update.
        second_moments: Adam's second moments by parameter.
    """

    gradients: Mapping[str, Tensor] | None = None
    before: Mapping[str, Tensor] | None = None
    second_moments: Mapping[str, Tensor] | None = None


@dataclass(frozen=True)
class Shared:
    """One graph with what several measures need of it, computed when first asked for.

    Attributes:
        graph: The network at one snapshot; for measures of channels its channel graph will do.
        convention: How links are counted, for the measures that know conventions.
        samples: What the network is run on, for the measures that need samples.
        training: What training did at this step, for the measures that need it.
    """

    graph: NeuralGraph
    convention: Convention = "links"
    samples: Samples | None = None
    training: TrainingState | None = None
    _kept: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def once(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """``function(graph, *arguments)``, computed when first asked for and kept for the measures that follow.

        Args:
            function: A function of the graph.
            *arguments: What else it takes; they have to be hashable.
        """
        key = (function, arguments)
        if key not in self._kept:
            self._kept[key] = function(self.graph, *arguments)
        return self._kept[key]

    @cached_property
    def channels(self) -> ChannelGraph:
        """The channel graph; the graph itself where it is one."""
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
        cost: What it costs, in words.
        opt_in: Whether it is taken only where it is asked for by name, because it costs seconds.
        needs_training: Whether it is of gradients or updates, which a recorder knows and weights on disk do not say.

    >>> spec = CATALOGUE["node_strength"]
    >>> spec.title, spec.units, spec.needs_samples
    ('Node strength', 'weight', False)
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
    cost: str = ""
    opt_in: bool = False
    needs_training: bool = False


CATALOGUE: dict[str, MetricSpec] = {}
"""All measures by name, in the order in which ``axonometry.metrics`` imports them, then the user's."""


@argument_errors
def register_measure(spec: MetricSpec) -> None:
    """Add a measure to the catalogue; :func:`measured` does it where the measure is defined.

    A measure that is defined anew takes the place of what it was before: when a notebook's cell is run again, or a
    file is imported again.

    Raises:
        ConfigurationError: There is another one of that name.

    >>> register_measure(CATALOGUE["node_strength"])
    Traceback (most recent call last):
        ...
    axonometry.errors.ConfigurationError: a measure's name is its own; got a second 'node_strength'...
    """
    before = CATALOGUE.get(spec.name)
    if before is not None and not _is_defined_anew(before.function, spec.function):
        raise ConfigurationError("a measure's name is its own", f"a second {spec.name!r}", "Choose another name")
    CATALOGUE[spec.name] = spec
    note_home(spec.function)  # other processes import its module again


@argument_errors
def measured(  # noqa: PLR0913 - each is a fact about the measure, by name
    *,
    name: str,
    title: str,
    units: str,
    range: str,
    invariances: str,
    source: str,
    table: Callable[[Shared], Iterable[Row]] | None = None,
    needs_samples: bool = False,
    needs_labels: bool = False,
    cost: str = "",
    opt_in: bool = False,
    needs_training: bool = False,
) -> Callable[[Function], Function]:
    """Decorator: the function below is a measure, and these are its facts. The function itself stays as it is.

    Args:
        name: As in :class:`MetricSpec`, as all that follow.
        title: Name in prose.
        units: Unit of its values.
        range: What values it can have.
        invariances: What does not change it.
        source: Where it is defined.
        table: The measure's rows for one graph. By default the function is called with the graph, or with the graph and
            the samples where it needs samples; of a number for each group that is the row ``value``, of
            :class:`~axonometry.values.NodeValues` the rows are the moments of every group.
        needs_samples: Whether it needs samples.
        needs_labels: Whether it needs their labels.
        cost: What it costs, in words.
        opt_in: Whether it is taken only where it is asked for by name.
        needs_training: Whether it is of gradients or updates.

    Raises:
        ConfigurationError: There is another measure of that name.

    >>> facts = {"units": "none", "range": "1 and more", "invariances": "the weights", "source": "here"}
    >>> @measured(name="links", title="Links", **facts)
    ... def links(graph):
    ...     return {"": graph.n_links}
    >>> CATALOGUE["links"].title, CATALOGUE.pop("links").function is links
    ('Links', True)
    """

    def add(function: Function) -> Function:
        rows = table or _table_of(function, needs_samples=needs_samples)
        facts = (units, range, invariances, source, needs_samples, needs_labels, cost, opt_in, needs_training)
        register_measure(MetricSpec(name, title, function, rows, *facts))
        return function

    return add


def needing_samples(names: Iterable[str]) -> tuple[str, ...]:
    """Those of the measures that are of samples.

    >>> needing_samples(["node_strength", "neuron_activation"])
    ('neuron_activation',)
    """
    return tuple(name for name in names if name in CATALOGUE and CATALOGUE[name].needs_samples)


def needing_training(names: Iterable[str]) -> tuple[str, ...]:
    """Those of the measures that are of gradients or updates.

    >>> needing_training(["node_strength", "update_ratio"])
    ('update_ratio',)
    """
    return tuple(name for name in names if name in CATALOGUE and CATALOGUE[name].needs_training)


@of_graph
def measure(
    graph: NeuralGraph | ChannelGraph,
    names: str | Iterable[str] | None = None,
    convention: Convention = "links",
    *,
    samples: Samples | None = None,
    training: TrainingState | None = None,
) -> pd.DataFrame:
    """Several measures of one graph in one tidy table.

    Args:
        graph: The network at one snapshot; its channel graph for measures of channels.
        names: Names out of the catalogue, or one; by default all but those that cost seconds (``opt_in``), and those
            that need samples or labels where there are any.
        convention: How links are counted, for the measures that know conventions.
        samples: What the network is run on, for the measures that need samples, as
            :func:`~axonometry.metrics.neuron_activation` takes them.
        training: Gradients, weights before the last update and second moments, for the measures of these; what is not
            in it is NaN in the table.

    Returns:
        Columns group (for link weights, the synapse), metric, statistic, value; measures in the order of ``names``.

    Raises:
        ConfigurationError: A name is not in the catalogue, or a measure needs samples or labels and there are none.
        SamplesError: The samples do not fit the network.

    >>> import torch
    >>> from axonometry.program import capture
    >>> layer = torch.nn.Linear(2, 2, bias=False)
    >>> _ = layer.weight.data.copy_(torch.tensor([[1.0, 2.0], [-3.0, 4.0]]))
    >>> measure(capture(layer, torch.zeros(1, 2)), ["layer_fluctuation"])
        group             metric statistic  value
    0   input  layer_fluctuation     value    4.0
    1  weight  layer_fluctuation     value    1.0
    """
    import pandas as pd

    labelled = samples is not None and has_labels(cast("NeuralGraph", graph), samples)
    if names is None:
        fits = (name for name, spec in CATALOGUE.items() if _is_default(spec, samples, labelled=labelled))
        names = [name for name in fits if training is not None or not CATALOGUE[name].needs_training]
    names = [names] if isinstance(names, str) else list(names)
    _check(names, samples, labelled=labelled)
    if training is None and (lacking := needing_training(names)):
        raise ConfigurationError(
            "this measure is of what training did at a step",
            f"nothing for {', '.join(lacking)}",
            "Record with it, or pass training=TrainingState(gradients=...)",
        )
    # measures of channels ask it for nothing but its channels, which a channel graph gives too
    shared = Shared(cast("NeuralGraph", graph), convention, samples, training)
    rows = [
        (group, name, statistic, value) for name in names for group, statistic, value in CATALOGUE[name].table(shared)
    ]
    return pd.DataFrame(rows, columns=["group", "metric", "statistic", "value"])


def _is_defined_anew(before: Callable[..., Any], now: Callable[..., Any]) -> bool:
    """Whether a function is the other's next version: of the same module and name, or of the same notebook."""
    places = [(getattr(f, "__module__", None), getattr(f, "__qualname__", None)) for f in (before, now)]
    (module, name), (new_module, new_name) = places
    if module is None or module.partition(".")[0] == "axonometry":  # recorded runs rely on ours
        return False
    # In a notebook the measure's name counts, not the function's: cells are edited, and both are of __main__.
    return module == new_module and (module == "__main__" or (name is not None and name == new_name))


def _table_of(function: Callable[..., Any], *, needs_samples: bool) -> Callable[[Shared], Iterable[Row]]:
    def rows(shared: Shared) -> Iterator[Row]:
        return values_rows(function(shared.graph, *([shared.samples] if needs_samples else [])))

    return rows


def values_rows(found: Mapping[str, Any]) -> Iterator[Row]:
    """The rows of what a measure gives: moments of a value for every neuron, a number for each group as it is.

    Args:
        found: One of the two.

    Yields:
        Group, statistic, value.

    >>> list(values_rows({"conv1": 2}))
    [('conv1', 'value', 2.0)]
    """
    if isinstance(found, NodeValues):
        yield from moment_rows(found)
    else:
        yield from ((group, "value", float(value)) for group, value in found.items())


def _is_default(spec: MetricSpec, samples: Samples | None, *, labelled: bool) -> bool:
    """Whether a measure is taken where none is named."""
    return not spec.opt_in and (samples is not None or not spec.needs_samples) and (labelled or not spec.needs_labels)


def _check(names: list[str], samples: Samples | None, *, labelled: bool) -> None:
    """Refuse names that are not in the catalogue, and measures that lack their samples or labels."""
    for name in names:
        if name not in CATALOGUE:
            remedy = closest(name, CATALOGUE, f"There are: {', '.join(CATALOGUE)}")
            raise ConfigurationError("a measure is named as in the catalogue", repr(name), remedy)
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
