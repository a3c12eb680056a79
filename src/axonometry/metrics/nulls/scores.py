r"""How far a measure of a network is from what it is by chance: z-scores and ranks among the draws of a null model.

z = (value - mean) / sd, over the draws, sd with n - 1 in the denominator. Where all draws have one value but for
rounding, the null model keeps what is measured, and there is no z: NaN. The rank is the number of draws below the
value, those equal to it counting one half: 0 of 20 and 20 of 20 are more extreme than all draws.

Worked: the value 4 among the draws 1, 2, 3: mean 2, sd 1, z = 2, rank 3 of 3.

Source: z-scores against randomised networks, Milo et al. 2002, "Network motifs"; that weights are what is randomised
and topology is not is [our choice], as a network's architecture is given and its weights are learnt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from axonometry.annotations import Seed
from axonometry.metrics.catalogue import measure, values_rows
from axonometry.metrics.nulls.draws import NullModel, compared, null_graphs
from axonometry.metrics.rows import NETWORK, Row
from axonometry.program.entry import of_graph

if TYPE_CHECKING:
    import pandas as pd

    from axonometry.program import NeuralGraph
    from axonometry.program.channels import ChannelGraph
    from axonometry.program.readings.samples import Samples

Measured = str | Iterable[str] | Callable[[Any], Any]
KEYS = ["group", "metric", "statistic"]
_ROUNDING = 1e-9
_SINGLE = 1e-5


@of_graph
def null(
    graph: NeuralGraph | ChannelGraph,
    kind: str | NullModel = "shuffle",
    measure: Measured = ("node_strength", "layer_fluctuation"),
    *,
    draws: int = 20,
    seed: Seed = 0,
    samples: Samples | None = None,
) -> pd.DataFrame:
    r"""A measure of a network beside the same measure of networks whose weights are a null model's.

    The network is captured once; each draw is the same graph at other weights.

    Args:
        graph: The network at one snapshot, or its channel graph.
        kind: What the null model keeps: ``"shuffle"``, ``"signs"``, ``"moments"``, ``"initial"``, ``"degrees"``,
            ``"strengths"``; see :class:`NullModel`.
        measure: Names out of the catalogue, or a function of the graph that gives a number, a number for each group, or
            a value for every neuron, of which the moments are taken.
        draws: How many graphs are drawn.
        seed: Where chance comes from.
        samples: What the network is run on, for the measures that need samples.

    Returns:
        Columns group, metric, statistic, value, null_mean, null_std, z, rank and draws, which counts the draws that
        have a value. z and null_mean are NaN where fewer than two have.

    Raises:
        ConfigurationError: There is no such null model or measure, or it cannot be drawn from this graph.
        SamplesError: The samples do not fit the network.

    >>> from axonometry.testing import graph_of
    >>> graph = graph_of([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    >>> found = null(graph, measure="layer_fluctuation", draws=100)  # all strengths are 1: as even as can be
    >>> found[["group", "value", "rank", "draws"]].to_dict("list")
    {'group': ['input', '0'], 'value': [0.0, 0.0], 'rank': [13.5, 20.0], 'draws': [100, 100]}
    """
    model = kind if isinstance(kind, NullModel) else NullModel(kind, draws, seed)
    double = samples is None  # samples have the type of the network's weights
    take = _taking(measure, samples)
    tables = [take(one).set_index(KEYS)["value"] for one in null_graphs(graph, model, double=double)]
    return z_scores(take(compared(graph, model, double=double)), tables, _ROUNDING if double else _SINGLE)


def z_scores(frame: pd.DataFrame, draws: Iterable[pd.Series], rounding: float = _ROUNDING) -> pd.DataFrame:
    """Values beside those of draws: mean, standard deviation, z and rank.

    Args:
        frame: Columns group, metric, statistic and value.
        draws: Of each draw the values by group, metric and statistic.
        rounding: Draws that differ by less, relative to their size, are one value.

    Returns:
        As :func:`null`.

    >>> import pandas as pd
    >>> frame = pd.DataFrame([("a", "m", "mean", 4.0)], columns=[*KEYS, "value"])
    >>> z_scores(frame, [frame.set_index(KEYS)["value"] * 0 + n for n in (1, 2, 3)]).iloc[0, 3:].tolist()
    [4.0, 2.0, 1.0, 2.0, 3.0, 3.0]
    """
    keys = frame.set_index(KEYS).index
    values = frame["value"].to_numpy(dtype=np.float64)
    drawn = np.stack([one.reindex(keys).to_numpy(dtype=np.float64) for one in draws])
    there = np.isfinite(drawn)
    number = there.sum(0)
    enough = number > 1
    kept = np.where(there, drawn, 0.0)
    mean = np.divide(kept.sum(0), number, out=np.full(len(values), np.nan), where=enough)
    squares = (np.where(there, drawn - mean, 0.0) ** 2).sum(0)
    std = np.sqrt(np.divide(squares, number - 1, out=np.full(len(values), np.nan), where=enough))
    size = np.maximum(np.abs(values), np.abs(mean))
    apart = enough & (std > rounding * size)
    z = np.divide(values - mean, std, out=np.full(len(values), np.nan), where=apart)
    close = np.abs(drawn - values) <= rounding * size
    rank = (there & ~close & (drawn < values)).sum(0) + (there & close).sum(0) / 2
    rank = np.where(np.isfinite(values) & (number > 0), rank, np.nan)
    return frame.assign(null_mean=mean, null_std=std, z=z, rank=rank, draws=number).reset_index(drop=True)


def null_rows(found: pd.DataFrame) -> pd.DataFrame:
    """The scores of a null model as rows of a table of measures: ``mean_z`` and ``mean_rank`` beside ``mean``.

    Args:
        found: From :func:`null`.

    Returns:
        Columns group, metric, statistic and value; ranks are shares of the draws, from 0 to 1.

    >>> from axonometry.testing import graph_of
    >>> found = null(graph_of([[1.0, 0.0], [0.0, 1.0]]), measure="layer_fluctuation", draws=4)
    >>> null_rows(found)["statistic"].tolist()
    ['value_z', 'value_rank', 'value_z', 'value_rank']
    """
    import pandas as pd

    share = found["rank"] / found["draws"].where(found["draws"] > 0)
    parts = [found.assign(statistic=found["statistic"] + "_z", value=found["z"])]
    parts.append(found.assign(statistic=found["statistic"] + "_rank", value=share))
    rows = pd.concat(parts).sort_index(kind="stable")[[*KEYS, "value"]]
    return rows[~found["statistic"].isin(("count", "nonfinite")).loc[rows.index]].reset_index(drop=True)


def _taking(measured: Measured, samples: Samples | None) -> Callable[[Any], pd.DataFrame]:
    """From a graph to the table of measures."""
    if not callable(measured):
        return lambda graph: measure(graph, measured, samples=samples)
    name = getattr(measured, "__name__", "measure").strip("<>")

    def take(graph: NeuralGraph | ChannelGraph) -> pd.DataFrame:
        import pandas as pd

        rows = [(group, name, statistic, value) for group, statistic, value in _rows(measured(graph))]
        return pd.DataFrame(rows, columns=[*KEYS, "value"])

    return take


def _rows(found: Any) -> Iterator[Row]:
    return values_rows(found if isinstance(found, Mapping) else {NETWORK: found})
