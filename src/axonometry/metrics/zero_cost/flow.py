"""Proxies of the weights alone: the flow through absolute weights, and the norm over paths.

Both are read with every nonlinearity as the identity, and without normalisation: gains 1, shifts 0.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from axonometry.program.readings.adjacency import run_program
from axonometry.values import NodeValues

if TYPE_CHECKING:
    from axonometry.program import NeuralGraph


def synaptic_flow(graph: NeuralGraph) -> float:
    """SynFlow (Tanaka et al. 2020): the natural log of sum θ dR/dθ, R = 1' ∏|W| 1 from inputs of ones.

    For a chain of L layers it is ln(L R). A network in which nothing flows from input to output has -inf.

    >>> from axonometry.testing import graph_of
    >>> flow = synaptic_flow(graph_of([[1.0, -2.0], [0.0, 3.0]], [[4.0, -1.0]]))
    >>> round(math.exp(flow), 6)  # R = 4 (1 + 2) + 1 * 3 = 15, two layers
    30.0
    """
    # θ dR/dθ, summed over the weights of one synapse, is what flows through it: what it adds to its neurons, times what
    # each of these passes on to the outputs. Skips have no parameter and are taken off again.
    bare = graph.at(_bare(graph)).abs()
    weights = {claim.parameter for claim in graph.coverage if claim.role == "synapse"}
    wires = bare.at({name: torch.zeros_like(t) if name in weights else t for name, t in bare.state.items()})
    held, onwards = NodeValues(_held(bare)), _onwards(bare)
    received, by_wires = bare @ held, wires @ held
    through = [(received[name] - by_wires[name]) * u for name, u in onwards.items()]
    return _log(math.fsum(float(one.sum()) for one in through))


def path_norm(graph: NeuralGraph) -> float:
    """The natural log of the path norm (Neyshabur et al. 2015), sqrt(1' ∏ W² 1).

    >>> from axonometry.testing import graph_of
    >>> norm = path_norm(graph_of([[1.0, -2.0], [0.0, 3.0]], [[4.0, -1.0]]))
    >>> round(math.exp(2 * norm), 6)  # 16 (1 + 4) + 1 * 9
    89.0
    """
    held = _held(graph.at(_bare(graph)).square())
    return _log(math.fsum(float(held[group.name].sum()) for group in graph.groups if group.role == "output")) / 2


def _log(value: float) -> float:
    return math.log(value) if value > 0 else -math.inf if value == 0 else math.nan


def _bare(graph: NeuralGraph) -> dict[str, Tensor]:
    """The weights in double precision, with normalisation that does nothing."""
    state = {name: t.detach().double().clone() if t.is_floating_point() else t for name, t in graph.state.items()}
    gains = {claim.parameter for claim in graph.coverage if claim.role == "normalisation"}
    for name, tensor in state.items():
        if name in gains:
            tensor.fill_(0.0 if name.endswith("bias") else 1.0)
        elif name.endswith("running_mean"):
            tensor.zero_()
        elif name.endswith("running_var"):
            tensor.fill_(1.0)
    return state


def _held(graph: NeuralGraph) -> dict[str, Tensor]:
    """What every neuron holds when each input sends 1 and all pass on what they receive."""
    given = {g.name: torch.full(g.shape, float(g.role == "input"), dtype=torch.float64) for g in graph.groups}
    with torch.no_grad():
        found = run_program(graph.program, given, graph.weights, graph.links, mode="linear")
    return {name: value + found[name].reshape(value.shape) if name in found else value for name, value in given.items()}


def _onwards(graph: NeuralGraph) -> dict[str, Tensor]:
    """What every neuron passes on to the sum of all outputs: the transpose of the same map, by differentiation."""
    with torch.inference_mode(False), torch.enable_grad():
        given = {g.name: torch.zeros(g.shape, dtype=torch.float64, requires_grad=True) for g in graph.groups}
        found = run_program(graph.program, given, graph.weights, graph.links, mode="linear")
        ends = [g.name for g in graph.groups if g.role == "output"]
        total = torch.stack([(given[name] + found[name].reshape(given[name].shape)).sum() for name in ends]).sum()
        pulled = torch.autograd.grad(total, list(given.values()), materialize_grads=True)
    return dict(zip(given, pulled, strict=True))
