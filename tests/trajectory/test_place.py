"""A recorder whose folder, lock, weights or plan change under it."""

from __future__ import annotations

import copy
import fractions
import inspect
import pickle
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from axonometry.errors import ConfigurationError, RunError
from axonometry.trajectory import Recorder, load, verify
from axonometry.trajectory.state import own_copies
from tests.trajectory.conftest import Small


@pytest.fixture
def recorder(tmp_path: Path, small: Small, example: Tensor) -> Recorder:
    """One that has recorded a step."""
    recorder = Recorder(tmp_path / "run", small, example)
    recorder.record(0)
    return recorder


def replaced(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    with Recorder(folder, nn.Linear(3, 2), torch.zeros(1, 3)) as other:
        other.record(0)
        other.record(1)


def emptied(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def overwritten(folder: Path) -> None:
    """Another network's run.json, under the same lock."""
    replaced(folder.with_name("other"))
    (folder / "run.json").write_bytes((folder.with_name("other") / "run.json").read_bytes())


AWAY: list[tuple[Callable[[Path], object], str]] = [
    (shutil.rmtree, "was deleted or moved"),
    (lambda folder: folder.rename(folder.with_name("moved")), "was deleted or moved"),
    (emptied, "was replaced, or its lock deleted"),
    (replaced, "was replaced, or its lock deleted"),
    (lambda folder: (folder / ".lock").unlink(), "another process may write it"),
    (lambda folder: (folder / "run.json").unlink(), r"has no run\.json"),
    (overwritten, "holds another network's run"),
]


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}


@pytest.mark.parametrize(("change", "words"), AWAY, ids=map(str, range(len(AWAY))))
@pytest.mark.parametrize("call", ["record", "close"])
def test_a_folder_that_is_not_the_recorder_s_any_more(
    recorder: Recorder, change: Callable[[Path], object], words: str, call: str
) -> None:
    folder = recorder.folder
    change(folder)
    before = contents(folder.parent)
    with pytest.raises(RunError, match=words) as caught:
        recorder.record(1) if call == "record" else recorder.close()
    assert "\n" not in str(caught.value)
    assert contents(folder.parent) == before
    assert recorder.last_step == 0
    if call == "record":
        with pytest.raises(RunError, match=words):
            recorder.close()
    recorder.close()  # the lock is gone


def test_a_run_goes_on_where_it_was_moved_to(recorder: Recorder, small: Small, example: Tensor) -> None:
    moved = recorder.folder.rename(recorder.folder.with_name("moved"))
    with pytest.raises(RunError, match="deleted or moved"):
        recorder.close()
    with Recorder(moved, small, example, resume=True) as other:
        assert other.last_step == 0
        other.record(1)
    assert load(moved).steps == (0, 1)


def test_a_deleted_lock_does_not_let_two_writers_mix(recorder: Recorder, small: Small, example: Tensor) -> None:
    (recorder.folder / ".lock").unlink()
    second = Recorder(recorder.folder, small, example, resume=True)
    second.record(1)
    with pytest.raises(RunError, match="another process may write it"):
        recorder.record(1)
    with pytest.raises(RunError, match="another process may write it"):
        recorder.close()
    with pytest.raises(RunError, match="another process is writing"):
        Recorder(recorder.folder, small, example, resume=True)
    second.record(2)
    second.close()
    assert load(recorder.folder).steps == (0, 1, 2)
    assert verify(recorder.folder) == ()


@pytest.mark.parametrize("name", ["metrics/0.parquet", "snapshots/0.safetensors"])
def test_files_of_steps_that_are_gone_at_the_end(recorder: Recorder, name: str) -> None:
    recorder.record(1)
    (recorder.folder / name).unlink()
    with pytest.raises(RunError, match=r"files of 1 of 2 recorded steps are gone from .*; got no step 0"):
        recorder.close()
    assert not load(recorder.folder).complete


def test_a_configuration_that_was_edited_meanwhile_is_kept(recorder: Recorder) -> None:
    path = recorder.folder / "run.json"
    path.write_text(path.read_text().replace('"configuration": null', '"configuration": {"note": "edited"}'))
    recorder.record(1)
    recorder.close()
    assert load(recorder.folder).configuration == {"note": "edited"}


def test_weights_that_change_while_they_are_written(tmp_path: Path) -> None:
    """Hogwild: a thread trains on; every step fits its own checksum, and its measures are of its own weights."""
    model, ended = nn.Linear(300, 300), threading.Event()
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    model(torch.ones(1, 300)).sum().backward()
    optimizer.step()

    def train() -> None:
        while not ended.is_set():
            with torch.no_grad():
                model.weight.add_(1.0)
                optimizer.state[model.weight]["momentum_buffer"].add_(1.0)

    thread = threading.Thread(target=train)
    with Recorder(tmp_path / "run", model, torch.zeros(1, 300)) as recorder:
        thread.start()
        try:
            for step in range(8):
                recorder.record(step, optimizer=optimizer)
        finally:
            ended.set()
            thread.join()
    assert verify(tmp_path / "run") == ()
    run = load(tmp_path / "run", model, torch.zeros(1, 300))
    means = run.metrics.query("metric == 'link_weights' and statistic == 'mean'").set_index("step")["value"]
    for step in run.steps:
        assert means[step] == pytest.approx(run.snapshots[step]["weight"].double().mean().item(), rel=1e-4)


def test_copies_keep_ties_and_share_nothing_else() -> None:
    weight = torch.arange(6.0).reshape(2, 3)
    copies = own_copies({"a": weight, "b": weight, "t": weight.t(), "empty": torch.zeros(0), "none": torch.zeros(0)})
    assert copies["a"] is copies["b"]
    weight.zero_()
    assert copies["a"].sum() == copies["t"].sum() == 15
    assert copies["t"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert copies["a"].untyped_storage().data_ptr() != copies["t"].untyped_storage().data_ptr()


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_recorder_is_not_copied(recorder: Recorder, duplicate: Callable[[object], object]) -> None:
    for thing in (recorder, {"trainer": recorder}) if duplicate is not copy.copy else (recorder,):
        with pytest.raises(RunError, match=r"cannot be copied or pickled. Pass the run's folder"):
            duplicate(thing)
    recorder.record(1)
    recorder.close()
    run = load(recorder.folder)
    assert pickle.loads(pickle.dumps(run)).steps == copy.deepcopy(run).steps == (0, 1)


def test_another_optimizer_does_not_go_on_with_a_run(tmp_path: Path, small: Small, example: Tensor) -> None:
    sgd, adam = torch.optim.SGD(small.parameters(), 0.1), torch.optim.Adam(small.parameters())
    with Recorder(tmp_path / "run", small, example) as recorder:
        recorder.record(0, optimizer=sgd)
        recorder.record(1, optimizer=adam)  # a loop may change it on the way
    for call in (Recorder.restore, lambda recorder, other: recorder.record(2, optimizer=other)):
        with Recorder(tmp_path / "run", small, example, resume=True) as recorder:
            for other in (sgd, {"optimizer": sgd}):
                with pytest.raises(
                    RunError, match="resumed with its own optimizer; got SGD for optimizer, recorded with Adam"
                ):
                    call(recorder, other)
            assert call(recorder, adam) in (1, None)
    assert load(tmp_path / "run").steps == (0, 1, 2)


@pytest.mark.parametrize("layers", [0, [], (), [0], [None], 1.5])
def test_layers_that_name_none(tmp_path: Path, small: Small, example: Tensor, layers: Any) -> None:
    with pytest.raises(
        ConfigurationError, match=r"`layers` names a layer or more|measures and layers are names; got"
    ) as caught:
        inspect.unwrap(Recorder.__init__)(object.__new__(Recorder), tmp_path / "run", small, example, layers=layers)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_scalars_of_every_kind(tmp_path: Path, small: Small, example: Tensor) -> None:
    scalars = {
        "python": 0.5,
        "int": 3,
        "bool": True,
        "fraction": fractions.Fraction(1, 2),
        "float32": np.float32(0.25),
        "int64": np.int64(7),
        "array": np.array([2.5]),
        "flat": np.array(2.5),
        "half": torch.tensor(0.5, dtype=torch.bfloat16),
        "grad": (torch.ones(1, requires_grad=True) * 3)[0],
        "matrix": torch.tensor([[4.0]]),
        "nan": float("nan"),
        "infinite": torch.tensor(float("inf")),
    }
    recorder = Recorder(tmp_path / "run", small, example, measures=())
    recorder.record(0, **scalars)
    row = load(tmp_path / "run").scalars().iloc[0]
    assert row["nan"] != row["nan"]
    assert row.drop("nan").to_dict() == {
        **{"python": 0.5, "int": 3.0, "bool": 1.0, "fraction": 0.5, "float32": 0.25, "int64": 7.0, "array": 2.5},
        **{"flat": 2.5, "half": 0.5, "grad": 3.0, "matrix": 4.0, "infinite": float("inf")},
    }


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (10**400, "loss=an integer of 1329 bits"),
        (-(10**5000), "loss=an integer of 16610 bits"),
        ("0.5", "loss='0.5'"),
        (None, "loss=None"),
        (1j, "loss=1j"),
        (torch.tensor(1j), "loss=tensor"),
        (torch.ones(2), "loss=tensor"),
        (torch.ones(1, device="meta"), "loss=tensor"),
        (np.ones(2), r"loss=array\(\[1., 1.\]\)"),
        ([0.5], r"loss=\[0.5\]"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_scalars_that_are_no_number(tmp_path: Path, value: Any, words: str) -> None:
    from axonometry.trajectory.choices import numbers

    with pytest.raises(RunError, match=rf"^a scalar is one number; got {words}.*Pass a number") as caught:
        numbers({"loss": value}, ())
    assert "\n" not in str(caught.value)
    for name in ("a\nb", "\ud800", "\x1b[31m"):
        with pytest.raises(RunError, match="a scalar's name is text without control characters"):
            numbers({name: 1.0}, ())


def test_a_run_that_was_stopped_early_says_so(tmp_path: Path, small: Small, example: Tensor) -> None:
    def recorded(name: str, steps: int, planned: int | None, *, stopped: bool) -> str:
        recorder = Recorder(tmp_path / name, small, example, measures=(), planned_steps=planned)
        for step in range(steps):
            recorder.record(step)
        assert load(tmp_path / name).state == "running"
        recorder.close(stopped=stopped)
        run = load(tmp_path / name)
        assert (run.complete, run.description.planned_steps) == (True, planned)
        assert run.stopped is (run.state == "stopped") is run.description.stopped
        return run.state

    assert recorded("whole", 3, 3, stopped=False) == "finished"
    assert recorded("more", 4, 3, stopped=False) == "finished"
    assert recorded("unplanned", 2, None, stopped=False) == "finished"
    assert recorded("told", 2, None, stopped=True) == "stopped"
    assert recorded("short", 2, 3, stopped=False) == "stopped"
    with Recorder(tmp_path / "told", small, example, measures=(), resume=True):
        pass  # nothing was recorded: it stays what it was
    assert load(tmp_path / "told").state == "stopped"
    with Recorder(tmp_path / "short", small, example, measures=(), resume=True) as recorder:
        recorder.record(2)
    assert load(tmp_path / "short").state == "finished", "it went on to its end"
    with Recorder(tmp_path / "whole", small, example, measures=(), resume=True, planned_steps=5):
        pass
    assert load(tmp_path / "whole").state == "stopped", "more was planned since"


@pytest.mark.parametrize("planned", [0, -1, 2.5, "10", 2**70])
def test_a_plan_is_a_number(tmp_path: Path, planned: Any) -> None:
    from axonometry.trajectory.choices import planned as checked

    with pytest.raises(ConfigurationError, match="`planned_steps` is a whole number from 1; got"):
        checked(planned)


def files_of_steps(folder: Path) -> int:
    return len([*(folder / "metrics").glob("*.parquet")])


def test_tables_of_single_steps_are_put_into_one_while_the_run_goes_on(recorder: Recorder) -> None:
    for step in range(1, 120):
        recorder.record(step, loss=1 / step)
        assert files_of_steps(recorder.folder) < 100
    run = load(recorder.folder)
    assert run.steps == tuple(range(120))
    assert run.scalars()["loss"].dropna().tolist() == [1 / step for step in range(1, 120)]
    recorder.close()
    assert verify(recorder.folder) == ()


def test_of_a_long_run_a_tenth_of_the_steps_may_have_files_of_their_own(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("axonometry.trajectory.place.FILES", 2)
    gathered = []
    for step in range(1, 60):
        recorder.record(step)
        if not files_of_steps(recorder.folder):
            gathered.append(step + 1)
    # Of 30 steps a tenth is 3: from then on every third step, and not every second.
    assert gathered == [*range(2, 31, 2), 33, 36, 39, 42, 46, 50, 55, 60]


def test_a_table_that_cannot_be_put_together_ends_no_training(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("axonometry.trajectory.place.FILES", 2)
    (recorder.folder / "metrics.parquet").mkdir()  # nothing can be written there
    for step in range(1, 5):
        recorder.record(step, loss=step)
    assert files_of_steps(recorder.folder) == 5
