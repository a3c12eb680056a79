"""What anybody may have written into run.json: refused in one line that names the field, and found by verify."""

from __future__ import annotations

import json
import math
import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from axonometry.errors import RunError
from axonometry.trajectory import Recorder, load, tables, verify
from axonometry.trajectory.state import read_state, write_state


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A whole run of two steps."""
    network = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    with Recorder(tmp_path / "run", network, torch.zeros(1, 4), configuration={"lr": 0.1}) as recorder:
        recorder.record(0, loss=1.0)
        recorder.record(1, loss=0.5)
    return tmp_path / "run"


def nested(levels: int) -> Any:
    value: Any = 0
    for _ in range(levels):
        value = [value]
    return value


FIELDS: list[tuple[Callable[[Any], Any], str]] = [
    (lambda run: run["groups"][0].update(role="<script>"), r"groups\[0\]\.role is one of input, hidden, output"),
    (lambda run: run["groups"][0].update(role=None), r"groups\[0\]\.role is one of"),
    (lambda run: run["groups"][0].update(role=["input"]), r"groups\[0\]\.role is one of"),
    (lambda run: run["groups"][0].update(name=3), r"groups\[0\]\.name is text; got 3"),
    (lambda run: run["groups"][0].update(name="a\x1b[31m"), r"groups\[0\]\.name is text without control characters"),
    (lambda run: run["groups"][0].update(name="a\nb"), r"without control characters; got 'a\\nb'"),
    (lambda run: run["groups"][0].update(name="a\u2028b"), "without control characters"),
    (lambda run: run["groups"][0].update(name="\ud800"), "UnicodeEncodeError: .* surrogates not allowed"),
    (lambda run: run["groups"][0].update(name="0"), "'0' is there twice"),
    (lambda run: run["groups"][1].update(shape=None), r"groups\[1\]\.shape is a list; got None"),
    (
        lambda run: run["groups"][1].update(shape=["3"]),
        r"groups\[1\]\.shape\[0\] is a whole number below 2\^63; got '3'",
    ),
    (lambda run: run["groups"][1].update(shape=[3.0]), r"shape\[0\] is a whole number"),
    (lambda run: run["groups"][1].update(shape=[True]), r"shape\[0\] is a whole number"),
    (lambda run: run["groups"][1].update(shape=[-3]), r"shape\[0\] is a whole number"),
    (lambda run: run["groups"][1].update(shape=[10**400]), r"shape\[0\] is a whole number .* an integer of 1329 bits"),
    (lambda run: run["groups"][1].update(shape=[2**40, 2**40]), r"shape is one of fewer than 2\^63 neurons"),
    (lambda run: run["groups"][1].update(channel_axis=7), "channel_axis is an axis of"),
    (lambda run: run["groups"][1].update(channel_axis=None), "channel_axis is a whole number"),
    (
        lambda run: run["synapses"][0].update(n_links=float("nan")),
        r"synapses\[0\]\.n_links is a whole number .* got nan",
    ),
    (lambda run: run["synapses"][0].update(n_links="6"), "n_links is a whole number"),
    (lambda run: run["synapses"][0].update(sources=["nowhere"]), r"synapses\[0\] is between groups of the network"),
    (lambda run: run["synapses"][0].update(sources="input"), r"synapses\[0\]\.sources is a list"),
    (lambda run: run["synapses"][0].update(target="nowhere"), r"synapses\[0\] is between groups of the network"),
    (
        lambda run: run["wires"].append({"target": "0", "kind": "x", "sources": [], "n_links": 1}),
        r"wires\[0\]\.kind is one",
    ),
    (lambda run: run["coverage"][0].update(role="boss"), r"coverage\[0\]\.role is one of synapse"),
    (lambda run: run["coverage"].append(None), r"coverage\[4\] is a dictionary; got None"),
    (lambda run: run.update(measures=[None]), r"measures\[0\] is text"),
    (lambda run: run.update(layers=["\x00"]), r"layers\[0\] is text without control"),
    (lambda run: run.update(keep_weights=1), "keep_weights is true or false; got 1"),
    (lambda run: run.update(complete="no"), "complete is true or false"),
    (lambda run: run.update(samples={"count": "10"}), "samples.count is a whole number"),
    (lambda run: run.update(software=[None]), r"software\[0\] is a dictionary"),
    (lambda run: run.update(software=[{"torch": None}]), r"software\[0\]\['torch'\] is text; got None"),
    (lambda run: run.update(configuration={"\udc80": 1}), "UnicodeEncodeError: .* surrogates not allowed"),
    (
        lambda run: run.update(configuration={"deep": nested(150)}),
        "ValueError: lists and dictionaries nested deeper than 64",
    ),
    (lambda run: run.update(tensors={"0.weight": [None]}), r"tensors\['0.weight'\]\[0\] is a whole number"),
    (lambda run: run.pop("synapses"), "the file has no synapses"),
]


@pytest.mark.parametrize(("change", "words"), FIELDS, ids=[words for _, words in FIELDS])
def test_a_wrong_field_is_named_in_one_line(folder: Path, change: Callable[[Any], Any], words: str) -> None:
    content = json.loads((folder / "run.json").read_text())
    change(content)
    (folder / "run.json").write_text(json.dumps(content))
    with pytest.raises(RunError, match=rf"^corrupt file: .*run\.json: {words}|{words}") as caught:
        load(folder)
    assert "\n" not in str(caught.value)
    assert str(caught.value).isprintable()
    (finding,) = verify(folder)
    assert (finding.file.name, finding.problem) == ("run.json", str(caught.value))


@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"format":1,"groups":' + b"[" * 100_000, b"9" * 5000], ids=len)
def test_json_that_is_too_deep_or_too_long(folder: Path, content: bytes) -> None:
    (folder / "run.json").write_bytes(content)
    with pytest.raises(RunError, match=r"^corrupt file: .*run\.json: (ValueError: |no format)"):
        load(folder)
    assert len(verify(folder)) == 1


def test_a_pipe_in_the_place_of_a_file_keeps_nobody_waiting(folder: Path) -> None:
    for name in ("snapshots/0.safetensors", "metrics.parquet", "run.json"):
        (folder / name).unlink()
        os.mkfifo(folder / name)
        assert [finding.file for finding in verify(folder)][:1] == [folder / name]
        assert "not a file" in verify(folder)[0].problem


def test_a_configuration_that_is_not_finite_is_refused_when_written_and_found_when_read(folder: Path) -> None:
    content = json.loads((folder / "run.json").read_text())
    content["configuration"] = {"a": [1, {"b": float("nan")}]}
    (folder / "run.json").write_text(json.dumps(content))
    assert load(folder).steps == (0, 1), "runs of earlier versions may hold it"
    (finding,) = verify(folder)
    assert finding.problem == "configuration.a[1].b is NaN or infinite"
    model, circle = nn.Linear(2, 1), {}
    circle["circle"] = circle
    for wrong in ({"lr": float("inf")}, {"deep": nested(2000)}, circle, {"name": "\ud800"}):
        with pytest.raises(RunError, match="a run's configuration holds JSON values") as caught:
            Recorder(folder.parent / "new", model, torch.zeros(1, 2), configuration=wrong)
        assert "\n" not in str(caught.value)
        assert not (folder.parent / "new").exists()


def test_a_layer_whose_name_a_run_cannot_hold(tmp_path: Path) -> None:
    model = nn.Sequential()
    model.add_module("a\x1b[31m", nn.Linear(3, 2))
    with pytest.raises(
        RunError, match=r"names are text without control characters; got groups\[1\].*Rename the module"
    ):
        Recorder(tmp_path / "run", model, torch.zeros(1, 3))


def test_tables_of_strangers(folder: Path) -> None:
    """Checksums that are right, on content that is wrong."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    row = {"step": [0], "group": [""], "metric": ["loss"], "statistic": ["value"], "value": [1.0]}

    def problem(steps: Any, **columns: list[Any]) -> str:
        table = pa.table(list((row | columns).values()), schema=tables._schema())
        named = json.dumps(steps).encode()
        table = table.replace_schema_metadata({tables._STEPS: b"%08x %s" % (zlib.crc32(named), named)})
        pq.write_table(table, folder / "metrics.parquet")
        (finding,) = verify(folder)
        assert finding.file.name == "metrics.parquet"
        with pytest.raises(RunError, match="corrupt file"):
            load(folder).scalars()
        return finding.problem

    for steps in (["0"], [None], [0.5], [True], [1, 0], [0, 0], [2**70], 0, None):
        assert "no list of steps" in problem(steps)
    assert "rows with nothing in a column" in problem([0], group=[None])
    assert "rows of other steps" in problem([1])
    table = pa.table(list((row | {"value": [None]}).values()), schema=tables._schema())
    tables._write(folder / "metrics.parquet", table, [0], compression="none")
    assert math.isnan(load(folder).scalars().loc[0, "loss"])  # as measures were written that have no number
    two = {name: values * 2 for name, values in row.items()}
    table = pa.table(list(two.values()), schema=tables._schema())
    tables._write(folder / "metrics.parquet", table, [0], compression="none")
    with pytest.raises(RunError, match="a statistic of a step is there twice"):
        load(folder).scalars()


