"""``axonometry basins``: robustness of recorded networks to noise on inputs and weights."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from axonometry.cli import terminal
from axonometry.cli.options import Data, Json, Network, Report
from axonometry.errors import ConfigurationError, RunError
from axonometry.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from axonometry.metrics import Basin
    from axonometry.metrics.basins import Crossing
    from axonometry.report.basins_study import Choices, Planes, StepBasins


def basins_command(
    networks: Annotated[
        list[str],
        typer.Argument(
            help="Run folders, folders of runs, or FILE.py:NAME for a custom network (its code is run).",
            show_default=False,
        ),
    ],
    *,
    dataset: Annotated[str | None, typer.Option(help="Data set of custom networks and runs of an own loop.")] = None,
    network: Network = None,
    samples: Annotated[int, typer.Option(min=1, help="Number of test samples.")] = 500,
    steps: Annotated[int, typer.Option(min=1, help="Number of recorded steps, evenly spaced.")] = 1,
    threshold: Annotated[float, typer.Option(help="Accuracy that defines the basin's edge, between 0 and 1.")] = 0.5,
    precision: Annotated[float, typer.Option(help="Relative precision of amplitudes.")] = 0.02,
    draws: Annotated[
        int | None, typer.Option(min=2, help="Draws of noise; by default 16 on samples and 32 on weights.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Random seed.")] = 0,
    report: Report = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Measure attraction basins: the noise amplitude at which accuracy falls to the threshold, and sharpness.

    Noise is added to the samples, and to the weights in units of each layer's standard deviation.
    """
    found: list[StepBasins] = []
    planes: dict[str, Planes] = {}
    with terminal.progress("Starting") as move:
        from axonometry.report.basins_study import Choices, Planes

        choices = Choices(samples, steps, threshold, precision, draws, seed, network)
        for place in networks:
            of = _custom if ":" in place else _runs
            parts = of(place, dataset, choices, data, move)
            for basins_there, sections in parts:
                name = basins_there[0].run
                if name in planes:
                    raise RunError(f"two networks have the same name: {name}", "", "Rename one of the folders")
                found += basins_there
                planes[name] = sections() if report is not None else Planes(None, (), None, ())
    if as_json:
        terminal.show_json([_plain(one) for one in found])
    else:
        _show(found)
    for remark in dict.fromkeys(f"{one.run}: {remark}" for one in found for b in one.basins for remark in b.remarks):
        terminal.note(remark)
    if report is not None:
        with terminal.progress(f"Writing {report}"):
            from axonometry.report.basins import basins_page

            given = "" if dataset is None else f" --dataset {dataset}"
            given += "" if network is None else f" --network {network}"
            command = f"axonometry basins {' '.join(networks)}{given} --samples {samples} --steps {steps}"
            command += f" --threshold {threshold:g} --seed {seed} --report {report}"
            basins_page(found, planes, command=command).write(report)
        terminal.note(f"Wrote {report}")


def _runs(
    place: str, dataset: str | None, choices: Choices, data: Path | None, move: Progress
) -> Iterator[tuple[list[StepBasins], Callable[[], Planes]]]:
    """For every run in a folder: its basins, and a function that makes its planes."""
    from axonometry.populations.datasets import load_dataset
    from axonometry.report.basins_study import basins_of_run, planes_of
    from axonometry.trajectory import load_runs

    whose = data if dataset is None else load_dataset(dataset, data)
    for run in load_runs(place):
        yield list(basins_of_run(run, choices, whose, move)), partial(planes_of, run, choices, whose)


def _custom(
    place: str, dataset: str | None, choices: Choices, data: Path | None, move: Progress
) -> Iterator[tuple[list[StepBasins], Callable[[], Planes]]]:
    """The same of a custom network."""
    from axonometry.populations import datasets
    from axonometry.report.basins_study import Planes, basins_of_network, plane_of
    from axonometry.trajectory.network import network_at

    if dataset is None:
        raise ConfigurationError("a custom network needs a data set", "", "Pass --dataset")
    network, read = network_at(place), datasets.load_dataset(dataset, data)
    task = network, read.test_inputs[: choices.samples], read.test_labels[: choices.samples]
    yield [basins_of_network((place, 0), task, choices, move)], lambda: Planes(*plane_of(*task), None, ())


def _show(found: list[StepBasins]) -> None:
    heads = ("run", "step", "accuracy", "samples s*", "low", "high", "weights s*", "low", "high", "sharpness")
    rows = [
        [one.run, one.step, one.weights.network.clean, *_three(one.samples), *_three(one.weights), one.sharpness.value]
        for one in found
    ]
    terminal.show_table(heads, rows, "Noise amplitude at which accuracy falls to the threshold, with 95% intervals")
    if len({one.run for one in found}) > 1:
        return
    last = found[-1]
    classes = [
        [label, one.n, one.clean, *_three(last.samples, label), *_three(last.weights, label)]
        for label, one in last.weights.classes.items()
    ]
    terminal.show_table(("class", "n", *heads[2:-1]), classes, f"By class, step {last.step}")


def _three(basin: Basin | None, label: int | None = None) -> list[object]:
    """An amplitude and its interval; "none" where accuracy does not fall to the threshold."""
    if basin is None:
        return [None] * 3
    one = basin.network if label is None else basin.classes[label]
    return ["none", None, None] if one.state == "censored" else [one.amplitude, one.low, one.high]


def _plain(one: StepBasins) -> dict[str, Any]:
    from dataclasses import asdict

    spaces = {name: _basin(basin) for name, basin in (("samples", one.samples), ("weights", one.weights)) if basin}
    curvature = {"sharpness": asdict(one.sharpness), "scaled_sharpness": asdict(one.scaled)}
    return {"run": one.run, "step": one.step, **spaces, **curvature}


def _basin(basin: Basin) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        **asdict(basin.search),
        "network": _estimate(basin.network),
        "classes": {label: _estimate(one) for label, one in basin.classes.items()},
        "samples": terminal.records(basin.samples),
        "curves": terminal.records(basin.curves),
        "remarks": basin.remarks,
    }


def _estimate(one: Crossing) -> dict[str, Any]:
    from dataclasses import asdict

    return {**asdict(one), "reason": one.reason}
