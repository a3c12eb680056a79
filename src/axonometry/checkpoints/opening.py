"""Finding out what a checkpoint is: one file, a folder of shards, or a folder of many checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from axonometry.arguments import argument_errors
from axonometry.checkpoints import folders, kinds
from axonometry.checkpoints.checkpoint import Checkpoint, Contents, TensorSource, corrupt_checkpoint
from axonometry.checkpoints.element_types import Array
from axonometry.checkpoints.formats import SUFFIXES, format_of
from axonometry.checkpoints.orbax_folder import OrbaxFolder, orbax_folder
from axonometry.checkpoints.remote import RemotePath, placed
from axonometry.errors import CheckpointError
from axonometry.files import read_json

if TYPE_CHECKING:
    from torch import Tensor

INDEX = ".index.json"
ON_DISK = ("onnx", "gguf", "pickle")
"""Kinds of files that are mapped, or that a library opens by their name itself."""


@argument_errors
def open_checkpoint(path: str | Path, *, key: str | None = None) -> Checkpoint:
    """Open weights on disk; tensors are read when asked for, and no code that a file may hold is run.

    Args:
        path: A file of safetensors, of ``torch.save`` (a state dict, dictionaries around some, a whole module, a
            TorchScript archive), of numpy, Keras, ONNX, GGUF or Flax, told by its bytes and not by its name; an index
            (``*.index.json``) of several of these; or a folder: of shards, as trainers and hubs write it, of Orbax,
            or of torch's distributed checkpoints.
        key: The entry of a ``torch.save`` dictionary whose weights are wanted; all of them where None.

    Raises:
        CheckpointError: There is nothing, or the file is of another kind or corrupt.

    >>> import tempfile, torch
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     torch.save({"epoch": 3, "model": {"fc.weight": torch.ones(2, 3)}}, f"{folder}/model.pt")
    ...     weights = open_checkpoint(f"{folder}/model.pt")
    ...     weights.kind, list(weights.entries), weights["fc.weight"].sum().item()
    ('torch', ['fc.weight'], 6.0)
    """
    path = existing(path)
    if key is not None:
        return Checkpoint(path, _entry_of(path, key))
    if path.is_dir():
        source, left_out = _folder(path)
        found = Checkpoint(path, source)
        found.left_out = (*found.left_out, *left_out)
        return found
    return Checkpoint(path, _index(path) if path.name.endswith(INDEX) else _file(path))


def open_checkpoints(path: str | Path) -> dict[str, Checkpoint]:
    """Open what may be one checkpoint or many: a folder of steps is opened as these, in their natural order.

    ``model_1.pt, model_2.pt, model_10.pt`` with the same tensors each, or ``checkpoint-500/, checkpoint-1000/``, are
    several whole checkpoints; files of different tensors are the shards of one.

    Args:
        path: A file or a folder, as :func:`open_checkpoint` takes it, or a folder of such.

    Returns:
        Checkpoints by the name of their file or folder.

    Raises:
        CheckpointError: There is nothing, or something is of another kind or corrupt.
    """
    path = existing(path)
    if path.is_dir() and not is_one(path):
        files, _ = folders.files_of_weights(path)
        if len(files) > 1:
            opened = {file: _file(file) for file in folders.in_order(files)}
            if _are_steps([list(file.contents.entries) for file in opened.values()]):
                return {file.name: Checkpoint(file, source) for file, source in opened.items()}
        inside = [] if files else folders.folders_of_weights(path)
        if len(inside) > 1:
            return {folder.name: open_checkpoint(folder) for folder in inside}
    return {path.name: open_checkpoint(path)}


def existing(path: str | Path) -> Path:
    """The path of something that is there.

    Raises:
        CheckpointError: There is nothing.
    """
    path = placed(path)
    if "\0" in str(path) or not path.exists():
        shown = str(path).replace("\0", "\\0")
        raise CheckpointError(f"no such file or folder: {shown}", "", "Check the path")
    return path


def is_one(path: Path) -> bool:
    """Whether a folder is a format of its own, or has an index."""
    return (path / ".metadata").is_file() or orbax_folder(path) is not None or any(path.glob(f"*{INDEX}"))


def _are_steps(names: Sequence[Sequence[str]]) -> bool:
    """Whether files hold the same tensors, as steps of a run do; shards have none in common."""
    return len(names) > 1 and bool(names[0]) and all(set(one) == set(names[0]) for one in names)


class Shards(TensorSource):
    """Several files as one; at most one of them is open."""

    def __init__(self, files: dict[Path, TensorSource]) -> None:
        self._files = files
        self._home: dict[str, TensorSource] = {}
        for path, file in files.items():
            for name in file.contents.entries:
                if name in self._home:
                    rule = "every tensor of a folder of shards is in one of them"
                    remedy = "Open one file of the folder, or all as steps: open_checkpoints"
                    raise CheckpointError(rule, f"{name} in {path.name} and in another", remedy)
                self._home[name] = file
        self._current: TensorSource | None = None
        self.kind = f"sharded {next(iter(files.values())).kind}"
        parts = [file.contents for file in files.values()]
        self.contents = Contents(
            {name: entry for part in parts for name, entry in part.entries.items()},
            next((part.keys for part in parts if part.keys), ()),
            tuple(left for part in parts for left in part.left_out),
            tuple(name for part in parts for name in part.unread),
            tuple(dict.fromkeys(name for part in parts for name in part.code)),
            {name: first for part in parts for name, first in part.tied.items()},
        )

    def read(self, name: str) -> Tensor:
        """One tensor."""
        return self._only(name).read(name)

    def array(self, name: str) -> Array:
        """The numbers of one tensor."""
        return self._only(name).array(name)

    def _only(self, name: str) -> TensorSource:
        """The file that holds a tensor; another that was open is closed."""
        home = self._home[name]
        if self._current is not None and self._current is not home:
            self._current.release()
        self._current = home
        return home

    def release(self) -> None:
        """Close the file that is open."""
        if self._current is not None:
            self._current.release()


def _entry_of(path: Path, key: str) -> TensorSource:
    if path.is_dir() or format_of(path).title != "torch.save":
        raise CheckpointError("key is for files of torch.save", str(path), "Leave key out")
    from axonometry.checkpoints.torch_file import TorchFile

    return TorchFile(path, key)


def _file(path: Path) -> TensorSource:
    found = format_of(path)
    if isinstance(path, RemotePath) and found.kind in ON_DISK:
        raise CheckpointError(
            f"files of {found.title} ({found.kind}) are read from this machine", str(path), "Download it first"
        )
    return found.open(path)


def _folder(path: Path) -> tuple[TensorSource, list[str]]:
    """A folder's weights, and in words what was left out."""
    if (path / ".metadata").is_file():
        from axonometry.checkpoints.distributed_folder import DistributedFolder

        return DistributedFolder(path), []
    if (within := orbax_folder(path)) is not None:
        if isinstance(path, RemotePath):
            raise CheckpointError("folders of Orbax are read from this machine", str(path), "Download it first")
        return OrbaxFolder(within), []
    files, left_out = folders.files_of_weights(path)
    indices = sorted(path.glob(f"*{INDEX}"))
    whole = [file for file in files if file.suffix == ".safetensors" and file.stem in folders.HUB]
    if indices and not (len(whole) == 1 and not any(".safetensors" in index.suffixes for index in indices)):
        return _index(next((index for index in indices if ".safetensors" in index.suffixes), indices[0])), []
    if indices:
        return _file(whole[0]), left_out
    if not files:
        inside = folders.folders_of_weights(path)
        if len(inside) == 1:
            source, more = _folder(inside[0])
            return source, [*left_out, *more]
        raise _without_weights(path, inside)
    return _of_files(path, files), left_out