HARMLESS = {("tree", "null"), ("tree", "3"), ("tree", '["a", 1, null]'), ("tied", "{}"), ("names", "{}")}


@pytest.mark.parametrize("note", ["names", "tied", "tree"])
def test_states_of_strangers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, note: str) -> None:
    """Notes that do not fit the tensors, with the checksum computed anew."""
    from axonometry.trajectory import state

    path, save = tmp_path / "a.safetensors", state._save
    for wrong in (
        "null",
        "3",
        '["a", 1, null]',
        '{"x": "y"}',
        "{}",
        '{"tensor": "nowhere"}',
        "[" * 100_000,
        '{"dict": 3}',
        "{",
    ):

        def forge(content: dict[str, torch.Tensor], place: Path, notes: dict[str, str], wrong: str = wrong) -> None:
            notes = {**notes, note: wrong}
            notes.pop("crc32")
            save(content, place, {**notes, "crc32": state._checksum(content, notes)})

        monkeypatch.setattr(state, "_save", forge)
        write_state(path, {"w": torch.ones(2)}, {"step": 1})
        if (note, wrong) in HARMLESS:
            read_state(path)
        else:
            with pytest.raises(RunError, match="its notes do not fit its tensors"):
                read_state(path)


def test_a_snapshot_of_another_network_is_found(folder: Path, tmp_path: Path) -> None:
    wide = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2))
    with Recorder(tmp_path / "wide", wide, torch.zeros(1, 4)) as recorder:
        recorder.record(1)
    (folder / "snapshots" / "1.safetensors").write_bytes((tmp_path / "wide/snapshots/1.safetensors").read_bytes())
    (finding,) = verify(folder)
    assert finding.file == folder / "snapshots" / "1.safetensors"
    assert finding.problem.startswith("not this run's: ")
    assert "0.bias is (5,) where the run has (3,)" in finding.problem
    content = json.loads((folder / "run.json").read_text())
    del content["tensors"]
    (folder / "run.json").write_text(json.dumps(content))
    assert [found.file for found in verify(folder)] == [finding.file], (
        "of older runs, the first snapshot's shapes count"
    )
