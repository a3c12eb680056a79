"""Snapshots as they are saved: their names under the wrappers that networks are trained in, their values as tensors.

The captured network has ``0.weight``; ``DataParallel`` saved it as ``module.0.weight``, ``torch.compile`` as
``_orig_mod.0.weight``, a trainer that holds the network as ``model.0.weight``. Where taking such parts off makes
everything fit, they are taken off; where it does not, the error names what stands before the names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from axonometry.errors import WeightsError

Value = TypeVar("Value")
PREFIXES = ("", "module.", "model.", "module.model.", "model.module.")
"""What wrappers around a whole network put before the names."""
WRAPPERS = ("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
"""Parts of names that wrappers around any module add."""


def renamed(given: Mapping[str, Value], needed: Sequence[str]) -> Mapping[str, Value]:
    """A snapshot under the names that are needed, where wrappers around the network alone make the difference.

    Sharding and checkpointing of activations add a part in the middle of names. Either side may be the wrapped one.

    Args:
        given: The snapshot, or anything else by its names.
        needed: Names that it must have.

    Returns:
        The snapshot as it is where nothing is missing, or where taking wrappers off does not make everything fit.

    >>> list(renamed({"module.w": torch.zeros(1), "module.b": torch.zeros(1)}, ["w", "b"]))
    ['w', 'b']
    """
    if all(name in given for name in needed):
        return given
    bare: dict[str, str] = {}
    for name in given:
        bare.setdefault(_bare(name), name)
    fitting = []
    for taken, put in (*((prefix, "") for prefix in PREFIXES), *(("", prefix) for prefix in PREFIXES[1:])):
        if not all(_bare(name).startswith(put) for name in needed):
            continue
        found = {name: bare.get(taken + _bare(name).removeprefix(put), "") for name in needed}
        if all(found.values()) and len(set(found.values())) == len(found):
            fitting.append(found)
    # Two that fit, such as a student under `model.` and its teacher under `module.`, are the user's to choose from.
    return {name: given[key] for name, key in fitting[0].items()} if len(fitting) == 1 else given


def _bare(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in WRAPPERS)


def elsewhere(name: str, came: str, given: Mapping[str, object]) -> tuple[str, str]:
    """What came and the remedy for a name that is missing: another prefix, or weights one dictionary deeper.

    Args:
        name: What is missing.
        came: That it is missing, in words.
        given: The snapshot.

    >>> elsewhere("w", "none called 'w'", {"net.w": torch.zeros(1)})[0]
    "none called 'w', but 'net.w'"
    """
    longer = next((key for key in given if key.endswith(f".{name}")), None)
    if longer is not None:
        prefix = longer.removesuffix(name)
        remedy = f"Take the prefix off the names: {{name.removeprefix({prefix!r}): tensor for name, tensor in ...}}"
        return f"{came}, but {longer!r}", remedy
    inside = next((key for key, value in given.items() if isinstance(value, Mapping)), None)
    if inside is not None:
        return f"{came}, but a dictionary {inside!r}", f"Pass the dictionary inside: [{inside!r}]"
    return came, "Take it from model.state_dict() of the captured model"


def tensor_of(name: str, value: object) -> Tensor:
    """A value of a snapshot as a tensor with numbers; arrays of numpy become tensors.

    Args:
        name: Of the value.
        value: What the snapshot has.

    Raises:
        WeightsError: It is something else, or a tensor without numbers.
    """
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
        return torch.from_numpy(np.ascontiguousarray(value))
    if not isinstance(value, Tensor):
        raise WeightsError("a snapshot holds tensors", f"{name!r} of type {type(value).__name__}")
    if value.is_meta:
        raise WeightsError("a snapshot holds numbers", f"{name!r} on the meta device, which has none", "Load it first")
    return value.detach()
