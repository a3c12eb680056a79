"""Training many networks of one architecture at a time on one device, into the run folders of training them alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from axonometry.errors import AxonometryError, ConfigurationError
from axonometry.populations.configuration import RunConfiguration
from axonometry.populations.datasets import DATASETS
from axonometry.populations.families import NETWORKS
from axonometry.populations.layers import dropouts
from axonometry.populations.loop import Stop
from axonometry.populations.optimisers import OPTIMISERS
from axonometry.populations.progress_tracker import ProgressTracker
from axonometry.populations.schedule import optimiser_of
from axonometry.populations.stacked.stack import Stack
from axonometry.populations.stacked.together import run_together
from axonometry.populations.training import dataset_of, initial_network, is_complete
from axonometry.populations.workers import Data, Report, Work
from axonometry.progress import Progress, silent
from axonometry.trajectory import Trajectory, load
from axonometry.trajectory.recorder import MEASURES

_AT_ONCE = 16
"""Networks in a stack on a CPU, where more gain nothing."""
_MOST_AT_ONCE = 256
"""Networks in a stack on a GPU, which that many small ones fill; each holds a recorder in the machine's memory."""
_SHARE = 0.5
"""Part of a GPU's free memory that a stack is meant to take."""


def train_stacked(  # noqa: PLR0913 - what, where to, on what, and what of it
    configurations: Iterable[RunConfiguration],
    folder: str | Path,
    *,
    data: Data = None,
    device: str | torch.device | None = None,
    measures: Sequence[str] = MEASURES,
    stop: Stop | None = None,
    progress: Progress | None = None,
    at_once: int | None = None,
) -> dict[str, Trajectory]:
    """Train one network per configuration, those of one kind many at a time (``torch.func.vmap``).

    The run folders are those of :func:`axonometry.populations.train`: same names, steps, measures and states to resume
    from, and the same numbers within rounding, which training amplifies as it proceeds. Either can resume what the
    other began. Finished runs are left as they are; runs of one kind that stand at the same step resume together. A
    network that diverges harms itself alone, and a run that fails does not keep the others.

    On a GPU one small network leaves nearly all of the device idle, and a stack fills it. A CPU is full with one
    network: stacking gains nothing there, and one process per core (:func:`axonometry.populations.train_population`)
    is the way. What cannot be stacked (:func:`stacks`) is trained alone, on the CPU.

    Args:
        configurations: What to train.
        folder: The population's folder; each run has a folder of its own in it, named by its identity.
        data: The data set of all the configurations, or the directory of its files; ``$AXONOMETRY_DATA`` where None.
        device: ``"cuda"``, ``"cpu"``...; the first GPU where None and there is one. Rounding is that of float32: the
            shorter TF32 is switched off meanwhile.
        measures: What is measured at each record, names out of ``axonometry.metrics.CATALOGUE``.
        stop: Called with each run after each of its records; where it says true the run ends there, stopped early.
        progress: Called with the runs that have ended, out of how many, and a few words.
        at_once: Most networks in a stack; where None, what half of the GPU's free memory holds, at most 256.

    Returns:
        The runs by name, in the order of the configurations.

    Raises:
        ConfigurationError: ``at_once`` is not at least 1, or there is no such measure.
        RunError: Runs failed; or a run's folder holds something else.
    """
    if at_once is not None and at_once < 1:
        raise ConfigurationError("`at_once` is at least 1", str(at_once))
    folder = Path(folder)
    named = {configuration.identity: configuration for configuration in configurations}
    missing = [c for name, c in named.items() if not is_complete(c, folder / name)]
    tracker = ProgressTracker(len(named), len(named) - len(missing), progress or silent)
    work = Work(folder, data, tuple(measures), stop)
    run_stacked(missing, work, tracker.ended, device=device, at_once=at_once, say=tracker.say)
    tracker.require_success(folder)
    return {name: load(folder / name) for name in named}


