"""One case: a command in this process, and whether it said what was wrong as it should."""

from __future__ import annotations

import contextlib
import faulthandler
import io
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.targets import TARGETS

SECONDS, BYTES = 10, 2**30
"""What a case may take."""
OVER = f"over {BYTES:,} bytes"
CODES = {0, 1, 2, 3}
"""Done, a check found something, bad input, done in part."""


@dataclass(frozen=True)
class Result:
    """What became of a case.

    Attributes:
        target: The kind of input.
        seed: With the target, all that the case follows from.
        words: The command.
        fault: What was wrong with the answer; empty where nothing was.
    """

    target: str
    seed: int
    words: list[str]
    fault: str


class TooSlow(BaseException):
    """The time is over; no handler of exceptions may catch it."""


def try_case(target: str, seed: int, whole: Path) -> Result:
    """Make a case, run its command, look at the answer."""
    from axonometry.cli import main

    folder = Path(tempfile.mkdtemp(prefix="fuzz"))
    try:
        words = TARGETS[target].case(whole, folder, random.Random(f"{target} {seed}"))
        out, err = io.StringIO(), io.StringIO()
        begin, code, fault, memory = time.monotonic(), None, "", _Memory()
        try:
            with _without_training(), _limit(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = main(words)
        except TooSlow:
            fault = f"took over {SECONDS} s"
        except SystemExit as error:
            fault = f"SystemExit {error.code}"
        except BaseException:  # noqa: BLE001 - whatever comes out is what is looked for
            fault = traceback.format_exc(limit=-4)
        seconds = time.monotonic() - begin
        fault = fault or _fault(code, out.getvalue(), err.getvalue(), seconds, memory.needed())
        return Result(target, seed, words, fault)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _fault(code: int | None, out: str, err: str, seconds: float, needed: int) -> str:
    if code not in CODES:
        return f"exit code {code}"
    if "Traceback" in err or "Traceback" in out:
        return f"a traceback: {err[-500:]}"
    if (
        code == 2
        and "Usage: axonometry" not in out
        and len([line for line in err.splitlines() if line.startswith("Error:")]) != 1
    ):
        return f"exit code 2 without one line of error: {err[:300]!r}"
    if any(ord(char) < 32 and char != "\n" for char in err + out):
        return f"control characters on the terminal: {(err + out)[:300]!r}"
    if needed > BYTES:
        return OVER
    return f"took {seconds:.0f} s" if seconds > SECONDS else ""


class _Memory:
    """Bytes that the process needs from here on, whatever it needed at most before.

    Linux forgets the peak so far when asked to. Where it does not, only what goes over that peak is seen.
    """

    def __init__(self) -> None:
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
        self.peak = _peak()
        self.held = _status().get("VmRSS", self.peak)

    def needed(self) -> int:
        peak = _peak()
        return peak - self.held if peak > self.peak else 0


def _peak() -> int:
    return _status().get("VmHWM", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def _status() -> dict[str, int]:
    """Bytes that Linux tells of this process, by their names there; nothing elsewhere."""
    with contextlib.suppress(OSError):
        lines = (line.split() for line in Path("/proc/self/status").read_text().splitlines())
        return {words[0].rstrip(":"): int(words[1]) * 1024 for words in lines if words[2:] == ["kB"]}
    return {}


@contextlib.contextmanager
def _limit() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TooSlow

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    # What hangs in C sees no signal: the whole process ends, and the next one goes on behind the case.
    faulthandler.dump_traceback_later(3 * SECONDS, exit=True, file=sys.__stderr__)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def _without_training() -> Iterator[None]:
    """A damaged configuration may be a right one, of a training of hours: what is tried is how it is read."""
    from axonometry import populations

    kept = populations.train_population

    def read_only(configurations: object, *_: object, **__: object) -> object:
        from axonometry.errors import ConfigurationError

        raise ConfigurationError("configurations are only read here")

    populations.train_population = read_only  # type: ignore[assignment]
    try:
        yield
    finally:
        populations.train_population = kept


os.environ.setdefault("COLUMNS", "120")
