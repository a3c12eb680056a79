"""``python -m tests.fuzz [TARGET ...] [--count N] [--seed S]``: damaged inputs of every kind, each told in one line.

Cases run in a process of their own, many in one; where it dies, the case that killed it is named and the next process
goes on behind it. A case follows from its target and its number alone:
``python -m tests.fuzz runs --seed 17 --count 1`` repeats it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.fuzz.targets import TARGETS

WORKER = """
import json, sys
from pathlib import Path
from tests.fuzz.trial import try_case
target, first, behind, whole = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
from axonometry.cli import main
import torch; torch.set_num_threads(1)
for seed in range(first, behind):
    print(json.dumps({"begins": seed}), file=sys.__stdout__, flush=True)
    found = try_case(target, seed, whole)
    print(json.dumps({"seed": seed, "words": found.words, "fault": found.fault}), file=sys.__stdout__, flush=True)
"""


def results(target: str, first: int, behind: int, whole: Path) -> Iterator[dict[str, object]]:
    """Every case's result; a process that dies is a fault of the case that it was at."""
    while first < behind:
        words = [sys.executable, "-W", "ignore", "-c", WORKER, target, str(first), str(behind), str(whole)]
        at = first
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                found = json.loads(line)
                if "begins" in found:
                    at = found["begins"]
                else:
                    first = found["seed"] + 1
                    yield found
        if first <= at:
            yield {"seed": at, "words": [], "fault": f"the process ended with {process.returncode}"}
            first = at + 1


def main() -> int:
    """Try all targets; 1 where a case failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("targets", nargs="*", choices=[*TARGETS, []], help="all where left out")
    parser.add_argument("--count", type=int, help="cases of each target")
    parser.add_argument("--seed", type=int, default=0, help="number of the first case")
    chosen = parser.parse_args()
    failed = 0
    for name in chosen.targets or TARGETS:
        count = chosen.count or TARGETS[name].count
        with tempfile.TemporaryDirectory() as place:
            TARGETS[name].prepare(Path(place))
            faults = []
            for found in results(name, chosen.seed, chosen.seed + count, Path(place)):
                if found["fault"]:
                    faults.append(found)
                    words = " ".join(map(str, found["words"]))
                    print(f"{name} {found['seed']}: {words!r}\n    {found['fault']}")  # noqa: T201
        failed += len(faults)
        print(f"{name}: {count} cases from {chosen.seed}, {len(faults)} failed", flush=True)  # noqa: T201
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
