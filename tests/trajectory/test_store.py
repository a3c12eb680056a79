"""What run.json says, and what becomes of it over versions."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from axonometry import errors
from axonometry.errors import RunError
from axonometry.program import NeuralGraph
from axonometry.trajectory import store
from axonometry.trajectory.store import DESCRIPTION, FORMAT, Description, describe, read_description, write_description


@pytest.fixture
def description(graph: NeuralGraph) -> Description:
    """The description of the small network's run."""
    return describe(
        graph,
        measures=("node_strength",),
        layers=("conv*",),
        keep_weights=True,
        configuration={"lr": 0.1, "sizes": (3, 4), "none": None, "name": "größe"},
    )


def test_it_comes_back(tmp_path: Path, description: Description, graph: NeuralGraph) -> None:
    write_description(tmp_path, description)
    assert read_description(tmp_path) == description
    assert description.configuration == {"lr": 0.1, "sizes": [3, 4], "none": None, "name": "größe"}
    assert (description.groups, description.synapses) == (graph.groups, graph.synapses)
    assert (description.wires, description.coverage) == (graph.wires, graph.coverage)
    assert set(description.software[0]) == {"axonometry", "torch", "python", "platform"}


def test_the_file_says_its_format(tmp_path: Path, description: Description) -> None:
    write_description(tmp_path, description)
    assert json.loads((tmp_path / DESCRIPTION).read_text())["format"] == FORMAT


def test_a_configuration_that_json_cannot_hold(graph: NeuralGraph) -> None:
    options: dict[str, Any] = {"measures": (), "layers": None, "keep_weights": True}
    with pytest.raises(RunError, match=r"holds JSON values: .*set is not JSON serializable"):
        describe(graph, configuration={"a": {1, 2}}, **options)


def changed(folder: Path, **changes: Any) -> None:
    """Change keys of a run.json; None takes one out."""
    content = json.loads((folder / DESCRIPTION).read_text()) | changes
    (folder / DESCRIPTION).write_text(json.dumps({key: value for key, value in content.items() if value != "absent"}))


def test_a_newer_format_says_so_in_one_line(tmp_path: Path, description: Description) -> None:
    write_description(tmp_path, description)
    changed(tmp_path, format=FORMAT + 1, groups="something that we do not know")
    words = rf"run\.json has format {FORMAT + 1}, this version .* reads formats up to {FORMAT}\. Open it with a newer"
    with pytest.raises(RunError, match=words) as caught:
        read_description(tmp_path)
    assert "\n" not in str(caught.value)
    assert "pip install --upgrade axonometry" in str(caught.value)


def test_a_further_key_is_ignored(tmp_path: Path, description: Description) -> None:
    write_description(tmp_path, description)
    groups = json.loads((tmp_path / DESCRIPTION).read_text())["groups"]
    changed(tmp_path, later="thing", groups=[{**group, "colour": "red"} for group in groups])
    assert read_description(tmp_path) == description


@pytest.mark.parametrize(
    "changes",
    [
        {"format": "absent"},
        {"format": "1"},
        {"format": True},
        {"format": 0},
        {"format": -3},
        {"groups": "absent"},
        {"groups": [{"name": "a"}]},
        {"groups": 3},
        {"measures": None},
        {"synapses": [[]]},
        {"layers": 7},
        {"software": 3},
        {"complete": "yes"},
        {"keep_weights": None},
        {"configuration": [1]},
    ],
    ids=str,
)
def test_a_damaged_description_is_refused(tmp_path: Path, description: Description, changes: dict[str, Any]) -> None:
    write_description(tmp_path, description)
    changed(tmp_path, **changes)
    with pytest.raises(RunError, match=r"corrupt file: .*run\.json: "):
        read_description(tmp_path)


def test_a_description_cut_short_anywhere_is_refused(tmp_path: Path, description: Description) -> None:
    write_description(tmp_path, description)
    path = tmp_path / DESCRIPTION
    whole = path.read_bytes()
    for length in [*range(0, len(whole) - 1, 7), len(whole) - 2]:  # the last byte is the line's end
        path.write_bytes(whole[:length])
        with pytest.raises(RunError, match=r"corrupt file: .*run\.json: "):
            read_description(tmp_path)
    for content in (b"[]", b"3", b"null", b"\xff\xfe", b'"run"'):
        path.write_bytes(content)
        with pytest.raises(RunError, match=r"corrupt file: .*run\.json: "):
            read_description(tmp_path)


def test_a_folder_that_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path, tmp_path / "absent", tmp_path / "file"):
        words = "no such folder: .*absent" if place.name == "absent" else r"not a run: .* has no run\.json"
        with pytest.raises(RunError, match=rf"^{words}\. Check the path\.$"):
            read_description(place)


def test_an_older_format_is_brought_up_when_read(
    tmp_path: Path, description: Description, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The procedure beside FORMAT, played through: a format 2 that calls the layers something else."""
    write_description(tmp_path, description)
    changed(tmp_path, layers="absent", only=["conv*"])

    def upgrade(content: dict[str, Any]) -> dict[str, Any]:
        return {**content, "layers": content["only"]}

    monkeypatch.setattr(store, "FORMAT", 2)
    monkeypatch.setitem(store._UPGRADES, 1, upgrade)
    before = (tmp_path / DESCRIPTION).read_bytes()
    assert read_description(tmp_path) == description
    assert (tmp_path / DESCRIPTION).read_bytes() == before, "reading rewrites nothing"


def test_going_on_needs_the_same_run(tmp_path: Path, description: Description) -> None:
    other = replace(description, measures=(), configuration={"lr": 0.2}, groups=description.groups[1:])
    words = r"was recorded differently: network, measures, configuration\. Pass what"
    with pytest.raises(RunError, match=words):
        store.resumed(description, other, tmp_path)
    silent = replace(description, configuration=None)
    assert store.resumed(description, silent, tmp_path) == description
    newer = replace(description, software=({"torch": "99"},))
    assert store.resumed(description, newer, tmp_path).software == (*description.software, {"torch": "99"})


def test_all_errors_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(errors.AxonometryError, match=r"run\.json") as caught:
        read_description(tmp_path)
    assert "\n" not in str(caught.value)
