"""Faults planted in the checkpoints of a training: what is wrong at which steps, and what it should be called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

State = dict[str, Tensor]


@dataclass(frozen=True)
class Planted:
    """Checkpoints with a fault.

    Attributes:
        files: By name without its ending, in order.
        steps: Names of which one at least has to be found, and none besides.
        kinds: What a finding about it may be called.
    """

    files: dict[str, State]
    steps: frozenset[str]
    kinds: frozenset[str]


@dataclass(frozen=True)
class Trained:
    """A training, another one, and one that began at the same weights.

    Attributes:
        numbers: Updates after which there is a checkpoint.
        states: Its checkpoints.
        other: Those of a training from other first weights; of the same trained weights where these are tuned.
        branch: Those of one with the same first weights and other batches.
    """

    numbers: list[int]
    states: list[State]
    other: list[State]
    branch: list[State]

    def at(self, step: int) -> str:
        """The name of a step."""
        return f"step_{self.numbers[step]}"

    def planted(self, changed: dict[int, State], steps: tuple[int, ...], *kinds: str) -> Planted:
        """The checkpoints with some of them exchanged."""
        files = {self.at(step): changed.get(step, state) for step, state in enumerate(self.states)}
        return Planted(files, frozenset(map(self.at, steps)), frozenset(kinds))

    def moving(self) -> list[str]:
        """Names of the tensors that training changes."""
        first, last = self.states[0], self.states[-1]
        return [name for name in first if first[name].is_floating_point() and not torch.equal(first[name], last[name])]


Draw = np.random.Generator


def _one(run: Trained, draw: Draw, begin: float = 0.0) -> int:
    """A step that is neither the first nor the last, from a share of the sequence on."""
    return int(draw.integers(max(1, round(begin * len(run.states))), len(run.states) - 1))


def _two(run: Trained, draw: Draw, apart: int = 1) -> tuple[int, int]:
    while True:
        i, j = sorted(int(one) for one in draw.choice(np.arange(1, len(run.states) - 1), 2, replace=False))
        if j - i >= apart:
            return i, j


def copy(run: Trained, draw: Draw) -> Planted:
    """A step has the numbers of another."""
    i, j = _two(run, draw)
    i, j = (i, j) if draw.integers(2) else (j, i)
    return run.planted({j: run.states[i]}, (i, j), "copy")


def neighbours(run: Trained, draw: Draw) -> Planted:
    """Two steps beside each other have traded places."""
    i = int(draw.integers(1, len(run.states) - 2))
    return run.planted({i: run.states[i + 1], i + 1: run.states[i]}, (i, i + 1), "order")


def exchanged(run: Trained, draw: Draw) -> Planted:
    """Two steps have traded places."""
    i, j = _two(run, draw, 2)
    return run.planted({i: run.states[j], j: run.states[i]}, (i, j), "order")


def another_run(run: Trained, draw: Draw) -> Planted:
    """A step of another training."""
    i = _one(run, draw)
    return run.planted({i: run.other[i]}, (i,), "foreign")


def branch(run: Trained, draw: Draw) -> Planted:
    """A step of a training that began at the same weights, from the second half."""
    i = _one(run, draw, 0.5)
    return run.planted({i: run.branch[i]}, (i,), "foreign")


def end_exchanged(run: Trained, draw: Draw) -> Planted:
    """The first two steps or the last two have traded places."""
    i = 0 if draw.integers(2) else len(run.states) - 2
    return run.planted({i: run.states[i + 1], i + 1: run.states[i]}, (i, i + 1), "order")


def end_of_another_run(run: Trained, draw: Draw) -> Planted:
    """The first or the last step is of another training."""
    i = 0 if draw.integers(2) else len(run.states) - 1
    return run.planted({i: run.other[i]}, (i,), "foreign")


def final_early(run: Trained, draw: Draw) -> Planted:
    """The last weights in the first half; the last step is not there any more."""
    i = int(draw.integers(0, len(run.states) // 2))
    found = run.planted({i: run.states[-1]}, (i,), "order")
    return Planted({name: found.files[name] for name in list(found.files)[:-1]}, found.steps, found.kinds)


def final_twice(run: Trained, draw: Draw) -> Planted:
    """The last weights in the first half and at the end."""
    i = int(draw.integers(0, len(run.states) // 2))
    return run.planted({i: run.states[-1]}, (i,), "copy", "order")


def _shard(run: Trained, draw: Draw, step: int, source: State) -> State:
    """A step whose tensors from one place on for a third to a half of all moving ones are of another."""
    names = run.moving()
    count = max(1, int(len(names) * draw.uniform(0.3, 0.5)))
    begin = int(draw.integers(0, len(names) - count + 1))
    return {**run.states[step], **{name: source[name] for name in names[begin : begin + count]}}


def shard(run: Trained, draw: Draw) -> Planted:
    """A third to a half of the tensors are of another step."""
    i, j = _two(run, draw)
    i, j = (i, j) if draw.integers(2) else (j, i)
    return run.planted({i: _shard(run, draw, i, run.states[j])}, (i, j), "shard")


def shard_of_another_run(run: Trained, draw: Draw) -> Planted:
    """A third to a half of the tensors are of another training."""
    i = _one(run, draw)
    return run.planted({i: _shard(run, draw, i, run.other[i])}, (i,), "shard")


def missing(run: Trained, draw: Draw) -> Planted:
    """A step is not there, and the names say so."""
    i = int(draw.integers(1, len(run.states) - 1))
    files = {run.at(step): state for step, state in enumerate(run.states) if step != i}
    return Planted(files, frozenset([run.at(i + 1)]), frozenset(["gap"]))


def _largest(run: Trained, draw: Draw) -> str:
    """One of the tensors that move and have 256 numbers or more."""
    names = [name for name in run.moving() if run.states[0][name].numel() >= 256]
    return names[int(draw.integers(len(names)))]


def _damaged(run: Trained, draw: Draw, change: Callable[[Tensor, int], None]) -> Planted:
    i, name = _one(run, draw), _largest(run, draw)
    flat = run.states[i][name].clone().flatten()
    change(flat, int(draw.integers(0, flat.numel())))
    return run.planted({i: {**run.states[i], name: flat.view_as(run.states[i][name])}}, (i,), "damaged")


def not_finite(run: Trained, draw: Draw) -> Planted:
    """One value is NaN or infinite."""

    def change(flat: Tensor, at: int) -> None:
        flat[at] = float("nan") if draw.integers(2) else float("inf")

    return _damaged(run, draw, change)


def flipped_bit(run: Trained, draw: Draw) -> Planted:
    """One value has one of the higher bits of its exponent flipped."""

    def change(flat: Tensor, at: int) -> None:
        flat[at] = flat[at].clamp(1e-3, 1.0) * 2.0 ** (12 if flat.dtype == torch.float16 else 32)

    return _damaged(run, draw, change)


def zeros(run: Trained, draw: Draw) -> Planted:
    """A block of a tensor, a tenth to a half of it, is 0."""

    def change(flat: Tensor, at: int) -> None:
        size = int(flat.numel() * draw.uniform(0.1, 0.5))
        begin = min(at, flat.numel() - size)
        flat[begin : begin + size] = 0

    return _damaged(run, draw, change)


def shifted(run: Trained, draw: Draw) -> Planted:
    """Half of a tensor or more is moved by a few places, as after bytes that were lost."""

    def change(flat: Tensor, at: int) -> None:
        begin = at // 2
        flat[begin:] = flat[begin:].roll(int(draw.integers(1, 64)))

    found = _damaged(run, draw, change)
    return Planted(found.files, found.steps, frozenset(["damaged", "shard"]))


def replicas(run: Trained, draw: Draw) -> Planted:
    """Every step is there twice, and of one step the two differ in a tensor."""
    i, name = _one(run, draw), _largest(run, draw)
    files = {}
    for step, state in enumerate(run.states):
        for rank in range(2):
            other = {**state, name: run.branch[step][name]} if (step, rank) == (i, 1) else state
            files[f"{run.at(step)}_rank{rank}"] = other
    return Planted(files, frozenset([f"{run.at(i)}_rank0", f"{run.at(i)}_rank1"]), frozenset(["replica"]))


FAULTS: dict[str, Callable[[Trained, Draw], Planted]] = {
    "copy of another step": copy,
    "two neighbours exchanged": neighbours,
    "two steps exchanged": exchanged,
    "step of another run": another_run,
    "step of another run from the same weights": branch,
    "first two or last two exchanged": end_exchanged,
    "first or last step of another run": end_of_another_run,
    "final weights early": final_early,
    "final weights early and at the end": final_twice,
    "part of another step": shard,
    "part of another run": shard_of_another_run,
    "missing step": missing,
    "NaN or infinity": not_finite,
    "flipped bit": flipped_bit,
    "block of zeros": zeros,
    "shifted values": shifted,
    "replicas that differ": replicas,
}
