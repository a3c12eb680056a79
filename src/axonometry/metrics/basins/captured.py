"""A captured network as a module that classifies: what takes a module can so be asked of a graph at any snapshot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from axonometry.errors import SamplesError
from axonometry.metrics.labels import held, labels_in
from axonometry.metrics.rows import n_classes
from axonometry.program.readings.adjacency import statics_of
from axonometry.program.readings.live import run_plan
from axonometry.program.readings.live_plan import live_plan_of
from axonometry.program.readings.samples import batches_of, input_axes

if TYPE_CHECKING:
    from axonometry.program import NeuralGraph
    from axonometry.program.readings.samples import Samples


class CapturedClassifier(nn.Module):
    """The network of a graph, from a batch of samples to a row of logits each.

    Its parameters are the graph's own tensors, in the order of the state dict, so that one can add noise to them or
    differentiate by them; it computes what the captured module does in evaluation mode.

    >>> from axonometry.program import capture
    >>> layer = nn.Linear(2, 2)
    >>> x = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> bool(torch.allclose(CapturedClassifier(capture(layer, x[:1]))(x), layer(x)))
    True

    Args:
        graph: The network at one snapshot, with one input and one output group of several neurons.

    Raises:
        SamplesError: It has several inputs or outputs.
    """

    def __init__(self, graph: NeuralGraph) -> None:
        super().__init__()
        inputs = input_axes(graph)
        if not n_classes(graph) or len(inputs) != 1:
            came = f"{len(inputs)} inputs, outputs {[g.shape for g in graph.groups if g.role == 'output']}"
            raise SamplesError("a network classifies if it has one input and one output of several neurons", came)
        self._output = next(group.name for group in graph.groups if group.role == "output")
        self._plan = live_plan_of(graph, [self._output], pre_activations=False)
        trained, state = set(graph.program.parameters), graph.state
        self._places = {}  # a module takes no names with dots
        for place, name in enumerate(dict.fromkeys(graph.program.names.values())):
            tensor, self._places[name] = state[name].detach(), f"tensor_{place}"
            if name in trained and tensor.is_floating_point():
                self.register_parameter(self._places[name], nn.Parameter(tensor))
            else:
                self.register_buffer(self._places[name], tensor)

    def forward(self, samples: Tensor) -> Float[Tensor, "rows classes"]:
        """Logits of samples, which lie along axis 0."""
        (axis,) = self._plan.inputs
        stacked = axis.stacked(samples if axis.axis is None else samples.movedim(0, axis.axis))
        state = {name: getattr(self, place) for name, place in self._places.items()}
        statics = statics_of(self._plan.program, state, differentiable=True)
        _, activations, _ = run_plan(self._plan, statics, (stacked,))
        return activations[self._output].flatten(1)


def labelled(graph: NeuralGraph, samples: Samples) -> tuple[Tensor, Int[Tensor, " samples"]]:
    """All samples of labelled batches along axis 0 of one tensor, and their labels, for a network with one input.

    Args:
        graph: The network.
        samples: Batches of inputs and labels.

    Raises:
        SamplesError: They do not fit the network, or have no labels.

    >>> from axonometry.testing import graph_of
    >>> batches = [(torch.tensor([[1.0]]), torch.tensor([0])), (torch.tensor([[2.0]]), torch.tensor([1]))]
    >>> labelled(graph_of([[1.0], [2.0]]), batches)
    (tensor([[1.],
            [2.]]), tensor([0, 1]))
    """
    samples = held(samples)
    labels = labels_in(graph, samples)
    if labels is None:
        raise SamplesError("basins are of samples whose classes are known", "no labels", "Pass [(inputs, labels)]")
    (axis,) = input_axes(graph)
    stacked = torch.cat([batch[0] for batch in batches_of(samples, (axis,), 2**62, torch.device("cpu"))])
    return (stacked if axis.axis is None else stacked.squeeze(axis.axis + 1)), labels
