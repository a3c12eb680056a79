"""Which tests are slow, measured: writes ``slow.txt`` from what each process of a test run notes.

    make test ARGUMENTS="--times build/times"
    python tests/slow.py build/times

``conftest.py`` marks as slow the tests of ``slow.txt``, and those that ask for a fixture of it; ``make quick`` leaves
them out. Processor time counts, that of child processes included, so that a machine that does other things besides
gives the same list. A fixture that several tests share counts by itself: if its first test alone were left out, the
next one would make it. It is slow where its share a test is, with a limit of 0.2 s:

    27.4 s for a trained population that 22 tests read: 1.2 s a test, all 22 are slow
     2.6 s for one that 15 tests read, 0.17 s a test: they stay, unless they are slow themselves
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

LIST = Path(__file__).with_name("slow.txt")
SECONDS = 0.05
FIXTURE = "fixture "


def slow_names() -> set[str]:
    """The lines of the list: tests by pytest's names, and fixtures by :func:`fixture_name`."""
    return {line for line in LIST.read_text(encoding="utf-8").splitlines() if not line.startswith("#")}


def shared_fixtures(item: pytest.Item) -> Iterator[str]:
    """Names of the fixtures that a test asks for, also by way of others, and that further tests may share."""
    info = getattr(item, "_fixtureinfo", None)
    for definitions in info.name2fixturedefs.values() if info else ():
        if definitions[-1].scope != "function":
            yield fixture_name(definitions[-1])


def fixture_name(definition: pytest.FixtureDef[Any]) -> str:
    """A fixture's line in the list: where it is seen, and its name."""
    return f"{FIXTURE}{definition.baseid}::{definition.argname}"


class Times:
    """A plugin that notes the processor time of every test and shared fixture.

    Args:
        path: The file of this process.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.seconds, self.asking = path, Counter[str](), Counter[str]()

    def pytest_collection_modifyitems(self, items: Iterable[pytest.Item]) -> None:
        """Count the tests that ask for each fixture."""
        self.asking.update(name for item in items for name in shared_fixtures(item))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Iterator[None]:
        """A test's own fixtures are part of it."""
        yield from self._timed(item.nodeid)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
        """The test itself."""
        yield from self._timed(item.nodeid)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest) -> Iterator[Any]:
        """A shared fixture is none of the test's that asks first."""
        if fixturedef.scope == "function":
            return (yield)
        test = request._pyfuncitem.nodeid
        before, start = self.seconds[test], _processor_time()
        made = yield
        seconds = _processor_time() - start
        self.seconds[fixture_name(fixturedef)] += seconds
        self.seconds[test] = before - seconds  # what the test's set-up will add, less this
        return made

    def pytest_sessionfinish(self) -> None:
        """Write what was noted."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        shares = {name: self.seconds[name] / n for name, n in self.asking.items()}
        self.path.write_text(json.dumps({**self.seconds, **shares}, indent=1), encoding="utf-8")

    def _timed(self, name: str) -> Iterator[Any]:
        before = _processor_time()
        result = yield
        self.seconds[name] += _processor_time() - before
        return result


def main(folder: str) -> None:
    """Read what the processes noted, write the list."""
    slow: set[str] = set()
    for path in Path(folder).glob("*.json"):
        slow |= {name for name, seconds in json.loads(path.read_text(encoding="utf-8")).items() if seconds >= SECONDS}
    head = f"# Tests and fixtures of {SECONDS} s or more, which `make quick` leaves out; written by tests/slow.py.\n"
    LIST.write_text(head + "".join(f"{name}\n" for name in sorted(slow)), encoding="utf-8")


def _processor_time() -> float:
    return sum(os.times()[:4])  # the user's and the system's, of this process and of its children that have ended


if __name__ == "__main__":
    main(sys.argv[1])
