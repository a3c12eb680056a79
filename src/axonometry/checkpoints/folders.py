"""Which files of a folder are weights: what trainers and hubs put beside them, and what order steps have.

============================  =======================================================================================
what writes the folder        what is in it
============================  =======================================================================================
Transformers' ``Trainer``     model.safetensors among optimizer.pt, scheduler.pt, rng_state.pth, training_args.bin
Accelerate's ``save_state``   model.safetensors among optimizer.bin, scheduler.bin, random_states_0.pkl
a hub                         the same weights as model.safetensors, pytorch_model.bin, tf_model.h5
Lightning                     epoch=2-step=300.ckpt, one whole checkpoint a file
anybody's loop                model_1.pt, model_2.pt, ..., model_10.pt
============================  =======================================================================================
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from axonometry.checkpoints.formats import SUFFIXES

STATE = re.compile(
    r"(optimizer|optim|scheduler|lr_scheduler|scaler|grad_scaler|sampler|rng_state|random_states?|training_args|"
    r"trainer_state|custom_checkpoint|dl_state_dict)(_\d+)*|.*optim_states"
)
"""Names, without their end, of files that hold the state of a training and no weights."""
HUB = ("model", "pytorch_model", "diffusion_pytorch_model", "tf_model", "flax_model", "adapter_model", "consolidated")
"""Names, without their end, under which hubs have one network's weights in several formats."""
SHARD = re.compile(r"(?P<stem>.*)-(?P<number>\d{5})-of-(?P<count>\d{5})")


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """What names are sorted by so that numbers in them count as numbers.

    >>> sorted(["model_10.pt", "model_9.pt"], key=natural_key)
    ['model_9.pt', 'model_10.pt']
    """
    parts = re.split(r"(\d+)", name)
    return tuple((0, int(part), "") if part.isdecimal() and len(part) < 4000 else (1, 0, part) for part in parts)


def step_of(name: str) -> int | None:
    """The step that a file's or folder's name says: behind ``step`` or ``epoch``, or else its last whole number.

    >>> step_of("epoch=2-step=300.ckpt"), step_of("checkpoint-500"), step_of("step-100-loss=0.25"), step_of("last.ckpt")
    (300, 500, 100, None)
    """
    stem = name
    for suffix in SUFFIXES:
        stem = stem.removesuffix(suffix)
    for word in ("step", "iter", "epoch", "checkpoint"):
        if found := re.search(rf"{word}[a-z_]*[-_=:.]?0*(\d{{1,18}})(?![\d])", stem, re.IGNORECASE):
            return int(found[1])
    numbers = re.findall(r"(?<![\d.])\d{1,18}(?![\d.])", stem)
    return int(numbers[-1]) if numbers else None


def in_order(paths: Iterable[Path]) -> list[Path]:
    """Files or folders by the step that their names say, those that say none last, by name."""

    def key(path: Path) -> tuple[bool, int, tuple[tuple[int, int, str], ...]]:
        step = step_of(path.name)
        return step is None, step or 0, natural_key(path.name)

    return sorted(paths, key=key)


def files_of_weights(path: Path) -> tuple[list[Path], list[str]]:
    """A folder's files that may hold weights, in natural order; and, in words, those that are left out.

    Of one network in several formats under the names of hubs, the first format of the list of formats is taken.
    """
    found = sorted(
        (file for file in path.iterdir() if file.suffix in SUFFIXES), key=lambda file: natural_key(file.name)
    )
    state = [file for file in found if STATE.fullmatch(file.stem)]
    weights = [file for file in found if file not in state]
    left_out = [f"{file.name} (none of the weights)" for file in state]
    hub = [file for file in weights if file.stem in HUB]
    if len({file.suffix for file in weights}) > 1 and len(hub) == len(weights):
        first = min(hub, key=lambda file: (SUFFIXES.index(file.suffix), HUB.index(file.stem)))
        weights = [file for file in weights if file.suffix == first.suffix]
        left_out += [f"{file.name} (another format)" for file in hub if file not in weights]
    return weights, left_out


def missing_shard(files: Iterable[Path]) -> str | None:
    """A file that the names of the others tell of, ``model-00002-of-00003``, and that is not there."""
    names = {file.name for file in files}
    for file in files:
        if told := SHARD.fullmatch(file.stem):
            for number in range(1, min(int(told["count"]), 99_999) + 1):
                name = f"{told['stem']}-{number:05}-of-{told['count']}{file.suffix}"
                if name not in names:
                    return name
    return None


def folders_of_weights(path: Path) -> list[Path]:
    """The folders in a folder that hold weights themselves, in the order of their steps."""
    found = [item for item in path.iterdir() if item.is_dir() and not STATE.fullmatch(item.name) and _holds(item)]
    return in_order(found)


def _holds(folder: Path) -> bool:
    marks = (".metadata", "_METADATA", "_CHECKPOINT_METADATA")
    return any((folder / mark).is_file() for mark in marks) or bool(files_of_weights(folder)[0])
