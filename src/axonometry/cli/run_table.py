"""Runs as rows of a table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from axonometry.cli import terminal
from axonometry.errors import AxonometryError


def run_row(path: Path, folder: Path) -> dict[str, Any]:
    """What a run has come to, or why it cannot be opened."""
    from axonometry.trajectory import load

    name = str(path.relative_to(folder)) if path != folder else str(path)
    try:
        trajectory = load(path)
        scalars = trajectory.scalars()
    except AxonometryError as error:
        return {
            "run": name,
            "steps": None,
            "planned_steps": None,
            "last_step": None,
            "accuracy": None,
            "state": "corrupt",
            "problem": str(error),
        }
    steps = trajectory.steps
    accuracy = scalars["accuracy"].dropna().tolist() if "accuracy" in scalars else []
    return {
        "run": name,
        "steps": len(steps),
        "planned_steps": trajectory.description.planned_steps,
        "last_step": steps[-1] if steps else None,
        "accuracy": accuracy[-1] if accuracy else None,
        "state": trajectory.state,
        "problem": None,
    }


def show_runs(rows: list[dict[str, Any]], folder: Path, *, as_json: bool) -> None:
    """A row a run, as a table or as JSON."""
    if as_json:
        terminal.show_json(rows)
        return
    terminal.show_table(
        ("run", "steps", "last step", "accuracy", "state"),
        ([row["run"], row["steps"], row["last_step"], row["accuracy"], row["state"]] for row in rows),
        f"{len(rows)} run{'s' * (len(rows) != 1)} in {folder}",
    )
