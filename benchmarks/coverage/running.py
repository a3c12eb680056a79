"""Networks examined one after the other, each in a process of its own with limits of time and memory; resumable."""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.coverage.examine import Outcome, examined
from benchmarks.coverage.network import Network

SECONDS = 60.0
BYTES = 12 * 2**30


def outcomes(file: Path, kind: type[Any] = Outcome) -> dict[tuple[str, str], Any]:
    """What earlier runs have found, by library and name."""
    lines = file.read_text().splitlines() if file.exists() else []
    found = [kind(**json.loads(line)) for line in lines]
    return {(outcome.library, outcome.name): outcome for outcome in found}


def keep_right(file: Path, kind: type[Any] = Outcome) -> None:
    """Forget the outcomes of networks that were built and not right."""
    kept = [outcome for outcome in outcomes(file, kind).values() if outcome.right or outcome.state == "not built"]
    file.write_text("".join(json.dumps(asdict(outcome)) + "\n" for outcome in kept))


def examine_all(
    networks: Iterable[Network],
    file: Path,
    *,
    until: float | None = None,
    examine: Callable[[Network], Any] = examined,
    kind: type[Any] = Outcome,
) -> bool:
    """Examine what the file does not have yet; whether all was done before ``until``, of ``time.monotonic``."""
    done = outcomes(file, kind)
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as log:
        for network in networks:
            if (network.library, network.name) in done:
                continue
            if until is not None and time.monotonic() > until:
                return False
            outcome = _apart(network, examine, kind)
            log.write(json.dumps(asdict(outcome)) + "\n")
            log.flush()
            state = "right" if outcome.right else outcome.state
            print(
                f"{network.library:12} {network.name:40} {state:9} {outcome.seconds:6.1f} s  {outcome.note[:150]}",
                file=sys.stderr,
            )
    return True


def _apart(network: Network, examine: Callable[[Network], Any], kind: type[Any]) -> Any:
    """The outcome from a forked process, which has all libraries at hand and cannot take this one down."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        _child(network, writing, examine)
    os.close(writing)
    text, deadline = b"", time.monotonic() + SECONDS
    while time.monotonic() < deadline and select.select([reading], [], [], max(deadline - time.monotonic(), 0))[0]:
        part = os.read(reading, 65536)
        if not part:
            break
        text += part
    os.close(reading)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    if text.endswith(b"\n"):
        return kind(**json.loads(text))
    late = time.monotonic() >= deadline
    reason = f"not done in {SECONDS:.0f} s" if late else f"ended without a word within {BYTES / 2**30:.0f} GiB"
    return kind(network.library, network.name, "failed", reason, seconds=SECONDS if late else 0.0)


def _child(network: Network, writing: int, examine: Callable[[Network], Any]) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    try:
        os.write(writing, json.dumps(asdict(examine(network))).encode() + b"\n")
    finally:
        os._exit(0)
