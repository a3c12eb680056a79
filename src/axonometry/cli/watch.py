"""``axonometry watch``: runs while they are recorded, as a local page or in the terminal."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from axonometry.cell_text import number
from axonometry.cli import terminal
from axonometry.cli.options import Json
from axonometry.errors import ConfigurationError

if TYPE_CHECKING:
    from axonometry.watch import AlertRule, FolderFollower
    from axonometry.watch.rows import RunRow

_PAUSE = 0.5
SHOWN_ALERTS = 5


def watch_command(
    folder: Annotated[Path, typer.Argument(help="Folder of runs, with all subfolders; it may still be empty.")],
    *,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the page; any free one by default.")] = 0,
    predictor: Annotated[Path | None, typer.Option(help="Predictor of final accuracy, written by predict fit.")] = None,
    alert: Annotated[
        list[str] | None,
        typer.Option(
            metavar="'NAME OP NUMBER'", help="What to tell, as 'dead > 0.3' or 'predicted < 0.6'; repeatable."
        ),
    ] = None,
    score: Annotated[
        str | None, typer.Option(help="The scalar that the table shows; accuracy, or the first one that there is.")
    ] = None,
    text: Annotated[bool, typer.Option("--text", help="A table in the terminal instead of a page.")] = False,
    once: Annotated[
        bool, typer.Option("--once", help="Print the table once, and end; exit code 1 if an alert holds.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Follow runs while they are recorded: curves, layers, predictions and alerts on a page of this machine.

    The page is for 127.0.0.1 alone, and for who has its address. Ctrl-C ends it; the runs go on.
    """
    with terminal.progress("Opening"):
        from axonometry.watch import FolderFollower
        from axonometry.watch.forecasts import Forecaster

        rules = _rules(alert or [], predicts=predictor is not None)
        forecaster = None if predictor is None else Forecaster(predictor)
        follower = FolderFollower(folder, rules=rules, score=score, forecaster=forecaster)
        if once:
            follower.read_all()
    if once:
        _show_once(follower, as_json=as_json)
        return
    try:
        if text or as_json:
            _follow(follower, as_json=as_json)
        else:
            from axonometry.watch.server import serve

            serve(follower, port, tell=_tell)
    except KeyboardInterrupt:
        raise terminal.Ended("Watching has ended; the runs go on.") from None


def _tell(line: str) -> None:
    terminal.say(line)
    sys.stdout.flush()  # whoever reads a pipe waits for the address


def _rules(texts: list[str], *, predicts: bool) -> list[AlertRule]:
    from axonometry.watch.rules import PREDICTED, AlertRule

    rules = [AlertRule.parse(text) for text in texts]
    for rule in rules:
        if rule.name.split(".")[0] == PREDICTED and not predicts:
            raise ConfigurationError(f"an alert on `{rule.name}` needs a predictor", "none", "Pass --predictor FILE")
    return rules


def _show_once(follower: FolderFollower, *, as_json: bool) -> None:
    from axonometry.watch.rows import run_rows, state_of

    if as_json:
        terminal.show_json(state_of(follower))
    elif not follower.runs:
        terminal.say(f"No runs in {follower.folder} so far.")
    else:
        rows = run_rows(follower)
        terminal.show_table(
            _heads(follower), (_cells(row, predicted=bool(follower.forecasts)) for row in rows), str(follower.folder)
        )
        for row in rows:
            if row.state == "corrupt":
                terminal.note(f"{row.run}: {row.problem}")
        for alert in follower.alerts.active:
            terminal.say(f"Alert: {alert}")
    for rule in follower.unmet() if follower.runs else ():
        terminal.note(f"No run has recorded `{rule.name}`, which an alert is about.")
    if follower.alerts.active:
        raise typer.Exit(terminal.FOUND)


def _follow(follower: FolderFollower, *, as_json: bool) -> None:
    """Until Ctrl-C: the table in place on a terminal, else a line for each change."""
    if sys.stdout.isatty() and not as_json:
        _follow_in_place(follower)
        return
    if not follower.runs and not as_json:
        terminal.say(f"No runs in {follower.folder} so far; waiting.")
    from axonometry.watch.rows import run_rows

    said: dict[str, RunRow] = {}
    told = 0
    while True:
        _advance(follower)
        for row in run_rows(follower):
            if row != said.get(row.run):
                said[row.run] = row
                _say_line(asdict(row), _line(row, follower), as_json=as_json)
        for alert in follower.alerts.fired:
            if alert.number > told:
                _say_line({"alert": asdict(alert)}, f"Alert: {alert}", as_json=as_json)
        told = follower.alerts.count
        sys.stdout.flush()
        time.sleep(_PAUSE)


def _follow_in_place(follower: FolderFollower) -> None:
    from axonometry.watch.rows import run_rows

    with terminal.in_place() as draw:
        shown: object = None
        while True:
            _advance(follower)
            # Where not all have room, those that are under way are seen.
            rows = sorted(run_rows(follower), key=lambda row: row.state != "running")
            alerts = [f"Alert: {alert}" for alert in follower.alerts.active[-SHOWN_ALERTS:]]
            lines = alerts if rows else [f"No runs in {follower.folder} so far; waiting."]
            if (rows, lines) != shown:
                shown = (rows, lines)
                draw(_heads(follower), [_cells(row, predicted=bool(follower.forecasts)) for row in rows], lines)
            time.sleep(_PAUSE)


def _advance(follower: FolderFollower) -> None:
    """Read what is new; predictions as far as they are due."""
    follower.look(1.0)
    follower.foresee_all()


def _heads(follower: FolderFollower) -> list[str]:
    predicted = ["predicted"] if follower.forecasts else []
    return ["run", "state", "step", follower.score, *predicted]


def _cells(row: RunRow, *, predicted: bool) -> list[object]:
    return [row.run, row.state, row.step_text, row.score, *([row.predicted_text] if predicted else [])]


def _line(row: RunRow, follower: FolderFollower) -> str:
    parts = [f"{row.run}: {row.state}"]
    parts += [] if row.step is None else [f"step {row.step_text}"]
    parts += [] if row.score is None else [f"{follower.score} {number(row.score)}"]
    parts += [] if row.predicted is None else [f"predicted {row.predicted_text}"]
    return ", ".join(parts) + (f": {row.problem}" if row.state == "corrupt" else "")


def _say_line(content: dict[str, object], line: str, *, as_json: bool) -> None:
    terminal.say(json.dumps(terminal.json_value(content), allow_nan=False) if as_json else line)
