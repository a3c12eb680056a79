"""The CNN Wild Park of Kofinas et al. 2024: trial folders with ``checkpoint_*/checkpoint.pt``, and a split file.

``cnn_park_splits.json`` has ``train``, ``val`` and ``test``, each with lists ``path``, ``score`` and perhaps ``step``.
A checkpoint holds ``model`` (a state dict), ``config`` (channels, kernel_size, stride, residual, activation) and what
Ray Tune adds. Nothing in it is run.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from axonometry.checkpoints.torch_file import saved_object
from axonometry.errors import DataError
from axonometry.files import read_json
from axonometry.zoo.published import SOURCE, PublishedNetwork, PublishedZoo
from axonometry.zoo.trials import Stored, plain_value

NAME = "cnn-wild-park"
SPLIT_FILE = "cnn_park_splits.json"
_SPLITS = {"train": "train", "val": "validation", "validation": "validation", "test": "test"}


def read_wild_park(folder: Path) -> PublishedZoo:
    """Read the split file; checkpoints are opened when asked for, all but one of each network.

    Raises:
        DataError: The split file is damaged, or names files that are not there.
    """
    listed = read_json(folder / SPLIT_FILE)
    trials: dict[Path, dict[int, tuple[Path, float]]] = {}
    splits: dict[Path, str] = {}
    for split, rows in _parts(folder, listed).items():
        steps = rows.get("step") or [None] * len(rows["path"])
        for name, score, step in zip(rows["path"], rows["score"], steps, strict=True):
            path = _inside(folder, str(name))
            epoch = int(step) if step is not None else _number(path)
            trials.setdefault(path.parent.parent, {})[epoch] = path, float(score)
            splits[path.parent.parent] = _SPLITS[split]
    names = _names(trials)
    networks = tuple(_network(names[trial], splits[trial], dict(sorted(of.items()))) for trial, of in trials.items())
    return PublishedZoo(NAME, folder, networks)


def _network(name: str, split: str, checkpoints: Mapping[int, tuple[Path, float]]) -> PublishedNetwork:
    last = checkpoints[max(checkpoints)][0]
    configuration = _configuration(last)
    if not isinstance(configuration, dict) or not {"residual", "activation"} <= set(configuration):
        raise DataError("a checkpoint's `config` has residual and activation", str(last), "Get it again")
    return PublishedNetwork(
        name, split, {SOURCE: NAME, **configuration},
        {epoch: {"accuracy": score} for epoch, (_, score) in checkpoints.items()},
        {epoch: Stored(path, "model") for epoch, (path, _) in checkpoints.items()},
    )  # fmt: skip


def _configuration(path: Path) -> Any:
    content = saved_object(path)
    return plain_value(content.get("config")) if isinstance(content, Mapping) else None


def _parts(folder: Path, listed: Any) -> dict[str, dict[str, Any]]:
    path = folder / SPLIT_FILE
    if not isinstance(listed, dict) or not listed or set(listed) - set(_SPLITS):
        raise DataError(f"{path} has train, val and test", str(list(listed))[:60], "Get it again")
    for split, rows in listed.items():
        found = rows if isinstance(rows, dict) else {}
        columns = [found.get("path"), found.get("score"), found.get("step", found.get("path"))]
        if (
            not all(isinstance(column, list) for column in columns)
            or len({len(column or ()) for column in columns}) > 1
        ):
            raise DataError(f"{path} has as many scores as paths", f"split {split!r}", "Get it again")
    return listed


def _inside(folder: Path, name: str) -> Path:
    path = folder / name
    if Path(name).is_absolute() or ".." in Path(name).parts or not path.is_file():
        raise DataError(f"{SPLIT_FILE} names checkpoints inside its folder", repr(name), "Unpack the zoo beside it")
    return path


def _number(path: Path) -> int:
    digits = path.parent.name.rpartition("_")[2]
    if not digits.isdigit():
        raise DataError("checkpoints stand in folders checkpoint_NUMBER", str(path), "Get it again")
    return int(digits)


def _names(trials: Mapping[Path, Any]) -> dict[Path, str]:
    short = {trial: trial.name for trial in trials}
    if len(set(short.values())) == len(short):
        return short
    return {trial: f"{number:05d}" for number, trial in enumerate(trials)}
