"""A run in one row: for the terminal, for JSON, and for the page."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from axonometry.cell_text import number
from axonometry.watch.forecasts import Forecast
from axonometry.watch.series import SeriesKey

if TYPE_CHECKING:
    from axonometry.watch.followed import FollowedRun
    from axonometry.watch.follower import FolderFollower


@dataclass(frozen=True)
class RunRow:
    """What is shown of a run.

    Attributes:
        run: Its name.
        state: Its state.
        step: The last step; None where there is none.
        steps: How many steps there are.
        planned_steps: How many were planned; None where nobody said.
        score: The last score; None where there is none.
        predicted: The predicted final accuracy; None where there is none.
        low: Lower end of its interval.
        high: Upper end.
        epochs: After how many epochs it was predicted.
        problem: What is wrong with the run, or why it has no prediction.
    """

    run: str
    state: str
    step: int | None
    steps: int
    planned_steps: int | None
    score: float | None
    predicted: float | None
    low: float | None
    high: float | None
    epochs: int | None
    problem: str | None

    @property
    def predicted_text(self) -> str:
        """The prediction with its interval; a dash where there is none.

        >>> RunRow("a", "running", 3, 4, 11, 0.5, 0.92, 0.9, 0.95, 3, None).predicted_text
        '0.92 (0.9 to 0.95)'
        """
        if self.predicted is None:
            return number(None)
        return f"{number(self.predicted)} ({number(self.low)} to {number(self.high)})"

    @property
    def step_text(self) -> str:
        """The last step, and how much of the plan is done.

        >>> RunRow("a", "running", 300, 4, 11, 0.5, None, None, None, None, None).step_text
        '300 (4 of 11)'
        """
        if self.planned_steps is None or self.step is None:
            return number(self.step)
        return f"{self.step} ({self.steps} of {self.planned_steps})"


def row_of(follower: FolderFollower, run: FollowedRun, score_name: str) -> RunRow:
    """The row of one run.

    Args:
        follower: Of its folder.
        run: The run.
        score_name: The scalar to show.
    """
    found = follower.forecasts.get(run.name)
    score = run.series.last.get(SeriesKey(score_name, ""))
    known = found if isinstance(found, Forecast) else None
    return RunRow(
        run=run.name,
        state=run.state,
        step=run.last_step,
        steps=run.n_steps,
        planned_steps=None if run.description is None else run.description.planned_steps,
        score=None if score is None else score.value,
        predicted=None if known is None else known.prediction,
        low=None if known is None else known.low,
        high=None if known is None else known.high,
        epochs=None if known is None else known.epochs,
        problem=run.problem or (found if isinstance(found, str) else None),
    )


def run_rows(follower: FolderFollower) -> list[RunRow]:
    """The rows of all runs, by name."""
    score = follower.score
    return [row_of(follower, run, score) for run in sorted(follower.runs, key=lambda run: run.name)]


def state_of(follower: FolderFollower) -> dict[str, Any]:
    """All that there is to show, for JSON."""
    return {
        "folder": follower.folder,
        "score": follower.score,
        "runs": [asdict(row) for row in run_rows(follower)],
        "alerts": [asdict(alert) for alert in follower.alerts.fired],
        "unmet": [str(rule) for rule in follower.unmet()],
        "problem": follower.problem,
    }
