"""The table of one step: measures, and what they are by chance."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from axonometry.metrics.catalogue import measure, needing_training
from axonometry.metrics.nulls import NullModel, null, null_rows
from axonometry.program.readings.samples import Samples

if TYPE_CHECKING:
    import pandas as pd

    from axonometry.metrics import TrainingState
    from axonometry.program import NeuralGraph


def measured_with(
    graph: NeuralGraph,
    names: Iterable[str],
    model: NullModel | None = None,
    *,
    samples: Samples | None = None,
    training: TrainingState | None = None,
) -> pd.DataFrame:
    """Measures of one graph, and rows of their z-scores and ranks where there is a null model.

    Args:
        graph: The network at one snapshot.
        names: Measures out of the catalogue.
        model: The null model. Measures of gradients and updates are not of weights alone and have no scores.
        samples: What the network is run on, for the measures that need samples.
        training: Gradients, weights before the last update and second moments.

    Returns:
        Columns group, metric, statistic and value.

    Raises:
        ConfigurationError: A measure does not exist, or lacks what it needs.
        SamplesError: The samples do not fit the network.

    >>> from axonometry.testing import graph_of
    >>> found = measured_with(graph_of([[1.0, 0.0], [0.0, 1.0]]), ["layer_fluctuation"], NullModel(draws=2))
    >>> found["statistic"].unique().tolist()
    ['value', 'value_z', 'value_rank']
    """
    import pandas as pd

    names = list(names)
    frame = measure(graph, names, samples=samples, training=training)
    scored = [name for name in names if name not in needing_training(names)] if model is not None else []
    if not scored:
        return frame
    assert model is not None
    return pd.concat([frame, null_rows(null(graph, model, scored, samples=samples))], ignore_index=True)
