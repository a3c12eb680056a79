"""Other weights of the same network: a snapshot that has been checked against the program that reads it."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from axonometry.errors import WeightsError
from axonometry.program.ir import Program


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
    for name in dict.fromkeys(program.names.values()):
        if name not in given:
            if name in program.constants:
                continue
            raise WeightsError(
                "a snapshot holds every parameter and buffer of the network",
                f"none called {name!r}",
                "Take it from model.state_dict() of the captured model",
            )
        if given[name].shape != state[name].shape:
            raise WeightsError(
                f"{name!r} has the shape {tuple(state[name].shape)} in the captured network",
                str(tuple(given[name].shape)),
                "Capture the network that this snapshot belongs to",
            )
        found[name] = given[name].detach()
    return found
