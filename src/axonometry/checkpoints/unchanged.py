"""That a file is the one whose header was read: its tensors are read one by one, and a training may write it anew.

With the header of one file and the numbers of another every tensor would be read from a wrong place, and look like one.
"""

from __future__ import annotations

from pathlib import Path
from stat import S_ISDIR

from axonometry.checkpoints.remote import RemotePath
from axonometry.errors import CheckpointError

Version = tuple[tuple[str, int, int, int], ...]


def version_of(path: Path) -> Version:
    """What tells a file, or the files in a folder, from others of their names: inode, size and time of writing.

    Args:
        path: A file or folder; of one that is not on this machine nothing is known.
    """
    if isinstance(path, RemotePath):
        return ()
    try:
        own = path.stat()
        told = [(path.name, own)]
        if S_ISDIR(own.st_mode):
            told = [(file.name, file.stat()) for file in sorted(path.iterdir())]
    except OSError:
        return (("", 0, 0, 0),)  # gone: other than whatever was there
    return tuple((name, stat.st_ino, stat.st_size, stat.st_mtime_ns) for name, stat in told)


def check_unchanged(path: Path, version: Version) -> None:
    """That a file has not been written since.

    Args:
        path: The file or folder.
        version: What it was.

    Raises:
        CheckpointError: It has.
    """
    if version_of(path) != version:
        rule = "a file stays as it is while it is read"
        raise CheckpointError(rule, f"{path}, written meanwhile", "Read it again when it is whole, or copy it first")
