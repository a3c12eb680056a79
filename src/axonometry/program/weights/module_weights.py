"""Where a graph's weights come from: a snapshot, or a module that is looked at anew at each use.

A module's tensors do not stay where they are while it learns. ``module.to(torch.float64)`` and ``.cuda()`` put others
into its parameters, ``load_state_dict(state, assign=True)`` and ``layer.weight = ...`` put other parameters into the
module, ``module.head = ...`` other layers. So a graph keeps no tensors. It keeps the module and where each tensor is
found in it, and fetches them for each product::

    "2.weight"    parameter "weight" of the submodule "2", of shape (3, 4)

What has been captured must still be there: the same kinds of layers with the same settings, tensors of the same shapes,
shared ones still shared. All else may change.
"""

from __future__ import annotations

import copy
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NoReturn, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from axonometry.errors import WeightsError
from axonometry.program.quiet import CAPTURING
from axonometry.program.untouched import unwrapped

Kind = Literal["parameter", "buffer", "attribute"]
CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
WITHOUT_EFFECT = {*"training inplace momentum dropout in_features out_features in_channels out_channels".split()}
"""Settings that change nothing in evaluation mode, or that are seen in the weights' shapes."""


@runtime_checkable
class WeightSource(Protocol):
    """Gives a graph's parameters, buffers and constants by their names in its state."""

    def now(self) -> dict[str, Tensor]:
        """The tensors as they are now, without gradients."""


@dataclass(frozen=True)
class Snapshot:
    """Tensors that stay the ones they are; their values are read where they lie."""

    tensors: dict[str, Tensor]

    def now(self) -> dict[str, Tensor]:
        """The tensors."""
        return self.tensors


@dataclass(frozen=True)
class _Place:
    """Where a tensor is found in a module."""

    path: str
    name: str
    kind: Kind

    @property
    def full(self) -> str:
        return f"{self.path}.{self.name}" if self.path else self.name


@dataclass(frozen=True)
class _Layer:
    """What of a submodule must stay as it was captured: its class, its settings, and of a container its layers."""

    path: str
    parent: str
    name: str
    kind: type
    settings: Mapping[str, Any]
    parts: tuple[str, ...] | None


@dataclass(frozen=True)
class ModuleWeights:
    """The tensors of a captured module, fetched from it at each use.

    Attributes:
        module: The module, as the user passed it.
        places: By name in the state, the tensor's shape and all places where the module had it when it was captured.
        layers: The module and its submodules, each behind its parent.
        constants: By name in the state, tensors that the forward pass makes or finds outside the module.
    """

    module: nn.Module
    places: Mapping[str, tuple[tuple[int, ...], tuple[_Place, ...]]]
    layers: tuple[_Layer, ...]
    constants: Mapping[str, Tensor]

    @classmethod
    def of(cls, module: nn.Module, paths: Mapping[str, str], constants: Mapping[str, Tensor]) -> ModuleWeights:
        """What to look for later, from the module as it is captured.

        Args:
            module: The module.
            paths: By name in the state, the path of the tensor in the module.
            constants: By name in the state, tensors that are not the module's.
        """
        inner = unwrapped(module)
        shared: dict[Hashable, list[_Place]] = {}
        tensors: dict[str, Tensor] = {}
        for place, tensor in _tensors_in(inner):
            tensors[place.full] = tensor
            shared.setdefault(memory_of(tensor), []).append(place)
        places = {
            name: (tuple(tensors[path].shape), tuple(shared[memory_of(tensors[path])])) for name, path in paths.items()
        }
        return cls(module, places, tuple(_layers(inner)), constants)

    def now(self) -> dict[str, Tensor]:
        """The tensors that the module has now, and the constants.

        Raises:
            WeightsError: The module is no longer the one that was captured, but for its weights.
        """
        with CAPTURING:  # another thread may capture the module at this moment: it holds fake tensors meanwhile
            return self._fetched()

    def _fetched(self) -> dict[str, Tensor]:
        layers = self._layers_now()
        found: dict[str, Tensor] = {}
        for name, (shape, places) in self.places.items():
            tensor = _held(layers[places[0].path], places[0])
            if tuple(tensor.shape) != shape:
                _refuse(f"{places[0].full!r} of shape {tuple(tensor.shape)}, captured with {shape}")
            if tensor.is_meta:
                _refuse(f"{places[0].full!r} on the meta device, without values")
            for other in places[1:]:
                second = _held(layers[other.path], other)
                if second is not tensor and memory_of(second) != memory_of(tensor):
                    _refuse(f"two tensors {places[0].full!r} and {other.full!r} that were one")
            found[name] = tensor.detach()
        return {**found, **self.constants}

    def _layers_now(self) -> dict[str, nn.Module]:
        root = unwrapped(self.module)
        found: dict[str, nn.Module] = {}
        for layer in self.layers:
            module = found[layer.parent]._modules.get(layer.name) if layer.path else root
            if module is None or type(module) is not layer.kind:
                where = f"in the place of {layer.path!r}" if layer.path else "in the place of the module"
                _refuse(f"{_kind_of(module)} {where}, captured as {layer.kind.__name__}")
            values = vars(module)
            for name, value in layer.settings.items():
                now = values.get(name)
                if now is not value and now != value:
                    _refuse(f"{_full(layer.path, name)} = {now!r}, captured with {value!r}")
            if layer.parts is not None and tuple(module._modules) != layer.parts:
                _refuse(f"{len(module._modules)} layers in {layer.path or 'the module'!r}, captured with others")
            found[layer.path] = module
        return found

    def __deepcopy__(self, memo: dict[int, Any]) -> ModuleWeights:
        try:
            module, constants = copy.deepcopy(self.module, memo), copy.deepcopy(dict(self.constants), memo)
        except Exception as error:  # whatever the module's parts raise
            raise WeightsError(
                "a copy of a graph copies its module",
                f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}",
                "Take the graph at a snapshot, graph.at(state), and copy that",
            ) from error
        return ModuleWeights(module, self.places, self.layers, constants)


