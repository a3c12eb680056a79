"""What a live reading runs of a program: the calls between the inputs and what is wanted, and when values are freed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, fx

from axonometry.errors import ValuesError
from axonometry.program.ir import Program
from axonometry.program.readings.observation_points import activation_nodes, layout, pre_activation_nodes
from axonometry.program.readings.samples import InputAxis, input_axes

if TYPE_CHECKING:
    from axonometry.program.operators import CapturedGraph

BYTES_PER_BATCH = {"cpu": 2**25, "cuda": 2**29}
"""What all values of one batch may take together where no batch size is given: CPUs like them near their caches."""


@dataclass(frozen=True)
class LivePlan:
    """The calls that a live reading runs, in order, each with the values that nothing reads after it."""

    program: Program
    inputs: tuple[InputAxis, ...]
    calls: tuple[tuple[fx.Node, tuple[fx.Node, ...]], ...]
    pre_activations: Mapping[str, fx.Node]
    activations: Mapping[str, fx.Node]
    layouts: Mapping[str, Tensor]
    nodes: tuple[fx.Node, ...]

    def axes(self, inputs: tuple[Tensor, ...]) -> tuple[int | None, ...]:
        """For ``vmap``: 0 where an input has a value a sample, None where all samples share it."""
        return tuple(None if axis.is_shared(x) else 0 for axis, x in zip(self.inputs, inputs, strict=True))


def live_plan_of(
    graph: CapturedGraph,
    groups: Iterable[str] | None = None,
    nodes: Iterable[fx.Node] = (),
    *,
    pre_activations: bool = True,
) -> LivePlan:
    """The plan for what is wanted; the arguments are those of :func:`~axonometry.program.readings.live.live_batches`.

    Raises:
        ValuesError: A group does not exist, or the graph is a mapped one.
    """
    if graph.maps:
        raise ValuesError(
            "samples run through the network itself",
            "a graph with mapped weights, such as graph.abs()",
            "Pass the graph that it was made from",
        )
    program, nodes = graph.program, tuple(nodes)
    known = pre_activation_nodes(program)
    if groups is not None:
        groups = list(groups)
        for name in groups:
            if name not in known:
                raise ValuesError(
                    "a live reading is of groups with pre-activations", repr(name), f"There are: {', '.join(known)}"
                )
        known = {name: node for name, node in known.items() if name in groups}
    followed = activation_nodes(program)
    activations = {name: followed.get(name, node) for name, node in known.items()}
    moved = {name: layout(known[name], activations[name]) for name in known if name in followed}
    layouts = {name: places.to(graph.device) for name, places in moved.items() if places is not None}
    known = known if pre_activations else {}
    calls = _schedule(program, {*known.values(), *activations.values(), *nodes})
    return LivePlan(program, input_axes(graph), calls, known, activations, layouts, nodes)


def _schedule(program: Program, wanted: set[fx.Node]) -> tuple[tuple[fx.Node, tuple[fx.Node, ...]], ...]:
    """The calls between the inputs and what is wanted, each with the values to be freed after it."""
    nodes, varying = list(program.graph.nodes), program.varying
    needed = set(wanted)
    for node in reversed(nodes):
        if node in needed:
            needed.update(operand for operand in node.all_input_nodes if operand in varying)
    calls = [node for node in nodes if node in needed and node in varying and node.op == "call_function"]
    # Later calls write over earlier ones: what stays is the last reader. Of relu(h) + h, h is freed after the sum.
    last = {operand: call for call in calls for operand in call.all_input_nodes if operand in varying}
    return tuple((c, tuple(v for v in c.all_input_nodes if last.get(v) is c and v not in wanted)) for c in calls)


def default_batch_size(plan: LivePlan, device: torch.device) -> int:
    """As many samples as keep a batch's values small."""
    sizes = [_bytes(node) for node, _ in plan.calls] + [_bytes(axis.node) for axis in plan.inputs]
    return max(1, BYTES_PER_BATCH.get(device.type, BYTES_PER_BATCH["cuda"]) // max(1, sum(sizes)))


def _bytes(node: fx.Node) -> int:
    value = node.meta["val"]
    parts = value if isinstance(value, (tuple, list)) else [value]
    return sum(part.numel() * part.element_size() for part in parts if isinstance(part, Tensor))
