"""A checkpoint as a graph, its weights read one at a time: link weights, node strength, fluctuation, degree, heads.

The network is captured without its weights (:mod:`~axonometry.checkpoints.hollow`) from an example of one sample; of a
sequence of one token, so that counts are per token. Without the network each matrix is a graph of its own, from its
columns to its rows: what normalisations fold into it, how often a kernel is used, which layers read which, skips and
attention are then left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, fx, nn

from axonometry.checkpoints.checkpoint import Checkpoint
from axonometry.checkpoints.element_types import tensor_of_array
from axonometry.checkpoints.entry_statistics import EntryStatistics
from axonometry.checkpoints.floats import floats
from axonometry.checkpoints.survey import numbers_of
from axonometry.errors import WeightsError
from axonometry.metrics import weight_spreads
from axonometry.program import capture
from axonometry.program.blocked import BlockedLinks
from axonometry.program.fx_utils import shape_of
from axonometry.program.kernels import kernel_of, weight_node
from axonometry.program.links import absolute
from axonometry.program.op_call import module_path
from axonometry.program.primitives import FUSED
from axonometry.program.readings.streamed import StreamedStatics, streamed_strengths
from axonometry.program.weights.state_names import elsewhere, renamed
from axonometry.statistics import Moments, moments
from axonometry.values import NodeValues

if TYPE_CHECKING:
    from axonometry.program import NeuralGraph
    from axonometry.program.ir import Step, Synapse

Row = dict[str, Any]
LEFT_OUT = (
    "Without the network (config.json beside the file, or --network FILE.py:NAME) each matrix is a layer of its own: "
    "folded normalisations, shared kernels, skips, attention, and which layer reads which are left out, and "
    "rows are taken for outputs, which in GPT-2's Conv1D they are not."
)


@dataclass(frozen=True)
class GraphTables:
    """A checkpoint's measures as a graph.

    Attributes:
        groups: A row a neuron group: neurons, mean node strength and its spread (the fluctuation), mean weighted degree
            of incoming and of outgoing links.
        synapses: A row a synapse: the moments of its link weights; how far the sums of its rows and columns differ,
            beside what that is of the same weights shuffled, and z.
        heads: A row a head of attention: the absolute weights into its queries, keys and values, and out of its values.
        note: What is left out; empty where nothing is.
    """

    groups: list[Row]
    synapses: list[Row]
    heads: list[Row]
    note: str = ""


def graph_tables(
    checkpoint: Checkpoint,
    module: nn.Module,
    example: tuple[Any, ...],
    told: Callable[[str], None] | None = None,
    counted: Mapping[str, EntryStatistics] | None = None,
) -> GraphTables:
    """The measures of a network at a checkpoint's weights, in the memory of its largest tensors.

    Args:
        checkpoint: The weights.
        module: The network, with any weights, or with none (:func:`~axonometry.checkpoints.hollow.hollow`).
        example: What its forward takes.
        told: Called with the name of each group and synapse that is done.
        counted: Statistics of tensors that are known already, by name in the checkpoint: these are not counted anew.

    Raises:
        WeightsError: The checkpoint is not of this network.
        CaptureError: The network has no graph.
    """
    graph = capture(module, *example)
    keys = _keys(checkpoint, graph, module)
    statics = StreamedStatics(graph.program, _reader(checkpoint, graph, keys))
    synapses = _SynapseMoments(graph, statics, _by_program(counted or {}, keys))

    def observe(step: Step) -> None:
        synapses.take(step)
        if told is not None and step.group is not None:
            told(step.group)

    signed, (received, sent) = streamed_strengths(graph.program, statics, ((), (absolute,)), observe=observe)
    strength = signed[0] + signed[1]
    groups = [
        _group_row(group.name, strength[group.name], received[group.name], sent[group.name]) for group in graph.groups
    ]
    return GraphTables(groups, synapses.rows(), list(_heads(graph, received, sent)))


def layer_tables(checkpoint: Checkpoint, told: Callable[[str], None] | None = None) -> GraphTables:
    """The same of each matrix alone: its rows are neurons with incoming links, its columns neurons with outgoing ones.

    Args:
        checkpoint: The weights.
        told: Called with the name of each matrix that is done.
    """
    groups, synapses = [], []
    for name, entry in checkpoint.entries.items():
        if len(entry.shape) < 2 or 0 in entry.shape or name in checkpoint.tied:
            continue
        array, kind, _ = numbers_of(checkpoint, name)
        weights = torch.from_numpy(np.ascontiguousarray(floats(array, kind))).float()
        weights = weights.reshape(*weights.shape[:2], -1)
        for side, axes in (("rows", (1, 2)), ("columns", (0, 2))):
            strength, degree = weights.sum(axes), weights.abs().sum(axes)
            nothing = torch.zeros_like(degree)
            into = (degree, nothing) if side == "rows" else (nothing, degree)
            groups.append(_group_row(f"{name} ({side})", strength, *into))
        entries = moments(weights, median=False)
        synapses.append({"synapse": name, **_told(entries), **weight_spreads(weights, entries)})
        if told is not None:
            told(name)
    return GraphTables(groups, synapses, [], LEFT_OUT)


def _keys(checkpoint: Checkpoint, graph: NeuralGraph, module: nn.Module) -> dict[str, str]:
    """By name in the program the name in the checkpoint, after a check that all are there in their shapes."""
    program, saved = graph.program, set(module.state_dict())
    shapes = {name: shape_of(node) for node, name in program.names.items() if name not in program.constants}
    keys = checkpoint_names(checkpoint, module, list(shapes))
    for name, shape in shapes.items():
        if name not in keys:
            if name not in saved:  # a buffer that was computed when the module was built, and is in no state dict
                continue
            rule = "a checkpoint has every parameter and saved buffer of the network"
            raise WeightsError(rule, *elsewhere(name, f"none called {name!r}", dict.fromkeys(checkpoint)))
        found = checkpoint.entries[keys[name]].shape
        if tuple(found) != tuple(shape):
            remedy = "Pass the network that these weights belong to"
            raise WeightsError(f"{name!r} has the shape {tuple(shape)} in the network", str(tuple(found)), remedy)
    return keys


def _reader(checkpoint: Checkpoint, graph: NeuralGraph, keys: Mapping[str, str]) -> Callable[[str], Tensor]:
    """Gives tensors by the names that the program has for them."""
    own = graph.state

    def read(name: str) -> Tensor:
        if name not in keys:
            return own[name]
        array, kind, _ = numbers_of(checkpoint, keys[name])
        return tensor_of_array(array, kind)

    return read


def _by_program(counted: Mapping[str, EntryStatistics], keys: Mapping[str, str]) -> dict[str, Moments]:
    """Moments that are known, by the program's names."""
    found = {}
    for name, key in keys.items():
        if (one := counted.get(key)) is not None:
            middle = one.mean, math.nan, one.std, one.skewness, one.kurtosis
            found[name] = Moments(one.count, one.nonfinite, *middle, one.minimum, one.maximum)
    return found


