"""The linear reading: the network with every nonlinearity replaced by the identity, and its map to the outputs.

The entry of :func:`linear_maps` at an output and a neuron is the sum, over all paths from the neuron to the output, of
the product of the weights on the path. Lin et al. 2025 (arXiv 2501.02436) call it the L-Map.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from axonometry.errors import ValuesError
from axonometry.program.readings.adjacency import run_program

if TYPE_CHECKING:
    from axonometry.program.operators import CapturedGraph


def linear_maps(
    graph: CapturedGraph, output: str | None = None, *, neurons: Iterable[int] | None = None
) -> dict[str, Tensor]:
    r"""The linear map from every group to an output group, by as many transposed passes as there are outputs.

    Args:
        graph: The network at one snapshot.
        output: Name of the output group; may be left out where there is one.
        neurons: Numbers of the outputs that are asked for, such as the classes that have samples; None for all.

    Returns:
        By group, in the order of computation: a tensor of shape (n_outputs, \*shape of the group); zero where no path
        leads to the output. That of the output itself is the identity.

    Raises:
        ValuesError: There are several output groups and none is named, or the one named is none.
    """
    outputs = [group.name for group in graph.groups if group.role == "output"]
    if output is None and len(outputs) != 1:
        raise ValuesError("a linear map leads to one output group", f"{len(outputs)} of them", f"Name one of {outputs}")
    output = outputs[0] if output is None else output
    shapes = {group.name: group.shape for group in graph.groups}
    if output not in shapes:
        raise ValuesError("a linear map leads to a group", repr(output), f"The groups are: {', '.join(shapes)}")
    with torch.inference_mode(False), torch.enable_grad():
        # Zeros, since a linear function has one derivative everywhere.
        leaves = {
            name: torch.zeros(shape, dtype=graph.dtype, device=graph.device, requires_grad=True)
            for name, shape in shapes.items()
        }
        received = run_program(graph.program, leaves, graph.weights, graph.links, mode="linear")
        # An input group that is asked for receives nothing.
        whole = leaves[output] + received[output].reshape(shapes[output]) if output in received else leaves[output]
        ends = whole.reshape(-1)
        rows = [
            torch.autograd.grad(ends[place], list(leaves.values()), retain_graph=True, materialize_grads=True)
            for place in (range(len(ends)) if neurons is None else neurons)
        ]
    return {name: torch.stack([row[place] for row in rows]) for place, name in enumerate(leaves)}
