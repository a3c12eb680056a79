"""``axonometry modes``: how the neurons of a network order samples, step by step."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from axonometry.cli import terminal
from axonometry.cli.networks import MOST_STEPS, recorded_graphs
from axonometry.cli.options import Data, Json, Network, Report
from axonometry.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from torch import Tensor

    from axonometry.program import NeuralGraph

SPARE = ("reversed", "saturated", "agreement", "weak", "neurons", "dead")
STEPS_SHOWN = 7


def modes_command(
    network: Annotated[
        str,
        typer.Argument(help="Run folder, or FILE.py:NAME for a custom network (its code is run)."),
    ],
    *,
    dataset: Annotated[str | None, typer.Option(help="Data set; that of the run by default.")] = None,
    code: Network = None,
    samples: Annotated[int, typer.Option(min=2, help="Number of test samples.")] = 1000,
    steps: Annotated[int, typer.Option(min=1, help="Number of recorded steps, evenly spaced.")] = MOST_STEPS,
    report: Report = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Measure neuron modes, rank distributions and linear truncation, layer by layer.

    A run is measured at several steps of its training.
    """
    with terminal.progress("Opening") as move:
        from axonometry.metrics.modes import modes_over_time

        found = _opened(network, _Task(code, dataset, samples, steps, data))
        table = modes_over_time(found.graphs, found.samples, found.labels, progress=move)
    if as_json:
        terminal.show_json({"network": network, **found.facts, "rows": terminal.records(table)})
    else:
        _show(network, table, found)
    if report is not None:
        with terminal.progress(f"Writing {report}"):
            _write(network + ("" if code is None else f" --network {code}"), table, found, report)
        terminal.note(f"Wrote {report}")


@dataclass(frozen=True)
class _Found:
    """A network at some steps, and its samples; without labels where its outputs are not classes."""

    graphs: dict[int, Callable[[], NeuralGraph]]
    samples: Tensor
    labels: Tensor | None
    facts: dict[str, Any]


@dataclass(frozen=True)
class _Task:
    """What a command was asked for, besides the network."""

    code: str | None
    dataset: str | None
    samples: int
    steps: int
    data: Path | None


def _opened(network: str, task: _Task) -> _Found:
    from axonometry.populations.datasets import load_dataset

    if Path(network).is_dir():
        run, graphs = recorded_graphs(Path(network), task.steps, task.code)
        name = task.dataset or (run.configuration or {}).get("dataset")
        if not isinstance(name, str):
            raise ConfigurationError(f"{network} does not say what its data set is", "", "Pass --dataset NAME")
        chosen = load_dataset(name, task.data)
    else:
        if task.dataset is None:
            raise typer.BadParameter("a custom network needs --dataset")
        chosen = load_dataset(task.dataset, task.data)
        graph = _captured(network, chosen.test_inputs[:1])
        graphs = {0: lambda: graph}
    samples = task.samples
    inputs, labels = chosen.test_inputs[:samples], chosen.test_labels[:samples]
    outputs = [group for group in next(iter(graphs.values()))().groups if group.role == "output"]
    classifies = len(outputs) == 1 and outputs[0].shape == (chosen.n_classes,)
    facts = {"dataset": chosen.name, "samples": len(inputs), "classes": chosen.n_classes if classifies else None}
    return _Found(graphs, inputs, labels if classifies else None, facts)


def _captured(place: str, example: Tensor) -> NeuralGraph:
    from axonometry.program import capture
    from axonometry.trajectory.network import network_at

    return capture(network_at(place).eval(), example)


def _show(network: str, table: pd.DataFrame, found: _Found) -> None:
    from axonometry.report.frames import widened

    last = max(found.graphs)
    at = f", step {last}" if len(found.graphs) > 1 else ""
    title = f"Modes of {network}{at}, {found.facts['samples']:,} samples of {found.facts['dataset']}"
    terminal.show_frame(by_layer(table[table["step"] == last]), title, spare=SPARE)
    if found.labels is None:
        terminal.note("No rank distributions: the outputs are not the classes of the data set.")
    elif len(found.graphs) > 1:
        gradients = table[(table["metric"] == "rank_gradient") & (table["statistic"] == "mean")]
        wide = widened(gradients, index="group", columns="step")
        shown = terminal.thinned_rows(wide.T.reset_index(), STEPS_SHOWN).set_index("step").T
        heads = [f"step {step}" for step in shown.columns]
        rows = [[group, *values] for group, values in zip(shown.index, shown.to_numpy().tolist(), strict=True)]
        terminal.show_table(
            ["layer", *heads], rows, "Gradient of the rank distribution, mean of the classes", spare=heads[1:-1]
        )


def by_layer(rows: pd.DataFrame) -> pd.DataFrame:
    """One row a layer: modes, gradient of the rank distribution, accuracy and error of the linear truncation."""
    wide = rows.pivot(index="group", columns=["metric", "statistic"], values="value")
    truncated = rows.loc[rows["metric"] == "linear_truncation", "group"]  # these begin with the inputs
    wide = wide.loc[list(dict.fromkeys([*truncated, *rows["group"]]))]
    modes = [name for name in wide.columns if name[0] == "neuron_modes"]
    others = {("rank_gradient", "mean"): "gradient", ("linear_truncation", "accuracy"): "linear accuracy"}
    others |= {("linear_truncation", name): name for name in ("agreement", "error")}
    names = {name: name[1].replace("_", " ") for name in modes} | {k: v for k, v in others.items() if k in wide}
    found = wide[list(names)]
    found.columns = list(names.values())
    return found.reset_index(names="layer")


def _write(network: str, table: pd.DataFrame, found: _Found, report: Path) -> None:
    from axonometry.metrics.modes import rank_distribution
    from axonometry.report.modes import modes_page

    last = max(found.graphs)
    rows = table[(table["metric"] == "rank_gradient") & (table["step"] == last)]
    densities = None
    if found.labels is not None and rows["value"].notna().any():  # a network that diverged has none
        densities = rank_distribution(found.graphs[last](), found.samples, found.labels, bins=25).densities()
    options = f"--dataset {found.facts['dataset']} --samples {found.facts['samples']} --steps {len(found.graphs)}"
    command = f"axonometry modes {network} {options} --report {report}"
    title = f"Modes of {network.partition(' --network ')[0]}"
    modes_page(table, densities, facts=found.facts, title=title, command=command).write(report)
