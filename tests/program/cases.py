"""All toys of this folder and the library, and their graphs, each captured once a test run."""

from __future__ import annotations

import functools

from axonometry.program import NeuralGraph, capture
from axonometry.testing import TOYS, Toy

from . import toys_conv, toys_linear, toys_norm, toys_pool, toys_products, toys_sums, toys_wiring
from .oracles import REGISTRY

_ = (toys_conv, toys_linear, toys_norm, toys_pool, toys_products, toys_sums, toys_wiring)  # imported for their registrations
CASES = {**TOYS, **REGISTRY}


@functools.cache
def captured(name: str) -> tuple[Toy, NeuralGraph]:
    """A toy and its graph."""
    toy = CASES[name]()
    return toy, capture(toy.module, *toy.inputs, pooling=toy.pooling)


def order(toy: Toy, graph: NeuralGraph) -> tuple[str, ...]:
    """The toy's names of the graph's groups, in the graph's order."""
    return tuple(group.name for group in graph.groups) if toy.named else tuple(toy.groups)


def mapped(graph: NeuralGraph, name: str) -> NeuralGraph:
    """The graph with its weights mapped by the method that belongs to a map's name."""
    return graph if name == "identity" else getattr(graph, name)()
