"""Other weights of the same network: a snapshot that has been checked against the program that reads it."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from axonometry.errors import WeightsError
from axonometry.program.ir import Program
from axonometry.program.state_names import elsewhere, renamed, tensor_of


def snapshot_state(program: Program, state: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state with the tensors of a snapshot in place of its own; constants that no state dict holds stay.

    Args:
        program: The captured network.
        state: Parameters and buffers by name, as the graph has them.
        given: The snapshot, by state-dict name.

    Raises:
        WeightsError: A parameter or buffer that the program reads is missing or has another shape.
    """
    found = dict(state)
    names = list(dict.fromkeys(program.names.values()))
    given = renamed(given, [name for name in names if name not in program.constants])
    for name in names:
        if name not in given:
            if name in program.constants:
                continue
            rule, came = "a snapshot holds every parameter and buffer of the network", f"none called {name!r}"
            raise WeightsError(rule, *elsewhere(name, came, given))
        tensor = tensor_of(name, given[name])
        if tensor.shape != state[name].shape:
            raise WeightsError(
                f"{name!r} has the shape {tuple(state[name].shape)} in the captured network",
                str(tuple(tensor.shape)),
                "Capture the network that this snapshot belongs to",
            )
        found[name] = tensor
    return found
