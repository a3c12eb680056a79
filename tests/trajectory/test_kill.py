"""A training that is killed: SIGKILL before every single touch of a file, and at random instants."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="needs fork and SIGKILL"),
    pytest.mark.timeout(400),  # 160 processes, one after the other
]


def killed(folder: Path, *options: str) -> list[int]:
    """What kill.py counted; it fails where a run does not open, lost a step, or goes on to another end."""
    script = str(Path(__file__).with_name("kill.py"))
    command = [sys.executable, "-W", "ignore::DeprecationWarning", script, str(folder), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [int(count) for count in re.findall(r"\d+", done.stdout)]


def test_killed_before_any_touch_of_a_file_a_run_opens_and_goes_on_to_the_same_end(tmp_path: Path) -> None:
    (events,) = killed(tmp_path)
    assert events > 40, "not all touches were seen"


def test_killed_at_random_instants_a_run_opens_and_goes_on_to_the_same_end(tmp_path: Path) -> None:
    kills, runs = killed(tmp_path, "2", "1")
    assert kills + runs > 0
