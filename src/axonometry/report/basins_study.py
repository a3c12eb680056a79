"""The data of the page of attraction basins: basins, sharpness and planes of a run at some of its steps."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from axonometry.errors import AxonometryError, ConfigurationError, RunError, WeightsError
from axonometry.metrics import (
    Basin,
    NoCrossingWarning,
    sample_basin,
    sample_plane,
    sharpness,
    weight_basin,
    weight_plane,
)
from axonometry.metrics.basins import SamplePlane, Sharpness, WeightPlane
from axonometry.metrics.basins.classifier import examined
from axonometry.populations import RunConfiguration
from axonometry.populations.configuration import is_run_configuration
from axonometry.populations.datasets import Dataset, load_dataset
from axonometry.populations.training import dataset_of, initial_network
from axonometry.progress import Progress
from axonometry.report.axes import evenly
from axonometry.trajectory import Trajectory
from axonometry.trajectory.network import needs_network, network_of_run

FOR_SHARPNESS = 256
"""Samples for the Hessian: a product costs about four passes over them."""
FOR_PLANES = 200
"""Samples that networks on a plane classify."""


@dataclass(frozen=True)
class Choices:
    """How the basins of a run are measured.

    Attributes:
        samples: Number of test samples, from the first on.
        steps: Number of recorded steps, evenly spaced, with the last one.
        threshold: Accuracy at the edge of a basin.
        precision: Relative width of the brackets.
        draws: Draws of noise; None for the defaults, 16 on samples and 32 on weights.
        seed: Random seed of the draws.
        network: Where the code of runs of an own loop is, as
            :func:`axonometry.trajectory.network.network_of_run` takes it.
    """

    samples: int = 500
    steps: int = 1
    threshold: float = 0.5
    precision: float = 0.02
    draws: int | None = None
    seed: int = 0
    network: str | None = None

    def of(self, draws: int) -> dict[str, Any]:
        """The search, as keywords."""
        return {
            "threshold": self.threshold,
            "precision": self.precision,
            "draws": self.draws or draws,
            "seed": self.seed,
        }


@dataclass(frozen=True, eq=False)
class StepBasins:
    """One step of a run.

    Attributes:
        run: The run's name.
        step: The recorded step.
        samples: The basin in sample space; None where samples are tokens, which noise cannot be added to.
        weights: The basin in weight space.
        sharpness: The largest Hessian eigenvalue over all parameters.
        scaled: The same in the unit of the weight basin.
    """

    run: str
    step: int
    samples: Basin | None
    weights: Basin
    sharpness: Sharpness
    scaled: Sharpness

    @property
    def basins(self) -> tuple[Basin, ...]:
        """The basins that exist."""
        return tuple(basin for basin in (self.samples, self.weights) if basin is not None)


@dataclass(frozen=True, eq=False)
class Planes:
    """Planes through the basins of a run's last step.

    Attributes:
        samples: Through one image of each of three classes; None without three that are classified correctly.
        classes: The classes of the three.
        weights: Through the first, the middle and the last recorded step; None without three steps on a plane.
        steps: These steps.
    """

    samples: SamplePlane | None
    classes: tuple[int, ...]
    weights: WeightPlane | None
    steps: tuple[int, ...]


def basins_of_run(
    run: Trajectory, choices: Choices, data: Dataset | str | Path | None = None, progress: Progress | None = None
) -> Iterator[StepBasins]:
    """The basins of one run of a population, step by step.

    Args:
        run: A run that kept its weights.
        choices: What is measured.
        data: The run's data set, or the directory of the data sets' files.
        progress: Called with passes made, out of how many of this basin, and a few words.

    Raises:
        ConfigurationError: The run is not of a population, or its network is not a classifier.
        DataError: The data set's files are missing.
        RunError: The run kept no weights.
        WeightsError: The weights have diverged.
    """
    network, samples, labels = _rebuilt(run, choices.samples, data, choices.network)
    last = len(run.steps) - 1
    for place in evenly(last + 1, choices.steps).tolist() if choices.steps > 1 else [last]:
        step = run.steps[place]
        network.load_state_dict(run.snapshots[step])
        if not all(p.isfinite().all() for p in network.parameters()):
            rule = f"the weights of {run.folder.name} at step {step} are not finite"
            raise WeightsError(rule, "", "Choose another run")
        yield basins_of_network((run.folder.resolve().name, step), (network, samples, labels), choices, progress)


def basins_of_network(
    place: tuple[str, int], task: tuple[nn.Module, Tensor, Tensor], choices: Choices, progress: Progress | None = None
) -> StepBasins:
    """The basins of one network.

    Args:
        place: Its name, and its step.
        task: The network, samples and their classes.
        choices: How they are measured; all samples are taken.
        progress: Called with passes made, out of how many of this basin, and a few words.

    Raises:
        SamplesError: Samples and labels do not fit each other or the network.
        WeightsError: The network has no weights that noise could move.
    """
    network, samples, labels = task
    few = samples[:FOR_SHARPNESS], labels[:FOR_SHARPNESS]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoCrossingWarning)  # said by the basin's remarks
        around = sample_basin(*task, progress=progress, **choices.of(16)) if samples.is_floating_point() else None
        weights = weight_basin(*task, progress=progress, **choices.of(32))
    curvatures = (sharpness(network, *few, scaled=scaled, seed=choices.seed) for scaled in (False, True))
    return StepBasins(*place, around, weights, *curvatures)


def planes_of(run: Trajectory, choices: Choices, data: Dataset | str | Path | None = None) -> Planes:
    """Planes through the basins of the last step; see :func:`basins_of_run` for what it raises."""
    network, samples, labels = _rebuilt(run, min(choices.samples, FOR_PLANES), data, choices.network)
    three = tuple(run.steps[int(place)] for place in evenly(len(run.steps), 3))
    states = [run.snapshots[step] for step in three]
    network.load_state_dict(states[-1])
    section, classes = plane_of(network, samples, labels)
    try:
        through = weight_plane(network, states, samples, labels) if len(states) == 3 else None
    except WeightsError:  # the weights did not change
        through = None
    return Planes(section, classes, through, three)


def plane_of(network: nn.Module, samples: Tensor, labels: Tensor) -> tuple[SamplePlane | None, tuple[int, ...]]:
    """The plane through the first correctly classified sample of each of three classes, and these classes.

    None without three such classes, and for tokens.
    """
    corners = _corners(network, samples, labels)
    found = sample_plane(network, samples[corners]) if len(corners) == 3 and samples.is_floating_point() else None
    return found, tuple(labels[corners].tolist())


def _rebuilt(
    run: Trajectory, count: int, data: Dataset | str | Path | None, code: str | None
) -> tuple[nn.Module, Tensor, Tensor]:
    """The run's network, with its initial weights, and the first test samples of its data set."""
    if not run.steps:
        raise AxonometryError(f"no complete step in {run.folder}", "", "Continue its training")
    if code is not None or not is_run_configuration(run.configuration):
        return _recorded(run, count, data, code)
    configuration = RunConfiguration.from_dict(run.configuration or {})
    if configuration.objective != "cross-entropy":
        raise ConfigurationError(
            "basins need a classifier", f"the objective {configuration.objective}", "Choose another run"
        )
    dataset = dataset_of(configuration, data)
    return (
        initial_network(configuration, dataset).eval(),
        dataset.test_inputs[:count],
        dataset.test_labels[:count],
    )


def _recorded(
    run: Trajectory, count: int, data: Dataset | str | Path | None, code: str | None
) -> tuple[nn.Module, Tensor, Tensor]:
    """The network of a run of an own loop, from its code, and the first samples of a data set that is named."""
    if code is None:
        raise RunError(*needs_network(run))
    if not isinstance(data, Dataset):
        name = (run.configuration or {}).get("dataset")
        if not isinstance(name, str):
            raise ConfigurationError(f"{run.folder} does not say what its data set is", "", "Pass --dataset NAME")
        data = load_dataset(name, data)
    return network_of_run(run, code).eval(), data.test_inputs[:count], data.test_labels[:count]


def _corners(network: nn.Module, samples: Tensor, labels: Tensor) -> Sequence[int]:
    """The first correctly classified sample of each of the first three classes that have one."""
    with examined(network, samples, labels) as classifier:
        right = classifier.right.cpu()
    first: dict[int, int] = {}
    for place in right.nonzero()[:, 0].tolist():
        first.setdefault(int(labels[place]), place)
    return [first[label] for label in sorted(first)[:3]]
