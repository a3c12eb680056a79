"""What a captured network consists of: neuron groups, synapses, wires, and the account of its parameters."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, NoReturn, SupportsIndex

import torch
from torch import Tensor, fx

from axonometry.errors import CaptureError
from axonometry.program.fx_utils import first_value, shape_of
from axonometry.program.op_call import LinearFunction, Lowering

Shape = tuple[int, ...]
Statics = dict[fx.Node, Any]
"""Values that do not depend on the module's input, by node: weights, buffers, and what is computed from them."""


@dataclass(frozen=True)
class Group:
    """The neurons of one layer: an input, or a sum that synapses feed.

    Attributes:
        name: Path of the synapse in the user's module, ``input`` for a single input.
        shape: Shape without the batch axis.
        role: ``input``, ``hidden`` or ``output`` (its value reaches the module's output without another synapse).
        channel_axis: The axis of ``shape`` that counts channels (features of a linear layer).
        place: Path of the module whose forward makes the sum.
        rolled: Name of the group in the channel graph: the steps of a recurrent cell's loop are one group there.
    """

    name: str
    shape: Shape
    role: Literal["input", "hidden", "output"]
    channel_axis: int
    place: str
    rolled: str = ""

    @property
    def n_neurons(self) -> int:
        """Number of neurons in the group."""
        return math.prod(self.shape)

    @property
    def n_channels(self) -> int:
        """Number of channels in the group."""
        return self.shape[self.channel_axis] if self.shape else 1


def spans(groups: Iterable[Group]) -> dict[str, slice]:
    """Where each group's neurons are in a vector over all, as ``NodeValues.flatten`` has them.

    >>> spans([Group("input", (2, 3), "input", 0, ""), Group("fc", (4,), "output", 0, "fc")])
    {'input': slice(0, 6, None), 'fc': slice(6, 10, None)}
    """
    found, end = {}, 0
    for group in groups:
        found[group.name] = slice(end, end + group.n_neurons)
        end += group.n_neurons
    return found


@dataclass(frozen=True)
class Synapse:
    """A parametric linear map into a group; a module that is called twice is two synapses.

    Attributes:
        name: Path of the module in the user's network, with ``@2`` for a second call.
        kind: Name of the operation, such as ``linear`` or ``conv2d``.
        parameter: Name of the weight in the state dict; where it is computed from several, their names joined by ``+``.
        shape: Shape of the weight.
        sources: Names of the groups whose neurons the links leave.
        target: Name of the group that the links enter.
        n_links: Number of links, counted by position and path; a weight of zero is a link.
    """

    name: str
    kind: str
    parameter: str
    shape: Shape
    sources: tuple[str, ...]
    target: str
    n_links: int


@dataclass(frozen=True)
class Wire:
    """Links without a parameter that end in a group: an identity skip, or the pooled nodes of ``pooling="nodes"``.

    Attributes:
        target: Name of the group that the links enter.
        kind: ``skip`` or ``pooling``.
        sources: Names of the groups whose neurons the links leave.
        n_links: Number of links.
    """

    target: str
    kind: Literal["skip", "pooling"]
    sources: tuple[str, ...]
    n_links: int


@dataclass(frozen=True)
class Coverage:
    """What became of one parameter.

    Attributes:
        parameter: Name in the state dict.
        role: What claims it; ``unclaimed`` where nothing does.
        claimed_by: Name of the synapse or path of the module that claims it; empty where nothing does.
        reason: One line in words.
    """

    parameter: str
    role: Literal["synapse", "bias", "normalisation", "activation", "unclaimed"]
    claimed_by: str
    reason: str


@dataclass(frozen=True)
class Kernel:
    """The weights of a synapse at one snapshot.

    A link's weight is ``weight * gain`` times the coefficients of the wiring in front of the synapse.

    Attributes:
        weight: As the module holds it, in torch's layout.
        gain: What folded normalisation and scales multiply each output channel with, broadcastable to ``weight``;
            None where nothing does.
        output_axis: The axis of ``weight`` that counts output channels.
        groups: Blocks of channels that do not see each other, in order, in a grouped convolution.
    """

    weight: Tensor
    gain: Tensor | None
    output_axis: int
    groups: int = 1

    @property
    def effective(self) -> Tensor:
        """The folded weight: ``weight * gain``."""
        return self.weight if self.gain is None else self.weight * self.gain

    def rows(self) -> Kernel:
        """The same kernel with a weight of shape (output channels, links of each), its gain (output channels, 1)."""
        gain = None if self.gain is None else self._rows(self.gain.expand_as(self.weight))[:, :1]
        return replace(self, weight=self._rows(self.weight), gain=gain, output_axis=0, groups=1)

    def _rows(self, weight: Tensor) -> Tensor:
        if self.output_axis == 1 and self.groups > 1:  # transposed: (in, out / groups, ...), blocks of inputs in order
            blocks = weight.unflatten(0, (self.groups, -1)).movedim(2, 1)
            return blocks.flatten(0, 1).flatten(1)
        rows = weight.movedim(self.output_axis, 0)
        return rows.flatten(1) if rows.dim() > 1 else rows.unsqueeze(1)


@dataclass(frozen=True)
class Step:
    """One call of the program, read.

    Attributes:
        node: The call; its result is remembered under it.
        read: The linear function of its signals.
        args: Arguments, with nodes where values belong.
        kwargs: Keyword arguments.
        sources: Names of the groups that the result reads.
        group: Name of the group whose pre-activations the result is, where the signal is cut.
        data_dependent: From the real values of the call's arguments, the function to read it with.
    """

    node: fx.Node
    read: LinearFunction
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    sources: frozenset[str]
    group: str | None = None
    data_dependent: Callable[..., LinearFunction] | None = None


