"""La Malfa et al. 2021 (arXiv 2110.02628): do networks that do better have other graphs? From data to table.

Ensembles of networks of one architecture and one initialisation are trained, grouped by test accuracy, and compared
layer by layer: densities of link weights, node strength and layer fluctuation, divergences between accuracy groups.
The paper reads its claims off the figures. Here they are tested with networks as the sample: whether layer fluctuation
rises with accuracy (rank correlation), and whether node strength tells accurate networks from inaccurate ones where
link weights do not (area under the ROC curve).

Other than in the official code, one seed is one sample, and accuracy bins do not overlap.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from axonometry.errors import ConfigurationError
from axonometry.papers.ensembles import Ensemble, ensemble
from axonometry.papers.individual import Individual, individual
from axonometry.populations import RunConfiguration, draw, ictai2021, ictai2021_cnn_ensemble, train_population
from axonometry.progress import Progress

EDGES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)
"""Accuracy bins: tenths, the highest one halved."""
EPOCH = 938
"""Updates of one epoch: 60,000 images in batches of 64."""


@dataclass(frozen=True)
class Plan:
    """One ensemble to train.

    Attributes:
        name: A short name, the folder of its runs.
        title: What it is, in words.
        configurations: One network each.
        trained_alike: Attributes of the configuration in which networks that differ by their seed alone agree.
    """

    name: str
    title: str
    configurations: tuple[RunConfiguration, ...]
    trained_alike: tuple[str, ...]


@dataclass(frozen=True)
class Results:
    """What the experiment found.

    Attributes:
        scale: ``"small"`` or ``"full"``.
        ensembles: In the order of the plans.
        individual: The most accurate network of the first ensemble, layer by layer.
        seconds: Duration of the call.
        trained: Networks that this call trained; the others were there.
    """

    scale: str
    ensembles: tuple[Ensemble, ...]
    individual: Individual
    seconds: float
    trained: int


def run(
    *,
    scale: str = "small",
    folder: str | Path,
    data: str | Path | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Results:
    """Train the ensembles, or go on with them, and compare their networks.

    Args:
        scale: ``"small"``: 580 networks on MNIST, about ten minutes on two cores. ``"full"``: the paper's families,
            initialisers and scales on MNIST and CIFAR-10, 36,000 networks, for a cluster.
        folder: Where the runs are kept, a folder an ensemble; what is there is not trained again.
        data: Directory of the data sets' files; ``$AXONOMETRY_DATA`` where None.
        executor: Where to train; local processes where None.
        progress: Called with what is done, out of what, and a few words.

    Raises:
        ConfigurationError: There is no such scale.
        DataError: A data set's file is missing.
        RunError: Runs failed, or the folder holds something else.
    """
    if scale not in SCALES:
        raise ConfigurationError("the experiment has its scales", repr(scale), f"Choose from: {', '.join(SCALES)}")
    return carry_out(SCALES[scale](), scale=scale, folder=folder, data=data, executor=executor, progress=progress)


def carry_out(
    plans: Sequence[Plan],
    *,
    scale: str,
    folder: str | Path,
    data: str | Path | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Results:
    """The experiment on ensembles of one's own; as :func:`run`."""
    start, trained, found = time.monotonic(), 0, []
    first = None
    for plan in plans:
        report = _named(plan.title, progress)
        place = Path(folder) / plan.name
        before = len(list(place.glob("*/metrics.parquet")))
        population = train_population(plan.configurations, place, executor=executor, data=data, progress=report)
        trained += max(0, len(population) - before)
        found.append(
            ensemble(
                population,
                plan.name,
                plan.title,
                edges=EDGES,
                trained_alike=plan.trained_alike,
                progress=progress,
            )
        )
        if first is None:
            first = individual(population, str(found[0].networks.index[-1]))
    if first is None:
        raise ConfigurationError("an experiment has an ensemble", "none")
    return Results(scale, tuple(found), first, time.monotonic() - start, trained)


def small() -> tuple[Plan, ...]:
    """Three ensembles on MNIST that two cores train in minutes.

    The networks, initialisers, optimisers, rates and batches are the paper's. Trainings end after a drawn number of
    updates, not only after whole epochs, so that all accuracies occur [our choice]; each optimiser has the range in
    which it learns. The convolutional networks see the first 15% of the images, as in the paper's ensembles, and learn
    by Adam alone: with SGD they do not learn at all in that time.
    """
    return (
        _fully_connected(0.05, range(400)),
        _fully_connected(0.5, range(10_000, 10_120)),
        Plan(
            "cnn-small-0.05",
            "small convolutional networks, random normal weights of scale 0.05",
            draw(
                range(20_000, 20_060),
                {"max_steps": (2, 4, 8, 12, 16, 24, 36, 54, 72, 108)},
                dataset="mnist",
                family="convolutional",
                initialiser="random-normal",
                scale=0.05,
                optimiser="adam",
                train_fraction=0.15,
                batch_size=256,
                epochs=3,
                record_every=108,
            ),
            ("max_steps",),
        ),
    )


def full(seeds: range = range(10_000, 11_000)) -> tuple[Plan, ...]:
    """The paper's families and sizes, scales 0.05, 0.5 and 5, all nine initialisers, on both data sets.

    Each seed draws one initialiser, where the paper trains all nine from one seed and so has samples that are not
    independent.

    Args:
        seeds: Seeds of every ensemble.
    """
    plans = []
    families: Mapping[str, Callable[..., tuple[RunConfiguration, ...]]] = {
        "fully-connected": ictai2021,
        "convolutional": ictai2021_cnn_ensemble,
    }
    for dataset, (family, protocol), size, scale in product(
        ("mnist", "cifar10"), families.items(), ("small", "medium", "big"), (0.05, 0.5, 5.0)
    ):
        plans.append(
            Plan(
                f"{dataset}-{family}-{size}-{scale}",
                f"{size} {family} networks on {dataset}, nine initialisers of scale {scale}",
                protocol(seeds, dataset=dataset, family=family, size=size, scale=scale),
                ("initialiser", "optimiser", "epochs"),
            )
        )
    return tuple(plans)


SCALES: Mapping[str, Callable[[], tuple[Plan, ...]]] = {"small": small, "full": full}


def _fully_connected(scale: float, seeds: range) -> Plan:
    """784-32-32-200-10, even seeds by SGD for half an epoch to five, odd ones by Adam from 20 updates on."""
    common = {
        "dataset": "mnist",
        "family": "fully-connected",
        "size": "small",
        "initialiser": "random-normal",
        "scale": scale,
        "batch_size": 64,
        "epochs": 5,
    }
    halves = tuple(EPOCH * half // 2 for half in range(1, 11))
    sgd = draw(seeds[::2], {"max_steps": halves}, optimiser="sgd", **common)
    adam = draw(
        seeds[1::2],
        {"max_steps": (20, 40, 80, 160, 320, 640, *halves[1::2][:3], 5 * EPOCH)},
        optimiser="adam",
        **common,
    )
    title = f"small fully connected networks, random normal weights of scale {scale}"
    return Plan(f"fc-small-{scale}", title, sgd + adam, ("optimiser", "max_steps"))


def _named(title: str, progress: Progress | None) -> Progress | None:
    """Progress whose words begin with what is being trained."""
    if progress is None:
        return None
    return lambda done, total, words: progress(
        done, total, f"training {title}: {words}" if words else f"training {title}"
    )
