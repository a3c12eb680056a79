"""``axonometry analyze``: tables of any checkpoint's or run's links and neurons."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from axonometry.cli import terminal
from axonometry.cli.networks import graph_of_run
from axonometry.cli.options import Json, Report
from axonometry.progress import Progress

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
UNREAD_SHOWN = 10


def analyze_command(
    paths: Annotated[
        list[Path],
        typer.Argument(
            help="Run folders, checkpoint files (.safetensors, .pt, .pth, .bin, .ckpt, .npz), their index or folder.",
            show_default=False,
        ),
    ],
    *,
    report: Report = None,
    as_json: Json = False,
) -> None:
    """Show tables of link weights, and for runs of node strength and layer fluctuation over time.

    Checkpoints are read tensor by tensor and may be larger than memory. Code in them is not run. The exit
    code is 3 if a tensor of a file could not be read.
    """
    with terminal.progress("Opening") as move:
        found = [_run(path) if (path / "run.json").exists() else _checkpoint(path, move) for path in paths]
    if as_json:
        terminal.show_json([_plain(one) for one in found])
    else:
        for one in found:
            _show(one)
    if report is not None:
        with terminal.progress(f"Writing {report}"):
            _write(found, report)
        terminal.note(f"Wrote {report}")
    if any(one.get("unread") for one in found):
        raise typer.Exit(terminal.PARTIAL)


def _run(path: Path) -> dict[str, Any]:
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
    return {"path": path, "kind": "run", "step": step, "link_weights": links, **over_time}


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


def _checkpoint(path: Path, move: Progress) -> dict[str, Any]:
    from axonometry.checkpoints import open_checkpoint, weight_table
    from axonometry.checkpoints.scales import NOT_DONE

    checkpoint = open_checkpoint(path)
    frame = weight_table(checkpoint, progress=lambda done, total, name: move(done, total, f"Reading {name}"))
    not_scaled = frame.loc[frame["scale"] == NOT_DONE, "tensor"].tolist()
    return {
        "path": path,
        "kind": checkpoint.kind,
        "within": ".".join(checkpoint.keys_within),
        "left_out": checkpoint.left_out,
        "unread": [*checkpoint.unread, *not_scaled],
        "code_not_run": checkpoint.code,
        "link_weights": frame,
    }


def _show(found: dict[str, Any]) -> None:
    if found["link_weights"].empty:
        terminal.note(f"{found['path']} has no link weights: they were not recorded.")
    else:
        terminal.show_frame(
            _readable(found["link_weights"]), _title(found), spare=("shape", "kurtosis", "skewness", "count")
        )
    for metric, (_, title) in OVER_TIME.items():
        if len(found.get(metric, ())):
            _show_steps(found[metric], title)
    if found.get("left_out"):
        terminal.note(f"Not read from {found['path']}: {', '.join(found['left_out'])}")
    if found.get("unread"):
        names = ", ".join(found["unread"][:UNREAD_SHOWN])
        more = len(found["unread"]) - UNREAD_SHOWN
        terminal.note(
            f"Incomplete: {len(found['unread'])} tensors of {found['path']} are missing or are codes without their "
            f"scale: {names}" + (f" and {more} more" if more > 0 else "")
        )


def _show_steps(frame: pd.DataFrame, title: str) -> None:
    """A row a layer and a column a step: networks have many layers, and a few steps show the trend."""
    steps = terminal.thinned_rows(frame, STEPS_SHOWN).set_index("step").T
    heads = [f"step {step}" for step in steps.columns]
    rows = [[group, *values] for group, values in zip(steps.index, steps.to_numpy().tolist(), strict=True)]
    terminal.show_table(["layer", *heads], rows, title, spare=[*heads[1:-1:2], *heads[2:-1:2]])


def _title(found: dict[str, Any]) -> str:
    from axonometry.report.render import number

    frame = found["link_weights"]
    at = f"run, step {found['step']}" if found["kind"] == "run" else found["kind"]
    types = f", {frame['dtype'].iloc[0]}" if "dtype" in frame and frame["dtype"].nunique() == 1 else ""
    return f"Link weights of {found['path']} ({at}{types}, {number(frame['count'].sum())} in all)"


def _readable(frame: pd.DataFrame) -> pd.DataFrame:
    """Without uninformative columns: a dtype that all tensors share, a count of NaN that is 0 everywhere."""
    alike = [name for name in ("dtype",) if name in frame and frame[name].nunique() == 1]
    alike += ["scale"] if "scale" in frame and not frame["scale"].any() else []
    return frame.drop(columns=alike + ([] if frame["nonfinite"].any() else ["nonfinite"]))


def _plain(found: dict[str, Any]) -> dict[str, Any]:
    import pandas as pd

    return {name: terminal.records(part) if isinstance(part, pd.DataFrame) else part for name, part in found.items()}


def _write(found: list[dict[str, Any]], report: Path) -> None:
    from axonometry.report import Page

    command = f"axonometry analyze {' '.join(str(one['path']) for one in found)} --report {report}"
    if len(found) == 1 and found[0]["kind"] == "run":
        page = _run_page(found[0]["path"], command)
    else:
        tabs = tuple(tab for one in found for tab in _tabs(one))
        page = Page("Weights", ", ".join(str(one["path"]) for one in found), tabs, command=command)
    page.write(report)


def _tabs(found: dict[str, Any]) -> list[Tab]:
    from axonometry.report import Tab
    from axonometry.report.analysis import weights_tab

    name = found["path"].resolve().name
    if found["kind"] == "run":
        return [Tab(f"{name}: {tab.name}", tab.blocks) for tab in _run_page(found["path"], "").tabs]
    return [weights_tab(found["link_weights"], name=name)]


def _run_page(path: Path, command: str) -> Page:
    from axonometry.report.analysis import run_page
    from axonometry.trajectory import load

    run = load(path)
    return run_page(run, network=graph_of_run(run), command=command)