def memory_of(tensor: Tensor) -> Hashable:
    """What two tensors have in common that are one in memory."""
    if tensor.layout != torch.strided:  # sparse ones are several tensors, and have no address of their own
        return id(tensor), tuple(tensor.shape), tensor.dtype
    return tensor.data_ptr() or id(tensor), tuple(tensor.shape), tensor.stride(), tensor.dtype


def tensors_of(module: nn.Module) -> Mapping[str, Tensor]:
    """Every tensor of a module by its path: parameters, buffers, and tensors that are plain attributes."""
    return {place.full: tensor for place, tensor in _tensors_in(module)}


def _tensors_in(module: nn.Module) -> Iterator[tuple[_Place, Tensor]]:
    for path, part in module.named_modules(remove_duplicate=False):
        held: tuple[tuple[Kind, Mapping[str, Any]], ...] = (
            ("parameter", part._parameters),
            ("buffer", part._buffers),
            ("attribute", vars(part)),
        )
        for kind, values in held:
            for name, value in values.items():
                if isinstance(value, Tensor):
                    yield _Place(path, name, kind), value


def _held(module: nn.Module, place: _Place) -> Tensor:
    if place.kind == "parameter":
        value: Any = module._parameters.get(place.name)
    else:
        value = module._buffers.get(place.name) if place.kind == "buffer" else vars(module).get(place.name)
    if not isinstance(value, Tensor):
        _refuse(f"no {place.kind} {place.full!r}")
    return value


def _layers(module: nn.Module) -> Iterator[_Layer]:
    for path, part in module.named_modules(remove_duplicate=False):
        parent, _, name = path.rpartition(".")
        parts = tuple(part._modules) if isinstance(part, CONTAINERS) else None
        yield _Layer(path, parent, name, type(part), dict(_settings(part)), parts)


def _settings(module: nn.Module) -> Iterable[tuple[str, Any]]:
    """Attributes that decide what a layer computes: of torch's layers their constants, of others plain values.

    Whole numbers of other modules are left out, since many count their calls in one.
    """
    own = type(module).__module__.startswith("torch.")
    constants = getattr(type(module), "__constants__", ()) if own else ()
    dropout = isinstance(module, nn.modules.dropout._DropoutNd)
    for name, value in vars(module).items():
        if name in WITHOUT_EFFECT or name.startswith("_") or dropout:
            continue
        if name == "forward" or (name in constants if own else isinstance(value, (bool, float, str))):
            yield name, value
    if "forward" not in vars(module):
        yield "forward", None


def _kind_of(module: Any) -> str:
    return "nothing" if module is None else f"a {type(module).__name__}"


def _full(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _refuse(came: str) -> NoReturn:
    raise WeightsError(
        "a graph reads its module as it was captured, with whatever weights it has now",
        came,
        "Capture the module again, or read a snapshot of the captured one with graph.at(state)",
    )


def common_dtype(names: Iterable[str], state: Mapping[str, Tensor]) -> torch.dtype:
    """The type that products are computed in: the parameters', but at least float32.

    Raises:
        WeightsError: A parameter is complex.
    """
    kind = torch.float32
    for name in names:
        if name in state and state[name].is_complex():
            came = f"{name!r} of type {state[name].dtype}"
            raise WeightsError("a link's weight is a real number", came, "Pass the weights of the captured network")
        kind = torch.promote_types(kind, state[name].dtype) if name in state else kind
    return kind


def common_device(state: Mapping[str, Any]) -> torch.device:
    """Where the weights are."""
    return next((t.device for t in state.values() if isinstance(t, Tensor)), torch.device("cpu"))
