"""Finding the weights among what training scripts save: dictionaries in dictionaries, lists, whole modules.

All tensors are found at any depth, under the keys that lead to them with dots between::

    {"best_loss": tensor, "generator": {"w": ...}, "nets": [{"w": ...}, {"w": ...}]}
        -> best_loss, generator.w, nets.0.w, nets.1.w

Three things are left out, and said: the state of optimizers and the like; single numbers beside weights that stand
under a usual name (``epoch`` beside ``state_dict``); and what is no tensor. Keys that lead to all the rest are taken
off.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from axonometry.checkpoints.pickles import Unknown
from axonometry.checkpoints.stored import NumpyArray, SparseTensor, Stored, StoredTensor, WithoutNumbers, numpy_shape
from axonometry.checkpoints.training_state import names_training_state
from axonometry.errors import CheckpointError

KEYS = ("state_dict", "model_state_dict", "model", "module", "net", "network", "params", "weights")
"""Where training scripts put the weights."""
MOST_AGAIN = 10_000
"""Containers that may be met again; lists that hold the same list twice, many times over, have no end otherwise."""
DEEPEST = 100
STORED = (StoredTensor, SparseTensor, NumpyArray, WithoutNumbers)

Path_ = tuple[str, ...]


@dataclass
class Found:
    """What was found in a file.

    Attributes:
        tensors: By name.
        keys: The keys that lead to all of them.
        left_out: Names, with the reason in brackets, of what is none of the weights.
        unread: Tensors that cannot be read, with the reason.
    """

    tensors: dict[str, Any] = field(default_factory=dict)
    keys: Path_ = ()
    left_out: tuple[str, ...] = ()
    unread: dict[str, str] = field(default_factory=dict)


def find_weights(path: Path, content: Any, key: str | None = None) -> Found:
    """The weights of a file's object: a dictionary, a list or tuple with some, a module.

    Args:
        path: The file, for errors.
        content: What was read of it.
        key: The entry whose weights are asked for; all where None.

    Raises:
        CheckpointError: It holds no dictionary, or none of that name.
    """
    listed = isinstance(content, (list, tuple))
    children = dict(_children(content)) if not listed or _holds_dictionaries(content, 2) else {}
    if not children and not isinstance(content, (Mapping, Unknown)):
        kind = "Tensor" if isinstance(content, Stored) else type(content).__name__
        raise CheckpointError(
            "a checkpoint is a dictionary of tensors", f"{path}, which holds {kind}", "Save the model's state dict"
        )
    if key is not None:
        holders = [name for name, value in children.items() if any(True for _ in _children(value))]
        if key not in holders:
            remedy = f"There are: {', '.join(holders) or 'none'}"
            raise CheckpointError("key names a dictionary in the file", repr(key), remedy)
        content = children[key]
    walk = _Walk()
    others = walk.visit(content, (), ())
    found = Found()
    kept = _without_numbers_beside(walk.tensors, others)
    prefix = _common(kept)
    found.keys = (() if key is None else (key,)) + prefix
    for place, value in kept.items():
        name = ".".join(place[len(prefix) :])
        reason = _unreadable(value)
        if reason is None and name not in found.tensors:
            found.tensors[name] = value
        else:
            found.unread[name] = reason or "a second tensor of that name"
    found.left_out = tuple(dict.fromkeys(others))
    return found


def _holds_dictionaries(value: Any, depth: int) -> bool:
    """Whether a list has dictionaries or modules among its parts, or in lists among them."""
    if isinstance(value, (list, tuple)) and depth:
        return any(_holds_dictionaries(part, depth - 1) for part in value)
    return isinstance(value, (Mapping, Unknown))


def _children(value: Any) -> Iterator[tuple[str, Any]]:
    """What a value holds by name, in order; for a module, what its state dict would."""
    if _is_module(value):
        yield from _of_module(value)
    elif isinstance(value, Unknown):
        yield from _children(_state(value))
        yield from _children(value.entries)
        yield from _children(value.items)
    elif isinstance(value, Mapping):
        for key, inside in value.items():
            yield _text(key), inside
    elif isinstance(value, (list, tuple)):
        for number, inside in enumerate(value):
            yield str(number), inside


def _text(key: Any) -> str:
    """A key as a name; half of a surrogate pair, which tables and files cannot hold, is written as its escape."""
    return str(key).encode("utf-8", "backslashreplace").decode("utf-8")


def _of_module(module: Unknown, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Parameters, buffers that are saved, and those of submodules, by the names that they have in a state dict."""
    state = _state(module)
    passing = state.get("_non_persistent_buffers_set", ())
    parts = [state[part] for part in ("_parameters", "_buffers", "_modules") if isinstance(state.get(part), Mapping)]
    for part in parts or [state]:  # TorchScript's objects hold them among their other attributes
        for name, inside in part.items():
            if _is_module(inside):
                yield from _of_module(inside, f"{prefix}{name}.")
            elif isinstance(inside, STORED) and name not in passing:
                yield _text(f"{prefix}{name}"), inside


