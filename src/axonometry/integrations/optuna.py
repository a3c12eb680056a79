"""Optuna: prune trials by their predicted final accuracy, and replay studies over recorded training runs.

Needs Optuna: ``pip install 'axonometry[optuna]'``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from axonometry.errors import ConfigurationError, MissingExtraError
from axonometry.integrations.below_best import RUN, BelowBest, Predictor

try:
    import optuna
    from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner
    from optuna.study import Study, StudyDirection
    from optuna.trial import FrozenTrial, TrialState
except ImportError as error:
    raise MissingExtraError.of("optuna", "optuna") from error


class AccuracyPruner(BasePruner):
    """Prunes a trial whose predicted final accuracy stays below the best one so far.

    A trial is pruned when the upper end of its prediction interval is below the best value of a completed trial for
    ``patience`` epochs in a row. Pruners that compare reported values prune good trials that start slowly or whose
    curve is noisy; here only the prediction counts, not the reported values.

    The study maximises the accuracy that the predictor was fitted to. A trial records its run and names its
    folder, and reports its epochs by number from 1, since the pruner uses no more epochs than were reported:

    >>> def objective(trial):  # doctest: +SKIP
    ...     trial.set_user_attr("run", folder)
    ...     choices = {"measures": ["channel_degree"], "planned_steps": 11}
    ...     with axonometry.Recorder(folder, model, example, **choices) as recorder:
    ...         recorder.record(0)
    ...         for epoch in range(1, 11):
    ...             accuracy = train_one_epoch(model)
    ...             recorder.record(epoch, accuracy=accuracy)
    ...             trial.report(accuracy, epoch)
    ...             if trial.should_prune():
    ...                 recorder.close(stopped=True)  # no predictor takes its accuracy for the final one
    ...                 raise optuna.TrialPruned
    ...     return accuracy
    >>> study = optuna.create_study(direction="maximize", pruner=AccuracyPruner(predictor))  # doctest: +SKIP

    Args:
        predictor: A fitted :class:`axonometry.predict.AccuracyPredictor` for regression.
        level: Confidence level of the interval: the higher, the fewer trials are pruned.
        startup: Completed trials before the first is pruned.
        warmup: Epochs of a trial before it may be pruned.
        patience: Epochs in a row at which the interval lies below the best value.

    Raises:
        ConfigurationError: A number makes no sense.
    """

    def __init__(
        self, predictor: Predictor, *, level: float = 0.9, startup: int = 1, warmup: int = 1, patience: int = 1
    ) -> None:
        self._rule = BelowBest(predictor, level, startup, warmup, patience)

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether to prune the trial now; called by Optuna.

        Args:
            study: The study.
            trial: The trial, with what it reported so far.

        Raises:
            ConfigurationError: The study does not maximise one value, or the trial does not name its run folder.
            PredictionError: The run lacks features that the predictor was fitted to.
            RunError: The run is corrupt.
        """
        if study.directions != [StudyDirection.MAXIMIZE]:
            directions = ", ".join(direction.name.lower() for direction in study.directions)
            remedy = 'Create it with direction="maximize" and return the accuracy'
            raise ConfigurationError("the study maximises accuracy alone", directions, remedy)
        if RUN not in trial.user_attrs:
            remedy = f'Call trial.set_user_attr("{RUN}", folder) before the first report'
            raise ConfigurationError(f"trial {trial.number} does not name its run folder", "", remedy)
        completed = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        values = [one.value for one in completed if one.value is not None]
        return trial.last_step is not None and self._rule.ends(trial.user_attrs[RUN], trial.last_step, values)


def pruners(predictor: Predictor, epochs: int, *, level: float = 0.9) -> dict[str, BasePruner]:
    """The pruners to compare, by name, each with the defaults of its library unless stated.

    Args:
        predictor: For :class:`AccuracyPruner`.
        epochs: Of a finished trial, which Hyperband needs to know.
        level: For :class:`AccuracyPruner`.
    """
    return {
        "none": NopPruner(),
        "median": MedianPruner(),
        "hyperband": HyperbandPruner(max_resource=epochs),
        "predicted": AccuracyPruner(predictor, level=level),
    }


@dataclass(frozen=True)
class Replay:
    """The result of a replayed study.

    Attributes:
        epochs: Trained in all trials together.
        best: The greatest final accuracy of a trial that was not pruned; NaN where all were.
        epochs_to_best: Epochs trained when that trial finished.
        pruned: Trials that were pruned.
        stopped: Their run folders.
    """

    epochs: int
    best: float
    epochs_to_best: int
    pruned: int
    stopped: tuple[str, ...] = ()


def replay(curves: Mapping[str, Sequence[float]], pruner: BasePruner, *, name: str = "replay") -> Replay:
    """Run a study whose trials are recorded training runs, in the order given.

    A trial reports its accuracies epoch by epoch until it is pruned or finished; there is no sampler.

    Args:
        curves: By run folder, the accuracy after each epoch.
        pruner: Decides after every epoch.
        name: Name of the study; Hyperband assigns brackets by it.
    """
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.create_study(direction="maximize", pruner=pruner, study_name=name)
        spent, stopped, best, at_best = 0, list[str](), float("nan"), 0
        for folder, curve in curves.items():
            epochs, finished = _trial(study, folder, curve)
            spent += epochs
            stopped += [] if finished else [folder]
            if finished and not curve[-1] <= best:
                best, at_best = curve[-1], spent
    finally:
        optuna.logging.set_verbosity(before)
    return Replay(spent, best, at_best, len(stopped), tuple(stopped))


def _trial(study: Study, folder: str, curve: Sequence[float]) -> tuple[int, bool]:
    """The epochs that a trial was trained, and whether it finished."""
    trial = study.ask()
    trial.set_user_attr(RUN, folder)
    for epoch, accuracy in enumerate(curve, start=1):
        trial.report(accuracy, epoch)
        if epoch < len(curve) and trial.should_prune():
            study.tell(trial, state=TrialState.PRUNED)
            return epoch, False
    study.tell(trial, curve[-1])
    return len(curve), True