def checkpoint_names(checkpoint: Checkpoint, module: nn.Module, needed: list[str]) -> dict[str, str]:
    """By name in the program, the name in the checkpoint: wrappers' prefixes taken off, tied parameters by any name.

    Args:
        checkpoint: The weights.
        module: The network.
        needed: Names in the program.
    """
    alike: dict[int, list[str]] = {}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        alike.setdefault(id(parameter), []).append(name)
    others = {name: names for names in alike.values() for name in names if len(names) > 1}
    given = {name: name for name in checkpoint}
    wanted = [next((one for one in others.get(name, ()) if one in given), name) for name in needed]
    saved = set(module.state_dict())
    wanted = [name for name in wanted if name in given or name in saved]
    found = renamed(given, wanted)
    alias = {name: next((one for one in (name, *others.get(name, ())) if one in found), name) for name in needed}
    return {name: found[one] for name, one in alias.items() if one in found}


def _group_row(name: str, strength: Tensor, received: Tensor, sent: Tensor) -> Row:
    told = moments(strength, median=False)
    return {
        "group": name,
        "neurons": strength.numel(),
        "strength": told.mean,
        "fluctuation": told.std,
        "lowest": told.minimum,
        "highest": told.maximum,
        "degree_in": float(received.double().mean()),
        "degree_out": float(sent.double().mean()),
    }


