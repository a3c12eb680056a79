"""The choices of a recording, checked; and the model as the graph needs it."""

from __future__ import annotations

import hashlib
import operator
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn

from axonometry.errors import ConfigurationError, RunError, SamplesError, closest
from axonometry.metrics.catalogue import CATALOGUE, needing_samples
from axonometry.metrics.training import whole_tensor
from axonometry.program import NeuralGraph
from axonometry.program.readings.samples import Samples, batches_of, input_axes
from axonometry.trajectory.fields import short


def given_graph(model: nn.Module, example_inputs: tuple[Any, ...], graph: NeuralGraph | None) -> NeuralGraph | None:
    """The graph that the user captured and passed; None where the model is captured from the example.

    Raises:
        ConfigurationError: Both were given, or neither, or the graph is another model's.
    """
    if (graph is None) == (not example_inputs):
        raise ConfigurationError(
            "pass either example inputs or a graph",
            "neither" if graph is None else "both",
            "Pass what the model's forward takes, or graph=axonometry.capture(model, ...)",
        )
    if graph is None:
        return None
    own, state, constants = state_tensors(model), graph.state, graph.program.constants
    names = [name for name in dict.fromkeys(graph.program.names.values()) if name not in constants]
    others = [name for name in names if name not in own or not _is_same(own[name], state[name])]
    if others or graph.maps:
        raise ConfigurationError(
            "the graph is captured from the model as it is now",
            f"a graph with other tensors for {', '.join(others)}" if others else "a graph with mapped weights",
            "Capture the model after it is moved to its device and dtype",
        )
    return graph


def _is_same(tensor: Tensor, other: Tensor) -> bool:
    """Whether two tensors share their memory, so that one changes with the other."""
    return (tensor.data_ptr(), tensor.shape, tensor.dtype, tensor.device) == (
        other.data_ptr(),
        other.shape,
        other.dtype,
        other.device,
    )


def state_tensors(model: nn.Module) -> dict[str, Tensor]:
    """The tensors of a model's state dict, as they are, without a copy.

    Those that are sharded over processes (``DTensor``) are gathered, one at a time, which all of these processes do
    together.

    >>> {name: tuple(tensor.shape) for name, tensor in state_tensors(nn.Linear(2, 3)).items()}
    {'weight': (3, 2), 'bias': (3,)}
    """
    return {name: whole_tensor(value) for name, value in model.state_dict().items() if isinstance(value, Tensor)}


def is_sharded(model: nn.Module) -> bool:
    """Whether parameters are distributed over processes.

    Args:
        model: The network.

    >>> is_sharded(nn.Linear(1, 1))
    False
    """
    return any(hasattr(parameter, "full_tensor") for parameter in model.parameters())


def warn_of_extra_state(model: nn.Module) -> None:
    """Warn of entries of the state dict that are not tensors; they are not recorded."""
    extra = [name for name, value in model.state_dict().items() if not isinstance(value, Tensor)]
    if extra:
        warnings.warn(
            f"entries of the state dict that are not tensors are not recorded: {', '.join(extra)}", stacklevel=3
        )


def as_tuple(names: Any) -> tuple[str, ...]:
    """One name or several, as a tuple.

    Raises:
        ConfigurationError: It is something else.

    >>> as_tuple("link_weights"), as_tuple(["a", "b"])
    (('link_weights',), ('a', 'b'))
    """
    found = (names,) if isinstance(names, str) else tuple(names) if isinstance(names, Iterable) else (names,)
    wrong = [name for name in found if not isinstance(name, str)]
    if wrong:
        raise ConfigurationError("measures and layers are names", repr(wrong[0]), "Pass text, or a list of texts")
    return found


def known_layers(patterns: Any) -> tuple[str, ...] | None:
    """Patterns of layers as a tuple; None for all layers.

    Raises:
        ConfigurationError: There is none in it, or something else than text.
    """
    found = None if patterns is None else as_tuple(patterns)
    if found == ():
        raise ConfigurationError("`layers` names a layer or more", "none", "Leave it out for all, or pass measures=()")
    return found


def planned(steps: Any) -> int | None:
    """A number of planned steps.

    Raises:
        ConfigurationError: It is no number from 1.
    """
    if steps is None:
        return None
    try:
        number = operator.index(steps)
    except TypeError:
        number = 0
    if not 1 <= number < 2**63:
        raise ConfigurationError("`planned_steps` is a whole number from 1", short(steps), "Pass how many are recorded")
    return number


