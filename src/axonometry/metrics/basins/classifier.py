"""A network that classifies, with samples whose classes are known: what all basins ask of it, in batches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from axonometry.errors import SamplesError, WeightsError
from axonometry.program.entry import as_tensor
from axonometry.program.readings.samples import Samples
from axonometry.program.untouched import untouched, unwrapped

DIVERGED = "The training has diverged: measure an earlier step"
_ROWS = 256
"""Samples in one pass on a CPU: what flows between two layers should stay in its cache."""
_ROWS_ON_DEVICE = 8192
_NUMBERS_ON_DEVICE = 2**26
"""Numbers of the inputs of one pass on an accelerator, whose memory also holds what the layers make of them."""


@dataclass(frozen=True)
class Classifier:
    """A network in evaluation mode beside samples with their classes.

    Attributes:
        model: From a batch of samples to logits, a row a sample.
        samples: Where the network is.
        labels: The class of each sample.
        predicted: The class that the network gives to each sample without noise.
        n_classes: Number of logits.
    """

    model: nn.Module
    samples: Tensor
    labels: Int[Tensor, " samples"]
    predicted: Int[Tensor, " samples"]
    n_classes: int

    @property
    def right(self) -> Bool[Tensor, " samples"]:
        """Which samples the network classifies right without noise."""
        return self.predicted == self.labels

    @property
    def rows(self) -> int:
        """How many samples go through the network at once."""
        return _rows_at_once(self.samples)


@contextmanager
def examined(model: nn.Module, samples: Samples, labels: Any = None, *, diverged: bool = False) -> Iterator[Classifier]:
    """The classifier, checked, for as long as the block lasts; the model is then as it was, its buffers too.

    Args:
        model: The network.
        samples: A tensor or an array; without labels, batches of inputs and labels, as a DataLoader has them.
        labels: The class of each sample.
        diverged: Whether a network may have diverged, as where NaN is a result.

    Raises:
        SamplesError: Samples and labels do not fit each other or the network, or there are none.
        WeightsError: A parameter is NaN or infinite, or a logit is NaN: the training has diverged.

    >>> with examined(nn.Identity(), torch.eye(3), torch.tensor([0, 1, 1])) as classifier:
    ...     classifier.predicted, classifier.right, classifier.n_classes
    (tensor([0, 1, 2]), tensor([ True,  True, False]), 3)
    """
    module = unwrapped(model)
    samples, labels = _gathered(samples, labels)
    with untouched(module), _buffers_kept(module), torch.no_grad():
        samples, labels = _checked(module, samples, labels)
        logits = torch.cat([logits_of(outputs_of(module, part)) for part in samples.split(_rows_at_once(samples))])
        if logits.shape[0] != len(samples):
            raise SamplesError("a network gives each sample one row of logits", f"{len(logits)} for {len(samples)}")
        if int(labels.max()) >= logits.shape[1]:
            came = f"the label {int(labels.max())} and {logits.shape[1]} logits"
            raise SamplesError("labels number the logits, from 0", came, "Number the classes as the network does")
        predicted = classes_of(logits)
        if not diverged:
            _refuse_diverged(module, predicted)
        yield Classifier(module, samples, labels, predicted, logits.shape[1])


def outputs_of(module: nn.Module, samples: Tensor) -> Any:
    """What the network makes of samples.

    Raises:
        SamplesError: It cannot be run on them; what it raised is the cause.

    >>> outputs_of(nn.Linear(3, 2), torch.zeros(4, 5))
    Traceback (most recent call last):
        ...
    axonometry.errors.SamplesError: the network can be run on the samples; got samples of shape (4, 5) and Runtime...
    """
    try:
        return module(samples)
    except (RuntimeError, TypeError, ValueError, LookupError) as error:
        first = next(iter(str(error).strip().splitlines()), "")
        came = f"samples of shape {tuple(samples.shape)} and {type(error).__name__}: {first}"
        raise SamplesError("the network can be run on the samples", came, "Pass what it takes in training") from error


def _refuse_diverged(module: nn.Module, predicted: Tensor) -> None:
    """A network that has diverged has no basin: it is wrong about every sample, which would read as one of size 0."""
    odd = [name for name, p in module.named_parameters() if p.is_floating_point() and not bool(p.isfinite().all())]
    if odd:
        came = f"NaN or infinity in {odd[0]!r}" + (f" and {len(odd) - 1} more" if len(odd) > 1 else "")
        raise WeightsError("a basin is of finite weights", came, DIVERGED)
    if bool((predicted < 0).any()):
        came = f"NaN for sample {int((predicted < 0).nonzero()[0])} and {int((predicted < 0).sum()) - 1} more"
        raise WeightsError("a basin is of finite logits", came, DIVERGED)


def _rows_at_once(samples: Tensor) -> int:
    """How many of these samples go through a network at once."""
    if samples.device.type == "cpu":
        return _ROWS
    return max(1, min(_ROWS_ON_DEVICE, _NUMBERS_ON_DEVICE // max(1, samples[0].numel())))


def logits_of(output: object) -> Float[Tensor, "rows classes"]:
    """The logits in what a network returned: a tensor, or an object that calls them ``logits`` (Transformers).

    Raises:
        SamplesError: It is neither, or not one row of at least two logits a sample.

    >>> logits_of(torch.zeros(2, 3)).shape
    torch.Size([2, 3])
    >>> logits_of(torch.zeros(2, 1))
    Traceback (most recent call last):
        ...
    axonometry.errors.SamplesError: basins are measured of a network ... got shape (2, 1)...
    """
    logits = getattr(output, "logits", output)
    if not isinstance(logits, Tensor) or logits.dim() != 2 or logits.shape[1] < 2 or not logits.is_floating_point():
        came = f"shape {tuple(logits.shape)}" if isinstance(logits, Tensor) else type(output).__name__
        raise SamplesError(
            "basins are measured of a network that gives each sample a row of at least two logits",
            came,
            "Wrap it in a module that does; a single logit z becomes the two of torch.cat([-z, z], 1)",
        )
    return logits


def classes_of(logits: Float[Tensor, "*rows classes"]) -> Int[Tensor, "*rows"]:
    """The class of the largest logit, the first of equal ones; -1 where one is NaN.

    >>> classes_of(torch.tensor([[1.0, 3.0, 3.0], [1.0, float("nan"), 2.0]]))
    tensor([ 1, -1])
    """
    largest, classes = logits.max(-1)
    return classes.masked_fill_(largest.isnan(), -1)


def _gathered(samples: Samples, labels: Any) -> tuple[Tensor, Tensor]:
    """Samples and their labels as one tensor each."""
    if labels is None and not isinstance(samples, Tensor):
        try:
            pairs = [(as_tensor(batch[0]), as_tensor(batch[1])) for batch in samples]
        except (TypeError, LookupError) as error:
            rule, remedy = "samples without labels are batches of inputs and labels", "Pass a DataLoader of pairs"
            raise SamplesError(rule, f"a {type(samples).__name__}", remedy) from error
        if pairs and all(isinstance(part, Tensor) for pair in pairs for part in pair):
            samples, labels = (torch.cat([pair[place] for pair in pairs]) for place in range(2))
    samples, labels = as_tensor(samples), as_tensor(labels)
    if not isinstance(samples, Tensor) or not isinstance(labels, Tensor):
        came = f"a {type(samples).__name__} and a {type(labels).__name__}"
        raise SamplesError("samples and labels are tensors", came, "Pass two tensors, or a DataLoader of both")
    return samples, labels


def _checked(module: nn.Module, samples: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    if len(samples) == 0 or labels.shape != samples.shape[:1] or labels.is_floating_point():
        came = f"samples of shape {tuple(samples.shape)} and labels of {tuple(labels.shape)}, {labels.dtype}"
        raise SamplesError("each of at least one sample has an integer label", came, "Give one class index per sample")
    if int(labels.min()) < 0:
        raise SamplesError("labels are at least 0", str(int(labels.min())), "Leave samples without a class out")
    weights = [p for p in module.parameters() if p.is_floating_point()]
    samples, labels = samples.detach(), labels.detach().long()
    if samples.is_floating_point():
        odd = (~samples.isfinite()).flatten(1).any(1) if samples.dim() > 1 else ~samples.isfinite()
        if odd.any():
            raise SamplesError("samples are finite", f"NaN or infinity in sample {int(odd.nonzero()[0])}")
        samples = samples.to(weights[0].dtype) if weights else samples
    device = weights[0].device if weights else samples.device
    return samples.to(device), labels.to(device)


@contextmanager
def _buffers_kept(module: nn.Module) -> Iterator[None]:
    """Buffers that a forward pass changes in place, such as counters, get their numbers back."""
    before = [(buffer, buffer.clone(), buffer._version) for buffer in module.buffers()]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, content, version in before:
                if buffer._version != version:
                    buffer.copy_(content)
