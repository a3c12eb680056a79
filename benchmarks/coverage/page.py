"""The page docs/coverage.md, from the outcomes."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

from benchmarks.coverage.examine import Outcome

ORDER = ("timm", "transformers", "torchvision", "uses of torch")
PACKAGES = ("torch", "timm", "transformers", "torchvision")
HEAD = """# Coverage

Which networks can be captured, and whether what is captured is right. Written by `python -m benchmarks coverage --write` on {date}:
{machine}, Python {python}, {versions}.

Every network is small and randomly initialised: one of each family of timm's modules and of torchvision's, the base model of each
architecture of transformers from its own configuration with small numbers, and a list of ordinary and odd uses of torch
(`benchmarks/coverage/uses.py`). Each is examined in a process of its own, in 60 s and 12 GiB.

A network is **right** if it is captured; `<A x, y>` equals `<x, A' y>` for random x and y; every pre-activation that is the result of a
layer of torch.nn, and every output, of two samples in the live reading equals what hooks see in the module itself (of the largest value,
within 0.2 %, or two roundings of bfloat16 where the module itself computes in it); and no parameter is unclaimed that the output has a gradient by. `left out` are parameters that the forward pass of the example
does not use. Networks that draw random numbers in evaluation by design are captured with `randomness="fix"`, and their values
are not compared. Networks that do not run by themselves with small numbers, or without packages that are missing here, are not counted,
nor are those that a run cut short has not come to. Outcomes are kept between runs: a network that was right is not examined again when
the code has changed since, unless the file of outcomes (`build/coverage.jsonl`) is deleted.

| library | networks | captured | right | share captured | pre-activations and outputs compared | parameters left out | not built |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
{rows}
"""


def page(outcomes: Iterable[Outcome]) -> str:
    """The page as Markdown."""
    found = sorted(outcomes, key=lambda o: (ORDER.index(o.library), o.name))
    built = [outcome for outcome in found if outcome.state != "not built"]
    libraries = [name for name in ORDER if any(outcome.library == name for outcome in built)]
    rows = [_row(name, [o for o in found if o.library == name]) for name in libraries]
    three = [outcome for outcome in found if outcome.library != ORDER[-1]]
    rows.append(_row("**all architectures**", three))
    now = {"date": f"{datetime.now(UTC):%Y-%m-%d}", "machine": f"{platform.machine()}, {os.cpu_count()} cores"}
    head = HEAD.format(**now, python=platform.python_version(), versions=versions(), rows="\n".join(rows))
    parts = [head, _table("What is not captured, or not right", (o for o in built if not o.right))]
    parts.append(_table("Captured, with a remark", (o for o in built if o.right and o.reason)))
    missing = ", ".join(f"{o.name} ({o.library})" for o in found if o.state == "not built")
    parts.append(f"## Not built\n\n{missing}.\n")
    return "\n".join(parts)


def versions() -> str:
    found = []
    for package in PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)


def _row(name: str, outcomes: list[Outcome]) -> str:
    built = [outcome for outcome in outcomes if outcome.state != "not built"]
    captured = [outcome for outcome in built if outcome.state == "captured"]
    numbers = [len(built), len(captured), sum(outcome.right for outcome in built)]
    share = f"{100 * len(captured) / max(len(built), 1):.1f} %"
    sums = [sum(o.compared for o in built), sum(o.unclaimed for o in built), len(outcomes) - len(built)]
    return f"| {' | '.join([name, *map(str, numbers), share, *map(str, sums)])} |"


def _table(title: str, outcomes: Iterable[Outcome]) -> str:
    lines = [f"| {o.library} | {o.name} | {o.state} | {_why(o)} |" for o in outcomes]
    return "\n".join([f"## {title}", "", "| library | network | | why |", "| --- | --- | --- | --- |", *lines, ""])


def _why(outcome: Outcome) -> str:
    """The reason without what all errors have in common."""
    if outcome.state == "captured" and not outcome.reason:
        parts = [f"unclaimed: {', '.join(outcome.lost[:3])}" if outcome.lost else ""]
        parts.append(f"differ: {', '.join(outcome.wrong[:3])}" if outcome.wrong else "")
        return "; ".join(part for part in parts if part) or f"adjoint {outcome.adjoint:.1e}"
    text = outcome.reason.split("; got ", 1)[-1].replace("|", "\\|")
    return f"`{text[:200]}`" if outcome.state != "captured" else text