def run_stacked(
    configurations: Sequence[RunConfiguration],
    work: Work,
    report: Report,
    *,
    device: str | torch.device | None = None,
    at_once: int | None = None,
    say: Callable[[str], object] | None = None,
) -> None:
    """Train runs on one device, as :func:`axonometry.populations.workers.run_locally` does in processes.

    Where the device's memory does not hold a stack after all, its runs continue in stacks of half the size.

    Args:
        configurations: What to train.
        work: What is done with each.
        report: Called when a run has ended.
        device: The first GPU where None and there is one.
        at_once: Most networks in a stack; None for what fits.
        say: Called with a few words after each record.

    Raises:
        torch.OutOfMemoryError: The device's memory does not hold a single network.
    """
    place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    ended: set[str] = set()

    def count(configuration: RunConfiguration, wrong: str | None) -> None:
        ended.add(configuration.identity)
        report(configuration, wrong)

    for configuration in (one for one in configurations if not stacks(one)):
        (say or _quiet)(alone_in_words([configuration]))
        try:
            work(configuration)
            count(configuration, None)
        except AxonometryError as error:
            count(configuration, f"{type(error).__name__}: {error}".splitlines()[0])
    for group in alike((one for one in configurations if stacks(one)), work.folder):
        size = at_once or (_fitting(group[0], work, place) if place.type == "cuda" else _AT_ONCE)
        for chunk in (group[start : start + size] for start in range(0, len(group), size)):
            try:
                with _exact(place):
                    run_together(chunk, work, count, device=place, say=say or _quiet)
            except torch.OutOfMemoryError:
                if len(chunk) == 1:
                    raise
                # The runs stand at their last whole step, so that nothing is trained twice beyond that.
                left = [configuration for configuration in chunk if configuration.identity not in ended]
                run_stacked(left, work, report, device=place, at_once=len(chunk) // 2, say=say)


def stacks(configuration: RunConfiguration) -> bool:
    """Whether a network can be trained in a stack.

    >>> stacks(RunConfiguration()), stacks(RunConfiguration(family="recurrent"))
    (True, False)
    """
    return why_alone(configuration) is None


def why_alone(configuration: RunConfiguration) -> str | None:
    """Why a network cannot be trained in a stack, in a few words; None where it can.

    A stack shares one set of inputs, takes cross entropy, and ends all of its networks after the same update; layers
    are mapped over, and the optimiser's update is written for a matrix with a network a row.

    >>> why_alone(RunConfiguration()), why_alone(RunConfiguration(family="recurrent"))
    (None, 'recurrent cannot be mapped over')
    """
    if not NETWORKS.lookup(configuration.family).stacks:
        return f"{configuration.family} cannot be mapped over"
    if configuration.objective != "cross-entropy":
        return f"the objective is {configuration.objective}"
    if OPTIMISERS.lookup(configuration.optimiser).stacked is None:
        return f"{configuration.optimiser} has no stacked form"
    drawn = configuration.dataset in DATASETS and "seed" in DATASETS[configuration.dataset].options
    if drawn or configuration.n_train is not None:
        return "its training samples are drawn by its seed"
    if configuration.schedule != "constant":
        return "its learning rate changes"
    if configuration.n_train_evaluated is not None:
        return "it may end where its training loss says so"
    return None


def alone_in_words(configurations: Sequence[RunConfiguration]) -> str:
    """What is said where networks are trained alone that were asked for in a stack; empty for none.

    >>> alone_in_words([RunConfiguration(family="recurrent"), RunConfiguration(family="recurrent", seed=1)])
    '2 trained alone: recurrent cannot be mapped over'
    """
    reasons = dict.fromkeys(filter(None, map(why_alone, configurations)))
    return f"{len(configurations)} trained alone: {'; '.join(reasons)}" if configurations else ""


def alike(configurations: Iterable[RunConfiguration], folder: Path) -> list[list[RunConfiguration]]:
    """Groups of configurations that can be trained together, in the order of their first members.

    Free are seed, initialiser, its scale and factor, learning rate, momentum, weight decay, dropout and label noise.
    All else is the same within a group, and so is the last whole step of the interrupted runs.

    Args:
        configurations: Any.
        folder: Where their run folders are.
    """
    free: dict[str, Any] = {
        "seed": 0,
        "initialiser": "torch-default",
        "scale": 1.0,
        "momentum": 0.0,
        "weight_decay": 0.0,
        "dropout": 0.0,
        "label_noise": 0.0,
        "initial_factor": 1.0,
    }
    groups: dict[tuple[RunConfiguration, int | None], list[RunConfiguration]] = {}
    for configuration in configurations:
        # What may differ is set to one value: configurations that are equal then are of one kind.
        kind = replace(configuration, learning_rate=OPTIMISERS[configuration.optimiser].learning_rate, **free)
        groups.setdefault((kind, _reached(folder / configuration.identity)), []).append(configuration)
    return list(groups.values())


def _reached(folder: Path) -> int | None:
    """The last whole step of an interrupted run."""
    if not (folder / "run.json").exists():
        return None
    steps = load(folder).steps
    return steps[-1] if steps else None


def _fitting(configuration: RunConfiguration, work: Work, device: torch.device) -> int:
    """How many networks half of the device's free memory holds, from what one update of one of them takes."""
    try:
        dataset = dataset_of(configuration, work.data)
        network = initial_network(configuration, dataset)
    except AxonometryError:
        return 1  # training says what is wrong
    optimiser = optimiser_of(configuration, network)
    free, _ = torch.cuda.mem_get_info(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    stack = Stack(network, [configuration], networks=[network], optimisers=[optimiser], step=0, device=device)
    shape = (1, configuration.batch_size, *dataset.shape)
    noise = [torch.zeros(*shape[:2], layer.units, device=device) for layer in dropouts(network)]
    stack.update(torch.zeros(shape, device=device), torch.zeros(shape[:2], dtype=torch.int64, device=device), noise)
    each = torch.cuda.max_memory_allocated(device) - before
    return max(1, min(_MOST_AT_ONCE, int(_SHARE * free / each)))


@contextmanager
def _exact(device: torch.device) -> Iterator[None]:
    """Products of float32 in float32 on a GPU, where convolutions otherwise keep ten bits."""
    if device.type != "cuda":
        yield
        return
    convolutions, products = torch.backends.cudnn, torch.backends.cuda.matmul
    before = convolutions.allow_tf32, products.allow_tf32
    convolutions.allow_tf32 = products.allow_tf32 = False
    try:
        yield
    finally:
        convolutions.allow_tf32, products.allow_tf32 = before


def _quiet(words: str) -> None:
    pass
