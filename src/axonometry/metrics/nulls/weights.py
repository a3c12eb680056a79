"""Other weights for a captured network: permuted, of random sign, drawn from the same moments, or drawn anew.

A parameter that several synapses share (tied embedding and head, the steps of a recurrent layer) is exchanged once, and
stays shared. Where a synapse reads a part of a parameter, as the queries, keys and values of one matrix, the parts are
exchanged apart: in ``(q; k; v)``, stacked in one matrix of shape (3 d, d), no entry leaves its third.

Biases and normalisation stay as they are: they are no links.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable, Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from axonometry.errors import ConfigurationError
from axonometry.program.untouched import unwrapped

if TYPE_CHECKING:
    from axonometry.program import NeuralGraph

Redraw = Callable[[Tensor, torch.Generator], Tensor]
"""From the weights of one synapse as a vector to others."""


def permuted(weights: Tensor, generator: torch.Generator) -> Tensor:
    """The same weights in another order: their distribution is kept, and who has which is not.

    >>> permuted(torch.tensor([1.0, 2.0, 3.0]), torch.Generator().manual_seed(0))
    tensor([3., 1., 2.])
    """
    return weights[torch.randperm(len(weights), generator=generator).to(weights.device)]


def signed_anew(weights: Tensor, generator: torch.Generator) -> Tensor:
    """Each weight with a sign of its own, + or - with the same probability: absolute weights are kept.

    >>> signed_anew(torch.tensor([1.0, 2.0, 3.0]), torch.Generator().manual_seed(0)).abs()
    tensor([1., 2., 3.])
    """
    signs = 2 * torch.randint(2, weights.shape, generator=generator) - 1
    return weights.abs() * signs.to(weights)


def of_same_moments(weights: Tensor, generator: torch.Generator) -> Tensor:
    """Normal weights with the same mean and standard deviation; weights of 0 are links that are missing and stay so.

    >>> of_same_moments(torch.tensor([5.0, 0.0, 5.0]), torch.Generator().manual_seed(0))
    tensor([5., 0., 5.])
    """
    there = weights != 0
    spread, middle = torch.std_mean(weights[there].double(), correction=0)
    drawn = middle + spread * torch.randn(int(there.sum()), generator=generator, dtype=torch.float64).to(spread.device)
    found = torch.zeros_like(weights)
    found[there] = drawn.to(weights)
    return found


def redrawn(graph: NeuralGraph, redraw: Redraw, generator: torch.Generator, *, double: bool = False) -> NeuralGraph:
    """The same graph with other weights in every synapse.

    Args:
        graph: The network at one snapshot.
        redraw: Makes the weights of a synapse out of those that it has.
        generator: Where chance comes from.
        double: Whether weights are in double precision then.

    >>> from axonometry.testing import graph_of
    >>> drawn = redrawn(graph_of([[1.0, 2.0, 3.0]]), permuted, torch.Generator().manual_seed(0))
    >>> drawn.kernel("0").weight
    tensor([[3., 1., 2.]])
    """
    other = graph.at(copied(graph.state, double=double))
    done: set[Hashable] = set()
    kernels = other.kernels()
    for synapse in other.synapses:
        weight = kernels[synapse.name].weight
        # Where a weight is computed (weight norm: g v / |v|) its parameters are exchanged instead.
        names = [name for name in synapse.parameter.split("+") if name in other.state]
        for tensor in [weight] if is_parameter(weight, other.state) else [other.state[name] for name in names]:
            # Tied weights, and two halves of one parameter, are each drawn once.
            key = (tensor.data_ptr(), tensor.numel())
            if key not in done and tensor.is_floating_point():
                done.add(key)
                tensor.copy_(redraw(tensor.reshape(-1), generator).view(tensor.shape))
    return other


def reinitialised(graph: NeuralGraph, seed: int, *, double: bool = False) -> NeuralGraph:
    """The same graph with weights that each layer's own initialiser draws, ``reset_parameters`` of torch's layers.

    Args:
        graph: The network at one snapshot of a module.
        seed: Where chance comes from; torch's own random state is left as it is.
        double: Whether weights are in double precision then.

    Raises:
        ConfigurationError: The graph is of stored weights, or a weight belongs to no layer that can draw it.

    >>> from axonometry.program import capture
    >>> layer = torch.nn.Linear(4, 1)
    >>> _ = torch.nn.init.constant_(layer.weight, 3.0)
    >>> drawn = reinitialised(capture(layer, torch.zeros(1, 4)), seed=0).kernel("weight").weight
    >>> bool((drawn.abs() <= 0.5).all()), layer.weight.unique().item()  # within 1 / sqrt(4)
    (True, 3.0)
    """
    if graph.module is None:
        rule, came = "new initial weights are drawn by a module's layers", "a graph of stored weights"
        raise ConfigurationError(rule, came, "Capture the module, or use the null model 'moments'")
    module = copy.deepcopy(unwrapped(graph.module))
    drawn: set[str] = set()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for path, layer in module.named_modules():
            reset = getattr(layer, "reset_parameters", None) or getattr(layer, "_reset_parameters", None)
            if callable(reset):
                reset()
                drawn |= {f"{path}.{name}".lstrip(".") for name, _ in layer.named_parameters(remove_duplicate=False)}
    given = {name: tensor.detach() for name, tensor in module.state_dict().items() if isinstance(tensor, Tensor)}
    fixed = [claim.parameter for claim in graph.coverage if claim.role == "synapse" and claim.parameter not in drawn]
    if fixed:
        rule, came = "a layer draws its weights by reset_parameters", f"none for {', '.join(fixed[:3])}"
        raise ConfigurationError(rule, came, "Give its class that method, or use the null model 'moments'")
    return graph.at(copied({**graph.state, **given}, double=double))


def copied(state: Mapping[str, Tensor], *, double: bool) -> dict[str, Tensor]:
    """Copies of tensors; those that share their memory share that of the copy.

    Args:
        state: Tensors by name.
        double: Whether floating numbers become double.

    >>> weight = torch.ones(2)
    >>> found = copied({"embedding": weight, "head": weight}, double=True)
    >>> found["head"] is found["embedding"], found["head"].dtype
    (True, torch.float64)
    """
    made: dict[Hashable, Tensor] = {}
    found = {}
    for name, tensor in state.items():
        key = (tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype) if tensor.numel() else id(tensor)
        if key not in made:
            wide = double and tensor.is_floating_point()
            made[key] = tensor.detach().to(torch.float64, copy=True) if wide else tensor.detach().clone()
        found[name] = made[key]
    return found


def is_parameter(weight: Tensor, state: Mapping[str, Tensor]) -> bool:
    """Whether a synapse's weight is a parameter, or a part or transpose of one: what is written to it is then kept.

    Args:
        weight: Of a synapse. One that is expanded, with one place in memory for two entries, is none.
        state: The network's tensors.

    >>> weight = torch.ones(3, 2)
    >>> is_parameter(weight[:2].T, {"fc.weight": weight}), is_parameter(2 * weight, {"fc.weight": weight})
    (True, False)
    """
    held = {tensor.untyped_storage().data_ptr() for tensor in state.values()}
    once = all(step != 0 for step, size in zip(weight.stride(), weight.shape, strict=True) if size > 1)
    return once and weight.untyped_storage().data_ptr() in held
