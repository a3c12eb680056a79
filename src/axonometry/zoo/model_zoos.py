"""The Model Zoos of Schürholt et al. 2022 (arXiv 2209.14764): trial folders of Ray Tune.

Each has ``params.json`` (``model::type``, ``model::nlin``, ``optim::lr``...), ``result.json`` (``training_iteration``,
``test_acc``, ``train_acc``, losses) and ``checkpoint_*/checkpoints``, a state dict. Their ready-made ``.pt`` data sets
are pickled objects of their own classes, which would have to be run to be read: they are refused, the folders are read.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from axonometry.errors import DataError
from axonometry.zoo.published import SOURCE, PublishedNetwork, PublishedZoo, split_shuffled
from axonometry.zoo.trials import Stored, checkpoints_of, parameters_of, results_of

NAME = "model-zoos"
SCALARS = {"test_acc": "accuracy", "test_loss": "loss", "train_acc": "train_accuracy", "train_loss": "train_loss"}
NOT_YET = -999
"""What their first line has for the training that did not happen yet."""


def read_model_zoo(folder: Path) -> PublishedZoo:
    """Read choices and results of all trials; weights are read when asked for.

    Raises:
        DataError: A trial's file is missing or damaged, or no trial has a checkpoint.
    """
    trials = [path.parent for path in sorted(folder.glob("*/params.json"))]
    splits = split_shuffled([trial.name for trial in trials])
    networks = tuple(found for trial in trials if (found := _network(trial, splits[trial.name])))
    if not networks:
        raise DataError("a trial has checkpoints in checkpoint_*/checkpoints", str(folder), "Unpack the whole zoo")
    return PublishedZoo(NAME, folder, networks)


def _network(trial: Path, split: str) -> PublishedNetwork | None:
    """The trial as a network; None of one that failed before its first checkpoint."""
    files, results = checkpoints_of(trial, "checkpoints"), results_of(trial)
    kept = {epoch: path for epoch, path in files.items() if epoch in results}
    if not kept:
        return None
    return PublishedNetwork(
        trial.name, split, _configuration(parameters_of(trial)),
        {epoch: _scalars(results[epoch]) for epoch in kept},
        {epoch: Stored(path) for epoch, path in kept.items()},
    )  # fmt: skip


def _configuration(parameters: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in parameters.items() if name.startswith(("model::", "optim::", "training::"))}
    seed = {"seed": parameters["seed"]} if isinstance(parameters.get("seed"), int) else {}
    return {SOURCE: NAME, **kept, **seed}


def _scalars(row: dict[str, Any]) -> dict[str, float]:
    found = {ours: float(row[theirs]) for theirs, ours in SCALARS.items() if isinstance(row.get(theirs), int | float)}
    return {name: value for name, value in found.items() if value != NOT_YET}
