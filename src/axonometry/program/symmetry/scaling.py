"""Scale symmetry: units that may be scaled up where they are computed and down where they are read.

A positively homogeneous function keeps positive factors: relu(c x) = c relu(x) for c > 0. A unit behind such a function
has its incoming weights and bias times c and its outgoing weights over c in a network that computes the same. Behind a
batch norm, what leads to the unit are the norm's gain and shift alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import fx

from axonometry.program.entry import of_graph
from axonometry.program.graph import NeuralGraph
from axonometry.program.ir import Program
from axonometry.program.symmetry.classes import Permutations
from axonometry.program.symmetry.operations import POOLS, VIEWS, operation_name
from axonometry.program.symmetry.reading import permutations
from axonometry.program.symmetry.units import Axis

HOMOGENEOUS = {*"relu relu_ leaky_relu leaky_relu_ dropout feature_dropout expand mean sum amax".split(), *VIEWS}
"""Operations of degree one, of one signal: f(c x) = c f(x) for every c > 0. Whether they keep units apart is seen by
the class of what reads them."""
MAPS = {"linear", "conv1d", "conv2d", "conv3d"}
NORMS = {"batch_norm", "_native_batch_norm_legit_no_training"}


@dataclass(frozen=True, eq=False)
class ScaleClass:
    """Units that may be scaled, each by a factor of its own.

    Attributes:
        name: The class of :class:`Permutations` that they are.
        incoming: By tensor axis that leads to them, the entries of each unit, shape (units, entries).
        outgoing: Likewise of the tensors that read them.
    """

    name: str
    incoming: Mapping[Axis, NDArray[np.int64]]
    outgoing: Mapping[Axis, NDArray[np.int64]]


@of_graph
def scales(graph: NeuralGraph) -> tuple[ScaleClass, ...]:
    """The units that may be scaled, in the order of computation.

    Found between a dense layer, a convolution without groups, or a batch norm and the layers of the first two kinds
    that read it, where nothing but ReLU, leaky ReLU, pooling and views stands in between. Units of a sum, as of a
    residual stream, are not among them: a factor would have to pass through all of its terms.

    >>> import torch
    >>> from torch import nn
    >>> from axonometry import capture
    >>> net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 2))
    >>> [(one.name, list(one.incoming), list(one.outgoing)) for one in scales(capture(net, torch.zeros(1, 3)))]
    [('0.bias[0]', [('0.weight', 0), ('0.bias', 0)], [('2.weight', 1)])]
    """
    return tuple(_scales(graph.program, permutations(graph)))


def _scales(program: Program, found: Permutations) -> Iterator[ScaleClass]:
    done: set[tuple[str, ...]] = set()
    for node in program.graph.nodes:
        if node.op != "call_function" or operation_name(node.target) not in {*MAPS, *NORMS}:
            continue
        led = tuple(_parameters(program, node, which=slice(1, 3)))  # weight and bias, of maps and of norms
        readers = _readers_of_all(node)
        if not led or not readers or led in done:
            continue
        done.add(led)
        name = found[led[0]][0]
        if name is None or found.classes[name].inside or found.classes[name].blocks:
            continue
        incoming = [(one, 0) for one in led]
        outgoing = list(dict.fromkeys((one, 1) for one in _parameters(program, *readers, which=slice(1, 2))))
        # The class says all axes along which the units stand. One that is neither led to nor read here, as a second
        # layer into the same sum, would have to be scaled as well.
        there = set(found.classes[name].axes)
        if operation_name(node.target) in NORMS:  # its statistics and what leads to it stay as they are
            there &= {*incoming, *outgoing, *(axis for axis in there if axis[1] == 1)}
        if outgoing and there == {*incoming, *outgoing}:
            yield ScaleClass(name, *(_places(found, name, axes) for axes in (incoming, outgoing)))


def _readers_of_all(node: fx.Node) -> list[fx.Node] | None:
    """The maps that read any value of the weights of a node; None where something else does, or reads with theirs.

    Weights that are used twice, as of a module that is called twice, may be scaled only where each use allows it.
    """
    parameters = [one for one in node.args[1:3] if isinstance(one, fx.Node)]
    readers: list[fx.Node] = []
    for call in {call: None for one in parameters for call in one.users}:
        some = _readers(call) if call.target == node.target and call.args[1:3] == node.args[1:3] else None
        if some is None:
            return None
        readers += some
    used = {call for reader in readers if isinstance(reader.args[1], fx.Node) for call in reader.args[1].users}
    return readers if used == set(readers) else None


def _parameters(program: Program, *nodes: fx.Node, which: slice) -> list[str]:
    operands = [one for node in nodes for one in node.args[which] if isinstance(one, fx.Node)]
    return [program.names[one] for one in operands if one in program.names]


def _readers(node: fx.Node) -> list[fx.Node] | None:
    """The maps that read a value behind homogeneous operations alone; None where anything else does."""
    readers: list[fx.Node] = []
    for user in node.users:
        name = operation_name(user.target)
        if user.op != "call_function" or user.args[0] is not node or node in user.args[1:]:
            return None
        if name in MAPS and _groups(user) == 1:
            readers.append(user)
        elif name in HOMOGENEOUS or any(name.startswith(pool) for pool in POOLS):
            more = _readers(user)
            if more is None:
                return None
            readers += more
        else:
            return None
    return readers


def _groups(node: fx.Node) -> object:
    return node.kwargs.get("groups", node.args[6] if len(node.args) > 6 else 1)


def _places(found: Permutations, name: str, axes: list[Axis]) -> dict[Axis, NDArray[np.int64]]:
    units = [found.units[unit] for unit in found.members[name]]
    return {axis: np.stack([unit.places[axis] for unit in units]) for axis in axes}
