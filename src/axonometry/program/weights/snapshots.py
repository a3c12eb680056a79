"""Other weights of the same network: a snapshot that has been checked against the program that reads it."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from axonometry.errors import WeightsError
from axonometry.program.fx_utils import shape_of
from axonometry.program.ir import Program
from axonometry.program.weights.module_weights import Snapshot, WeightSource
from axonometry.program.weights.state_names import elsewhere, renamed, tensor_of


def snapshot_of(program: Program, source: WeightSource, given: Mapping[str, Tensor]) -> Snapshot:
    """The tensors of a snapshot; constants that no state dict holds are those of now.

    Args:
        program: The captured network.
        source: The weights that the graph has.
        given: The snapshot, by state-dict name.

    Raises:
        WeightsError: A parameter or buffer that the program reads is missing or has another shape.
    """
    shapes = {name: shape_of(node) for node, name in program.names.items()}
    given = renamed(given, [name for name in shapes if name not in program.constants])
    found: dict[str, Tensor] = {}
    for name in dict.fromkeys([*shapes, *program.parameters]):
        if name in given:
            found[name] = tensor_of(name, given[name])
            if name in shapes:
                of_captured_shape(found, name, shapes[name])
        elif name in shapes and name not in program.constants:
            rule, came = "a snapshot holds every parameter and buffer of the network", f"none called {name!r}"
            raise WeightsError(rule, *elsewhere(name, came, given))
    missing = [name for name in program.constants if name not in found]
    now = source.now() if any(name in shapes for name in missing) else {}
    return Snapshot({**found, **{name: now[name] for name in missing if name in now}})


def of_captured_shape(state: Mapping[str, Tensor], name: str, shape: tuple[int, ...]) -> Tensor:
    """A tensor of a state, without gradients.

    Raises:
        WeightsError: There is none of that name, or it has another shape than in the captured network.
    """
    rule = f"{name!r} has the shape {shape} in the captured network"
    if name not in state:
        raise WeightsError(rule, *elsewhere(name, "no tensor of that name", state))
    if tuple(state[name].shape) != shape:
        raise WeightsError(rule, str(tuple(state[name].shape)), "Capture the network that these weights belong to")
    return state[name].detach()


def weights_of_captured_shapes(state: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Tensors of a state, by name in the captured network; what wrappers put before the names is taken off.

    Raises:
        WeightsError: There is none of a name, or it has another shape than in the captured network.
    """
    given = renamed(state, [*shapes])
    return {name: of_captured_shape(given, name, shape) for name, shape in shapes.items()}


def refuse_values(weights: Mapping[str, Tensor]) -> None:
    """Raise if weights are no real numbers with a point, or not finite: of these no neuron is like another.

    Raises:
        WeightsError: As said.
    """
    for name, tensor in weights.items():
        if not tensor.is_floating_point():
            came = f"{name!r} of type {tensor.dtype}"
            remedy = "Pass the weights of the captured network"
            raise WeightsError("neurons are compared by weights that are real numbers", came, remedy)
        if tensor.is_meta:
            came = f"{name!r} on the meta device, which has none"
            raise WeightsError("neurons are compared by the numbers of their weights", came, "Load it first")
        if tensor.layout != torch.strided:
            came = f"{name!r} of layout {tensor.layout}"
            raise WeightsError("neurons are compared by dense weights", came, "Convert it: .to_dense()")
        finite = tensor.isfinite()
        if not bool(finite.all()):
            came = f"{name!r} with {int((~finite).sum())} of {tensor.numel()} entries NaN or infinite"
            raise WeightsError("neurons are compared by finite weights", came, "Take weights from before that")