@dataclass(frozen=True)
class Loop:
    """A stretch of steps whose last one feeds its first, one time step later.

    Attributes:
        start: Place of the first step.
        end: Place of the last step, whose group feeds back.
        times: Number of time steps, after which everything has gone through.
    """

    start: int
    end: int
    times: int


@dataclass(frozen=True)
class SynapseSite:
    """How a synapse sits in the program: its call, its rule, and the scales between it and the sum it feeds."""

    node: fx.Node
    lowering: Lowering
    scales: tuple[tuple[fx.Node, Lowering], ...]
    factor: float


@dataclass(frozen=True, eq=False)
class Program:
    """A captured network without its weights: what ``capture`` makes and every reading interprets.

    Attributes:
        groups: Neuron groups in the order of computation, inputs first.
        synapses: Parametric linear maps, in the order of computation.
        wires: Links without a parameter that end in a group.
        coverage: What became of every parameter.
        steps: The calls that the cut reading needs, in order.
        inputs: The nodes of the input groups.
        shapes: Shape of each group's value in the program, with the batch axis.
        names: State-dict name of each static placeholder.
        computed: Calls that depend on parameters and constants alone, in order.
        sites: By synapse name.
        module: The exported graph that all of this was read from, after the passes; it holds no weights.
        parameters: Names of the module's parameters.
        constants: Names of tensors in the state that no state dict holds.
        arguments: The placeholders of the module's inputs, in order, each with its place in the example: the name of
            the forward's argument, then keys and places.
        activations: By group, the node of the last elementwise nonlinearity on its sums, or of the sums themselves.
        controls: Inputs that are no neurons, such as masks and token ids, with the example's values.
        varying: The nodes that depend on the module's inputs.
        batch_axes: By input of the module, the axis that counts samples, None where all share it; the program is that
            of one sample.
    """

    groups: tuple[Group, ...]
    synapses: tuple[Synapse, ...]
    wires: tuple[Wire, ...]
    coverage: tuple[Coverage, ...]
    steps: tuple[Step, ...]
    inputs: Mapping[str, fx.Node]
    shapes: Mapping[str, Shape]
    names: Mapping[fx.Node, str]
    computed: tuple[fx.Node, ...]
    sites: Mapping[str, SynapseSite]
    module: fx.GraphModule
    parameters: tuple[str, ...]
    constants: frozenset[str]
    arguments: tuple[tuple[fx.Node, tuple[Any, ...]], ...]
    activations: Mapping[str, fx.Node]
    controls: Mapping[fx.Node, Any]
    varying: frozenset[fx.Node]
    batch_axes: Mapping[fx.Node, int | None]

    def __deepcopy__(self, memo: dict[int, Any]) -> Program:
        """Itself: it never changes."""
        return self

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        """A program holds functions, those of rules among them, that no pickle can name."""
        raise CaptureError(
            "a graph is not pickled",
            "one",
            "Pickle its module and its example, and capture them where they arrive: ax.capture(module, example)",
        )

    @property
    def graph(self) -> fx.Graph:
        """The exported calls, after the passes."""
        return self.module.graph

    @cached_property
    def device(self) -> torch.device:
        """Where the weights were when they were captured; they may be elsewhere now."""
        values = (first_value(node) for node in self.names)
        return next((value.device for value in values if isinstance(value, Tensor)), torch.device("cpu"))

    @cached_property
    def spent(self) -> Mapping[fx.Node, tuple[fx.Node, ...]]:
        """By static call, the static values that nothing reads after it, such as the parts of attention masks."""
        static = set(self.computed) - self.varying  # what varies is computed anew for each live sample
        read = {n for step in self.steps for n in nodes_in((step.args, step.kwargs))}
        read |= {n for node in self.graph.nodes if node not in static for n in node.all_input_nodes}
        last: dict[fx.Node, fx.Node] = {}
        for node in self.computed:
            last.update(
                {operand: node for operand in node.all_input_nodes if operand in static and operand not in read}
            )
        spent: dict[fx.Node, tuple[fx.Node, ...]] = {}
        for operand, node in last.items():
            spent[node] = (*spent.get(node, ()), operand)
        return spent

    @cached_property
    def controlled(self) -> tuple[fx.Node, ...]:
        """What steps read besides signals that depends on the sample: masks, lengths, places."""
        read = (n for step in self.steps if step.data_dependent is None for n in nodes_in((step.args, step.kwargs)))
        static = {*self.computed, *self.controls}
        return tuple(dict.fromkeys(node for node in read if node in static and node in self.varying))

    @cached_property
    def loops(self) -> tuple[Loop, ...]:
        """The stretches of steps in which a recurrent layer feeds itself."""
        at = {step.node: place for place, step in enumerate(self.steps)}
        found = []
        for place, step in enumerate(self.steps):
            if "fed_by" in step.node.meta:
                found.append(Loop(place, at[step.node.meta["fed_by"]], _steps_of(step)))
        return tuple(found)


def nodes_in(arguments: Any) -> list[fx.Node]:
    """The nodes among the arguments of a call."""
    found: list[fx.Node] = []
    fx.map_arg(arguments, found.append)
    return found


def _steps_of(step: Step) -> int:
    """Number of time steps of a loop that starts with this step."""
    return int(shape_of(step.node)[step.args[2]])
