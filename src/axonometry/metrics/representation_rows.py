"""Representations as rows of tables: what recorders, the catalogue and null models take of a network on samples.

Features of a group are what its neurons hand on, flattened, a row a sample. All groups are held at once, so that they
can be compared: as many samples as fill 2 ** 26 numbers, at most 1,000, [our choice]; the first ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from axonometry.errors import SamplesError
from axonometry.metrics.catalogue import Shared, measured
from axonometry.metrics.collapse import NEIGHBOURS, class_modularity, neural_collapse
from axonometry.metrics.labels import held, labels_in
from axonometry.metrics.representation import complexity, effective_dimension
from axonometry.metrics.rows import NETWORK, Row, n_classes
from axonometry.program.readings.live import live_batches
from axonometry.program.readings.samples import Samples

if TYPE_CHECKING:
    from axonometry.program import NeuralGraph

MOST, ROOM = 1000, 2**26
OF_GROUPS = ("effective_dimension", "participation_ratio", "cka_before", "cka_output")
OF_CLASSES = ("within", "equinorm", "equiangle", "duality", "nearest_mean", "modularity")


def _representation_rows(shared: Shared) -> Iterator[Row]:
    assert shared.samples is not None
    fields, features = _features(shared.graph, shared.samples)
    roles = {group.name: group.role for group in shared.graph.groups}
    grams = {name: _gram(values) for name, values in features.items()}
    outputs, before = [name for name in grams if roles[name] == "output"], ""
    for name, values in features.items():
        found = dict.fromkeys(OF_GROUPS, math.nan)
        if bool(values.isfinite().all()):
            dimension, ratio = effective_dimension(values)
            found |= {"effective_dimension": dimension, "participation_ratio": ratio}
            found["cka_before"] = _likeness(grams[before], grams[name]) if before else math.nan
            found["cka_output"] = _likeness(grams[outputs[-1]], grams[name]) if outputs else math.nan
        yield from ((name, statistic, value) for statistic, value in found.items())
        if roles[name] == "hidden":
            yield name, "complexity", complexity(fields[name], correction=True)
        before = name


@measured(
    name="representations",
    title="Complexity, dimension and likeness of representations",
    units="nats; numbers of directions; none",
    range="complexity from 0, dimension from 1 to the number of neurons, CKA from 0 to 1",
    invariances="rotations and one scale of the features, but for complexity; the order of the samples",
    source="Janik and Witaszczyk 2020, arXiv 2006.04791; Kornblith et al. 2019, arXiv 1905.00414",
    needs_samples=True,
    cost="one forward pass, and products of samples with samples for each layer",
    opt_in=True,
    table=_representation_rows,
)
def representations(graph: NeuralGraph, samples: Samples) -> dict[str, dict[str, float]]:
    """Complexity, effective dimension, participation ratio and CKA of every group's features.

    Args:
        graph: The network at one snapshot.
        samples: What it is run on; at most 1,000 are.

    Returns:
        By group: ``effective_dimension`` and ``participation_ratio`` of its PCA eigenvalues, linear CKA with the group
        before it and with the output group, and of hidden groups the ``complexity``, corrected for few samples.

    Raises:
        SamplesError: The samples do not fit the network.

    >>> from axonometry.testing import graph_of
    >>> found = representations(graph_of([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 0.0]]))
    >>> {statistic: round(value, 6) for statistic, value in found["0"].items()}
    {'effective_dimension': 1.0, 'participation_ratio': 1.0, 'cka_before': 1.0, 'cka_output': 1.0}
    """
    return _by_group(_representation_rows(Shared(graph, samples=samples)))


def _class_rows(shared: Shared) -> Iterator[Row]:
    graph, samples = shared.graph, held(shared.samples) if shared.samples is not None else None
    assert samples is not None
    if not n_classes(graph):
        return
    labels, (_, features) = labels_in(graph, samples), _features(graph, samples)
    assert labels is not None
    outputs = next(group.name for group in graph.groups if group.role == "output")
    decisions = features[outputs].argmax(1)
    classifier = _classifier(graph, outputs)
    for name, values in features.items():
        some = labels[: len(values)]
        found = dict.fromkeys(OF_CLASSES, math.nan)
        if bool(values.isfinite().all()) and len(some.unique()) > 1:
            weights = classifier[1] if classifier is not None and classifier[0] == name else None
            found |= asdict(neural_collapse(values, some, classifier=weights, decisions=decisions))
            if len(values) > NEIGHBOURS:
                found["modularity"] = class_modularity(values, some)
        yield from ((name, statistic, value) for statistic, value in found.items())


@measured(
    name="class_structure",
    title="Neural collapse and modularity of classes",
    units="none",
    range="collapse from 0, shares from 0 to 1, modularity below 1",
    invariances="rotations and one scale of the features; the order of the samples",
    source="Papyan, Han and Donoho 2020, arXiv 2008.08186; Lu et al. 2022, arXiv 2111.12485",
    needs_samples=True,
    needs_labels=True,
    cost="one forward pass, and products of samples with samples for each layer",
    opt_in=True,
    table=_class_rows,
)
def class_structure(graph: NeuralGraph, samples: Samples) -> dict[str, dict[str, float]]:
    """Neural collapse and modularity of the classes in every group's features.

    Args:
        graph: The network at one snapshot, with one output group of several neurons; others have no rows.
        samples: Batches of inputs and labels; at most 1,000 samples are run.

    Returns:
        By group the numbers of :func:`~axonometry.metrics.collapse.neural_collapse`, ``duality`` where one
        linear layer alone leads from the group to the output, and the ``modularity`` of the classes.

    Raises:
        SamplesError: The samples do not fit the network, or have no labels.

    >>> from axonometry.testing import graph_of
    >>> inputs = torch.tensor([[1.0, 0.0], [2.0, 0.0], [1.5, 0.0], [0.0, 1.0], [0.0, 3.0]])
    >>> found = class_structure(graph_of([[1.0, 0.0], [0.0, 1.0]]), [(inputs, torch.tensor([0, 0, 0, 1, 1]))])
    >>> found["0"]["nearest_mean"], round(found["input"]["duality"], 3)
    (1.0, 0.775)
    """
    if isinstance(samples, Tensor) or labels_in(graph, samples) is None:
        rule = "class structure is of samples and their classes"
        raise SamplesError(rule, "samples without labels", "Pass batches: samples=[(inputs, labels)]")
    return _by_group(_class_rows(Shared(graph, samples=samples)))


def _by_group(rows: Iterator[Row]) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for group, statistic, value in rows:
        found.setdefault(group or NETWORK, {})[statistic] = value
    return found


def _features(graph: NeuralGraph, samples: Samples) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Pre-activations and activations by group, flattened, of the first samples."""
    most = max(2, min(MOST, ROOM // max(1, graph.n_neurons)))
    fields: dict[str, list[Tensor]] = {}
    features: dict[str, list[Tensor]] = {}
    for batch in live_batches(graph, samples):
        for kept, values in ((fields, batch.pre_activations), (features, batch.activations)):
            for name, rows in values.items():
                kept.setdefault(name, []).append(rows.detach().reshape(batch.size, -1))
        if batch.start + batch.size >= most:
            break
    one, other = ({name: torch.cat(parts)[:most] for name, parts in kept.items()} for kept in (fields, features))
    return one, {name: values for name, values in other.items() if values.is_floating_point()}


def _gram(values: Tensor) -> Tensor:
    """Products of the centred features of every two samples: CKA needs no more."""
    x = values.double()
    x = x - x.mean(0)
    return x @ x.T


def _likeness(one: Tensor, other: Tensor) -> float:
    """Linear CKA from Gram matrices: ‖Y'X‖² is the sum of the products of their entries."""
    sizes = one.norm() * other.norm()
    return float((one * other).sum() / sizes) if sizes > 0 else math.nan


def _classifier(graph: NeuralGraph, output: str) -> tuple[str, Tensor] | None:
    """The group in front of the output and the weights between them, where one linear layer is all there is."""
    arriving = [synapse for synapse in graph.synapses if synapse.target == output]
    if len(arriving) != 1 or len(arriving[0].sources) != 1 or any(wire.target == output for wire in graph.wires):
        return None
    source = next(group for group in graph.groups if group.name == arriving[0].sources[0])
    weights = graph.kernel(arriving[0].name).effective
    wanted = next(group.n_neurons for group in graph.groups if group.name == output), source.n_neurons
    return (source.name, weights) if tuple(weights.shape) == wanted else None
