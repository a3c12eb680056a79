"""Samples in the forms that people have them in, checked and cut into batches for the live reading."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, fx
from torch.utils._pytree import tree_leaves, tree_map

from axonometry.annotations import Batches
from axonometry.errors import SamplesError
from axonometry.program.entry import as_tensor
from axonometry.program.ir import Program, Shape

if TYPE_CHECKING:
    from axonometry.program.operators import CapturedGraph

Samples = Batches
"""A tensor, a tuple or list or mapping of tensors, what is nested as the captured example, or an iterable of these."""


@dataclass(frozen=True)
class InputAxis:
    """One input of the module, and where its samples lie.

    Attributes:
        node: Its placeholder in the program.
        name: The forward's name for it.
        shape: Its shape as captured.
        dtype: Its type as captured, or where the parameters have another one now, that.
        axis: The axis along which the samples lie; None where the capture had no batch axis for this input, so that
            samples are stacked in front.
        path: Where the example that was captured had it: the name of the forward's argument, then keys and places.
    """

    node: fx.Node
    name: str
    shape: Shape
    dtype: torch.dtype
    axis: int | None
    path: tuple[Any, ...] = ()

    def is_shared(self, given: Tensor) -> bool:
        """Whether one value serves all samples."""
        return self.axis is None and tuple(given.shape) == self.shape

    @property
    def expected(self) -> str:
        """The shape of n samples in words."""
        sizes = ["n", *map(str, self.shape)] if self.axis is None else [str(size) for size in self.shape]
        if self.axis is not None:
            sizes[self.axis] = "n"
        return f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"

    def stacked(self, given: Any) -> Tensor:
        """The samples along axis 0, each of the captured shape; a shared value as it is.

        Raises:
            SamplesError: The value does not fit.
        """
        given = as_tensor(given, self.dtype)
        if not isinstance(given, Tensor):
            raise SamplesError(
                "samples are tensors", f"{type(given).__name__} for the input {self.name!r}", "Convert it to a tensor"
            )
        if given.dtype != self.dtype:
            remedy = f"Convert them with .to({self.dtype})"
            raise SamplesError(
                f"samples of {self.name!r} have the captured type {self.dtype}", f"{given.dtype}", remedy
            )
        given = given.detach()
        shape = tuple(given.shape)
        if self.axis is None:
            if shape in (self.shape, (*shape[:1], *self.shape)):
                return given
        elif len(shape) == len(self.shape) and _without(shape, self.axis) == _without(self.shape, self.axis):
            return given.movedim(self.axis, 0).unsqueeze(self.axis + 1)
        remedy = "Add the batch axis, or capture the network with an example of this shape"
        raise SamplesError(f"samples of {self.name!r} have the shape {self.expected}", str(shape), remedy)


def input_axes(graph: CapturedGraph) -> tuple[InputAxis, ...]:
    """Every tensor that the module takes, in the order of its arguments.

    An input of the type that the parameters had when they were captured has the type that they have now.
    """
    program, found = graph.program, []
    types = _types_now(program, graph.state)
    for node, path in program.arguments:
        value = node.meta.get("val")
        if isinstance(value, Tensor):
            axis = program.batch_axes[node]
            batched = axis is not None and value.dim() > axis and value.shape[axis] == 1
            dtype = types.get(value.dtype, value.dtype)
            found.append(InputAxis(node, node.name, tuple(value.shape), dtype, axis if batched else None, path))
    return tuple(found)


def _types_now(program: Program, state: Mapping[str, Tensor]) -> dict[torch.dtype, torch.dtype]:
    """By floating type of parameters as they were captured, the type that they have now."""
    trained = set(program.parameters)
    pairs = ((node.meta["val"].dtype, state[name].dtype) for node, name in program.names.items() if name in trained)
    return {captured: now for captured, now in pairs if captured.is_floating_point}


def batches_of(
    samples: Samples, inputs: tuple[InputAxis, ...], batch_size: int, device: torch.device
) -> Iterator[tuple[Tensor, ...]]:
    """Batches of at most ``batch_size`` samples on the device: per input, samples along axis 0, or one shared value.

    Raises:
        SamplesError: Something does not fit what the module takes.
    """
    for whole in _given(samples, inputs):
        shared = [known.is_shared(x) for known, x in zip(inputs, whole, strict=True)]
        counts = {len(x) for x, alike in zip(whole, shared, strict=True) if not alike}
        if len(counts) != 1:
            came = " and ".join(map(str, sorted(counts))) or "one value shared by all"
            raise SamplesError("all inputs have the same number of samples", came, "Give each sample all its inputs")
        for start in range(0, counts.pop(), batch_size):
            yield tuple(
                (x if alike else x[start : start + batch_size]).to(device, non_blocking=True)
                for x, alike in zip(whole, shared, strict=True)
            )


def _given(samples: Samples, inputs: tuple[InputAxis, ...]) -> Iterator[tuple[Tensor, ...]]:
    """What was given, as one or many tuples of the module's inputs."""
    if len(inputs) == 1 and not isinstance(samples, tuple):
        samples = as_tensor(samples, inputs[0].dtype)
    if isinstance(samples, (Tensor, tuple, Mapping)) or (
        isinstance(samples, list) and len(samples) == len(inputs) > 1 and all(isinstance(x, Tensor) for x in samples)
    ):
        yield _inputs(samples, inputs, exact=True)
        return
    if not isinstance(samples, Iterable):
        came = f"{type(samples).__name__}"
        raise SamplesError(
            "samples are a tensor, a tuple or a mapping of tensors, or an iterable of batches", came, "Pass a tensor"
        )
    for batch in samples:
        yield _inputs(batch, inputs, exact=False)


