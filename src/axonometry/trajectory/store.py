"""A run folder: its files, and the content of ``run.json``.

::

    run.json                    format version, software, configuration, groups, synapses, wires, coverage
    snapshots/STEP.safetensors  the weights at each recorded step, under their state-dict names
    metrics/STEP.parquet        step, group, metric, statistic, value; it makes the step complete, so it is written last
    metrics.parquet             all of them in one, once the recorder was closed
    resume/STEP.safetensors     optimizer and random state at the last complete step, where an optimizer was recorded
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from axonometry.errors import ConfigurationError, RunError
from axonometry.files import discard_partial, parse_json, read_json, write_text
from axonometry.metrics.nulls import NullModel
from axonometry.program import Coverage, Group, NeuralGraph, Synapse, Wire
from axonometry.trajectory.architecture import calls, other_call, other_shape
from axonometry.trajectory.fields import FieldError, check_graph, fitting, nonfinite
from axonometry.trajectory.state import corrupt_run
from axonometry.trajectory.tables import is_step

FORMAT = 1
"""The version of the format that this software writes; it reads this version and all before it.

To change the format:

1. Raise the number when an older Axonometry would misread a new folder, or miss what it needs from it. Another file
   or another key that may be ignored needs no new number.
2. Add to ``_UPGRADES`` the function from the old number's ``run.json`` to the new one's; readers of other files ask
   ``Description.format`` for what they have to know. Folders on disk are never rewritten by reading them.
3. Write the new format's small folder with ``tests/trajectory/formats/make.py``, beside the old ones, which stay and
   whose tests must pass; say in CHANGELOG.md what changed.
"""

_UPGRADES: dict[int, Any] = {}

DESCRIPTION = "run.json"
SNAPSHOTS = "snapshots"
RESUME = "resume"


@dataclass(frozen=True)
class Description:
    """The content of ``run.json``.

    Attributes:
        groups: Neuron groups of the graph.
        synapses: Synapses of the graph.
        wires: Links without a parameter.
        coverage: The role of each parameter.
        measures: Names of the measures taken at every step.
        layers: Patterns of the groups and synapses measured; None for all.
        keep_weights: Whether every step has its snapshot.
        configuration: Further facts that the user gave; JSON values.
        samples: Number (count) and SHA-256 (sha256) of the samples that measures ran through the network, where there
            are any.
        software: Versions of what recorded it; another entry where a run was resumed with others.
        complete: Whether the recorder was closed, rather than ended by an error or a kill.
        format: The format's version in the folder.
        planned_steps: How many steps were planned; None where nobody said.
        stopped: Whether the recorder was closed before the training's planned end.
        tensors: Shapes of the state dict's tensors; None in runs that were recorded before they were noted.
        operations: The calls that the forward pass consists of, in order; None likewise.
        optimizers: Classes of what was recorded to resume from, by name; None where nothing was, or likewise.
        inputs: Type (dtype) and shape of each example input; None where one is not a tensor, or likewise.
        network: Where the network's code is (place, as ``nets.py:Net``) and the SHA-256 of its file (sha256); None
            where it is not known, or likewise.
    """

    groups: tuple[Group, ...]
    synapses: tuple[Synapse, ...]
    wires: tuple[Wire, ...]
    coverage: tuple[Coverage, ...]
    measures: tuple[str, ...]
    layers: tuple[str, ...] | None
    keep_weights: bool
    configuration: dict[str, Any] | None
    samples: dict[str, Any] | None = None
    software: tuple[dict[str, str], ...] = ()
    complete: bool = False
    format: int = FORMAT
    planned_steps: int | None = None
    stopped: bool = False
    tensors: dict[str, tuple[int, ...]] | None = None
    operations: tuple[str, ...] | None = None
    optimizers: dict[str, str] | None = None
    inputs: tuple[dict[str, Any], ...] | None = None
    network: dict[str, str] | None = None
    null: NullModel | None = None


def describe(
    graph: NeuralGraph,
    *,
    measures: tuple[str, ...],
    layers: tuple[str, ...] | None,
    keep_weights: bool,
    configuration: Mapping[str, Any] | None,
) -> Description:
    """The description of a run that is about to begin.

    Raises:
        RunError: The configuration holds what JSON cannot.
    """
    parts = (graph.groups, graph.synapses, graph.wires, graph.coverage)
    found = Description(
        *parts, measures, layers, keep_weights, _stored(configuration), software=(software(),), operations=calls(graph)
    )
    try:
        _checked(asdict(found))
    except FieldError as error:  # a module may have any name
        raise RunError("a run's names are text without control characters", str(error), "Rename the module") from error
    return found


def _stored(configuration: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A configuration as it will be read."""
    if configuration is None:
        return None
    try:
        stored = parse_json(json.dumps(dict(configuration)))
        wrong = next(nonfinite(stored), None)
        if wrong is not None:
            raise FieldError(f"{wrong} is not finite")
    except (TypeError, ValueError, RecursionError) as error:
        rule = f"a run's configuration holds JSON values: {error}"
        raise RunError(rule, "", "Use finite numbers, strings, lists, dictionaries and None") from error
    return dict(stored)


