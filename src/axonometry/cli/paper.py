"""``axonometry paper``: a paper's experiment, from training to report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from axonometry.cli.experiment import (
    Folder,
    MarkdownFile,
    Only,
    ScaleName,
    Seeds,
    Workers,
    carry_through,
)
from axonometry.cli.options import Data, Json, Report

if TYPE_CHECKING:
    from axonometry.experiments import Experiment

NAMES = "ictai2021, cikm2022, ijcai2024 or lin2025"


def paper(
    name: Annotated[str, typer.Argument(metavar="NAME", help=f"The paper: {NAMES}.")],
    *,
    scale: ScaleName = "small",
    only: Only = None,
    folder: Folder = None,
    report: Report = None,
    table: MarkdownFile = None,
    as_json: Json = False,
    seeds: Seeds = None,
    workers: Workers = None,
    data: Data = None,
) -> None:
    """Repeat a paper's experiment: train, measure, say which of its claims hold here.

    Every paper has the scales tiny (a minute or two on the digits), small (minutes to two hours on two cores) and full
    (the paper's sizes). Runs that are there already are not trained again.

    ictai2021: do accurate networks have other link weights, node strengths, layer fluctuations? cikm2022: do a few
    epochs of a network's graph tell how accurate it becomes? ijcai2024: do five measures tell networks of different
    size, type, task... apart? lin2025: neuron modes, linear maps and attraction basins in six experiments.
    """
    options = {"scale": scale, "only": only, "folder": folder, "seeds": seeds, "workers": workers, "data": data}
    carry_through(f"paper {name}", lambda: _load(name), options, report=report, table=table, as_json=as_json)


def _load(name: str) -> Experiment:
    from axonometry.papers import load_paper

    return load_paper(name)
