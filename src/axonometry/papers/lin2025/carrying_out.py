"""Carrying out items in several processes; what was carried out before is read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from axonometry.papers.lin2025.items import Item, Outcome
from axonometry.papers.lin2025.learning import Work, path_of, read_outcome
from axonometry.populations import datasets
from axonometry.populations.progress_tracker import ProgressTracker
from axonometry.populations.workers import n_cores, run_locally
from axonometry.progress import Progress, silent


def outcomes(
    items: Sequence[Item],
    folder: Path,
    *,
    data: str | Path | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> list[Outcome]:
    """The outcomes of all items, those that are not in the folder carried out first, in the order of their seeds.

    Args:
        items: The networks.
        folder: Where outcomes are kept, a file an item.
        data: Directory of the data sets' files; ``$AXONOMETRY_DATA`` where None.
        workers: Processes; as many as there are cores where None. One is this process itself.
        progress: Called with the items that have ended, out of how many, and a few words.

    Raises:
        DataError: A data set's file is missing.
        RunError: Items failed; the others are whole.
    """
    folder.mkdir(parents=True, exist_ok=True)
    missing = sorted((item for item in items if not path_of(item, folder).exists()), key=lambda item: item.seed)
    for name in {item.task.name for item in missing} & set(datasets.DATASETS):
        datasets.require(name, data)
    tracker = ProgressTracker(len(items), len(items) - len(missing), progress or silent)
    work = Work(folder, data)
    workers = workers or n_cores()
    if workers > 1 and len(missing) > 1:
        run_locally(missing, work, tracker.ended, workers=workers)
    else:
        for item in missing:
            tracker.say(item.cell)
            work(item)
            tracker.ended(item, None)
    tracker.require_success(folder)
    return [found for item in items if (found := read_outcome(item, folder)) is not None]