def _without_weights(path: Path, inside: Sequence[Path]) -> CheckpointError:
    if inside:
        rule, found = "a checkpoint's folder is one checkpoint", f"{path} with {len(inside)}"
        return CheckpointError(rule, found, f"Open {inside[-1].name}, or all as steps: open_checkpoints")
    rule = f"a checkpoint's folder holds {', '.join(SUFFIXES)} files"
    return CheckpointError(rule, f"{path} with none", "Check the path")


def _of_files(path: Path, files: Sequence[Path]) -> TensorSource:
    """One file, or several that are shards of one checkpoint."""
    kinds = {file.suffix for file in files}
    if len(kinds) > 1:
        raise CheckpointError(
            "a folder of shards without an index holds one kind of file",
            f"{path} with {', '.join(sorted(kinds))}",
            "Open the file or the index that you mean",
        )
    if (missing := folders.missing_shard(files)) is not None:
        raise CheckpointError("a folder of shards holds them all", f"no {missing} in {path}", "Download it too")
    return _file(files[0]) if len(files) == 1 else Shards({file: _file(file) for file in files})


def _index(path: Path) -> TensorSource:
    kinds.require_file(path)
    try:
        content = read_json(path)
        homes = {str(name): str(file) for name, file in content["weight_map"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        corrupt_checkpoint(path, error)
    if not homes:
        corrupt_checkpoint(path, "no files")
    for file in set(homes.values()):
        if Path(file).name != file:  # an index may not lead out of its folder
            raise CheckpointError("an index names files beside it", f"{file} in {path}", "Correct the index")
        if not (path.parent / file).is_file():
            raise CheckpointError(f"{path.name} names the files that hold the weights", f"no {file}", "Download it too")
    shards = Shards({path.parent / file: _file(path.parent / file) for file in sorted(set(homes.values()))})
    missing = [name for name in homes if name not in shards.contents.entries]
    if missing:
        corrupt_checkpoint(path, f"{missing[0]}, which is not in {homes[missing[0]]}")
    return shards
