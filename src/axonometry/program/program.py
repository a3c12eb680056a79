"""The program: a network's forward pass as linear steps between neuron groups."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, fx
from torch.export import ExportedProgram

from axonometry.program.description import Coverage, Group, Kernel, Shape, Synapse, Wire
from axonometry.program.fx_utils import shape_of
from axonometry.program.links import Links
from axonometry.program.registry import Read, Reading

Statics = dict[fx.Node, Any]


@dataclass(frozen=True)
class Step:
    """One call of the program, read.

    Attributes:
        node: The call; its result is remembered under it.
        read: The linear function of its signals.
        args: Arguments, with nodes where values belong.
        kwargs: Keyword arguments.
        sources: Names of the groups that the result reads.
        group: Name of the group whose local field the result is, where the signal is cut.
        live: From the real values of the call's arguments, the function to read it with; see :class:`Reading`.
    """

    node: fx.Node
    read: Read
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    sources: frozenset[str]
    group: str | None = None
    live: Callable[..., Read] | None = None


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
    reading: Reading
    scales: tuple[tuple[fx.Node, Reading], ...]
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
        junctions: By synapse name.
        exported: The exported program that all of this was read from.
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
    junctions: Mapping[str, SynapseSite]
    exported: ExportedProgram
    activations: Mapping[str, fx.Node]
    controls: Mapping[fx.Node, Any]
    varying: frozenset[fx.Node]
    batch_axes: Mapping[fx.Node, int | None]

    def statics(self, state: Mapping[str, Tensor], *, differentiable: bool = False) -> Statics:
        """Every value that does not depend on the input, at these weights.

        Args:
            state: Parameters and buffers by state-dict name.
            differentiable: Whether gradients flow from the values to the weights.
        """
        values: Statics = {**self.controls, **{node: state[name] for node, name in self.names.items()}}
        with nullcontext() if differentiable else torch.no_grad():
            for node in self.computed:
                if node.op == "get_attr":
                    values[node] = getattr(self.exported.graph_module, str(node.target))
                else:
                    # zeros_like of a signal asks for its shape alone
                    args, kwargs = fx.map_arg(
                        (node.args, dict(node.kwargs)), lambda n: values[n] if n in values else _blank(n)
                    )
                    values[node] = node.target(*args, **kwargs)  # type: ignore[operator]
                for spent in self._spent.get(node, ()):
                    del values[spent]
        return values

    @cached_property
    def _spent(self) -> Mapping[fx.Node, tuple[fx.Node, ...]]:
        """By static call, the static values that nothing reads after it, such as the parts of attention masks."""
        static = set(self.computed) - self.varying  # what varies is computed anew for each live sample
        read = {n for step in self.steps for n in _nodes((step.args, step.kwargs))}
        read |= {n for node in self.exported.graph.nodes if node not in static for n in node.all_input_nodes}
        last: dict[fx.Node, fx.Node] = {}
        for node in self.computed:
            last.update(
                {operand: node for operand in node.all_input_nodes if operand in static and operand not in read}
            )
        spent: dict[fx.Node, tuple[fx.Node, ...]] = {}
        for operand, node in last.items():
            spent[node] = (*spent.get(node, ()), operand)
        return spent

    def run(  # noqa: PLR0913 - what a reading is
        self,
        values: Mapping[str, Tensor],
        statics: Statics,
        links: Links,
        *,
        source: str | None = None,
        through: bool = False,
        reals: Mapping[fx.Node, Any] | None = None,
        observe: Callable[[Step, Any], None] | None = None,
    ) -> dict[str, Tensor]:
        """Read every step once, with each group's given value in place of what its neurons receive.

        Args:
            values: A value for each group, of the group's shape.
            statics: From :meth:`statics`.
            links: What happens to coefficients.
            source: If given, only links that leave this group are followed; all other groups are zero.
            through: Whether each group sends on what it receives, its given value added, so that signals go all the way
                (the linear reading); without it they end at every group (the cut reading).
            reals: Real values of one sample, by node: links that depend on the sample are then those of this one.
            observe: Called with each step and its result.

        Returns:
            What each group receives; groups that receive nothing are left out.
        """
        environment = dict(statics)
        if reals is not None:
            environment.update({node: reals[node] for node in self.controlled if node in reals})
        received: dict[str, Tensor] = {}
        for name, node in self.inputs.items():
            if source in (None, name):
                environment[node] = values[name].reshape(self.shapes[name])
        fed = {loop.end: self.steps[loop.end] for loop in self.loops}
        for step in fed.values():
            assert step.group is not None
            if source in (None, step.group):
                environment[step.node] = values[step.group].reshape(self.shapes[step.group])

        for place in self._order(through):
            step = self.steps[place]
            if source is not None and source not in step.sources:
                if step.group == source:
                    environment[step.node] = values[source].reshape(self.shapes[source])
                continue
            args = fx.map_arg(step.args, lambda node: self._value(node, environment, links))
            kwargs = fx.map_arg(step.kwargs, lambda node: self._value(node, environment, links)) if step.kwargs else {}
            result = self._read(step, reals)(links, *args, **kwargs)
            if observe is not None:
                observe(step, result)
            if step.group is not None:
                received[step.group] = result.reshape(self.shapes[step.group])
                if source in (None, step.group):
                    sent = values[step.group].reshape(self.shapes[step.group])
                    environment[step.node] = received[step.group] + sent if through else sent
                continue
            environment[step.node] = result
        return received

    @cached_property
    def controlled(self) -> tuple[fx.Node, ...]:
        """What steps read besides signals that depends on the sample: masks, lengths, places."""
        read = (n for step in self.steps if step.live is None for n in _nodes((step.args, step.kwargs)))
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

    def _order(self, through: bool) -> Iterable[int]:
        """The order in which steps are read: a loop as often as it has time steps where signals go through."""
        if not through or not self.loops:
            return range(len(self.steps))
        order: list[int] = []
        for loop in self.loops:
            order += range(order[-1] + 1 if order else 0, loop.start)
            order += [*range(loop.start, loop.end + 1)] * loop.times
        return [*order, *range(order[-1] + 1, len(self.steps))]

    @staticmethod
    def _read(step: Step, reals: Mapping[fx.Node, Any] | None) -> Read:
        if reals is None or step.live is None:
            return step.read
        node = step.node
        args, kwargs = fx.map_arg((node.args, dict(node.kwargs)), lambda n: reals[n])
        return step.live(*args, **kwargs)

    def kernel(self, synapse: str, statics: Statics) -> Kernel:
        """The synapse's weights at one snapshot, with what is folded into them."""
        junction = self.junctions[synapse]
        reading = junction.reading
        flat = [a for argument in junction.node.args for a in (argument if isinstance(argument, list) else [argument])]
        candidates = [statics[a] for a in flat if isinstance(a, fx.Node) and a in statics]
        argument = junction.node.args[reading.weight]
        weight = statics[argument] if isinstance(argument, fx.Node) and argument in statics else candidates[0]
        gain: Tensor | None = None
        for node, scale in junction.scales:
            args, kwargs = fx.map_arg((node.args, dict(node.kwargs)), statics.get)
            factor = scale.gain(*args, **kwargs).factor  # type: ignore[misc]
            factor = factor.reshape(-1) if isinstance(factor, Tensor) else weight.new_full((1,), factor)
            gain = factor if gain is None else gain * factor
        if junction.factor != 1:
            gain = (weight.new_ones(1) if gain is None else gain) * junction.factor
        return Kernel(
            weight, None if gain is None else _along(gain, weight, reading), reading.output_axis, reading.groups
        )

    def _value(self, node: fx.Node, environment: Mapping[fx.Node, Any], links: Links) -> Any:
        return environment[node] if node in environment else self.nothing(node, links)

    def nothing(self, node: fx.Node, links: Links) -> Any:
        """Zeros in place of a signal that is not followed."""
        return _blank(node, links.dtype)


