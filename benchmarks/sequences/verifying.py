"""False alarms on clean trainings, and the faults that are found, kind by kind."""

from __future__ import annotations

import os
import tempfile
import zlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.torch import save_file

from axonometry.checkpoints.verification import SequenceReport, verify_sequence
from benchmarks.sequences.faults import FAULTS, Planted, Trained
from benchmarks.sequences.trainings import TRAININGS, Training, states
from benchmarks.timing import Row

FOLDER = "AXONOMETRY_SEQUENCES"
"""Environment variable with the folder in which trainings stay; made anew where it is not set."""
SEEDS = {"states": (21, 21), "other": (22, 22), "branch": (23, 21)}
"""Of batches and of first weights; thresholds were moved on trainings of 11, 12 and 13."""
UNTOLD = ("first two or last two exchanged",)
"""Of which some look like any training: at the end of a rate that falls steps are as good as at one place."""
DRAWS, ROUND = 2, 1


@dataclass(frozen=True)
class Outcome:
    """What was found of a fault.

    Attributes:
        found: Whether a step that is wrong was named.
        named: Whether by a kind that is right.
        besides: Steps that were named though they are right.
    """

    found: bool
    named: bool
    besides: tuple[str, ...]


def verifying() -> list[Row]:
    """All trainings, each as it is and with every fault at random places."""
    kept = os.environ.get(FOLDER)
    with tempfile.TemporaryDirectory() as name:
        return _rows(Path(kept or name), Path(name))


def _rows(trainings: Path, scratch: Path) -> list[Row]:
    clean, outcomes = [], defaultdict(list)
    for number, training in enumerate(TRAININGS):
        run = read(trainings, training)
        for seen, (fault, planted) in enumerate(every(run, training)):
            report = verified(planted, scratch / f"{number}-{fault}-{seen}")
            if fault == "clean":
                clean.append(bool(report.findings))
            else:
                outcomes[fault].append(outcome(report, planted))
    alarms = f"{sum(clean)} of {len(clean)}"
    rows = [Row("verify: clean trainings with a finding", alarms, "0", not any(clean), len(clean), "")]
    for fault, found in outcomes.items():
        named, besides = sum(one.named for one in found), sum(bool(one.besides) for one in found)
        detail = f"{sum(one.found for one in found)} told by any name; a right step named, too, in {besides}"
        goal = "none" if fault in UNTOLD else "all"
        rows.append(Row(f"verify: {fault}", f"{named} of {len(found)}", goal, named == len(found), len(found), detail))
    return rows


def read(folder: Path, training: Training) -> Trained:
    """A training with the two that are like it."""
    found = {name: states(folder, training, *seeds) for name, seeds in SEEDS.items()}
    return Trained(training.numbers, **found)


def every(run: Trained, training: Training) -> Iterator[tuple[str, Planted]]:
    """The training as it is, called ``"clean"``, and with each fault at :data:`DRAWS` places."""
    yield "clean", run.planted({}, ())
    for fault, plant in FAULTS.items():
        for number in range(DRAWS):
            draw = np.random.default_rng([zlib.crc32(f"{training.name} {fault}".encode()), ROUND, number])
            yield fault, plant(run, draw)


def verified(planted: Planted, folder: Path) -> SequenceReport:
    """What ``axonometry verify`` says of it."""
    folder.mkdir(parents=True)
    for name, state in planted.files.items():
        save_file({key: tensor.contiguous() for key, tensor in state.items()}, folder / f"{name}.safetensors")
    report = verify_sequence([folder])
    for file in folder.iterdir():
        file.unlink()
    return report


def outcome(report: SequenceReport, planted: Planted) -> Outcome:
    """Whether what was found is what is wrong."""
    told = [(finding.step.removesuffix(".safetensors"), finding.kind) for finding in report.findings]
    right = [kind for step, kind in told if step in planted.steps]
    besides = tuple(dict.fromkeys(step for step, _ in told if step not in planted.steps))
    return Outcome(bool(right), bool(planted.kinds.intersection(right)), besides)
