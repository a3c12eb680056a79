"""Our own zoos: small networks of presets that anybody can train again, each split by its seed."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from axonometry.errors import ConfigurationError, closest
from axonometry.populations import RunConfiguration, draw_hard_grid, train_population
from axonometry.populations.seeds import derive
from axonometry.progress import Progress
from axonometry.zoo.converting import MEASURES, write_zoo_file
from axonometry.zoo.opening import Zoo, open_zoo


@dataclass(frozen=True)
class Preset:
    """Networks whose hyper-parameters are drawn at random by :func:`axonometry.populations.draw_hard_grid`.

    Attributes:
        about: In words.
        first_seed: Of the first network; the n-th has ``first_seed + n``.
        fixed: What is not drawn.
    """

    about: str
    first_seed: int
    fixed: Mapping[str, Any] = field(default_factory=dict)

    def configurations(self, n: int) -> tuple[RunConfiguration, ...]:
        """The first n networks."""
        return draw_hard_grid(range(self.first_seed, self.first_seed + n), **self.fixed)


PRESETS: Mapping[str, Preset] = {
    "lenet14": Preset(
        "LeNet on 14 x 14 Fashion-MNIST, 5 epochs",
        first_seed=400_000,
        fixed={"epochs": 5, "dataset": "fashion-mnist-14", "test_fraction": 0.2, "family": "lenet"},
    ),
}
"""By name."""


def split_of(seed: int) -> str:
    """The published split of a network of ours by its seed: 70 % to learn from, 15 % to choose by, 15 % to predict.

    A number of the seed alone, so that it is the same whatever else is trained, and adding networks moves none.

    >>> found = [split_of(seed) for seed in range(2000)]
    >>> [round(found.count(split) / 2000, 2) for split in ("train", "validation", "test")]
    [0.68, 0.16, 0.16]
    """
    place = derive(seed, "zoo", "split") % 20
    return "train" if place < 14 else "validation" if place < 17 else "test"


def make_zoo(  # noqa: PLR0913 - what, where to, and by whom
    preset: str,
    n: int,
    folder: str | Path,
    *,
    executor: Executor | None = None,
    workers: int | None = None,
    data: str | Path | None = None,
    progress: Progress | None = None,
) -> Zoo:
    """Train the first n networks of a preset; the same call resumes, and a larger n adds to what is there.

    Args:
        preset: A name out of :data:`PRESETS`.
        n: How many.
        folder: Of the zoo.
        executor: Who trains, as for :func:`axonometry.populations.train_population`; local processes where None.
        workers: Number of local processes; one per core where None.
        data: The directory of the data sets' files; ``$AXONOMETRY_DATA`` where None.
        progress: Called with networks that are done, out of how many, and a few words.

    Raises:
        ConfigurationError: There is no such preset.
        DataError: The data set is missing.
        RunError: Networks failed, or the folder holds something else.
    """
    if preset not in PRESETS:
        remedy = closest(preset, PRESETS, f"Choose from: {', '.join(PRESETS)}")
        raise ConfigurationError("a zoo of our own has a preset", repr(preset), remedy)
    configurations = PRESETS[preset].configurations(n)
    write_zoo_file(Path(folder), preset, {c.identity: split_of(c.seed) for c in configurations})
    train_population(
        configurations, folder, executor=executor, workers=workers, data=data, measures=MEASURES, progress=progress
    )
    return open_zoo(folder)
