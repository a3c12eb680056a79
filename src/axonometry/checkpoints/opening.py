"""Finding out what a checkpoint is: one file, or a folder of shards."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from axonometry.checkpoints import kinds
from axonometry.checkpoints.checkpoint import Checkpoint, Contents, TensorSource, corrupt_checkpoint
from axonometry.checkpoints.element_types import Array
from axonometry.checkpoints.formats import SUFFIXES, format_of
from axonometry.errors import CheckpointError
from axonometry.files import read_json

if TYPE_CHECKING:
    from torch import Tensor

INDEX = ".index.json"


def open_checkpoint(path: str | Path, *, key: str | None = None) -> Checkpoint:
    """Open weights on disk; tensors are read when asked for, and no code that a file may hold is run.

    Args:
        path: A file of safetensors, of ``torch.save`` (a state dict, dictionaries around some, a whole module, a
            TorchScript archive), of numpy, Keras, ONNX, GGUF or Flax, told by its bytes and not by its name; an index
            (``*.index.json``) of several of these; or a folder with an index, or with nothing but shards.
        key: The entry of a ``torch.save`` dictionary whose weights are wanted; all of them where None.

    Raises:
        CheckpointError: There is nothing, or the file is of another kind or corrupt.
    """
    path = Path(path)
    if "\0" in str(path) or not path.exists():
        shown = str(path).replace("\0", "\\0")
        raise CheckpointError(f"no such file or folder: {shown}", "", "Check the path")
    if key is not None:
        return Checkpoint(path, _entry_of(path, key))
    if path.is_dir():
        return Checkpoint(path, _folder(path))
    return Checkpoint(path, _index(path) if path.name.endswith(INDEX) else _file(path))


class Shards(TensorSource):
    """Several files as one; at most one of them is open."""

    def __init__(self, files: dict[Path, TensorSource]) -> None:
        self._files = files
        self._home: dict[str, TensorSource] = {}
        for path, file in files.items():
            for name in file.contents.entries:
                if name in self._home:
                    rule = "every tensor of a folder of shards is in one of them"
                    raise CheckpointError(rule, f"{name} in {path.name} and in another", "Open one file of the folder")
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
    return format_of(path).open(path)


def _folder_format(path: Path) -> TensorSource | None:
    """A folder that is itself a format: a distributed checkpoint of torch, or one of Orbax."""
    if (path / ".metadata").is_file():
        from axonometry.checkpoints.distributed_folder import DistributedFolder

        return DistributedFolder(path)
    from axonometry.checkpoints.orbax_folder import OrbaxFolder, orbax_folder

    within = orbax_folder(path)
    return None if within is None else OrbaxFolder(within)


def _folder(path: Path) -> TensorSource:
    if (whole := _folder_format(path)) is not None:
        return whole
    indices = sorted(path.glob(f"*{INDEX}"))
    files = sorted(file for file in path.iterdir() if file.suffix in SUFFIXES)
    kinds = {file.suffix for file in files}
    if indices:
        return _index(next((index for index in indices if ".safetensors" in index.suffixes), indices[0]))
    if not files:
        raise CheckpointError(
            f"a checkpoint's folder holds {', '.join(SUFFIXES)} files", f"{path} with none", "Check the path"
        )
    if len(kinds) > 1:
        raise CheckpointError(
            "a folder of shards without an index holds one kind of file",
            f"{path} with {', '.join(sorted(kinds))}",
            "Open the file or the index that you mean",
        )
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
