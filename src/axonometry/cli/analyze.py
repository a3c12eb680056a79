"""``axonometry analyze``: tables of any checkpoint's or run's links and neurons."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from axonometry.cli import checkpoints, terminal
from axonometry.cli.networks import graph_of_run
from axonometry.cli.options import Json, Report

if TYPE_CHECKING:
    import pandas as pd

    from axonometry.report import Page, Tab

OVER_TIME = {
    "node_strength": ("mean", "Node strength, mean of each layer"),
    "layer_fluctuation": ("value", "Layer fluctuation"),
    "neuron_strength": ("mean", "Neuron strength, mean of each layer over samples"),
    "neuron_activation": ("mean", "Neuron activation, mean of each layer over samples"),
}
"""What is shown of a run step by step: measure, statistic, title."""

COUNTS = ("count", "nonfinite")
STEPS_SHOWN = 7


def analyze_command(
    paths: Annotated[
        list[Path],
        typer.Argument(
            help="Run folders; files of weights (safetensors, torch, numpy, Keras, ONNX, GGUF), their index or folder.",
            show_default=False,
        ),
    ],
    *,
    depth: Annotated[int | None, typer.Option(min=1, help="Rows by module: so many parts of the names.")] = None,
    layers: Annotated[list[str] | None, typer.Option(metavar="PATTERN", help="Only these tensors or modules.")] = None,
    exclude: Annotated[list[str] | None, typer.Option(metavar="PATTERN", help="Not these tensors or modules.")] = None,
    spectra: Annotated[
        bool, typer.Option("--spectra", help="Spectral norm and stable rank too; takes longer.")
    ] = False,
    fail_on: Annotated[
        list[str] | None, typer.Option(metavar="KIND", help="Exit code 1 on findings of this kind, or any.")
    ] = None,
    graph: Annotated[
        bool, typer.Option("--graph", help="Measures of the network as a graph, by config.json or --network.")
    ] = False,
    network: Annotated[
        str | None,
        typer.Option(
            metavar="FILE.py:NAME",
            help="Gives the network and an example (of a run, the network will do); its code is run. Implies --graph.",
        ),
    ] = None,
    report: Report = None,
    as_json: Json = False,
) -> None:
    """Show what checkpoints are, their tables and findings; of runs, node strength and layer fluctuation over time.

    Checkpoints are read tensor by tensor and may be larger than memory. Code in them is not run. The exit
    code is 1 on a finding of a kind that --fail-on names, and 3 if a tensor of a file could not be read.
    """
    choice = checkpoints.Choice(
        depth, layers or (), exclude or (), spectra, graph or network is not None, network, report is not None
    )
    failing = checkpoints.failing_kinds(fail_on or ())
    found: list[dict[str, Any]] = []
    with terminal.progress("Opening") as move:
        for path in paths:
            is_run = (path / "run.json").exists()
            found += [_run(path, network)] if is_run else checkpoints.read_checkpoints(path, move, choice)
    if as_json:
        terminal.show_json([_plain(one) for one in found])
    else:
        for one in found:
            _show(one) if one["kind"] == "run" else checkpoints.show_checkpoint(one)
    if report is not None:
        with terminal.progress(f"Writing {report}"):
            _write(found, report, network)
        terminal.note(f"Wrote {report}")
    if any(finding["kind"] in failing for one in found for finding in one.get("findings", ())):
        raise typer.Exit(terminal.FOUND)
    if any(one.get("unread") for one in found):
        raise typer.Exit(terminal.PARTIAL)


def _run(path: Path, network: str | None) -> dict[str, Any]:
    from axonometry.report.definitions import convention
    from axonometry.report.references import fluctuation_rows, weight_rows
    from axonometry.trajectory import load

    run = load(path)
    links = _table(run.metrics, "link_weights", index="group", columns="statistic", step=run.steps[-1:])
    over_time = {
        metric: _table(run.metrics, metric, index="step", columns="group", statistic=statistic)
        for metric, (statistic, _) in OVER_TIME.items()
        if not metric.startswith("neuron_") or metric in run.description.measures
    }
    # A table of a stranger's may count what is no number.
    counts = [name for name in COUNTS if name in links and links[name].abs().lt(2**53).all()]
    links = links.rename(columns={"group": "synapse"}).astype(dict.fromkeys(counts, int))
    step = run.steps[-1] if run.steps else None
    conventions = {metric: convention(metric) for metric in ("link_weights", *OVER_TIME) if convention(metric)}
    facts = {"path": path, "kind": "run", "step": step, "conventions": conventions}
    references = {
        "fluctuation": fluctuation_rows(run, graph_of_run(run, network)) if run.steps else [],
        "weights": weight_rows(run) if run.steps else [],
    }
    return {**facts, "link_weights": links, **over_time, "references": references}


def _table(
    metrics: pd.DataFrame,
    metric: str,
    *,
    index: str,
    columns: str,
    step: tuple[int, ...] | None = None,
    statistic: str | None = None,
) -> pd.DataFrame:
    """The rows of one measure as a wide frame, rows and columns in the order in which they were recorded."""
    from axonometry.report.frames import widened

    rows = metrics[metrics["metric"] == metric]
    if step is not None:
        rows = rows[rows["step"].isin(step)]
    if statistic is not None:
        rows = rows[rows["statistic"] == statistic]
    return widened(rows, index=index, columns=columns).rename_axis(columns=None).reset_index()


def _show(found: dict[str, Any]) -> None:
    if found["link_weights"].empty:
        terminal.note(f"{found['path']} has no link weights: they were not recorded.")
    else:
        terminal.show_frame(
            _readable(found["link_weights"]), _title(found), spare=("shape", "kurtosis", "skewness", "count")
        )
    for metric, (_, title) in OVER_TIME.items():
        if len(found.get(metric, ())):
            beside = found["references"]["fluctuation"] if metric == "layer_fluctuation" else []
            _show_steps(found[metric], f"{title}{_counted(metric)}", beside)
    if found["references"]["weights"]:
        rows = found["references"]["weights"]
        title = "How far sums of a weight's rows and columns differ, before (first step) and of shuffled weights"
        spare = ("columns_shuffled", "rows_shuffled", "columns_before", "rows_before")
        terminal.show_table(rows[0], (row.values() for row in rows), title, spare=spare)


def _show_steps(frame: pd.DataFrame, title: str, beside: list[dict[str, Any]]) -> None:
    """A row a layer and a column a step: networks have many layers, and a few steps show the trend.

    Args:
        frame: A row a step.
        title: Of the table.
        beside: What the last step is held against, by layer.
    """
    steps = terminal.thinned_rows(frame, STEPS_SHOWN).set_index("step").T
    heads = [f"step {step}" for step in steps.columns]
    against = {row["layer"]: [row["shuffled"], row["z"]] for row in beside if row["shuffled"] is not None}
    rows = [
        [group, *values, *(against.get(group, [None, None]) if against else [])]
        for group, values in zip(steps.index, steps.to_numpy().tolist(), strict=True)
    ]
    more = ["shuffled", "z"] if against else []
    terminal.show_table(["layer", *heads, *more], rows, title, spare=[*heads[1:-1:2], *heads[2:-1:2]])


def _counted(metric: str) -> str:
    from axonometry.report.definitions import convention

    words = convention(metric)
    return f" ({words})" if words else ""


def _title(found: dict[str, Any]) -> str:
    from axonometry.cell_text import number

    count = number(found["link_weights"]["count"].sum())
    at = f"run, step {found['step']}, {count} in all"
    return f"Link weights of {found['path']} ({at}){_counted('link_weights')}"


def _readable(frame: pd.DataFrame) -> pd.DataFrame:
    """Without a count of NaN that is 0 everywhere."""
    return frame if frame["nonfinite"].any() else frame.drop(columns="nonfinite")


def _plain(found: dict[str, Any]) -> dict[str, Any]:
    """For JSON: frames, which runs have, as lists of rows."""
    parts = {name: part for name, part in found.items() if name != "histograms"}
    return {name: terminal.records(part) if hasattr(part, "columns") else part for name, part in parts.items()}


def _write(found: list[dict[str, Any]], report: Path, network: str | None) -> None:
    from axonometry.report import Page

    words = ["axonometry", "analyze", *(str(one["path"]) for one in found), "--report", str(report)]
    command = shlex.join(words + (["--network", network] if network else []))
    if len(found) == 1 and found[0]["kind"] == "run":
        page = _run_page(found[0]["path"], command, network)
    elif not any(one["kind"] == "run" for one in found):
        from axonometry.report.weights import weights_page

        page = weights_page(found, command=command)
    else:
        tabs = tuple(tab for one in found for tab in _tabs(one, network))
        page = Page("Weights", ", ".join(str(one["path"]) for one in found), tabs, command=command)
    page.write(report)


def _tabs(found: dict[str, Any], network: str | None) -> list[Tab]:
    from axonometry.report import Tab
    from axonometry.report.analysis import weights_tab

    name = found["path"].resolve().name
    if found["kind"] == "run":
        return [Tab(f"{name}: {tab.name}", tab.blocks) for tab in _run_page(found["path"], "", network).tabs]
    import pandas as pd

    return [weights_tab(pd.DataFrame(found["link_weights"]), name=name)]


def _run_page(path: Path, command: str, network: str | None) -> Page:
    from axonometry.report.analysis import run_page
    from axonometry.trajectory import load

    run = load(path)
    return run_page(run, network=graph_of_run(run, network), command=command)
