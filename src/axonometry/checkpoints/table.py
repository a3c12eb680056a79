"""Statistics of every tensor of a checkpoint, one tensor in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

from axonometry.checkpoints.scales import dequantised
from axonometry.progress import Progress

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from axonometry.statistics import Moments

COLUMNS = (
    "tensor",
    "shape",
    "dtype",
    "scale",
    "count",
    "nonfinite",
    "mean",
    "std",
    "skewness",
    "kurtosis",
    "minimum",
    "maximum",
)


def weight_moments(tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor, Moments]]:
    """Name, tensor and population moments, tensor by tensor; without the median, which would take most of the time.

    The real and the imaginary parts of complex numbers count as entries. Codes of eight bits with scales beside them
    are multiplied with these first (:func:`~axonometry.checkpoints.scales.dequantised`).
    """
    for name, tensor, found, _ in _measured(tensors):
        yield name, tensor, found


def _measured(tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor, Moments, str]]:
    """Name, tensor as it is stored, moments of its numbers, and what these were multiplied with."""
    import torch

    from axonometry.statistics import moments

    for name in tensors:
        tensor = tensors[name]
        numbers, scale = dequantised(name, tensor, tensors)
        entries = torch.view_as_real(numbers.resolve_conj()) if numbers.is_complex() else numbers
        yield name, tensor, moments(entries, median=False), scale


def weight_table(tensors: Mapping[str, Tensor], *, progress: Progress | None = None) -> pd.DataFrame:
    """A row for each tensor: tensor, shape, dtype, and the link-weight statistics that ``link_weights`` has of a graph.

    Args:
        tensors: A :class:`Checkpoint`, or a state dict.
        progress: Called with tensors done, tensors in all, and the name of the last one.

    Returns:
        Columns tensor, shape (such as ``6x1x5x5``; empty for a single number), dtype, scale (what codes were multiplied
        with; empty for plain numbers), count, nonfinite, mean, std, skewness, kurtosis, minimum, maximum.
    """
    import pandas as pd

    rows = []
    for name, tensor, found, scale in _measured(tensors):
        shape, dtype = "x".join(map(str, tensor.shape)), str(tensor.dtype).removeprefix("torch.")
        rows.append({"tensor": name, "shape": shape, "dtype": dtype, "scale": scale, **asdict(found)})
        if progress is not None:
            progress(len(rows), len(tensors), name)
    return pd.DataFrame(rows, columns=list(COLUMNS))
