"""Values on the neurons of a graph: one tensor per neuron group, their moments, their frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from axonometry.arguments import argument_errors
from axonometry.errors import ValuesError
from axonometry.showing import shown
from axonometry.statistics import Moments, moments

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Moments", "NodeValues", "moments"]


@argument_errors
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
            raise ValuesError(
                "a value is asked for by the name of a neuron group", repr(group), f"The groups are: {', '.join(self)}"
            )
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

    def _repr_html_(self) -> str:
        return str(shown("values_html", self))

    def plot(self) -> Any:
        """How the values of each group are distributed, as a Plotly figure."""
        return shown("values_plot", self)

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
            pd.DataFrame(
                {
                    "group": name,
                    "neuron": range(tensor.numel()),
                    "value": tensor.detach().reshape(-1).double().cpu().numpy(),
                }
            )
            for name, tensor in self.items()
        ]
        return pd.concat(parts, ignore_index=True)