def _state(value: Unknown) -> Mapping[Any, Any]:
    state = value.state[0] if isinstance(value.state, tuple) and value.state else value.state
    return state if isinstance(state, Mapping) else {}


def _is_module(value: Any) -> bool:
    """Whether this is a module that was saved whole, or one of a TorchScript archive."""
    if not isinstance(value, Unknown):
        return False
    return value.name.startswith("__torch__.") or isinstance(_state(value).get("_parameters"), Mapping)


@dataclass
class _Walk:
    """What was met on the way: tensors with the keys that lead to them, and what is none."""

    tensors: dict[Path_, Any] = field(default_factory=dict)
    met: set[int] = field(default_factory=set)
    again: int = 0

    def visit(self, value: Any, place: Path_, above: tuple[int, ...]) -> list[str]:
        """Collect every tensor below a value; what is left out is returned."""
        if isinstance(value, STORED):
            self.tensors[place] = value
            return []
        if id(value) in above or len(above) > DEEPEST:
            raise ValueError(
                "a dictionary that holds itself"
                if id(value) in above
                else f"over {DEEPEST} dictionaries, one in another"
            )
        self._count(value)
        before = len(self.tensors)
        left: list[str] = []
        for key, child in _children(value):
            if _is_training_state(key, child):
                left.append(f"{'.'.join((*place, key))} (none of the weights)")
            else:
                left += self.visit(child, (*place, key), (*above, id(value)))
        if not place or len(self.tensors) > before:
            return left
        # Nothing of a tensor in it: one name says it.
        code = f"{value.name}: code, not run" if isinstance(value, Unknown) else "none of the weights"
        return [f"{'.'.join(place)} ({code})"]

    def _count(self, value: Any) -> None:
        if not isinstance(value, (Mapping, list, tuple, Unknown)) or value == ():
            return
        self.again += id(value) in self.met
        self.met.add(id(value))
        if self.again > MOST_AGAIN:
            raise ValueError(f"over {MOST_AGAIN:,} dictionaries and lists that stand in it more than once")


def _is_training_state(key: str, value: Any) -> bool:
    if isinstance(value, Mapping) and set(value) == {"state", "param_groups"}:  # an optimizer's, under whatever name
        return True
    # The state of a random generator is a tensor of bytes.
    return names_training_state(key) and (not isinstance(value, StoredTensor) or value.dtype == torch.uint8)


def _without_numbers_beside(tensors: dict[Path_, Any], others: list[str]) -> dict[Path_, Any]:
    """Without single numbers that stand beside a dictionary of a usual name: epochs, losses."""
    usual = {place[:depth] for place in tensors for depth in range(len(place) - 1) if place[depth] in KEYS}
    beside = [place for place, one in tensors.items() if place[:-1] in usual and not getattr(one, "shape", (1,))]
    others += [f"{'.'.join(place)} (none of the weights)" for place in beside]
    return {place: one for place, one in tensors.items() if place not in set(beside)}


def _common(places: Mapping[Path_, Any]) -> Path_:
    """The keys that lead to all tensors: of one dictionary in others, those of the others."""
    prefix: Path_ | None = None
    for place in places:
        holder = place[:-1]
        if prefix is None:
            prefix = holder
        while prefix != holder[: len(prefix)]:
            prefix = prefix[:-1]
    return prefix or ()


def _unreadable(value: Any) -> str | None:
    if isinstance(value, WithoutNumbers):
        return value.reason
    if isinstance(value, NumpyArray):
        try:
            numpy_shape(value)
        except (ValueError, TypeError) as error:
            return str(error)
    return None
