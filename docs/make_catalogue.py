"""The page that compares all measures: trains its populations, or finds them, and reads the experiment from them.

    python docs/make_catalogue.py FOLDER --data DATA

writes docs/results/catalogue.md. Runs and tables are kept in FOLDER: the same command resumes.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch

from axonometry.experiments import run_on, write_markdown
from axonometry.experiments.catalogue import CATALOGUE_COMPARED, CatalogueOptions
from axonometry.populations import RunConfiguration, draw_hard_grid, load_population, train_population
from axonometry.zoo.making import PRESETS

PAGE = Path(__file__).parent / "results/catalogue.md"
OPTIONS = CatalogueOptions(epochs=(0, 1), slow_networks=16, drawn_networks=8)
"""Fewer networks than usual for what takes seconds, and fewer epochs: an hour of a core."""
COMMON = {"dataset": "fashion-mnist-14", "test_fraction": 0.2, "epochs": 5}


def configurations() -> dict[str, tuple[RunConfiguration, ...]]:
    """The networks by population: hyper-parameters drawn at random, of which about half learn something."""
    mlps = draw_hard_grid(range(600_000, 600_060), family="mlp", widths=(64, 32), train_fraction=0.1, **COMMON)
    residual = draw_hard_grid(range(610_000, 610_030), family="resnet-8", width=0.25, train_fraction=0.03, **COMMON)
    return {
        "lenet": PRESETS["lenet14"].configurations(100),
        "mlp": mlps,
        "resnet-8": tuple(replace(one, batch_size=max(32, one.batch_size)) for one in residual),
    }


def main() -> None:
    """Train and measure what is not there yet, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where runs and tables go")
    parser.add_argument("--data", help="folder of the image data; $AXONOMETRY_DATA where it is left out")
    parser.add_argument("--only", action="append", choices=list(configurations()), help="a population; all by default")
    given = parser.parse_args()
    torch.set_num_threads(1)
    populations = {}
    chosen = {name: several for name, several in configurations().items() if name in (given.only or configurations())}
    for name, several in chosen.items():
        train_population(several, given.folder / name, workers=1, data=given.data, measures=("link_weights",))
        populations[name] = load_population(given.folder / name)
    results = run_on(
        CATALOGUE_COMPARED,
        populations,
        tables=given.folder / "tables",
        options=OPTIONS,
        data=given.data,
    )
    words = "".join(f" --only {name}" for name in given.only or ())
    write_markdown(results, PAGE, command=f"python docs/make_catalogue.py FOLDER{words}")


if __name__ == "__main__":
    main()
