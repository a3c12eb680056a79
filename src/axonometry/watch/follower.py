"""All runs of a folder, followed."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

from axonometry.errors import RunError
from axonometry.trajectory.folders import runs_in
from axonometry.watch.alerts import Alerts
from axonometry.watch.followed import FollowedRun
from axonometry.watch.forecasts import Forecast, Forecaster
from axonometry.watch.rules import PREDICTED, AlertRule
from axonometry.watch.series import SeriesKey, Value

DEFAULT_SCORE = "accuracy"
_WALK = 1.0
_WALK_SHARE = 10


class FolderFollower:
    """Follows the runs of a folder and its subfolders.

    Args:
        folder: A folder of runs, which may still be empty, or a run.
        rules: Of alerts.
        score: The scalar that is shown of every run; None for accuracy, or where no run has it, the first scalar.
        forecaster: Predicts final accuracies.

    Attributes:
        folder: As given.
        runs: All runs that were ever seen, in the order in which they were found; none is taken away.
        alerts: What fired.
        forecasts: Predictions, or why there is none, by run.
        problem: Why runs cannot be looked for.

    Raises:
        RunError: There is no such folder, or it holds too many folders that are no runs.
    """

    def __init__(
        self,
        folder: Path,
        *,
        rules: Iterable[AlertRule] = (),
        score: str | None = None,
        forecaster: Forecaster | None = None,
    ) -> None:
        if not folder.is_dir():
            raise RunError(f"no such folder: {folder}", "", "Check the path")
        self.folder = folder
        self.runs: list[FollowedRun] = []
        self.alerts = Alerts(rules)
        self.forecasts: dict[str, Forecast | str] = {}
        self.problem: str | None = None
        self._score, self._forecaster = score, forecaster
        self._foreseen: dict[str, tuple[int, int]] = {}
        self._known: set[Path] = set()
        self._walk_at, self._turn = 0.0, 0
        self._walk()

    @property
    def score(self) -> str:
        """The name of the scalar that is shown of every run."""
        if self._score is not None:
            return self._score
        scalars = {key.name for run in self.runs for key in run.series.last if not key.layer}
        measures = {name for run in self.runs if run.description for name in run.description.measures}
        others = [name for name in sorted(scalars) if name.split(".")[0] not in measures and name != "epoch"]
        return DEFAULT_SCORE if DEFAULT_SCORE in scalars or not others else others[0]

    @property
    def predicts(self) -> bool:
        """Whether final accuracies are predicted."""
        return self._forecaster is not None

    def look(self, seconds: float = 0.2) -> bool:
        """Read what is new in all runs, for about so many seconds.

        Returns:
            Whether there is more than was read.
        """
        begun = time.monotonic()
        if begun >= self._walk_at:
            self._walk()
        end = begun + seconds
        more = self._look_at_all(end)
        # One after the other: in turns, the curves of all runs would come at the same late moment.
        for run in self.runs:
            while not run.caught_up and self._look_at(run):
                if time.monotonic() > end:
                    return True
        return more

    def read_all(self) -> None:
        """Read all that there is now, and predict."""
        while self.look(60.0):
            pass
        self.foresee_all()

    def foresee_all(self) -> None:
        """Predict for all runs whose prediction is due."""
        for run in self.unforeseen():
            steps = len(run.series.steps)
            self.foresee(run, self.forecast(run), steps)

    def unforeseen(self) -> list[FollowedRun]:
        """Runs with new steps since their accuracy was predicted, or whose prediction is due."""
        if self._forecaster is None:
            return []
        return [run for run in self.runs if run.caught_up and run.series.steps and self._due(run)]

    def forecast(self, run: FollowedRun) -> Forecast | str:
        """The prediction for a run, or why there is none; nothing of this object is changed."""
        if self._forecaster is None:
            return "no predictor"
        return self._forecaster.forecast(run.folder)

    def foresee(self, run: FollowedRun, found: Forecast | str, steps: int) -> None:
        """Keep a prediction, and judge it.

        Args:
            run: The run.
            found: The prediction, or why there is none.
            steps: How many steps there were when it was asked for.
        """
        self.forecasts[run.name] = found
        self._foreseen[run.name] = (run.generation, steps)
        if isinstance(found, Forecast) and run.series.steps:
            numbers = (
                (PREDICTED, found.prediction),
                (f"{PREDICTED}.low", found.low),
                (f"{PREDICTED}.high", found.high),
            )
            step = run.series.steps[-1]
            self.alerts.judge(run.name, [Value(SeriesKey(name, ""), step, value) for name, value in numbers])

    def unmet(self) -> list[AlertRule]:
        """Rules about what no run has recorded so far."""
        names = {key.name for run in self.runs for key in run.series.last}
        names |= {PREDICTED, f"{PREDICTED}.low", f"{PREDICTED}.high"} if self._forecaster is not None else set()
        return [rule for rule in self.alerts.rules if not any(rule.is_of(name) for name in names)]

    def _due(self, run: FollowedRun) -> bool:
        generation, steps = self._foreseen.get(run.name, (-1, 0))
        found = self.forecasts.get(run.name)
        if generation == run.generation and isinstance(found, Forecast) and found.final:
            return False
        return (generation, steps) != (run.generation, len(run.series.steps)) and run.state != "deleted"

    def _look_at_all(self, end: float) -> bool:
        """One look at each run that was read already, or never looked at; the next call goes on where time is over."""
        more = False
        for _ in range(len(self.runs)):
            if time.monotonic() > end:
                return True
            run = self.runs[self._turn % len(self.runs)]
            self._turn = (self._turn + 1) % len(self.runs)
            if run.caught_up or run.description is None:
                more |= self._look_at(run)
        return more

    def _look_at(self, run: FollowedRun) -> bool:
        generation = run.generation
        more = run.look()
        if run.generation != generation or run.state == "deleted":
            self.alerts.end(run.name)
        if run.generation != generation:
            self.forecasts.pop(run.name, None)
        fresh, run.fresh = run.fresh, []
        if run.state != "deleted":
            self.alerts.judge(run.name, fresh)
        return more

    def _walk(self) -> None:
        begun = time.monotonic()
        try:
            found = runs_in(self.folder)
            self.problem = None
        except RunError as error:
            if not self._walk_at:
                raise
            self.problem, found = str(error), []
        for path in found:
            if path not in self._known:
                self._known.add(path)
                self.runs.append(FollowedRun(path, self._name(path)))
        # A tree of thousands of folders takes a second to walk through: at most a tenth of the time goes there.
        took = time.monotonic() - begun
        self._walk_at = time.monotonic() + max(_WALK, took * _WALK_SHARE)

    def _name(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix() if path != self.folder else path.resolve().name
