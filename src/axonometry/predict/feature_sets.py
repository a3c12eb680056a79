"""Named sets of features: which columns of the table a prediction after a number of epochs may look at.

A column's name begins with its family and ends with what it takes to know it::

    channel_degree.conv1.mean@2      a measure's statistic in the snapshot after 2 epochs
    channel_degree.conv1.mean@2-0    how it changed since the first snapshot
    accuracy@2                       the validation curve
    configuration.learning_rate      known before the first epoch
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from axonometry.errors import PredictionError, closest

CONFIGURATION, MOVEMENT, PARAMETER = "configuration", "movement", "parameter"
CHANGES, PARAMETRIC = "changes", "parametric"
PROXIES, PARAMETERS = "proxies", "parameters"
ACCURACY = "accuracy"
CURVE = (ACCURACY, "loss", "train_loss")
DEGREE = ("channel_degree", "weighted_degree")
CHANGED = ("node_strength", "channel_degree")
"""Measures of the graph whose changes are features, where they were recorded."""
CENTRALITY = ("channel_centrality", "eigenvector_centrality")

FEATURE_SETS = {
    "degree": "weighted degrees, epoch by epoch, and their changes",
    "centrality": "eigenvector centralities, epoch by epoch, and their changes",
    "graph": "all that is measured on the graph, epoch by epoch, its changes, and how the weights moved",
    "snapshot": "all that is measured on the graph, in the last snapshot alone",
    "weights": "statistics of each parameter in the last snapshot (Unterthiner et al. 2020)",
    "changes": "how far the layers have come since the start, by relative depth: 63 numbers, the same of any network",
    "movement": "how the weights moved, epoch by epoch",
    "measures": "all that is measured on the graph, epoch by epoch, without how the weights moved",
    "last-accuracy": "the last validation accuracy",
    "curve": "validation accuracy and loss and training loss, epoch by epoch",
    "parametric": "where four families of curves see the validation accuracy end (power, exponential, ...)",
    "hyperparameters": "the configuration",
    "initial": "all that is measured on the network before training",
    "proxies": "zero-cost proxies of the network before training, with its number of parameters",
    "parameters": "the number of parameters",
}
"""The feature sets, and what each looks at. Names joined by + look at all of theirs, as ``changes+curve`` does."""
BEFORE_TRAINING = ("initial", "proxies", "parameters")
"""The sets that look at nothing but the initial network: what is known after 0 epochs, beside hyper-parameters."""
DEFAULT_FEATURES = "changes+curve"
"""Chosen on one population and tried on five others: after one epoch surely better than the curve alone in one of them,
surely worse in none (docs/results/cikm2022-learning.md). Thousands of columns of ``graph`` are noise to a few
dozen runs.
"""


@dataclass(frozen=True)
class FeatureName:
    """What a column's name says.

    Attributes:
        family: The measure, or the kind of number.
        place: The measure and the group, without the statistic.
        epoch: After how many epochs it is known; 0 for what is known before training.
        change: Whether it is a change since the first snapshot.

    >>> name = FeatureName.parse("channel_degree.conv1.mean@2-0")
    >>> name.family, name.place, name.epoch, name.change
    ('channel_degree', 'channel_degree.conv1', 2, True)
    """

    family: str
    place: str
    epoch: int
    change: bool

    @classmethod
    def parse(cls, name: str) -> FeatureName | None:
        """The parts of a column's name; None for a column that is no feature.

        >>> FeatureName.parse("channel_degree.conv1.mean@2-0")
        FeatureName(family='channel_degree', place='channel_degree.conv1', epoch=2, change=True)
        >>> FeatureName.parse("epochs") is None
        True
        """
        head, at, tail = name.rpartition("@")
        epoch, minus, since = tail.partition("-")
        if at and epoch.isdecimal() and (not minus or since.isdecimal()):
            return cls(head.split(".")[0], head.rpartition(".")[0] or head, int(epoch), bool(minus))
        return cls(CONFIGURATION, name.partition("=")[0], 0, False) if name.startswith(CONFIGURATION + ".") else None


def parts_of(name: str) -> list[str]:
    """The sets that a name joins.

    Raises:
        PredictionError: One of them does not exist.

    >>> parts_of("graph+curve")
    ['graph', 'curve']
    """
    parts = [part.strip() for part in name.split("+")] if isinstance(name, str) else [repr(name)]
    unknown = [part for part in parts if part not in FEATURE_SETS]
    if unknown:
        remedy = closest(unknown, FEATURE_SETS, f"There are: {', '.join(FEATURE_SETS)}; join them by +")
        raise PredictionError("features are named sets", repr(", ".join(unknown)), remedy)
    return parts


def families_of(name: str | None, held: Iterable[str]) -> set[str]:
    """The families that have to be read from a run for a set; all of them for None.

    Args:
        name: Of a set, or several joined by +.
        held: The measures that the run recorded.

    Raises:
        PredictionError: There is no such set.

    >>> sorted(families_of("graph+last-accuracy", ["channel_degree", "link_weights"]))
    ['accuracy', 'channel_degree', 'link_weights', 'movement']
    """
    held = set(held)
    families = {
        # What was recorded of the two, else the one of the channel graph, which is cheap to record.
        "degree": held.intersection(DEGREE) or {DEGREE[0]},
        "centrality": held.intersection(CENTRALITY) or {CENTRALITY[0]},
        "graph": held | {MOVEMENT},
        "snapshot": held,
        "weights": {PARAMETER},
        "changes": {CHANGES},
        "movement": {MOVEMENT},
        "measures": held,
        "parametric": {PARAMETRIC},
        "last-accuracy": {ACCURACY},
        "curve": set(CURVE),
        "hyperparameters": {CONFIGURATION},
        "initial": held,
        "proxies": {PROXIES, PARAMETERS},
        "parameters": {PARAMETERS},
    }
    return set().union(*(families[part] for part in (FEATURE_SETS if name is None else parts_of(name))))


def columns_for(columns: Iterable[str], name: str, epochs: int) -> list[list[str]]:
    """The columns of each set that a name joins, and all together where there are several.

    Args:
        columns: Of the table.
        name: Of a set, or several joined by +.
        epochs: What is known: this many whole epochs.

    Raises:
        PredictionError: There is no such set, or the table has no column of it.

    >>> columns_for(["accuracy@1", "accuracy@2", "channel_degree.mean@1"], "degree+curve", epochs=1)
    [['channel_degree.mean@1'], ['accuracy@1'], ['accuracy@1', 'channel_degree.mean@1']]
    """
    known = {column: parsed for column in columns if (parsed := FeatureName.parse(column)) and parsed.epoch <= epochs}
    found = []
    for part in parts_of(name):
        chosen = [column for column, parsed in known.items() if _belongs(parsed, part, epochs)]
        if not chosen:
            families = sorted({parsed.family for parsed in known.values()}) or ["none"]
            raise PredictionError(
                f"the features {part!r} after {epochs} epochs: {FEATURE_SETS[part]}",
                f"a table with {', '.join(families)}",
                "Record what is missing, or: axonometry runs measure FOLDER --measure NAME; or choose other features",
            )
        found.append(chosen)
    together = [column for column in known if any(column in part for part in map(set, found))]
    return found if len(found) == 1 else [*found, together]


def _belongs(column: FeatureName, part: str, epochs: int) -> bool:
    graph = column.family not in {CONFIGURATION, PARAMETER, PARAMETERS, CHANGES, PARAMETRIC, *CURVE}
    now = column.epoch == epochs
    return {
        "degree": column.family in DEGREE,
        "centrality": column.family in CENTRALITY,
        "graph": graph,
        "snapshot": graph and now and not column.change and column.family != MOVEMENT,
        "weights": column.family == PARAMETER and now,
        "changes": column.family == CHANGES and now,
        "movement": column.family == MOVEMENT,
        "measures": graph and column.family != MOVEMENT,
        "parametric": column.family == PARAMETRIC and now,
        "last-accuracy": column.family == ACCURACY and now,
        "curve": column.family in CURVE,
        "hyperparameters": column.family == CONFIGURATION,
        "initial": graph and column.epoch == 0,
        "proxies": column.epoch == 0 and column.family in {PROXIES, PARAMETERS},
        "parameters": column.family == PARAMETERS,
    }[part]
