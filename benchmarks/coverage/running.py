"""Networks examined one after the other, each in a process of its own with limits of time and memory; resumable."""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from benchmarks.coverage.examine import Outcome, examined
from benchmarks.coverage.network import Network

SECONDS = 60.0
BYTES = 12 * 2**30


def outcomes(file: Path) -> dict[tuple[str, str], Outcome]:
    """What earlier runs have found, by library and name."""
    lines = file.read_text().splitlines() if file.exists() else []
    found = [Outcome(**json.loads(line)) for line in lines]
    return {(outcome.library, outcome.name): outcome for outcome in found}


def keep_right(file: Path) -> None:
    """Forget the outcomes of networks that were built and not right."""
    kept = [outcome for outcome in outcomes(file).values() if outcome.right or outcome.state == "not built"]
    file.write_text("".join(json.dumps(asdict(outcome)) + "\n" for outcome in kept))


def examine_all(networks: Iterable[Network], file: Path, *, until: float | None = None) -> bool:
    """Examine what the file does not have yet; whether all was done before ``until``, of ``time.monotonic``."""
    done = outcomes(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as log:
        for network in networks:
            if (network.library, network.name) in done:
                continue
            if until is not None and time.monotonic() > until:
                return False
            outcome = _apart(network)
            log.write(json.dumps(asdict(outcome)) + "\n")
            log.flush()
            state = "right" if outcome.right else outcome.state
            note = outcome.reason[:150] or ", ".join([*outcome.lost, *outcome.wrong])[:150]
            print(f"{network.library:12} {network.name:40} {state:9} {outcome.seconds:6.1f} s  {note}", file=sys.stderr)
    return True


def _apart(network: Network) -> Outcome:
    """The outcome from a forked process, which has all libraries at hand and cannot take this one down."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        _child(network, writing)
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
        return Outcome(**json.loads(text))
    late = time.monotonic() >= deadline
    reason = f"not done in {SECONDS:.0f} s" if late else f"ended without a word within {BYTES / 2**30:.0f} GiB"
    return Outcome(network.library, network.name, "failed", reason, seconds=SECONDS if late else 0.0)


def _child(network: Network, writing: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    try:
        os.write(writing, json.dumps(asdict(examined(network))).encode() + b"\n")
    finally:
        os._exit(0)
