"""Run by test_kill: trains and records, is killed, goes on, is killed again, until the run is complete.

One process imports and captures once; each life of the training is a fork of it.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from axonometry.program import capture
from axonometry.trajectory import Trajectory, load, place, recorder, verify

EXAMPLE = torch.zeros(1, 4)
FILE_EVENTS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.scandir", "fcntl.flock"}


def train(folder: Path, steps: int) -> None:
    """The whole training from wherever it is; the same lines begin it and go on with it."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 5), nn.Dropout(0.4), nn.Tanh(), nn.Linear(5, 2))
    optimizer = torch.optim.Adam(model.parameters(), 0.05)
    with recorder.Recorder(folder, model, EXAMPLE, measures="link_weights", resume=True) as recording:
        last = recording.restore(optimizer)
        for step in range(0 if last is None else last + 1, steps):
            optimizer.zero_grad()
            loss = model(torch.randn(8, 4)).square().mean()
            loss.backward()
            optimizer.step()
            recording.record(step, optimizer=optimizer, loss=loss)


def life(folder: Path, steps: int, prepare: Callable[[], object] = int, kill: Callable[[int], object] = int) -> bool:
    """One process that trains, and whether it came to its end before it was killed."""
    child = os.fork()
    if child == 0:
        prepare()
        train(folder, steps)
        os._exit(0)
    kill(child)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.waitstatus_to_exitcode(status) == 0, "training failed by itself"
    return not os.WIFSIGNALED(status)


def killed_at_event(number: int) -> Callable[[], None]:
    """Kill this process just before its nth call that touches a file."""
    left = [number]

    def watch(event: str, _: object) -> None:
        if event in FILE_EVENTS:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return lambda: sys.addaudithook(watch)


def check(folder: Path, reached: int) -> int:
    """The folder opens at a whole step, no earlier than before, and nothing in it is damaged."""
    if not (folder / "run.json").exists():
        return -1
    run = load(folder)
    assert run.steps == tuple(range(len(run.steps))), run.steps
    assert len(run.steps) - 1 >= reached, "a whole step was lost"
    assert run.metrics["step"].nunique() == len(run.steps)
    assert all(len(run.snapshots[step]) == 4 for step in run.steps)
    assert verify(folder) == ()
    return len(run.steps) - 1


def same(a: Trajectory, b: Trajectory) -> None:
    """Two runs are equal bit for bit."""
    assert a.complete
    assert b.complete
    assert a.metrics.equals(b.metrics)
    assert a.steps == b.steps
    for step in a.steps:
        one, other = a.snapshots[step], b.snapshots[step]
        assert all(torch.equal(one[name], other[name]) for name in one), step


def at_every_event(whole: Trajectory, root: Path) -> None:
    """Kill one training at its first file event, the next at its second, and so on; then go on with each."""
    for number in range(1, 1000):
        folder = root / "event"
        done = life(folder, len(whole.steps), killed_at_event(number))
        check(folder, -1)
        assert life(folder, len(whole.steps))
        same(whole, load(folder))
        shutil.rmtree(folder)
        if done:
            sys.stdout.write(f"{number} events\n")
            return
    raise AssertionError("the training never came to its end")


def at_random(whole: Trajectory, root: Path, seconds: float) -> None:
    """Kill the same training again and again at random instants, for some seconds."""
    end, kills, runs = time.monotonic() + seconds, 0, 0
    while time.monotonic() < end:
        folder, reached = root / f"random{runs}", -1

        def later(child: int) -> None:
            time.sleep(random.uniform(0, 0.15))
            os.kill(child, signal.SIGKILL)

        while not life(folder, len(whole.steps), kill=later):
            kills += 1
            reached = check(folder, reached)
            if time.monotonic() > end:
                assert life(folder, len(whole.steps))
                break
        same(whole, load(folder))
        runs += 1
    sys.stdout.write(f"{kills} kills, {runs} runs\n")


def main() -> None:
    """``kill.py FOLDER`` kills at every event, ``kill.py FOLDER SECONDS SEED`` at random."""
    root = Path(sys.argv[1])
    torch.set_num_threads(1)
    graph = capture(nn.Sequential(nn.Linear(4, 5), nn.Dropout(0.4), nn.Tanh(), nn.Linear(5, 2)), EXAMPLE)
    recorder.capture = lambda *_: graph  # type: ignore[assignment]
    place.FILES = 2  # so that tables are put into one in the middle of the run, too
    options = sys.argv[2:]
    train(root / "whole", 10 if options else 3)  # here, not in a fork: what is imported late is imported now
    if options:
        random.seed(int(options[1]))
        at_random(load(root / "whole"), root, float(options[0]))
    else:
        at_every_event(load(root / "whole"), root)


if __name__ == "__main__":
    main()
