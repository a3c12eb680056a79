"""The command: ``python -m benchmarks coverage [--library NAME] [--name PART] [--minutes N] [--write]``."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from benchmarks.coverage import language, page, running, uses, vision
from benchmarks.coverage.network import Network

FILE = Path("build/coverage.jsonl")
PAGE = Path(__file__).parent.parent.parent / "docs" / "coverage.md"
PACKAGES = Path(sys.prefix) / "coverage"
"""Where packages may lie that only this command needs: ``pip install --no-deps --target .venv/coverage ...``."""
LIBRARIES: dict[str, Callable[[], Iterator[Network]]] = {
    "timm": vision.timm_networks,
    "torchvision": vision.torchvision_networks,
    "transformers": language.transformers_networks,
    "uses of torch": uses.uses,
}


def main(arguments: list[str]) -> int:
    """Examine what has not been examined yet, and write the page if asked to."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks coverage", description=__doc__)
    parser.add_argument("--library", action="append", choices=LIBRARIES, help="one of them only; may be repeated")
    parser.add_argument("--name", default="", help="networks whose name contains this")
    parser.add_argument("--file", type=Path, default=FILE, help="outcomes, one a line; what is there is not repeated")
    parser.add_argument("--minutes", type=float, default=600, help="stop after these; run again to go on")
    parser.add_argument("--again", action="store_true", help="examine again what was not right")
    parser.add_argument("--write", action="store_true", help="write docs/coverage.md from all outcomes")
    parser.add_argument("--list", action="store_true", help="list the networks")
    given = parser.parse_args(arguments)
    if PACKAGES.is_dir():
        sys.path.append(str(PACKAGES))
    if given.again:
        running.keep_right(given.file)
    torch.set_num_threads(1)
    until = time.monotonic() + 60 * given.minutes
    for library in given.library or LIBRARIES:
        found = [network for network in LIBRARIES[library]() if given.name in network.name]
        if given.list:
            print(library, len(found), " ".join(network.name for network in found))
        elif not running.examine_all(found, given.file, until=until):
            print("time is up: run the same command again to go on", file=sys.stderr)
            return 3
    if given.write:
        PAGE.write_text(page.page(running.outcomes(given.file).values()))
    return 0
