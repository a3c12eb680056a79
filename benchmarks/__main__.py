"""Run the measurements and print them as a table: ``python -m benchmarks [--write] [NAME...]``.

``python -m benchmarks coverage`` examines which architectures can be captured instead, and ``python -m benchmarks
symmetry`` whether exchanged neurons leave the outputs of each as they are.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path

import torch

from axonometry.errors import DataError
from benchmarks import (
    architectures,
    basins,
    callback,
    capturing,
    centrality,
    changes,
    checkpoints,
    divergence,
    grokking,
    live,
    localisation,
    loops,
    modes,
    products,
    recording,
    scale,
    science,
    shift,
    stacked,
    starting,
    symmetries,
    watch,
)
from benchmarks.coverage import command as coverage, symmetry
from benchmarks.sequences import verifying
from benchmarks.timing import Row

SECTIONS = {
    "capturing": capturing.capturing,
    "resnet-18": products.resnet_18,
    "resnet-50": products.resnet_50,
    "loops": loops.convolutional_network,
    "recording": recording.lenet_on_mnist,
    "callback": callback.callbacks,
    "dask": scale.on_dask,
    "centrality": centrality.lenet,
    "large-centrality": centrality.large,
    "recurrent": architectures.recurrent,
    "transformers": architectures.transformers,
    "divergence": divergence.gaussians,
    "divergence-laws": divergence.other_laws,
    "live": live.lenet_on_mnist,
    "modes": modes.measured,
    "stacked": stacked.lenets,
    "starting": starting.starting,
    "checkpoints": checkpoints.checkpoints,
    "checkpoint-graphs": checkpoints.graphs,
    "verify": verifying.verifying,
    "topology": science.topology,
    "catalogue": science.catalogue,
    "networks": science.networks,
    "centralities": science.centralities,
    "change-points": science.change_points_of_stationary_runs,
    "events": changes.events,
    "grokking": grokking.grokking,
    "shift": shift.planted,
    "localisation": localisation.receptive_fields,
    "basins": basins.lenet,
    "weight-noise": basins.stacking,
    "symmetries": symmetries.symmetries,
    "watch": watch.watching,
}
PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"


def main() -> int:
    """Measure, print, and write the page if asked to."""
    if sys.argv[1:2] == ["coverage"]:
        return coverage.main(sys.argv[2:])
    if sys.argv[1:2] == ["symmetry"]:
        return symmetry.main(sys.argv[2:])
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"what to measure, of: {', '.join(SECTIONS)}; all by default"
    )
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(SECTIONS)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are: {', '.join(SECTIONS)}")
    rows: list[Row] = []
    for name in arguments.names or SECTIONS:
        print(f"measuring {name} ...", file=sys.stderr)
        try:
            rows += SECTIONS[name]()
        except DataError as error:
            print(f"left out: {error}", file=sys.stderr)
    text = page(rows)
    print(text)
    if arguments.write:
        PAGE.write_text(text)
    return 0


def page(rows: list[Row]) -> str:
    """The measurements as a page of Markdown."""
    head = [
        "# Benchmarks",
        "",
        f"Measured {datetime.now(UTC):%Y-%m-%d} by `make bench` on {machine()}.",
        "Two things in turn in one run; medians over n pairs.",
        "",
        "| what | measured | goal | reached | n | times |",
        "| --- | --- | --- | --- | ---: | --- |",
    ]
    cells = [(r.what, r.measured, r.goal, _reached(r), str(r.n), r.detail) for r in rows]
    return "\n".join([*head, *(f"| {' | '.join(row)} |" for row in cells)]) + "\n"


def _reached(row: Row) -> str:
    if row.goal == "none":
        return "–"
    return "yes" if row.reached else "**no**"


def machine() -> str:
    """Processor, threads, Python and torch."""
    names = [line.split(":")[1].strip() for line in _cpuinfo() if line.startswith("model name")]
    processor = names[0] if names else platform.processor() or platform.machine()
    python, threads = platform.python_version(), torch.get_num_threads()
    return f"{processor}, {os.cpu_count()} cores, {threads} threads, Python {python}, torch {torch.__version__}"


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


if __name__ == "__main__":
    raise SystemExit(main())
