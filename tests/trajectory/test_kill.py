"""A training that is killed: SIGKILL before every single touch of a file, and at random instants."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork and SIGKILL")
def test_a_killed_run_opens_at_its_last_whole_step_and_goes_on_to_the_same_end(tmp_path: Path) -> None:
    script = Path(__file__).with_name("kill.py")
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", str(script), str(tmp_path), "4", "1"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = re.search(r"(\d+) events\n(\d+) kills, (\d+) runs", done.stdout)
    assert found, done.stdout
    assert int(found[1]) > 40, "the file events were not seen"
    assert int(found[2]) > 0
