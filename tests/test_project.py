"""The fixtures that other tests stand on, and what the project promises about its own files."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import slow

if TYPE_CHECKING:
    from playwright.sync_api import Page


def test_browser_draws_a_page(browser: Page) -> None:
    browser.set_content("<h1>drawn</h1>")
    assert browser.inner_text("h1") == "drawn"


def test_data_directory_has_the_three_sets(data_directory: Path) -> None:
    assert all((data_directory / name).is_dir() for name in ("mnist", "fashion-mnist", "cifar10"))


def test_slow_tests_are_there_and_leave_some_of_every_package() -> None:
    tests = Path(__file__).parent
    names = {name.removeprefix(slow.FIXTURE).split("[")[0] for name in slow.slow_names()}
    gone = [name for name in names if f"def {name.split('::')[-1]}(" not in _text(tests.parent / name.split("::")[0])]
    assert len(gone) < len(names) / 4, f"write the list anew, with tests/slow.py: there is no {', '.join(gone)}"
    for package in (path.parent.name for path in (tests.parent / "src/axonometry").glob("*/__init__.py")):
        files = list((tests / package).rglob("test_*.py"))
        quick = sum(_text(path).count("\ndef test_") for path in files) - sum(f"/{package}/" in name for name in names)
        assert quick > 0 or package == "testing", package


def test_the_list_of_slow_tests_is_written_from_what_processes_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted = ({"tests/a.py::one": 0.04, "tests/a.py::two[0.4]": 0.05}, {"fixture tests/a.py::runs": 2.0})
    for worker, seconds in enumerate(noted):
        (tmp_path / f"gw{worker}.json").write_text(json.dumps(seconds))
    monkeypatch.setattr(slow, "LIST", tmp_path / "slow.txt")
    slow.main(str(tmp_path))
    assert slow.slow_names() == {"fixture tests/a.py::runs", "tests/a.py::two[0.4]"}


LIBRARIES = {
    "AxonometryCallback": {"loop.py", "transformers.py", "accelerate.py", "lightning.py", "keras.py", "skorch.py"},
}
"""Classes that each library has its own of, for which its users look under one name."""


def test_one_name_means_one_thing() -> None:
    homes: dict[str, list[str]] = {}
    for path in (Path(__file__).parent.parent / "src/axonometry").rglob("*.py"):
        for node in ast.parse(_text(path)).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                homes.setdefault(node.name, []).append(f"{path.name}:{node.lineno}")
    for name, libraries in LIBRARIES.items():
        assert sorted(place.split(":")[0] for place in homes.pop(name)) == sorted(libraries)
    assert {name: places for name, places in homes.items() if len(places) > 1} == {}, "rename the one of less use"


@pytest.mark.usefixtures("tmp_path", "made_once")
def test_a_fixture_that_tests_share_counts_by_itself(request: pytest.FixtureRequest) -> None:
    names = set(slow.shared_fixtures(request.node))
    assert "fixture tests::made_once" in names
    assert not any("tmp_path::" in name or "_seeded" in name for name in names)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


@pytest.mark.parametrize(("ci", "outcome"), [("true", "failed"), ("", "skipped")])
def test_missing_data_fails_only_in_ci(pytester_run, ci: str, outcome: str) -> None:
    assert pytester_run(ci) == outcome


@pytest.fixture
def pytester_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Runs one test that needs the data, in a session that cannot find it; tells its outcome."""

    def run(ci: str) -> str:
        monkeypatch.setenv("AXONOMETRY_DATA", str(tmp_path))
        monkeypatch.setenv("CI", ci)
        command = [sys.executable, "-m", "pytest", "-q", f"{__file__}::test_data_directory_has_the_three_sets"]
        last = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip().splitlines()[-1]
        return "failed" if "1 error" in last or "1 failed" in last else "skipped" if "1 skipped" in last else last

    return run
