"""Syne Tune: stop trials by their predicted final accuracy.

Needs Syne Tune: ``pip install 'axonometry[syne-tune]'``.
"""

from __future__ import annotations

from typing import Any

from axonometry.errors import ConfigurationError, MissingExtraError
from axonometry.integrations.below_best import RUN, BelowBest

try:
    from syne_tune.optimizer.scheduler import SchedulerDecision, TrialScheduler
except ImportError as error:
    raise MissingExtraError.of("syne-tune", "syne-tune") from error


class SyneTuneAccuracyScheduler(TrialScheduler):  # type: ignore[misc]  # it has no types
    """Lets another scheduler choose, and stops a trial whose predicted final accuracy stays below the best one so far.

    A trial records its run and reports its folder with its accuracy, once an epoch:

    >>> report = syne_tune.Reporter()  # doctest: +SKIP
    >>> report(epoch=epoch, accuracy=accuracy, run=folder)  # doctest: +SKIP
    >>> search = baselines.RandomSearch(space, metrics=["accuracy"], do_minimize=False)  # doctest: +SKIP
    >>> scheduler = SyneTuneAccuracyScheduler(search, BelowBest(predictor))  # doctest: +SKIP

    Args:
        inner: A scheduler of Syne Tune that maximises ``metric``.
        rule: When a trial ends, with a fitted predictor.
        metric: The accuracy's name in reports.
        resource: The epoch's name in reports, counted from 1.
    """

    def __init__(
        self, inner: TrialScheduler, rule: BelowBest, *, metric: str = "accuracy", resource: str = "epoch"
    ) -> None:
        super().__init__(random_seed=inner.random_seed)
        self._inner, self._rule, self._metric, self._resource = inner, rule, metric, resource
        self._completed: dict[int, float] = {}

    def on_trial_result(self, trial: Any, result: dict[str, Any]) -> str:
        """Whether the trial goes on; called after each report.

        Raises:
            ConfigurationError: The trial does not report its run folder, its accuracy or its epoch.
        """
        for name in (RUN, self._metric, self._resource):
            if name not in result:
                raise ConfigurationError("a trial reports run, accuracy and epoch", ", ".join(result), f"Add {name}")
        decision = str(self._inner.on_trial_result(trial, result))
        ends = self._rule.ends(result[RUN], result[self._resource], list(self._completed.values()))
        return str(SchedulerDecision.STOP) if ends else decision

    def on_trial_complete(self, trial: Any, result: dict[str, Any]) -> None:
        """Keep the final accuracy of a trial that came to its end."""
        self._completed[trial.trial_id] = float(result[self._metric])
        self._inner.on_trial_complete(trial, result)

    def suggest(self) -> Any:
        """The next trial, by the other scheduler."""
        return self._inner.suggest()

    def on_trial_add(self, trial: Any) -> None:
        """Pass it on."""
        self._inner.on_trial_add(trial)

    def on_trial_error(self, trial: Any) -> None:
        """Pass it on."""
        self._inner.on_trial_error(trial)

    def on_trial_remove(self, trial: Any) -> None:
        """Pass it on."""
        self._inner.on_trial_remove(trial)

    def metric_names(self) -> list[str]:
        """What is optimised, for Syne Tune's tables."""
        return [self._metric]

    def metric_mode(self) -> str:
        """It is maximised."""
        return "max"

    def metadata(self) -> dict[str, Any]:
        """What Syne Tune keeps of the scheduler: of the other one, and our rule."""
        return {**self._inner.metadata(), "scheduler_name": type(self).__name__, "level": self._rule.level}
