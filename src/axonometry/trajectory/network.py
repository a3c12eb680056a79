"""The network of a run, built again from its code: for graphs of runs that an own loop recorded.

A run's folder holds numbers and texts and no code. It may name where the code is (``run.json``, ``network``), as
``nets.py:Net``; that name is followed only where a user asks for it, since following it runs the file.
"""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from axonometry.errors import ConfigurationError, RunError
from axonometry.importing import file_of, variable_at
from axonometry.program import capture
from axonometry.trajectory.architecture import other_shape, shapes
from axonometry.trajectory.choices import state_tensors
from axonometry.trajectory.state import random_state_kept

if TYPE_CHECKING:
    from axonometry.program import NeuralGraph
    from axonometry.trajectory.run import Trajectory

RECORDED = "recorded"
"""In the place of FILE.py:NAME: where the run says that its network is."""

_ALL = "configuration"


def network_at(place: str, configuration: Mapping[str, Any] | None = None) -> nn.Module:
    """A custom module, from a Python file or an importable module; its code is run.

    Args:
        place: ``FILE.py:NAME`` or ``package.module:NAME``; the name is a module, or a class or function that makes
            one. A function that gives an example beside it, as checkpoints take, serves here too.
        configuration: What a class or function is called with: of its parameters those that the configuration has a
            key for, and the whole configuration for one that is called ``configuration``.

    Raises:
        ConfigurationError: There is none, or it needs what the configuration does not have.
    """
    found = variable_at(place)
    if isinstance(found, type) or (callable(found) and not isinstance(found, nn.Module)):
        found = _made(found, place, configuration or {})
    if isinstance(found, tuple) and found:
        found = found[0]
    if not isinstance(found, nn.Module):
        raise ConfigurationError(
            f"no network at {place!r}: it is not a torch.nn.Module, nor a function that returns one",
            "",
            "Pass a run's folder, FILE.py:NAME or package.module:NAME",
        )
    return found


def noted_network(
    model: nn.Module, place: str | None, configuration: Mapping[str, Any] | None
) -> dict[str, str] | None:
    """What a run notes of where its network's code is: the place, and the SHA-256 of the file.

    Args:
        model: The network that is recorded.
        place: As for :func:`network_at`; it is followed once, to see that it makes this network. None for the model's
            class, where its code is in an importable module; it is then not followed.
        configuration: The run's.

    Raises:
        ConfigurationError: The place makes another network.
    """
    if place is None:
        return _class_place(model)
    with random_state_kept():
        made = network_at(place, configuration)
    wrong = other_shape(shapes(state_tensors(model)), shapes(state_tensors(made)))
    if wrong:
        remedy = "Name what makes this network, with parameters named as keys of the configuration"
        raise ConfigurationError(f"{place} makes the network that is recorded", wrong, remedy)
    return {"place": place, "sha256": _digest(place)}


def noted_inputs(example_inputs: Iterable[Any]) -> tuple[dict[str, Any], ...] | None:
    """Type and shape of each example input; None where one is not a tensor.

    >>> noted_inputs([torch.zeros(1, 3)])
    ({'dtype': 'float32', 'shape': [1, 3]},)
    """
    given = tuple(example_inputs)
    if not given or not all(isinstance(one, Tensor) for one in given):
        return None
    return tuple({"dtype": str(one.dtype).removeprefix("torch."), "shape": list(one.shape)} for one in given)


def network_of_run(run: Trajectory, place: str) -> nn.Module:
    """The module of a recorded run, with the weights that its code gives it; its code is run.

    Args:
        run: The run.
        place: As for :func:`network_at`, or ``"recorded"`` for where the run says that it is.

    Raises:
        ConfigurationError: There is no module at the place.
        RunError: The run does not say where its network is, or the file was changed since.
    """
    return network_at(_recorded_place(run) if place == RECORDED else place, run.configuration)