def known_measures(names: Any) -> tuple[str, ...]:
    """The names of measures, after a check that all of them are in the catalogue.

    Raises:
        ConfigurationError: One is not, or there is something else than text.

    >>> known_measures(("node_strength",))
    ('node_strength',)
    >>> known_measures(("node_strenght",))
    Traceback (most recent call last):
        ...
    axonometry.errors.ConfigurationError: unknown measure: node_strenght. Did you mean node_strength or ...
    """
    listed = as_tuple(names)
    unknown = [name for name in listed if name not in CATALOGUE]
    if unknown:
        remedy = closest(unknown, CATALOGUE, f"The measures are: {', '.join(CATALOGUE)}")
        raise ConfigurationError(f"unknown measure: {', '.join(unknown)}", "", remedy)
    return listed


def selected(graph: NeuralGraph, patterns: Collection[str] | None) -> frozenset[str] | None:
    """Names of the groups and synapses that match any of the patterns, and the empty name of network measures.

    Raises:
        ConfigurationError: A pattern matches none.
    """
    if patterns is None:
        return None
    names = dict.fromkeys([group.name for group in graph.groups] + [synapse.name for synapse in graph.synapses])
    fitting = {pattern: [name for name in names if fnmatchcase(name, pattern)] for pattern in patterns}
    unknown = [pattern for pattern, found in fitting.items() if not found]
    if unknown:
        rule = f"no group or synapse matches {', '.join(unknown)}"
        raise ConfigurationError(rule, "", f"The groups and synapses are: {', '.join(names)}")
    return frozenset({"", *(name for found in fitting.values() for name in found)})


def sample_set(graph: NeuralGraph, measures: Iterable[str], samples: Samples | None) -> dict[str, Any] | None:
    """The number of samples (count) and a SHA-256 of them in order (sha256); None without samples.

    Raises:
        ConfigurationError: A measure needs samples and there are none, or they can be read only once.
        SamplesError: The samples do not fit the network.
    """
    needing = ", ".join(needing_samples(measures))
    if samples is None:
        if needing:
            raise ConfigurationError(f"{needing} needs samples to run the network on", "", "Pass samples=")
        return None
    if isinstance(samples, Iterator):
        raise ConfigurationError(
            "samples are read again at every step", "an iterator", "Pass a tensor, a list or a DataLoader"
        )
    inputs = input_axes(graph)
    digests = [hashlib.sha256(f"{known.name} {known.dtype} {known.shape}".encode()) for known in inputs]
    count = 0
    for batch in batches_of(samples, inputs, 256, torch.device("cpu")):
        for digest, known, values in zip(digests, inputs, batch, strict=True):
            if not (known.is_shared(values) and count):
                digest.update(values.contiguous().reshape(-1).view(torch.uint8).numpy().data)
        count += next(len(x) for known, x in zip(inputs, batch, strict=True) if not known.is_shared(x))
    if not count:
        raise SamplesError("there are no samples", "", "Pass at least one sample")
    combined = hashlib.sha256(b"".join(digest.digest() for digest in digests))
    return {"count": count, "sha256": combined.hexdigest()}


def numbers(scalars: Mapping[str, Any], measures: Collection[str]) -> dict[str, float]:
    """The scalars as floats; NaN and infinity are numbers, as of a training that diverged.

    Raises:
        RunError: One is not a number, or has the name of a measure.

    >>> numbers({"loss": torch.tensor(0.5), "epoch": 2}, ())
    {'loss': 0.5, 'epoch': 2.0}
    """
    values = {}
    for name, value in scalars.items():
        if name in measures:
            raise RunError(f"the scalar {name} has the name of a measure of this run", "", "Choose another name")
        if not name.isprintable():
            raise RunError("a scalar's name is text without control characters", short(name), "Choose another name")
        try:
            values[name] = _number(value)
        except (TypeError, ValueError, RuntimeError, OverflowError) as error:
            came = f"{name}={short(value)}"
            raise RunError("a scalar is one number", came, "Pass a number or a tensor with one element") from error
    return values


def _number(value: Any) -> float:
    """One number of Python, numpy or torch as a float."""
    if isinstance(value, str | bytes):  # float() would read it
        raise TypeError(value)
    if isinstance(value, Tensor):
        value = value.detach()
    return float(value.item() if callable(getattr(value, "item", None)) else value)