def _inputs(batch: Any, inputs: tuple[InputAxis, ...], *, exact: bool) -> tuple[Tensor, ...]:
    names = [known.name for known in inputs]
    if any(len(known.path) > 1 for known in inputs) and not (isinstance(batch, Mapping) and set(names) <= set(batch)):
        return tuple(known.stacked(x) for known, x in zip(inputs, _nested(batch, inputs, exact=exact), strict=True))
    if isinstance(batch, Mapping):
        missing = [name for name in names if name not in batch]
        unknown = [str(name) for name in batch if name not in names] if exact else []
        if missing or unknown:
            came = f"{', '.join(map(repr, batch)) or 'none'}"
            raise SamplesError("a mapping names the module's inputs", came, f"They are: {', '.join(names)}")
        batch = tuple(batch[name] for name in names)
    elif not isinstance(batch, (tuple, list)):
        batch = (batch,)
    if len(batch) < len(inputs) or (exact and len(batch) > len(inputs)):
        came = f"{len(batch)} of them"
        raise SamplesError(f"the module takes {len(inputs)} tensors ({', '.join(names)})", came, "Pass one for each")
    return tuple(known.stacked(given) for known, given in zip(inputs, batch, strict=False))


def _nested(batch: Any, inputs: tuple[InputAxis, ...], *, exact: bool) -> list[Any]:
    """The inputs out of what is nested as the captured example: its arguments in order, by name, or the only one."""
    arguments = list(dict.fromkeys(known.path[0] for known in inputs))
    forms: list[Any] = [batch]
    if isinstance(batch, (tuple, list)):
        forms.append(dict(zip(arguments, batch, strict=False)))
    if len(arguments) == 1:
        forms.append({arguments[0]: batch})
    for form in forms:
        try:
            found = [reduce(_inside, known.path, form) for known in inputs]
        except LookupError:
            continue
        n_tensors = sum(isinstance(x, Tensor) for x in tree_leaves(batch))
        if all(isinstance(x, Tensor) for x in found) and (n_tensors == len(inputs) or not exact):
            return found
    paths = ", ".join(known.path[0] + "".join(f"[{key!r}]" for key in known.path[1:]) for known in inputs)
    raise SamplesError(
        "samples are nested as the example that was captured",
        str(tree_map(lambda x: tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__, batch)),
        f"Pass {paths}",
    )


def _inside(value: Any, key: Any) -> Any:
    """What a container holds at a place.

    Raises:
        LookupError: It is none, or holds nothing there.
    """
    if isinstance(value, Mapping) or (isinstance(value, (tuple, list)) and isinstance(key, int)):
        return value[key]
    if isinstance(value, Tensor) or not hasattr(value, str(key)):
        raise LookupError(key)
    return getattr(value, str(key))


def _without(shape: Shape, axis: int) -> Shape:
    return (*shape[:axis], *shape[axis + 1 :])