def graph_of_network(run: Trajectory, place: str) -> NeuralGraph:
    """The graph of a recorded run, captured from its code and checked against what was recorded.

    Args:
        run: The run.
        place: As for :func:`network_of_run`.

    Raises:
        ConfigurationError: There is no module at the place.
        CaptureError: It has no graph.
        RunError: It is another network, or the run does not say where its network is.
    """
    module = network_of_run(run, place).eval()
    graph = capture(module, *example_of(run))
    if (graph.groups, graph.synapses, graph.wires) != (run.groups, run.synapses, run.wires):
        rule = f"{place} makes the network recorded in {run.folder}: groups, synapses or wires differ"
        raise RunError(rule, "", f"The recorded groups are: {', '.join(group.name for group in run.groups)}")
    return graph


def example_of(run: Trajectory) -> tuple[Tensor, ...]:
    """Example inputs of a run's network: zeros of the types and shapes that it noted, or of its input groups.

    Raises:
        RunError: A noted type or shape is none.
    """
    noted = run.description.inputs
    if noted is None:
        return tuple(torch.zeros(1, *group.shape) for group in run.groups if group.role == "input")
    try:
        return tuple(torch.zeros(one["shape"], dtype=_dtype(one["dtype"])) for one in noted)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        rule = f"{run.folder} notes types and shapes of its inputs"
        raise RunError(rule, str(error).splitlines()[0], "Pass the module to axonometry.load") from error


def needs_network(run: Trajectory) -> tuple[str, str, str]:
    """What is wrong with a run whose network nobody named, and what to pass: rule, what came, remedy."""
    noted = run.description.network
    known = f"--network {RECORDED} for {noted['place']}, whose code is then run" if noted else "--network FILE.py:NAME"
    return f"the network of {run.folder} has to be named: a run holds no code", "", f"Pass {known}"


def _made(function: Any, place: str, configuration: Mapping[str, Any]) -> Any:
    """What a class or function gives for the keys of a configuration that it has parameters for."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    named = [one for one in parameters if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)]
    given = {one.name: configuration[one.name] for one in named if one.name in configuration}
    if any(one.name == _ALL for one in named):
        given.setdefault(_ALL, dict(configuration))
    lacking = [one.name for one in named if one.default is one.empty and one.name not in given]
    if lacking:
        known = f"The configuration has: {', '.join(configuration)}" if configuration else "There is no configuration"
        raise ConfigurationError(f"{place} is called with keys of a run's configuration", f"no {lacking[0]}", known)
    try:
        return function(**given)
    except Exception as error:  # what a user's code raises is anything
        rule = f"{place} cannot be called: {type(error).__name__}: {error}"
        raise ConfigurationError(rule, "", "Correct it") from error


def _class_place(model: nn.Module) -> dict[str, str] | None:
    kind = type(model)
    module = sys.modules.get(kind.__module__)
    file = getattr(module, "__file__", None)
    if file is None or kind.__module__.partition(".")[0] in ("torch", "axonometry", "__main__", "__mp_main__"):
        return None
    place = f"{kind.__module__}:{kind.__qualname__}"
    return None if "<" in place else {"place": place, "sha256": _digest(file)}


def _recorded_place(run: Trajectory) -> str:
    noted = run.description.network
    if noted is None:
        raise RunError(f"{run.folder} does not say where its network is", "", "Pass --network FILE.py:NAME")
    place = noted["place"]
    if _digest(place) != noted["sha256"]:
        remedy = f"Pass --network {place}, if it still makes this network"
        raise RunError(f"the file of {place} is as it was when {run.folder} was recorded", "another one", remedy)
    return place


def _digest(place: str) -> str:
    """The SHA-256 of a place's file, which is not run; empty where there is none."""
    path = file_of(place)
    return "" if path is None else hashlib.sha256(path.read_bytes()).hexdigest()


def _dtype(name: Any) -> torch.dtype:
    found = getattr(torch, str(name), None)
    if not isinstance(found, torch.dtype):
        raise ValueError(f"the type {str(name)[:40]!r}")
    return found
