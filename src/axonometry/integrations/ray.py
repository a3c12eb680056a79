"""Ray Tune: end trials by their predicted final accuracy.

Needs Ray: ``pip install 'axonometry[ray]'``.
"""

from __future__ import annotations

from typing import Any

from axonometry.errors import ConfigurationError, MissingExtraError
from axonometry.integrations.below_best import RUN, BelowBest

try:
    from ray.tune.schedulers import FIFOScheduler
except ImportError as error:
    raise MissingExtraError.of("ray", "ray") from error


class RayAccuracyScheduler(FIFOScheduler):  # type: ignore[misc]  # it has no types
    """Runs trials in their order, and stops one whose predicted final accuracy stays below the best one so far.

    A trial records its run on a disk that the driver sees, and reports its folder with its accuracy:

    >>> def train(config):  # doctest: +SKIP
    ...     folder = f"/shared/runs/{tune.get_context().get_trial_id()}"
    ...     with axonometry.Recorder(folder, model, example, planned_steps=11) as recorder:
    ...         recorder.record(0)
    ...         for epoch in range(1, 11):
    ...             accuracy = train_one_epoch(model)
    ...             recorder.record(epoch, accuracy=accuracy)
    ...             tune.report({"accuracy": accuracy, "run": folder})
    >>> scheduler = RayAccuracyScheduler(BelowBest(predictor))  # doctest: +SKIP
    >>> tuner = tune.Tuner(  # doctest: +SKIP
    ...     train, tune_config=tune.TuneConfig(metric="accuracy", mode="max", scheduler=scheduler, num_samples=40)
    ... )

    Args:
        rule: When a trial ends, with a fitted predictor.
    """

    def __init__(self, rule: BelowBest) -> None:
        super().__init__()
        self._rule = rule
        self._completed: dict[str, float] = {}

    def set_search_properties(self, metric: str | None, mode: str | None, **spec: Any) -> bool:
        """Called by Ray with what is optimised.

        Raises:
            ConfigurationError: It is not maximised.
        """
        if mode not in (None, "max"):
            raise ConfigurationError("the search maximises accuracy", f"mode={mode!r}", 'Pass mode="max"')
        return bool(super().set_search_properties(metric, mode, **spec))

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Whether the trial goes on; called by Ray after each report.

        Raises:
            ConfigurationError: The trial does not name its run folder.
        """
        if RUN not in result:
            raise ConfigurationError("a trial reports its run folder", ", ".join(result), f'Report "{RUN}" too')
        ends = self._rule.ends(result[RUN], result["training_iteration"], list(self._completed.values()))
        return str(self.STOP if ends else self.CONTINUE)

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """Keep the final accuracy; called by Ray for trials that came to their end."""
        if self.metric in result:
            self._completed[trial.trial_id] = float(result[self.metric])
