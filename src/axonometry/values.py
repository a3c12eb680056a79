"""Values on the neurons of a graph: one tensor per neuron group, their moments, their frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from axonometry.errors import ValuesError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Moments:
    """Population moments of the finite entries of a tensor, accumulated in float64.

    Attributes:
        count: Entries in all.
        nonfinite: How many of them are NaN or infinite; these enter no other statistic.
        mean: Arithmetic mean.
        median: Middle value, the mean of the middle two for an even count; NaN where it was not asked for.
        std: Population standard deviation (ddof=0).
        skewness: Third standardised moment; 0 for a constant tensor.
        kurtosis: Fourth standardised moment minus 3 (excess); 0 for a constant tensor.
        minimum: Least finite entry.
        maximum: Greatest finite entry.
    """

    count: int
    nonfinite: int
    mean: float
    median: float
    std: float
    skewness: float
    kurtosis: float
    minimum: float
    maximum: float


class NodeValues(Mapping[str, Tensor]):
    """An immutable mapping from a neuron group's name to a tensor of the group's shape.

    Arithmetic works group by group and with scalars.

    >>> v = NodeValues({"a": torch.tensor([1.0, 2.0]), "b": torch.tensor([[3.0]])})
    >>> (2 * v + v)["b"]
    tensor([[9.]])
    >>> v.sum()
    6.0
    """

    __slots__ = ("_tensors",)

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self._tensors = dict(tensors)

    def __getitem__(self, group: str) -> Tensor:
        if group not in self._tensors:
            raise ValuesError("a value is asked for by the name of a neuron group", repr(group), f"The groups are: {', '.join(self)}")
        return self._tensors[group]

    def __contains__(self, group: object) -> bool:
        return group in self._tensors

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def __repr__(self) -> str:
        inside = ", ".join(f"{name}: {tuple(tensor.shape)}" for name, tensor in self.items())
        return f"NodeValues({inside})"

    def map(self, function: Callable[[Tensor], Tensor]) -> NodeValues:
        """The same groups with ``function`` applied to each tensor."""
        return NodeValues({name: function(tensor) for name, tensor in self.items()})

    def _combine(self, other: NodeValues | float, function: Callable[[Any, Any], Tensor]) -> NodeValues:
        if not isinstance(other, NodeValues):
            return self.map(lambda tensor: function(tensor, other))
        if self.keys() != other.keys():
            raise ValuesError(
                "both sides must have the same groups",
                f"{sorted(self)} and {sorted(other)}",
                "Take both from one graph",
            )
        return NodeValues({name: function(tensor, other[name]) for name, tensor in self.items()})

    def __add__(self, other: NodeValues | float) -> NodeValues:
        return self._combine(other, torch.add)

    def __sub__(self, other: NodeValues | float) -> NodeValues:
        return self._combine(other, torch.sub)

    def __mul__(self, other: NodeValues | float) -> NodeValues:
        return self._combine(other, torch.mul)

    def __truediv__(self, other: NodeValues | float) -> NodeValues:
        return self._combine(other, torch.div)

    __radd__ = __add__
    __rmul__ = __mul__

    def __neg__(self) -> NodeValues:
        return self.map(torch.neg)

    def abs(self) -> NodeValues:
        """Absolute values."""
        return self.map(torch.abs)

    def sum(self) -> float:
        """The sum over all neurons, accumulated in float64."""
        return sum(float(tensor.sum(dtype=torch.float64)) for tensor in self.values())

    def dot(self, other: NodeValues) -> float:
        """The inner product over all neurons, accumulated in float64."""
        return (self.map(torch.Tensor.double) * other.map(torch.Tensor.double)).sum()

    def flatten(self) -> Tensor:
        """All values as one vector of shape (n_neurons,), groups in order, row-major inside a group."""
        return torch.cat([tensor.reshape(-1) for tensor in self.values()])

    def moments(self) -> pd.DataFrame:
        """A tidy frame with the columns group, statistic and value: the fields of :class:`Moments` for each group."""
        import pandas as pd

        rows = [
            (name, statistic, float(value))
            for name, tensor in self.items()
            for statistic, value in asdict(moments(tensor)).items()
        ]
        return pd.DataFrame(rows, columns=["group", "statistic", "value"])

    def frame(self) -> pd.DataFrame:
        """A tidy frame with one row a neuron: group, neuron (row-major index inside the group) and value."""
        import pandas as pd

        parts = [
            pd.DataFrame({"group": name, "neuron": range(tensor.numel()), "value": tensor.detach().reshape(-1).double().cpu().numpy()})
            for name, tensor in self.items()
        ]
        return pd.concat(parts, ignore_index=True)


def moments(values: Tensor, *, median: bool = True) -> Moments:
    """Population moments of a tensor's finite entries.

    >>> m = moments(torch.tensor([1.0, 2.0, 3.0, 10.0]))
    >>> m.mean, m.median, round(m.std, 7), round(m.skewness, 7), round(m.kurtosis, 4)
    (4.0, 2.5, 3.5355339, 1.0182338, -0.7696)
    """
    x = values.detach().reshape(-1).double()
    finite = x[torch.isfinite(x)]
    nonfinite = x.numel() - finite.numel()
    if finite.numel() == 0:
        nan = float("nan")
        return Moments(x.numel(), nonfinite, nan, nan, nan, nan, nan, nan, nan)
    mean = finite.mean()
    deviations = finite - mean
    variance = deviations.square().mean()
    # Rounding leaves a constant tensor a spread of about one unit in the last place of its mean.
    constant = bool(variance <= (1e-14 * mean) ** 2)
    std = variance.sqrt()
    return Moments(
        count=x.numel(),
        nonfinite=nonfinite,
        mean=float(mean),
        median=float(finite.quantile(0.5)) if median and finite.numel() < 2**24 else (_median(finite) if median else float("nan")),
        std=0.0 if constant else float(std),
        skewness=0.0 if constant else float((deviations / std).pow(3).mean()),
        kurtosis=0.0 if constant else float((deviations / std).pow(4).mean()) - 3.0,
        minimum=float(finite.min()),
        maximum=float(finite.max()),
    )


def _median(x: Tensor) -> float:
    half = x.numel() // 2
    upper = float(x.kthvalue(half + 1).values)
    return upper if x.numel() % 2 else (float(x.kthvalue(half).values) + upper) / 2
