"""Statistics of a value that every neuron takes over many samples: per neuron, per group, in one pass.

What the values are is somebody else's matter: activations (:mod:`axonometry.metrics.activity`), strengths
(:mod:`axonometry.metrics.neuron_strength`). Each thread sums its own batches up; the sums are joined at the end.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields as fields_of
from typing import TYPE_CHECKING, Any, NoReturn

from torch import Tensor

from axonometry.errors import NonfiniteError, ValuesError
from axonometry.metrics.catalogue import Shared
from axonometry.metrics.rows import Row
from axonometry.metrics.streaming_moments import Bounds, StreamingMoments
from axonometry.program.readings.live import LiveBatch, over_live_batches, pre_activation_nodes, refuse_nonfinite
from axonometry.program.readings.samples import Samples
from axonometry.showing import shown
from axonometry.statistics import Moments
from axonometry.values import NodeValues

if TYPE_CHECKING:
    import pandas as pd

    from axonometry.program import NeuralGraph

STATISTICS = (*(part.name for part in fields_of(Moments)), "sparsity", "variance_within", "dead")
"""Per group in tables; groups with a bounded activation have ``saturated`` too."""
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
PER_NEURON = ("mean", "variance", "minimum", "maximum", "sparsity")


@dataclass(frozen=True)
class NeuronStatistics:
    """A value of every neuron over many samples.

    Attributes:
        n_samples: Number of samples.
        mean: Per neuron, in float64, as all that follow.
        variance: Per neuron, over the samples, population (ddof=0); exactly 0 where the value never changes.
        minimum: Per neuron.
        maximum: Per neuron.
        sparsity: Per neuron, the share of samples at which the value is exactly 0.
        pooled: Per group, moments over samples and neurons; the median is that of :meth:`quantiles`.
        dead: Per group, the number of neurons with the same value at every sample.
        saturated: Per group with a bounded activation, the number of neurons within 1% of its range of the same bound
            in at least 95% of the samples [our choice]; groups without one are left out.
    """

    n_samples: int
    mean: NodeValues
    variance: NodeValues
    minimum: NodeValues
    maximum: NodeValues
    sparsity: NodeValues
    pooled: Mapping[str, Moments]
    dead: Mapping[str, int]
    saturated: Mapping[str, int]
    _streams: Mapping[str, StreamingMoments]

    def _repr_html_(self) -> str:
        return str(shown("statistics_html", self))

    def moments(self) -> pd.DataFrame:
        """A tidy frame with the columns group, statistic and value.

        Per group the pooled :class:`Moments`, the share of zeros (sparsity), the numbers of dead and, for bounded
        activations, of saturated neurons, and the mean over neurons of the variance over samples (variance_within).
        """
        import pandas as pd

        return pd.DataFrame(list(self.rows()), columns=["group", "statistic", "value"])

    def rows(self) -> Iterable[Row]:
        """Group, statistic and value, as in :meth:`moments`."""
        for group, pooled in self.pooled.items():
            for statistic, value in asdict(pooled).items():
                yield group, statistic, float(value)
            yield group, "sparsity", float(self.sparsity[group].mean())
            yield group, "variance_within", float(self.variance[group].mean())
            yield group, "dead", float(self.dead[group])
            if group in self.saturated:
                yield group, "saturated", float(self.saturated[group])

    def quantiles(self, probabilities: Sequence[float] = QUANTILES) -> pd.DataFrame:
        """Quantiles per group over samples and neurons: columns group, probability and value.

        The quantile of p is the least value that a share p of all values does not exceed. Values were counted after
        rounding to bfloat16, which keeps their order, so that each is off by at most 2^-8 (0.4%) of its size; the
        extremes are exact.

        Raises:
            ValuesError: A probability is not between 0 and 1.
        """
        import pandas as pd

        for probability in probabilities:
            if not 0 <= probability <= 1:
                raise ValuesError("a probability lies between 0 and 1", str(probability), "Choose another")
        rows = [
            (group, probability, value)
            for group, stream in self._streams.items()
            for probability, value in zip(probabilities, stream.quantiles(probabilities), strict=True)
        ]
        return pd.DataFrame(rows, columns=["group", "probability", "value"])

    def frame(self) -> pd.DataFrame:
        """A row a neuron: group, neuron (row-major index inside the group), and its statistics over the samples."""
        import pandas as pd

        parts = []
        for group, mean in self.mean.items():
            columns = {name: getattr(self, name)[group].reshape(-1).cpu().numpy() for name in PER_NEURON}
            parts.append(pd.DataFrame({"group": group, "neuron": range(mean.numel()), **columns}))
        return pd.concat(parts, ignore_index=True)


def streamed_statistics(
    graph: NeuralGraph,
    samples: Samples,
    values: Callable[[LiveBatch], Mapping[str, Tensor]],
    *,
    bounds: Mapping[str, Bounds] | None = None,
    **reading: Any,
) -> NeuronStatistics:
    r"""Statistics of anything that a batch of samples says of every neuron.

    Args:
        graph: The network at one snapshot.
        samples: What the module takes.
        values: From a batch, by group, a tensor of shape (n, \*shape of the group).
        bounds: By group, the least and greatest value of a bounded activation, of all neurons or per neuron.
        **reading: What :func:`~axonometry.program.readings.live.live_batches` is told of how many at
            once and what of them.

    Raises:
        SamplesError: The samples do not fit; a NonfiniteError where one is NaN or infinite at a neuron.

    >>> import torch
    >>> from axonometry.testing import graph_of
    >>> graph, samples = graph_of([[2.0]]), torch.tensor([[1.0], [3.0]])
    >>> found = streamed_statistics(graph, samples, lambda batch: batch.pre_activations)
    >>> found.mean["0"].item(), found.variance["0"].item(), found.n_samples
    (4.0, 4.0, 2)
    """
    bounds = {} if bounds is None else bounds
    lanes: defaultdict[int, dict[str, StreamingMoments]] = defaultdict(dict)

    def count(batch: LiveBatch, lane: int) -> int:
        streams = lanes[lane]
        for group, value in values(batch).items():
            if not streams.setdefault(group, StreamingMoments(bounds.get(group))).add(value):
                refuse_nonfinite(batch)
                _refuse(batch, group, value)
        return batch.size

    n_samples = sum(over_live_batches(graph, samples, count, **reading))
    first, *others = (lanes[lane] for lane in sorted(lanes))
    for other in others:
        for group, stream in first.items():
            stream.join(other[group])
    return _statistics(n_samples, first, {group.name: group.shape for group in graph.groups})


def statistic_rows(shared: Shared, measure: Callable[[NeuralGraph, Samples], NeuronStatistics]) -> Iterator[Row]:
    """Group, statistic and value for a table; NaN where a sample is not finite: a recorder must not end a training.

    Args:
        shared: The network at one snapshot, and samples.
        measure: Takes the statistics of them.

    Raises:
        SamplesError: The samples do not fit.

    >>> import torch
    >>> from axonometry.metrics import neuron_activation
    >>> from axonometry.testing import graph_of
    >>> shared = Shared(graph_of([[2.0]]), samples=torch.tensor([[1.0], [3.0]]))
    >>> rows = statistic_rows(shared, neuron_activation)
    >>> [row for row in rows if row[1] == "mean"]
    [('input', 'mean', 2.0), ('0', 'mean', 4.0)]
    """
    try:
        yield from measure(shared.graph, shared.samples).rows()
    except NonfiniteError:
        for group in pre_activation_nodes(shared.graph.program):
            yield from ((group, statistic, math.nan) for statistic in STATISTICS)


def _refuse(batch: LiveBatch, group: str, values: Tensor) -> NoReturn:
    bad = ~values.reshape(batch.size, -1).isfinite().all(1)
    raise NonfiniteError(
        "a neuron's value is finite at every sample",
        f"sample {batch.start + int(bad.int().argmax())}, which is NaN or infinite in layer {group!r}",
        "Leave the sample out where it is NaN itself; where it is finite, the training has diverged",
    )


def _statistics(
    n_samples: int, streams: dict[str, StreamingMoments], shapes: Mapping[str, tuple[int, ...]]
) -> NeuronStatistics:
    def per_neuron(value: Callable[[StreamingMoments], Tensor]) -> NodeValues:
        return NodeValues({name: value(stream).double().reshape(shapes[name]) for name, stream in streams.items()})

    return NeuronStatistics(
        n_samples=n_samples,
        mean=per_neuron(StreamingMoments.mean),
        variance=per_neuron(StreamingMoments.variance),
        minimum=per_neuron(lambda stream: stream.minimum),
        maximum=per_neuron(lambda stream: stream.maximum),
        sparsity=per_neuron(lambda stream: stream.zeros / stream.count),
        pooled={name: stream.pooled() for name, stream in streams.items()},
        dead={name: int((stream.minimum == stream.maximum).sum()) for name, stream in streams.items()},
        saturated={name: int(t.saturated().sum()) for name, t in streams.items() if t.bounds is not None},
        _streams=streams,
    )
