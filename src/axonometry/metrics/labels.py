"""Labels of samples: checked, or found in batches of inputs and labels."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from axonometry.errors import SamplesError
from axonometry.program.readings.samples import Samples, input_axes

if TYPE_CHECKING:
    from axonometry.program import NeuralGraph


def held(samples: Samples) -> Samples:
    """The samples; an iterable of batches as a list, so that it can be gone through again in the same order.

    >>> held((batch for batch in [torch.zeros(2, 3)]))
    [tensor([[0., 0., 0.],
            [0., 0., 0.]])]
    """
    return samples if isinstance(samples, (Tensor, tuple, list, Mapping)) else list(samples)


def labels_in(graph: NeuralGraph, samples: Samples) -> Tensor | None:
    """What stands behind the inputs in batches of an iterable, as a DataLoader gives them; None where nothing does.

    Args:
        graph: The network, for the number of its inputs.
        samples: As for :func:`~axonometry.program.readings.live.live_batches`; not an iterator, which can be
            read only once.

    >>> from axonometry.testing import graph_of
    >>> batches = [(torch.zeros(2, 1), torch.tensor([0, 1])), (torch.zeros(1, 1), torch.tensor([2]))]
    >>> labels_in(graph_of([[1.0]]), batches)
    tensor([0, 1, 2])
    """
    if isinstance(samples, (Tensor, tuple, Mapping)):
        return None
    place = len(input_axes(graph))
    found = []
    for batch in samples:
        if not isinstance(batch, (tuple, list)) or len(batch) <= place or not isinstance(batch[place], Tensor):
            return None
        found.append(batch[place])
    return torch.cat(found) if found else None


def has_labels(graph: NeuralGraph, samples: Samples) -> bool:
    """Whether labels stand behind the inputs in the first batch of an iterable.

    >>> from axonometry.testing import graph_of
    >>> graph, inputs = graph_of([[1.0]]), torch.zeros(2, 1)
    >>> has_labels(graph, [(inputs, torch.tensor([0, 1]))]), has_labels(graph, inputs)
    (True, False)
    """
    if isinstance(samples, (Tensor, tuple, Mapping)):
        return False
    return labels_in(graph, list(islice(samples, 1))) is not None


def checked_labels(labels: Tensor, n: int, classes: int, *, several: bool = True) -> None:
    """Refuse labels that do not fit, and, where several classes are needed, those of one class.

    Raises:
        SamplesError: They are not one class number a sample, or all of one class.

    >>> checked_labels(torch.tensor([0, 1, 1]), n=3, classes=2)
    >>> checked_labels(torch.tensor([0, 2, 1]), n=3, classes=2)
    Traceback (most recent call last):
        ...
    axonometry.errors.SamplesError: a label is the number of an output; got labels from 0 to 2 for 2 outputs...
    """
    if labels.dim() != 1 or labels.is_floating_point() or len(labels) != n:
        came = f"{labels.dtype} of shape {tuple(labels.shape)} for {n} samples"
        raise SamplesError("labels are one whole number a sample", came, "Pass the classes' numbers, from 0")
    low, high = (int(labels.min()), int(labels.max())) if n else (0, 0)
    if low < 0 or high >= max(1, classes):
        came = f"labels from {low} to {high} for {classes} outputs"
        raise SamplesError("a label is the number of an output", came, "Number the classes as the outputs, from 0")
    if several and len(labels.unique()) < 2:
        came = f"{n} samples, all of class {int(labels[0])}" if n else "no samples"
        raise SamplesError(
            "ranks tell the samples of a class from the others", came, "Pass samples of two classes or more"
        )