def _nodes(arguments: Any) -> list[fx.Node]:
    found: list[fx.Node] = []
    fx.map_arg(arguments, found.append)
    return found


def _steps_of(step: Step) -> int:
    """Number of time steps of a loop that starts with this step."""
    return int(shape_of(step.node)[step.args[2]])


def _blank(node: fx.Node, dtype: torch.dtype | None = None) -> Any:
    """Zeros of the shape of a node's result."""
    value = node.meta["val"]
    several = isinstance(value, (tuple, list))
    zeros = [torch.zeros(v.shape, dtype=dtype or v.dtype, device=v.device) for v in (value if several else [value])]
    return zeros if several else zeros[0]


def _along(gain: Tensor, weight: Tensor, reading: Reading) -> Tensor:
    """A gain of one number a channel, shaped to multiply the weight."""
    if gain.numel() == 1:
        return gain.reshape([1] * weight.dim())
    if (
        reading.groups > 1 and reading.output_axis == 1
    ):  # transposed convolution: channel = block * (out / groups) + place in the block
        blocks = gain.reshape(reading.groups, -1).repeat_interleave(weight.shape[0] // reading.groups, 0)
        return blocks.reshape(*blocks.shape, *[1] * (weight.dim() - 2))
    shape = [1] * weight.dim()
    shape[reading.output_axis] = -1
    return gain.reshape(shape)
