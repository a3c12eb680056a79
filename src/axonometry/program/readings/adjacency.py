"""The cut reading: every signal is stopped at every neuron, so that one pass is a product with the adjacency matrix.

Of ``nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))`` two steps are left, whose results are the groups "0"
and "2". A pass gives each group a value, whatever it receives, and notes what it receives::

    values    input = x,   0 = h,   2 = y
    step 0    receives W0 x       passes on h, not W0 x
    step 2    receives W2 h

Together ``{0: W0 x, 2: W2 h}`` is ``A @ (x, h, y)``. In the linear mode a group passes on what it receives with its own
value added, so that signals go all the way: step 2 receives ``W2 (W0 x + h)``.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from typing import Any, Literal

import torch
from torch import Tensor, fx

from axonometry.program.fx_utils import arguments_of
from axonometry.program.ir import Program, Statics, Step
from axonometry.program.links import Links
from axonometry.program.op_call import LinearFunction
from axonometry.program.weights.module_weights import common_device

Mode = Literal["cut", "linear"]


def statics_of(program: Program, state: Mapping[str, Tensor], *, differentiable: bool = False) -> Statics:
    """Every value that does not depend on the input, at these weights.

    Args:
        program: The captured network.
        state: Parameters and buffers by state-dict name.
        differentiable: Whether gradients flow from the values to the weights.
    """
    device = common_device(state)
    moved = program.device, device
    values: Statics = {node: _to(value, device) for node, value in program.controls.items()}
    for node, name in program.names.items():
        values[node] = _to(state[name], device) if name in program.constants else state[name]
    with nullcontext() if differentiable else torch.no_grad():
        for node in program.computed:
            if node.op == "get_attr":
                values[node] = _to(getattr(program.module, str(node.target)), device)
            else:
                # zeros_like of a signal asks for its shape alone
                args, kwargs = arguments_of(node, lambda n: values[n] if n in values else blank_value(n, device), moved)
                values[node] = node.target(*args, **kwargs)  # type: ignore[operator]
            for spent in program.spent.get(node, ()):
                del values[spent]
    return values


def run_program(  # noqa: PLR0913 - what a reading is
    program: Program,
    values: Mapping[str, Tensor],
    statics: Mapping[fx.Node, Any],
    links: Links,
    *,
    source: str | None = None,
    mode: Mode = "cut",
    recorded: Mapping[fx.Node, Any] | None = None,
    observe: Callable[[Step, Any], Any] | None = None,
) -> dict[str, Tensor]:
    """Read every step once, with each group's given value in place of what its neurons receive.

    Args:
        program: The captured network.
        values: A value for each group, of the group's shape.
        statics: From :func:`statics_of`.
        links: What happens to coefficients.
        source: If given, only links that leave this group are followed; all other groups are zero.
        mode: ``"cut"``: signals end at every group. ``"linear"``: each group sends on what it receives, its given value
            added, so that signals go all the way.
        recorded: Values of one sample, by node: links that depend on the sample are then those of this one.
        observe: Called with each step and its result; what it returns, if anything, takes the result's place.

    Returns:
        What each group receives; groups that receive nothing are left out.
    """
    environment: ChainMap[fx.Node, Any] = ChainMap({}, statics)  # type: ignore[arg-type]  # what is read is not changed
    # Masks and other inputs that only control are those of the sample, not those of the example that was captured.
    if recorded is not None:
        environment.update({node: recorded[node] for node in program.controlled if node in recorded})
    received: dict[str, Tensor] = {}
    for name, node in program.inputs.items():
        if source in (None, name):
            environment[node] = values[name].reshape(program.shapes[name])
    for loop in program.loops:  # what a loop's first step reads of its last is there before the last is read
        step = program.steps[loop.end]
        assert step.group is not None
        if source in (None, step.group):
            environment[step.node] = values[step.group].reshape(program.shapes[step.group])

    device = next(iter(values.values())).device if values else program.device

    def value(node: fx.Node) -> Any:
        return environment[node] if node in environment else blank_value(node, device, links.dtype)

    for place in _order(program, mode):
        step = program.steps[place]
        # No link of the source comes here, so that the step would pass on zeros; where it is the source, it sends.
        if source is not None and source not in step.sources:
            if step.group == source:
                environment[step.node] = values[source].reshape(program.shapes[source])
            continue
        args = fx.map_arg(step.args, value)
        kwargs = fx.map_arg(step.kwargs, value) if step.kwargs else {}
        result = _function(step, recorded)(links, *args, **kwargs)
        if observe is not None and (other := observe(step, result)) is not None:
            result = other
        if step.group is None:
            environment[step.node] = result
            continue
        received[step.group] = result.reshape(program.shapes[step.group])
        if source in (None, step.group):
            sent = values[step.group].reshape(program.shapes[step.group])
            environment[step.node] = received[step.group] + sent if mode == "linear" else sent
    return received


def run_from_group(program: Program, source: str, values: Tensor, statics: Statics, links: Links) -> dict[str, Tensor]:
    r"""What every group receives when one group alone sends, for many values at once.

    Args:
        program: The captured network.
        source: Name of the group that sends.
        values: Its values, of shape (n, \*shape of the group).
        statics: From :func:`statics_of`.
        links: What happens to coefficients.

    Returns:
        By group that links of the source reach: a tensor of shape (n, \*shape of that group).
    """
    with torch.no_grad():
        received = torch.func.vmap(
            lambda one: run_program(program, {source: one}, statics, links, source=source), chunk_size=256
        )(values)
    shapes = {group.name: group.shape for group in program.groups}
    return {name: value.reshape(len(values), *shapes[name]) for name, value in received.items()}


def _order(program: Program, mode: Mode) -> Iterable[int]:
    """The order in which steps are read: a loop as often as it has time steps where signals go through."""
    if mode == "cut" or not program.loops:
        return range(len(program.steps))
    order: list[int] = []
    for loop in program.loops:
        order += range(order[-1] + 1 if order else 0, loop.start)
        order += [*range(loop.start, loop.end + 1)] * loop.times
    return [*order, *range(order[-1] + 1, len(program.steps))]


def _function(step: Step, recorded: Mapping[fx.Node, Any] | None) -> LinearFunction:
    """What a step is read with: of recorded values, with the links that they decide."""
    if recorded is None or step.data_dependent is None:
        return step.read
    node = step.node
    args, kwargs = fx.map_arg((node.args, dict(node.kwargs)), lambda n: recorded[n])
    return step.data_dependent(*args, **kwargs)


def _to(value: Any, device: torch.device) -> Any:
    return value.to(device) if isinstance(value, Tensor) else value


def blank_value(node: fx.Node, device: torch.device, dtype: torch.dtype | None = None) -> Any:
    """Zeros of the shape of a node's result, in place of a signal that is not followed."""
    value = node.meta["val"]
    several = isinstance(value, (tuple, list))
    zeros = [torch.zeros(v.shape, dtype=dtype or v.dtype, device=device) for v in (value if several else [value])]
    return zeros if several else zeros[0]
