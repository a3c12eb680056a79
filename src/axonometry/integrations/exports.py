r"""What TensorBoard or Weights & Biases kept of a training, as a run that ``predict`` and pages read.

>>> import tempfile
>>> folder = tempfile.TemporaryDirectory()
>>> table = Path(folder.name, "history.csv")
>>> _ = table.write_text("_step,train_loss,val_acc\n0,2.3,0.1\n1,1.9,\n2,1.5,0.4\n")
>>> run = import_run(table, f"{folder.name}/run", names={"val_acc": "accuracy"})
>>> run.steps, run.scalars()["accuracy"].tolist(), run.scalars()["train_loss"].tolist()
((0, 1), [0.1, 0.4], [2.3, 1.5])
>>> folder.cleanup()
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from axonometry.errors import ConfigurationError, RunError
from axonometry.integrations.event_files import is_tensorboard, tensorboard_scalars
from axonometry.integrations.loggers import NETWORK, PREFIX
from axonometry.integrations.names import ScalarNames
from axonometry.integrations.wandb_file import wandb_file_in, wandb_scalars
from axonometry.metrics.catalogue import CATALOGUE
from axonometry.trajectory import Trajectory, load, store
from axonometry.trajectory.tables import compact, write_piece

if TYPE_CHECKING:
    import pandas as pd

_STEPS = ("_step", "step", "Step", "epoch")


def read_export(path: str | Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The scalars of an export, a row a step and a column a scalar, and the configuration where it holds one.

    Args:
        path: A folder of TensorBoard's event files, W&B's offline folder or its ``.wandb`` file, or a table in CSV with
            a column ``_step`` (``run.history().to_csv()``), ``step`` or ``epoch``.

    Raises:
        ConfigurationError: It is none of these.
        MissingExtraError: The library that reads it is not installed.
        RunError: A file is corrupt.
    """
    path = Path(path)
    if not path.exists():
        raise ConfigurationError(f"no such export: {path}", "", "Check the path")
    offline = wandb_file_in(path)
    if offline is not None:
        return wandb_scalars(offline)
    if is_tensorboard(path):
        return tensorboard_scalars(path), {}
    if path.suffix == ".csv":
        return _csv(path), {}
    rule = "an export is a folder of TensorBoard's event files, a .wandb file, or a table in CSV"
    raise ConfigurationError(rule, str(path), "Export the run anew")


def import_run(
    path: str | Path,
    folder: str | Path,
    *,
    names: Mapping[str, str] | None = None,
    configuration: Mapping[str, Any] | None = None,
) -> Trajectory:
    """Write an export as a run: step n is the n-th validation, from the first that the export has.

    Of what was logged by :mod:`axonometry.integrations.loggers` all measures and steps come back as they were; of any
    other export the scalars, which ``curve``, ``last-accuracy``, ``parametric`` and ``hyperparameters`` predict from.
    A scalar between two validations belongs to the later one, and its last value counts. There are no weights and no
    graph.

    Args:
        path: As for :func:`read_export`.
        folder: A new folder.
        names: What scalars are called here, before the usual names (:mod:`axonometry.integrations.names`); one has to
            become ``accuracy``.
        configuration: What the run was trained with; the export's own where None.

    Raises:
        ConfigurationError: There is no accuracy in it, or it is no export.
        RunError: The folder is not empty, or a file is corrupt.
    """
    table, found = read_export(path)
    table = table.rename(columns=_renamed(map(str, table.columns), names or {}))
    twice = table.columns[table.columns.duplicated()]
    if len(twice):
        raise ConfigurationError("two scalars of an export have two names", f"{twice[0]} twice", "Pass other names=")
    ours = [name for name in table if str(name).startswith(PREFIX)]
    steps = _recorded(table[ours]) if ours else _validations(table, Path(path))
    folder = Path(folder)
    if folder.exists() and any(folder.iterdir()):
        raise RunError(f"{folder} is not empty", "", "Choose another folder")
    folder.mkdir(parents=True, exist_ok=True)
    measures = tuple(dict.fromkeys(row[1] for rows, _ in steps.values() for row in rows))
    about = dict(configuration) if configuration is not None else found
    description = store.Description(
        (), (), (), (), measures, None, False, about or None, software=(store.software(),), complete=True
    )
    for step, (rows, scalars) in steps.items():
        write_piece(folder, step, _frame(rows), scalars)
    compact(folder)
    store.write_description(folder, description)
    return load(folder)


def _renamed(columns: Iterable[str], given: Mapping[str, str]) -> dict[str, str]:
    """The usual names under ours, but for what was told and what it would be mistaken for.

    >>> _renamed(["loss", "val_loss", "top1", "val_acc", "axonometry/loss"], {"top1": "accuracy"})
    {'loss': 'train_loss', 'val_loss': 'loss', 'top1': 'accuracy'}
    """
    plain = [name for name in columns if "/" not in name and name not in given]
    usual = {there: here for there, here in ScalarNames().here(plain).items() if there != here}
    return {there: here for there, here in usual.items() if here not in given.values()} | dict(given)


Step = tuple[list[tuple[str, str, str, float]], dict[str, float]]
"""Rows of measures (group, metric, statistic, value), and scalars."""


def _recorded(table: pd.DataFrame) -> dict[int, Step]:
    """Steps as a recorder wrote them: a name of three parts is a row of a measure, of one a scalar."""
    steps: dict[int, Step] = {}
    for step, row in table.iterrows():
        rows, scalars = [], {}
        for name, value in row.dropna().items():
            metric, _, rest = str(name).removeprefix(PREFIX).partition("/")
            group, slash, statistic = rest.rpartition("/")
            if slash and metric in CATALOGUE:
                rows.append(("" if group == NETWORK else group, metric, statistic, float(value)))
            elif not rest and metric != "step":
                scalars[metric] = float(value)
        if rows or scalars:
            steps[int(step)] = rows, scalars  # type: ignore[call-overload]
    return steps


def _validations(table: pd.DataFrame, path: Path) -> dict[int, Step]:
    if "accuracy" not in table:
        known = f"Pass names={{...: 'accuracy'}} for one of: {', '.join(map(str, table.columns)) or 'none'}"
        raise ConfigurationError("a run's final accuracy is its scalar `accuracy`", f"{path} without", known)
    filled = table.sort_index().ffill()[table.sort_index()["accuracy"].notna()]
    return {
        number: ([], {str(name).replace("/", "_"): float(value) for name, value in row.dropna().items()})
        for number, (_, row) in enumerate(filled.iterrows())
    }


def _frame(rows: list[tuple[str, str, str, float]]) -> pd.DataFrame | None:
    import pandas as pd

    return pd.DataFrame(rows, columns=["group", "metric", "statistic", "value"]) if rows else None


def _csv(path: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        table = pd.read_csv(path)
    except (ValueError, UnicodeDecodeError) as error:  # pandas' own errors are ValueErrors
        raise RunError(f"{path} is not a table in CSV: {error}".splitlines()[0], "", "Export it anew") from error
    column = next((name for name in _STEPS if name in table), None)
    if column is None:
        raise ConfigurationError(
            "an exported table has a column of steps", ", ".join(map(str, table)), "Name it `step`"
        )
    numbers = table.drop(columns=column).select_dtypes("number").set_index(table[column])
    return numbers.groupby(level=0).last()
