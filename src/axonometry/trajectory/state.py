"""Tensors and the state around them (optimizers, random generators) in one safetensors file, without pickle."""

from __future__ import annotations

import json
import random
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, cast

import torch
from torch import Tensor

from axonometry.errors import RunError, corrupt_file
from axonometry.files import REMEDIES, atomic_write, disguise_of, irregular

Tree = Any
"""Tensors, numbers, strings and None in lists, tuples and dictionaries."""

_INSIDE = "~"  # begins the names of the tree's tensors; no module's path does
_PLAIN = (bool, int, float, str, type(None))


def own_copies(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copies that nobody else changes: of one tensor under several names (tied weights) one copy, under all of them.

    Args:
        tensors: Tensors on the CPU are copied. Those of a device are handed on: they are copied when they are written,
            and twice the weights may not fit there.
    """
    copies: dict[object, Tensor] = {}
    found = {}
    for name, tensor in tensors.items():
        if tensor.device.type != "cpu" or tensor.layout != torch.strided:
            found[name] = tensor
            continue
        # Tensors without entries may all lie at address 0, and are not tied by that.
        place = _place(tensor) if tensor.numel() else name
        if place not in copies:
            copies[place] = tensor.detach().clone(memory_format=torch.contiguous_format)
        found[name] = copies[place]
    return found


def write_state(path: Path, tensors: Mapping[str, Tensor], tree: Tree = None) -> None:
    """Write tensors, and a tree that may hold more tensors, to one safetensors file, complete or not at all.

    A tensor under several names (tied weights) is stored once. The file carries a CRC-32 of all that it holds, of one
    copy of the tree's tensors; whoever shares ``tensors`` with other threads passes :func:`own_copies`.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "state.safetensors"
    ...     write_state(path, {"w": torch.ones(2)}, {"step": 3, "betas": (0.9, 0.99)})
    ...     read_state(path)
    ({'w': tensor([1., 1.])}, {'step': 3, 'betas': (0.9, 0.99)})

    Raises:
        RunError: A tensor or a part of the tree cannot be stored, or the file cannot be written.
    """
    inside: dict[str, Tensor] = {}
    skeleton = _flatten(tree, inside)
    content, tied = _once({**tensors, **own_copies(inside)})
    notes = {"names": json.dumps(list(tensors)), "tied": json.dumps(tied), "tree": json.dumps(skeleton)}
    notes["crc32"] = _checksum(content, notes)
    with atomic_write(path) as partial:
        _save(content, partial, notes)


def read_state(path: Path) -> tuple[dict[str, Tensor], Tree]:
    """The tensors and the tree of a file that :func:`write_state` wrote.

    Raises:
        RunError: The file is missing or corrupt; its checksum is compared.
    """
    from safetensors import SafetensorError, safe_open

    other = irregular(path)  # a pipe would keep the reader waiting
    if other is not None:
        corrupt_run(path, f"{other}, not a file")
    try:
        with safe_open(path, framework="pt") as file:
            notes = dict(file.metadata() or {})
            content = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        expected = notes.pop("crc32")
    except (SafetensorError, OSError, KeyError, ValueError, RuntimeError) as error:
        corrupt_run(path, error)
    if _checksum(content, notes) != expected:
        corrupt_run(path, "checksum mismatch")
    # Whoever changes the notes can compute their checksum anew, so that they may say anything.
    try:
        names, tied, skeleton = (json.loads(notes[note]) for note in ("names", "tied", "tree"))
        content |= {str(name): content[twin] for name, twin in tied.items()}
        return {str(name): content[name] for name in names}, _unflatten(skeleton, content)
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError):
        corrupt_run(path, "its notes do not fit its tensors")


def corrupt_run(path: Path, found: object) -> NoReturn:
    """Refuse a corrupt file of a run.

    Raises:
        RunError: Always.
    """
    other = disguise_of(path)
    remedy = "Restore it from a copy; the run's other files are intact"
    remedy, told = (remedy, found) if other is None else (REMEDIES[other], other)
    raise RunError(corrupt_file(path, told), "", remedy) from (found if isinstance(found, Exception) else None)


def random_state() -> Tree:
    """The state of the random generators of torch (CPU and CUDA), Python and numpy."""
    import numpy as np

    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    name, key, *rest = cast("tuple[Any, ...]", np.random.get_state())
    return {
        "torch": torch.get_rng_state(),
        "cuda": cuda,
        "python": random.getstate(),
        "numpy": (name, key.tolist(), *rest),
    }


def set_random_state(state: Tree) -> None:
    """Restore the state of the random generators that :func:`random_state` returned."""
    import numpy as np

    torch.set_rng_state(state["torch"])
    random.setstate(state["python"])
    np.random.set_state(state["numpy"])
    if state["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"])


@contextmanager
def random_state_kept() -> Iterator[None]:
    """Restore the random generators afterwards: what is drawn inside has no effect on what follows.

    >>> with random_state_kept():
    ...     first = torch.rand(1)
    >>> bool(first == torch.rand(1))  # what was drawn inside did not count
    True
    """
    before = random_state()
    try:
        yield
    finally:
        set_random_state(before)


def _save(content: dict[str, Tensor], path: Path, notes: dict[str, str]) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        save_file(content, path, notes)
    except SafetensorError as error:
        raise OSError(str(error)) from error
    except KeyError as error:
        raise _unknown(f"one of dtype {error}") from error


def _unknown(came: str) -> RunError:
    return RunError(
        "a recorded tensor is dense and of a dtype that safetensors supports", came, "Record with keep_weights=False"
    )


def _once(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Each tensor once, on the CPU, in memory of its own; and for every other name of one, the first name."""
    content: dict[str, Tensor] = {}
    tied: dict[str, str] = {}
    first: dict[tuple[object, ...], str] = {}
    storages: set[int] = set()
    for name, tensor in tensors.items():
        if tensor.layout != torch.strided or tensor.is_meta or tensor.is_quantized:
            raise _unknown(f"{name}, which is {'meta' if tensor.is_meta else tensor.layout} {tensor.dtype}")
        place = _place(tensor)
        if tensor.numel() and place in first:
            tied[name] = first[place]
            continue
        first[place] = name
        kept = tensor.detach().cpu().contiguous()
        storage = kept.untyped_storage()
        if storage.nbytes() != kept.nbytes or storage.data_ptr() in storages:  # a view into a larger one, as in an LSTM
            kept = kept.clone()
        storages.add(kept.untyped_storage().data_ptr())
        content[name] = kept
    return content, tied


def _place(tensor: Tensor) -> tuple[object, ...]:
    """What two names of one tensor share."""
    return tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride(), tensor.device


def _checksum(content: Mapping[str, Tensor], notes: Mapping[str, str]) -> str:
    crc = 0
    for name in sorted(content):
        tensor = content[name]
        # The bytes alone would not tell (2, 3) from (3, 2), nor float32 from int32.
        crc = zlib.crc32(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode(), crc)
        if tensor.numel():
            crc = zlib.crc32(tensor.reshape(-1).view(torch.uint8).numpy().data, crc)
    for name in sorted(notes):
        crc = zlib.crc32(notes[name].encode(), crc)
    return f"{crc:08x}"


def _flatten(tree: Tree, tensors: dict[str, Tensor], path: str = "the state") -> Tree:
    """A JSON value with ``{"tensor": name}`` where the tensors were, which go to ``tensors`` under that name."""
    if isinstance(tree, Tensor):
        name = f"{_INSIDE}{len(tensors)}"
        tensors[name] = tree
        return {"tensor": name}
    if isinstance(tree, _PLAIN):
        return tree
    if isinstance(tree, Mapping) and all(isinstance(key, _PLAIN) for key in tree):
        return {"dict": [[key, _flatten(value, tensors, f"{path}.{key}")] for key, value in tree.items()]}
    if isinstance(tree, list | tuple):
        kind = "list" if isinstance(tree, list) else "tuple"
        return {kind: [_flatten(value, tensors, f"{path}.{index}") for index, value in enumerate(tree)]}
    raise RunError(
        "a recorded state holds tensors, numbers, strings and None, in lists, tuples and dictionaries",
        f"{type(tree).__name__} at {path}",
        "Convert it to one of these, or record without it",
    )


def _unflatten(skeleton: Tree, tensors: Mapping[str, Tensor]) -> Tree:
    if not isinstance(skeleton, dict):
        return skeleton
    (kind, inside), *_ = skeleton.items()
    if kind == "tensor":
        return tensors[inside]
    if kind == "dict":
        return {key: _unflatten(value, tensors) for key, value in inside}
    if kind not in ("list", "tuple"):
        raise ValueError(kind)
    values = [_unflatten(value, tensors) for value in inside]
    return tuple(values) if kind == "tuple" else values
