"""What training is resumed from besides the weights: optimizers, schedules, gradient scalers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from axonometry.errors import RunError


@runtime_checkable
class Stateful(Protocol):
    """What can be resumed: an optimizer, a learning-rate schedule, a gradient scaler."""

    def state_dict(self) -> dict[str, Any]:
        """The state, in tensors and plain values."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any], /) -> object:
        """Load a state."""
        ...


def optimizer_states(what: Stateful | Mapping[str, Stateful]) -> dict[str, Any]:
    """The state of each, by name."""
    return {name: one.state_dict() for name, one in _by_name(what).items()}


def optimizer_classes(what: Stateful | Mapping[str, Stateful]) -> dict[str, str]:
    """The class of each, by name.

    >>> import torch
    >>> optimizer_classes(torch.optim.SGD([torch.zeros(1)], lr=0.1))
    {'optimizer': 'SGD'}
    """
    return {name: type(one).__qualname__ for name, one in _by_name(what).items()}


def other_optimizer(recorded: Mapping[str, str] | None, now: Mapping[str, str]) -> str:
    """The first class that is another one, in words; empty where none is, or nothing is known.

    A state of Adam loads into SGD without an error, and training goes on with neither.
    """
    pairs = ((name, kind, (recorded or {}).get(name, kind)) for name, kind in now.items())
    return next((f"{kind} for {name}, recorded with {before}" for name, kind, before in pairs if kind != before), "")


def load_states(what: Stateful | Mapping[str, Stateful], recorded: Mapping[str, Any]) -> None:
    """Load the state of each.

    Raises:
        RunError: There are others than were recorded, or a state does not fit.
    """
    named = _by_name(what)
    if named.keys() != recorded.keys():
        rule = f"restore takes the same states as record: {', '.join(sorted(recorded))}"
        raise RunError(rule, ", ".join(sorted(named)), "Pass restore what record was given")
    try:
        for name, one in named.items():
            one.load_state_dict(recorded[name])
    except (ValueError, KeyError) as error:
        rule = f"the recorded state does not fit the optimizer: {error}"
        raise RunError(rule, "", "Make the optimizer as for the recorded run") from error


def _by_name(what: Stateful | Mapping[str, Stateful]) -> Mapping[str, Stateful]:
    return what if isinstance(what, Mapping) else {"optimizer": what}
