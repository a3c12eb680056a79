"""What holds for every command: help, exit codes, one line for an error, documentation."""

from __future__ import annotations

import inspect
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.main import get_command

from axonometry.cli import app

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCUMENTATION = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
AXONOMETRY = [sys.executable, "-m", "axonometry"]


def commands(group=None, path: str = "axonometry") -> Iterator[tuple[str, object]]:
    """Every command with its full name."""
    for name, command in (group or get_command(app)).commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


COMMANDS = dict(commands())


def test_help_is_quick_and_imports_no_heavy_library() -> None:
    code = (
        "import sys, time\n"
        "from axonometry.cli import main\n"
        "assert main(['--help']) == 0\n"
        "heavy = {'torch', 'pandas', 'numpy', 'scipy', 'plotly', 'sklearn', 'pyarrow'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "assert time.process_time() < 1, time.process_time()\n"  # 0.2 s; the machine may be busy with other things
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(run, name: str) -> None:
    outcome = run(*name.split()[1:], "--help")
    assert outcome.code == 0
    assert "Usage: axonometry" in outcome.out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_is_documented(name: str) -> None:
    section = re.search(rf"^## {re.escape(name)}\b.*?(?=^## |\Z)", DOCUMENTATION, re.MULTILINE | re.DOTALL)
    assert section is not None, f"docs/cli.md has no section on {name}"
    options = [option for parameter in COMMANDS[name].params for option in parameter.opts if option.startswith("--")]
    assert [option for option in options if option != "--help" and option not in section.group()] == []


def test_nothing_is_documented_that_does_not_exist() -> None:
    assert set(re.findall(r"^## (axonometry [a-z0-9 ]*[a-z0-9])", DOCUMENTATION, re.MULTILINE)) == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_prints_json(name: str) -> None:
    assert "as_json" in inspect.signature(COMMANDS[name].callback).parameters


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["nothing"], "Error: No such command 'nothing'."),
        (["analyze"], "Error: Missing argument 'paths'."),
        (["analyze", "no/such.pt"], "Error: no such file or folder: no/such.pt. Check the path."),
        (["runs", "show", "no/such"], "Error: no such folder: no/such. Check the path."),
        (["runs", "list", "no/such"], "Error: no such folder: no/such. Check the path."),
        (["runs", "verify", "no/such"], "Error: no such folder: no/such. Check the path."),
        (["runs", "train", "--size", "huge"], "Error: `size` of fully-connected is one of small, medium, big;"),
        (["runs", "train", "--count", "0"], "Error: Invalid value for '--count'"),
        (["paper", "ictai2021", "--scale", "huge"], "Error: no such scale: huge."),
        (["paper", "nobody"], "Error: no such paper: nobody."),
        (["experiment", "nothing.py"], "Error: an experiment is named by FILE.py:NAME; got 'nothing.py'."),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(run, words: list[str], line: str) -> None:
    outcome = run(*words)
    assert outcome.code == 2
    assert outcome.out == ""
    assert outcome.err.startswith(line)
    assert outcome.err.count("\n") == 1


@pytest.mark.parametrize("words", [[], ["runs"]])
def test_a_missing_command_shows_the_help(run, words: list[str]) -> None:
    outcome = run(*words)
    assert outcome.code == 2
    assert "Usage: axonometry" in outcome.out
    assert outcome.err == ""


def test_version(run) -> None:
    assert re.fullmatch(r"axonometry \d+\.\d+\.\d+\n", run("--version").out)


def test_bad_input_in_a_process_of_its_own() -> None:
    done = subprocess.run([*AXONOMETRY, "analyze", "no/such.pt"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: no such file or folder")
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX")
def test_ctrl_c_exits_130_and_keeps_what_was_finished(tmp_path: Path) -> None:
    words = ["runs", "train", "--count", "40", "--epochs", "5", "--workers", "1", "--folder", str(tmp_path / "runs")]
    process = subprocess.Popen([*AXONOMETRY, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        # Two processes import torch before the first run is whole: on a busy machine that takes minutes.
        deadline = time.monotonic() + 300
        while not list(tmp_path.glob("runs/*/metrics.parquet")):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline, "no run was finished in time"
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()
    assert (process.returncode, out) == (130, "")
    # Not always the last line: on a busy machine Python's resource tracker may still say that it cleaned up semaphores.
    assert "Interrupted. Finished work is kept; the same command resumes." in err.splitlines()
    assert "Traceback" not in err
    assert list(tmp_path.glob("runs/*/metrics.parquet"))
