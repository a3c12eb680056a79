"""A zoo in numbers: how many networks, checkpoints and parameters, their splits, choices and accuracies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np

from axonometry.trajectory import Trajectory
from axonometry.zoo.opening import DESCRIPTION, accuracy_by_step, open_zoo
from axonometry.zoo.published import SOURCE, SPLITS, PublishedNetwork
from axonometry.zoo.readers import read_published

MOST_VALUES = 8
"""Different values of a choice that are listed; more are given as a range, or counted."""


@dataclass(frozen=True)
class ZooDescription:
    """A zoo in numbers.

    Attributes:
        source: The published format or preset.
        networks: How many.
        checkpoints: Of all networks together.
        epochs: The epochs of checkpoints, with how many networks have each.
        splits: By split, how many networks.
        accuracy: Least, quartiles and greatest of the last checkpoints' accuracies.
        choices: By hyper-parameter, its values in words.
        parameters: Fewest and most parameters of a network; None where weights were not looked at.
    """

    source: str
    networks: int
    checkpoints: int
    epochs: Mapping[int, int]
    splits: Mapping[str, int]
    accuracy: tuple[float, ...]
    choices: Mapping[str, str]
    parameters: tuple[int, int] | None


@dataclass(frozen=True)
class _Network:
    epochs: Sequence[int]
    split: str
    accuracy: float
    configuration: Mapping[str, Any]
    parameters: int | None


def describe_zoo(folder: str | Path) -> ZooDescription:
    """Describe a zoo, published or ours; of a published one only the tables are read.

    Raises:
        DataError: There is none, or a file is damaged.
        RunError: A run is damaged.
    """
    folder = Path(folder)
    if (folder / DESCRIPTION).is_file():
        zoo = open_zoo(folder)
        return _described(zoo.source, [_own(run, zoo.splits[name]) for name, run in zoo.runs.items()])
    published = read_published(folder)
    return _described(published.source, [_of_tables(network) for network in published.networks])


def _own(run: Trajectory, split: str) -> _Network:
    size = sum(int(np.prod(shape)) for shape in (run.description.tensors or {}).values())
    return _Network(run.steps, split, accuracy_by_step(run)[run.steps[-1]], run.configuration or {}, size)


def _of_tables(network: PublishedNetwork) -> _Network:
    last = network.scalars[max(network.scalars)]
    return _Network(tuple(network.weights), network.split, last["accuracy"], network.configuration, None)


def _described(source: str, networks: Sequence[_Network]) -> ZooDescription:
    sizes = [network.parameters for network in networks if network.parameters is not None]
    accuracy = np.nanquantile([network.accuracy for network in networks], [0, 0.25, 0.5, 0.75, 1])
    splits = Counter(network.split for network in networks)
    return ZooDescription(
        source=source,
        networks=len(networks),
        checkpoints=sum(len(network.epochs) for network in networks),
        epochs=dict(sorted(Counter(epoch for network in networks for epoch in network.epochs).items())),
        splits={split: splits[split] for split in SPLITS if splits[split]},
        accuracy=tuple(float(value) for value in accuracy),
        choices=_choices([network.configuration for network in networks]),
        parameters=(min(sizes), max(sizes)) if sizes else None,
    )


def _choices(configurations: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """What differs between networks, and how; the seed does anyway."""
    found = {}
    for name in dict.fromkeys(name for one in configurations for name in one if name not in (SOURCE, "seed")):
        values = [one.get(name) for one in configurations]
        if (words := _in_words(values)) is not None:
            found[name] = words
    return found


def _in_words(values: Iterable[Any]) -> str | None:
    """The values in words; None where all are the same.

    >>> _in_words(["adam", "sgd", "adam"]), _in_words([n / 100 for n in range(20)]), _in_words([3, 3])
    ('adam, sgd', '0 to 0.19', None)
    """
    listed = list(values)
    different = list(dict.fromkeys(str(value) for value in listed))
    if len(different) < 2:
        return None
    numbers = [float(value) for value in listed if isinstance(value, Real)]
    if len(different) > MOST_VALUES and len(numbers) == len(listed):
        return f"{min(numbers):g} to {max(numbers):g}"
    if len(different) > MOST_VALUES:
        return f"{len(different)} different ones"
    return ", ".join(f"{n:g}" for n in sorted(set(numbers))) if len(numbers) == len(listed) else ", ".join(different)
