"""That samples go through the network as the example did: by themselves, and with the same decisions.

A live reading runs the captured program on each sample by itself. That is what the module computes as long as samples
do not meet in a batch. The capture has looked for that with noise around its example, which may not reach the branch
where they do::

    def forward(self, x):
        h = self.a(x)
        h = torch.where(h > 10, h - h.mean(0), h)  # no example of zeros gets here
        return self.o(h)

So of the first batch, the first two samples go through the module itself, each alone and both together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_unflatten

from axonometry.errors import SamplesError
from axonometry.program.checks.samples import compare_two
from axonometry.program.checks.trial import Branches, trial
from axonometry.program.draws import AtTheirMeans, same_draws
from axonometry.program.export import prepared
from axonometry.program.readings.live_plan import LivePlan

if TYPE_CHECKING:
    from axonometry.program.operators import CapturedGraph


def refuse_mixing(graph: CapturedGraph, plan: LivePlan, inputs: tuple[Tensor, ...]) -> None:
    """Compare the first two samples alone with both in a batch; a graph of stored weights has no module to ask.

    Args:
        graph: The graph that is read.
        plan: What is read of it.
        inputs: A batch: per input the samples along axis 0, or one value that all share.

    Raises:
        CaptureError: The samples of a batch meet in the module; the message names the operation.
    """
    module, example = graph.module, plan.program.module.meta.get("example")
    axes = plan.axes(inputs)
    several = next((len(x) for x, axis in zip(inputs, axes, strict=True) if axis is not None), 0) > 1
    known = all(axis is None or one.axis is not None for axis, one in zip(axes, plan.inputs, strict=True))
    if module is None or example is None or not several or not known:
        return
    first, second = ([x if a is None else x[i] for x, a in zip(inputs, axes, strict=True)] for i in (0, 1))
    both = [
        a if one.axis is None else torch.cat([a, b], one.axis)
        for a, b, one in zip(first, second, plan.inputs, strict=True)
    ]
    with prepared(module):
        compare_two(module, tuple(_nested(example, x) for x in (first, second, both)), len(inputs))


def refuse_other_decisions(plan: LivePlan, inputs: tuple[Tensor, ...], start: int) -> None:
    """See that integers decide as those of the example, where the capture has asked for them.

    Args:
        plan: What is read.
        inputs: A batch, as for :func:`refuse_mixing`.
        start: The number of its first sample.

    Raises:
        SamplesError: A sample's integers decide otherwise: its program is another one.
    """
    decisions = plan.program.module.meta.get("decisions")
    if not decisions:
        return
    axes = plan.axes(inputs)
    size = next((len(x) for x, axis in zip(inputs, axes, strict=True) if axis is not None), 0)
    for i in range(size):
        if not decisions.same([x if axis is None else x[i] for x, axis in zip(inputs, axes, strict=True)]):
            raise SamplesError(
                "a sample goes through the network as the example that was captured",
                f"sample {start + i}, whose integers decide otherwise than those of the example",
                "Capture the network with such a sample as the example",
            )


def refuse_other_branches(graph: CapturedGraph, plan: LivePlan, inputs: tuple[Tensor, ...], start: int) -> None:
    """See that samples take the branches of the example, where the module has a ``torch.cond``: it is run on each.

    Args:
        graph: The graph that is read.
        plan: What is read of it.
        inputs: A batch, as for :func:`refuse_mixing`.
        start: The number of its first sample.

    Raises:
        SamplesError: A sample takes another branch, or there is no module to ask: its program may be another one.
    """
    meta = plan.program.module.meta
    branches, example, axes = meta.get("branches"), meta.get("example"), plan.axes(inputs)
    if not branches or example is None:
        return
    rule = "a live reading takes the branches of torch.cond that the captured example takes"
    if graph.module is None:
        came = "stored weights, which have no module to ask about a sample's branch"
        raise SamplesError(rule, came, "Load the weights into the module, and capture it")
    size = next((len(x) for x, axis in zip(inputs, axes, strict=True) if axis is not None), 0)
    with prepared(graph.module), same_draws():
        for i in range(size):
            taken = Branches()
            sample = [x if axis is None else x[i] for x, axis in zip(inputs, axes, strict=True)]
            trial(graph.module, _nested(example, sample), taken, (AtTheirMeans(),))
            if tuple(taken.taken) != branches:
                remedy = "Capture the network with such a sample as the example, and read each kind by its own graph"
                raise SamplesError(rule, f"sample {start + i}, which takes another one", remedy)


def _nested(example: tuple[tuple[tuple[bool, Any], ...], Any], tensors: list[Tensor]) -> Any:
    """The inputs of one pass, nested as the example's."""
    plain, spec = example
    given = iter(tensors)
    return tree_unflatten([next(given) if is_tensor else leaf for is_tensor, leaf in plain], spec)
