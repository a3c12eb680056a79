"""Is this good? The fluctuation of each layer beside that of the network untrained, and of its weights shuffled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from axonometry.errors import ConfigurationError
from axonometry.metrics.fluctuation import layer_fluctuation
from axonometry.metrics.nulls.scores import null
from axonometry.program.entry import of_graph

if TYPE_CHECKING:
    import pandas as pd

    from axonometry.program import NeuralGraph

DRAWS = 20
MOST_SHUFFLED = 1_000_000
"""Weights up to which networks are drawn without being asked for, so that a summary takes a few seconds at most."""


@of_graph
def fluctuation_references(
    graph: NeuralGraph, untrained: NeuralGraph | None = None, *, draws: int | None = None
) -> pd.DataFrame:
    """Layer fluctuation beside what it is of the same network untrained, and of the same weights shuffled.

    Args:
        graph: The network at one snapshot.
        untrained: The same network before training, or at its first recorded step. By default fresh initial weights are
            drawn, as its layers' own initialisers do; there are none of stored weights, nor where a layer has no
            initialiser.
        draws: Networks that are drawn, of either kind: 20 of a network with up to a million weights, none of a
            larger one; 0 for none.

    Returns:
        A row a group, its name as the index; columns layer_fluctuation, untrained, shuffled (means over the draws) and
        z: by how many standard deviations of the shuffled draws the network lies above them. NaN where nothing was
        drawn, and z where shuffling keeps the fluctuation.

    >>> from axonometry.testing import graph_of
    >>> found = fluctuation_references(graph_of([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0], [-1.0, -1.0, -1.0]]))
    >>> found.columns.tolist(), bool(found["z"]["0"] > 2)
    (['layer_fluctuation', 'untrained', 'shuffled', 'z'], True)
    """
    import pandas as pd

    if draws is None:
        draws = DRAWS if sum(tensor.numel() for tensor in graph.state.values()) <= MOST_SHUFFLED else 0
    frame = pd.DataFrame({"layer_fluctuation": pd.Series(layer_fluctuation(graph), dtype=float)})
    frame = frame.rename_axis("group").assign(untrained=np.nan, shuffled=np.nan, z=np.nan)
    if draws:
        found = null(graph, "shuffle", "layer_fluctuation", draws=draws).set_index("group")
        frame["shuffled"], frame["z"] = found["null_mean"], found["z"]
    if untrained is not None:
        frame["untrained"] = pd.Series(layer_fluctuation(untrained), dtype=float)
    elif draws and graph.module is not None:
        try:
            drawn = null(graph, "initial", "layer_fluctuation", draws=draws).set_index("group")
        except ConfigurationError:  # a layer of the user's own without an initialiser
            return frame
        frame["untrained"] = drawn["null_mean"]
    return frame
