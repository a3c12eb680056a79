"""A population that was recorded in anybody's loop, as a table: whatever its configurations and scalars are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from axonometry.trajectory import Trajectory
from axonometry.trajectory.configuration import flat_configuration

if TYPE_CHECKING:
    import pandas as pd

MISSING = "not set"
"""What stands for a key that a run's configuration does not have, where others do."""


def recorded_choices(runs: Mapping[str, Trajectory]) -> pd.DataFrame:
    """A row a run and a column for every key of a configuration; dotted names for dictionaries in dictionaries.

    A key that has numbers in all runs is a column of numbers; any other is a column of texts.

    Args:
        runs: By name.

    >>> import tempfile, torch
    >>> from axonometry.trajectory import Recorder, load
    >>> folder = tempfile.TemporaryDirectory()
    >>> for name, configuration in (("a", {"width": 8}), ("b", {"width": 16, "loss": {"kind": "mse"}})):
    ...     place = f"{folder.name}/{name}"
    ...     with Recorder(place, torch.nn.Linear(2, 1), torch.zeros(1, 2), configuration=configuration) as recorder:
    ...         recorder.record(0)
    >>> recorded_choices({name: load(f"{folder.name}/{name}") for name in ("a", "b")}).to_dict("index")
    {'a': {'width': 8, 'loss.kind': 'not set'}, 'b': {'width': 16, 'loss.kind': 'mse'}}
    >>> folder.cleanup()
    """
    import pandas as pd

    rows = {name: flat_configuration(run.configuration) for name, run in runs.items()}
    names = list(dict.fromkeys(key for row in rows.values() for key in row))
    columns = {name: [row.get(name) for row in rows.values()] for name in names}
    index = pd.Index(list(rows), name="run", dtype="str")
    return pd.DataFrame({name: _column(values) for name, values in columns.items()}, index=index)


def last_scalars(runs: Mapping[str, Trajectory]) -> pd.DataFrame:
    """A row a run and a column a scalar: its value at the last step that has one; NaN where no step has.

    Args:
        runs: By name.

    Raises:
        RunError: A run's table is corrupt.
    """
    import pandas as pd

    rows = []
    for run in runs.values():
        frame = run.scalars().ffill()
        rows.append(dict(frame.iloc[-1]) if len(frame) else {})
    return pd.DataFrame(rows, index=pd.Index(list(runs), name="run", dtype="str"), dtype="float64")


def _column(values: Sequence[object]) -> list[object]:
    """Numbers as they are, where all are; else texts, by which runs can be grouped."""
    if all(isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 2**63 for value in values):
        return list(values)
    return [MISSING if value is None else value if isinstance(value, str) else f"{value}" for value in values]