def software() -> dict[str, str]:
    """The versions that a run depends on."""
    try:
        own = version("axonometry")
    except PackageNotFoundError:  # run from a source tree
        own = "unknown"
    return {
        "axonometry": own,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
    }


def write_description(folder: Path, description: Description) -> None:
    """Write ``run.json``, complete or not at all."""
    write_text(folder / DESCRIPTION, json.dumps(asdict(description), indent=1) + "\n")


def read_description(folder: Path) -> Description:
    """Read ``run.json``.

    Raises:
        RunError: The folder is not a run, the file is corrupt, or the format is newer than this software.
    """
    path = folder / DESCRIPTION
    try:
        content = read_json(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        rule = f"not a run: {folder} has no {DESCRIPTION}" if folder.exists() else f"no such folder: {folder}"
        raise RunError(rule, "", "Check the path") from error
    except (OSError, ValueError) as error:
        corrupt_run(path, error)
    number = content.get("format") if isinstance(content, dict) else None
    if not isinstance(number, int) or number < 1 or number is True:
        corrupt_run(path, "no format version")
    if number > FORMAT:
        raise RunError(
            f"{path} has format {number}, this version of Axonometry reads formats up to {FORMAT}",
            "",
            "Open it with a newer version: pip install --upgrade axonometry",
        )
    for old in range(number, FORMAT):
        content = _UPGRADES[old](content)
    try:
        return _checked(content)
    except FieldError as error:
        corrupt_run(path, str(error))


def same_network(recorded: Description, now: Description) -> bool:
    """Whether two descriptions are of networks with the same groups, synapses and wires."""
    return (recorded.groups, recorded.synapses, recorded.wires) == (now.groups, now.synapses, now.wires)


def resumed(recorded: Description, now: Description, folder: Path) -> Description:
    """The description of a recorded run that is resumed.

    Raises:
        RunError: The network, the measures or the configuration are not the recorded ones.
    """
    differing = [] if same_network(recorded, now) else ["network"]
    differing += [
        name
        for name in ("measures", "layers", "keep_weights", "samples", "null")
        if getattr(recorded, name) != getattr(now, name)
    ]
    if now.configuration is not None and now.configuration != recorded.configuration:
        differing.append("configuration")
    if not differing:
        differing += filter(None, [other_shape(recorded.tensors, now.tensors)])
        if any(one.get("torch") == torch.__version__ for one in recorded.software[-1:]):  # others write calls otherwise
            differing += filter(None, [other_call(recorded.operations, now.operations)])
    if differing:
        raise RunError(
            f"the run in {folder} was recorded differently: {', '.join(differing)}",
            "",
            "Pass what the run was begun with, or record into another folder",
        )
    known = recorded.software if now.software[0] in recorded.software else recorded.software + now.software
    planned = recorded.planned_steps if now.planned_steps is None else now.planned_steps
    later = ("tensors", "operations", "inputs", "network")
    noted = {name: getattr(recorded, name) or getattr(now, name) for name in later}
    return replace(recorded, software=known, planned_steps=planned, **noted)


def snapshot_path(folder: Path, step: int) -> Path:
    """Where the weights of a step are.

    >>> snapshot_path(Path("runs/a"), 3).as_posix()
    'runs/a/snapshots/3.safetensors'
    """
    return folder / SNAPSHOTS / f"{step}.safetensors"


def resume_path(folder: Path, step: int) -> Path:
    """Where the state to resume from after a step is.

    >>> resume_path(Path("runs/a"), 3).as_posix()
    'runs/a/resume/3.safetensors'
    """
    return folder / RESUME / f"{step}.safetensors"


def discard_leftovers(folder: Path, steps: tuple[int, ...]) -> None:
    """Remove what a killed recorder left of an incomplete step, and states that no run resumes from."""
    discard_partial(folder)
    for room, kept in ((SNAPSHOTS, steps), (RESUME, steps[-1:])):
        for path in (folder / room).glob("*.safetensors"):
            if is_step(path.stem) and int(path.stem) not in kept:
                path.unlink()


def _checked(content: dict[str, Any]) -> Description:
    """The description that a file holds.

    Raises:
        FieldError: A field is missing or wrong.
    """
    added = {name: _LATER[name] for name in _LATER if name not in content}
    groups = content.get("groups")
    if isinstance(groups, list | tuple):  # before recurrent cells, each group was its own
        content = {**content, "groups": [_rolled(group) for group in groups]}
    try:
        found: Description = fitting({**content, **added}, Description, "")
    except ConfigurationError as error:
        raise FieldError(f"null: {error}") from error
    check_graph(found.groups, found.synapses, found.wires)
    if found.samples is not None:
        fitting(found.samples.get("count"), int, "samples.count")
        fitting(found.samples.get("sha256"), str, "samples.sha256")
    for name in ("place", "sha256") if found.network is not None else ():
        fitting((found.network or {}).get(name), str, f"network.{name}")
    return found


_LATER = {
    **dict.fromkeys(("samples", "planned_steps", "tensors", "operations", "optimizers", "inputs", "network", "null")),
    "stopped": False,
}
"""What fields that older runs lack stand for."""


def _rolled(group: Any) -> Any:
    return {"rolled": group["name"], **group} if isinstance(group, dict) and "name" in group else group
