"""Which tests are slow, measured: writes ``slow.txt`` from what pytest says of durations.

    make test ARGUMENTS="--durations=0 --durations-min=0.7" > build/durations.txt
    python tests/slow.py build/durations.txt

On a machine that does nothing else. ``conftest.py`` marks the tests of ``slow.txt`` as slow, and ``make quick`` leaves
them out. Only the test itself counts: what a fixture takes would only move to the next test that asks for it.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

LIST = Path(__file__).with_name("slow.txt")
SECONDS = 0.7
CALL = re.compile(r"^(\d+\.\d+)s call +(tests/.*?)\s*$", re.MULTILINE)


def slow_tests() -> set[str]:
    """The tests of the list, by pytest's names."""
    return {line for line in LIST.read_text(encoding="utf-8").splitlines() if not line.startswith("#")}


def main(path: str) -> None:
    """Read durations, write the list."""
    found = CALL.findall(Path(path).read_text(encoding="utf-8"))
    names = sorted({name for seconds, name in found if float(seconds) >= SECONDS})
    head = f"# Tests of {SECONDS} s or more, which `make quick` leaves out; written by tests/slow.py.\n"
    LIST.write_text(head + "".join(f"{name}\n" for name in names), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
