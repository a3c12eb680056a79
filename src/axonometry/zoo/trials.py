"""Trial folders of Ray Tune: ``params.json``, ``result.json`` of one JSON object a line, ``checkpoint_*``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from axonometry.checkpoints import open_checkpoint
from axonometry.checkpoints.pickles import Unknown
from axonometry.errors import DataError
from axonometry.files import parse_json, read_json


def checkpoints_of(trial: Path, file: str) -> dict[int, Path]:
    """The files of a trial's checkpoints by the number in their folder's name, with leading zeros or without.

    Args:
        trial: The trial's folder.
        file: What the file in such a folder is called.
    """
    found = {}
    for folder in trial.glob("checkpoint_*"):
        matched = re.fullmatch(r"checkpoint_(\d+)", folder.name)
        if matched and (folder / file).is_file():
            found[int(matched[1])] = folder / file
    return dict(sorted(found.items()))


def results_of(trial: Path) -> dict[int, dict[str, Any]]:
    """The lines of ``result.json`` by their ``training_iteration``; an incomplete last line is left out.

    Raises:
        DataError: There is no such file, or a line in its middle is no JSON object.
    """
    path = trial / "result.json"
    try:
        lines = [line for line in path.read_text("utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError("a trial has its results in result.json", f"{trial}: {error}", "Get it again") from error
    found = {}
    for number, line in enumerate(lines):
        try:
            row = parse_json(line)
            found[int(row["training_iteration"])] = row
        except (ValueError, KeyError, TypeError) as error:
            if number == len(lines) - 1:  # the trial was killed while it wrote
                break
            raise DataError(f"line {number + 1} of {path} is a result", repr(line[:60]), "Get it again") from error
    return found


def parameters_of(trial: Path) -> dict[str, Any]:
    """What ``params.json`` says.

    Raises:
        DataError: It is no JSON object.
    """
    found = read_json(trial / "params.json")
    if not isinstance(found, dict):
        raise DataError(f"{trial / 'params.json'} holds the trial's choices", type(found).__name__, "Get it again")
    return found


@dataclass(frozen=True)
class Stored:
    """Weights in a file, read when called.

    Attributes:
        path: The file.
        key: The entry that holds the state dict; None where the file is one.
    """

    path: Path
    key: str | None = None

    def __call__(self) -> dict[str, Tensor]:
        """The weights by name."""
        checkpoint = open_checkpoint(self.path, key=self.key)
        return {name: checkpoint[name] for name in checkpoint}


def plain_value(value: Any) -> Any:
    """A configuration out of a pickle as JSON values: objects of classes that are not known become what they hold.

    Omegaconf's dictionaries and lists hold ``_content``, its leaves ``_val``; a dataclass its attributes.

    >>> node = Unknown()
    >>> node.state = {"_content": {"residual": [-1, 0]}, "_metadata": None}
    >>> plain_value({"model": node})
    {'model': {'residual': [-1, 0]}}
    """
    if isinstance(value, Unknown):
        state = value.state[0] if isinstance(value.state, tuple) and value.state else value.state
        state = state if isinstance(state, Mapping) else {}
        for key in ("_content", "_val"):
            if key in state:
                return plain_value(state[key])
        return {str(name): plain_value(inside) for name, inside in state.items()} or None
    if isinstance(value, Mapping):
        return {str(name): plain_value(inside) for name, inside in value.items()}
    if isinstance(value, list | tuple):
        return [plain_value(inside) for inside in value]
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)