class _SynapseMoments:
    """The moments of each synapse's effective weights; of those that share a parameter, the first."""

    def __init__(self, graph: NeuralGraph, statics: StreamedStatics, known: Mapping[str, Moments]) -> None:
        self._graph, self._statics, self._known = graph, statics, known
        first = {synapse.parameter: synapse for synapse in reversed(graph.synapses)}
        self._wanted = [one for one in graph.synapses if first[one.parameter] is one]
        self._asked: dict[fx.Node, list[Synapse]] = {}
        for one in self._wanted:
            self._asked.setdefault(graph.program.sites[one.name].node, []).append(one)
        self._found: dict[str, Row] = {}

    def take(self, step: Step) -> None:
        """Look at the weights of a step, where it has some."""
        for synapse in self._asked.get(step.node, ()):
            self._found[synapse.name] = self._row(synapse)

    def rows(self) -> list[Row]:
        """One a synapse, in the graph's order; of those whose call is no step, read now."""
        return [self._found.get(one.name) or self._row(one) for one in self._wanted]

    def _row(self, synapse: Synapse) -> Row:
        kernel = kernel_of(self._graph.program, synapse.name, self._statics)
        node = weight_node(self._graph.program, synapse.name, self._statics)
        known = self._known.get(self._graph.program.names.get(node, ""))
        plain = known or moments(kernel.weight, median=False)
        folded = None if kernel.gain is None else moments(kernel.weight, gain=kernel.gain, median=False)
        row = {"synapse": synapse.name, "into": synapse.target, **_told(folded or plain)}
        # What normalisation folds in is no weight and stays where it is when weights are shuffled.
        return row | weight_spreads(BlockedLinks()(kernel.weight), plain)


def _told(found: Moments) -> Row:
    keys = ("count", "nonfinite", "mean", "std", "skewness", "kurtosis", "minimum", "maximum")
    return {key: getattr(found, key) for key in keys}


def _heads(graph: NeuralGraph, received: NodeValues, sent: NodeValues) -> Iterator[Row]:
    """Absolute weights into each head's queries, keys and values, and out of its values; heads may share keys."""
    groups = {step.node: step.group for step in graph.program.steps if step.group is not None}
    for node in graph.program.graph.nodes:
        if node.target not in FUSED or node not in graph.program.varying:
            continue
        names = [_source(operand, groups) for operand in node.args[:3]]
        size = shape_of(node.args[2])[-1]
        into = [_by_head(received, name, size) for name in names]
        out = _by_head(sent, names[2], size)
        if any(one is None for one in (*into, out)):
            continue
        for head in range(len(into[0] or ())):
            row: Row = {"attention": module_path(node) or "attention", "head": head}
            for word, values in zip(("query_in", "key_in", "value_in", "value_out"), (*into, out), strict=True):
                assert values is not None
                row[word] = values[head * len(values) // len(into[0] or ())]
            yield row


def _source(operand: Any, groups: dict[fx.Node, str]) -> str:
    """The group whose values an operand of attention is, through what moves and scales them; empty for none."""
    near = [operand] if isinstance(operand, fx.Node) else []
    seen: set[fx.Node] = set()
    while near:
        node = near.pop(0)
        if node in groups:
            return groups[node]
        near += [one for one in node.all_input_nodes if one not in seen]
        seen.update(near)
    return ""


def _by_head(values: NodeValues, name: str, size: int) -> list[float] | None:
    """Sums over the neurons of each head, which has so many per token."""
    if name not in values or values[name].shape[-1] % size:
        return None
    found = values[name].double()
    tokens = math.prod(found.shape[:-1])
    return [float(one) / tokens for one in found.reshape(tokens, -1, size).sum((0, 2))]
