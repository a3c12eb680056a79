"""The pruner in real Optuna studies: what it prunes, what it leaves alone, what it refuses; studies replayed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
import pytest
import torch
from optuna.pruners import HyperbandPruner, MedianPruner, NopPruner
from optuna.trial import TrialState
from torch import nn

from axonometry.errors import ConfigurationError, PredictionError
from axonometry.integrations.optuna import RUN, AccuracyPruner, pruners, replay
from axonometry.predict import AccuracyPredictor
from axonometry.trajectory import Recorder

optuna.logging.set_verbosity(optuna.logging.WARNING)


class Foreseen:
    """A predictor that knows the upper ends of every run's intervals."""

    def __init__(self, uppers: Mapping[str, Sequence[float]]) -> None:
        self.uppers, self.levels = uppers, set()

    def history(self, run: str | Path, level: float = 0.9) -> pd.DataFrame:
        self.levels.add(level)
        upper = list(self.uppers[str(run)])
        index = pd.Index(range(1, len(upper) + 1), name="epoch")
        return pd.DataFrame({"prediction": upper, "low": upper, "high": upper}, index=index)


def epochs_of(pruner: optuna.pruners.BasePruner, curves: Mapping[str, Sequence[float]]) -> list[int]:
    """A study with one trial a curve; the epochs that each was trained."""
    study = optuna.create_study(direction="maximize", pruner=pruner)
    for run, curve in curves.items():
        trial = study.ask()
        trial.set_user_attr(RUN, run)
        for epoch, accuracy in enumerate(curve, start=1):
            trial.report(accuracy, epoch)
            if trial.should_prune():
                study.tell(trial, state=TrialState.PRUNED)
                break
        else:
            study.tell(trial, curve[-1])
    return [len(trial.intermediate_values) for trial in study.trials]


CURVES = {"first": [0.5, 0.6, 0.8], "bad": [0.4, 0.5, 0.5], "good": [0.1, 0.3, 0.9]}


def test_a_trial_is_pruned_on_what_is_predicted_and_not_on_what_it_reported() -> None:
    foreseen = Foreseen({"first": [0.1] * 3, "bad": [0.9, 0.79, 0.5], "good": [0.95] * 3})
    assert epochs_of(AccuracyPruner(foreseen, level=0.7), CURVES) == [3, 2, 3]
    assert foreseen.levels == {0.7}


def test_an_interval_that_touches_the_best_goes_on() -> None:
    foreseen = Foreseen({"first": [0.0] * 3, "bad": [0.8] * 3, "good": [np.nextafter(0.8, 0)] * 3})
    assert epochs_of(AccuracyPruner(foreseen), CURVES) == [3, 3, 1]


def test_good_trials_that_jitter_are_left_alone() -> None:
    curves = {f"smooth {n}": [0.5, 0.6, 0.7] for n in range(6)} | {"jittery": [0.55, 0.1, 0.95]}
    foreseen = Foreseen({run: [0.96] * 3 for run in curves})
    assert epochs_of(AccuracyPruner(foreseen), curves)[-1] == 3
    assert epochs_of(MedianPruner(), curves)[-1] == 2  # pruned by its dip, though it ends best


@pytest.mark.parametrize(
    ("choices", "epochs"),
    [
        ({"startup": 1}, [3, 1, 1]),
        ({"startup": 2}, [3, 3, 1]),
        ({"startup": 3}, [3, 3, 3]),
        ({"warmup": 2}, [3, 2, 2]),
        ({"patience": 2}, [3, 2, 2]),
        ({"patience": 4}, [3, 3, 3]),
    ],
    ids=str,
)
def test_patience(choices: dict[str, int], epochs: list[int]) -> None:
    foreseen = Foreseen(dict.fromkeys(CURVES, [0.1] * 3))
    assert epochs_of(AccuracyPruner(foreseen, **choices), CURVES) == epochs


def test_patience_is_of_the_last_epochs() -> None:
    foreseen = Foreseen({"first": [0.0] * 3, "bad": [0.1, 0.9, 0.1], "good": [0.9, 0.1, 0.1]})
    assert epochs_of(AccuracyPruner(foreseen, patience=2), CURVES) == [3, 3, 3]
    longer = {run: [*curve, curve[-1]] for run, curve in CURVES.items()}
    longer_uppers = Foreseen({run: [*upper, 0.1] for run, upper in foreseen.uppers.items()})
    assert epochs_of(AccuracyPruner(longer_uppers, patience=2), longer) == [4, 4, 3]


def test_no_more_epochs_are_looked_at_than_were_reported() -> None:
    foreseen = Foreseen({"first": [0.1] * 3, "bad": [0.9, 0.9, 0.0], "good": [0.9] * 3})
    assert epochs_of(AccuracyPruner(foreseen), CURVES) == [3, 3, 3]  # the third epoch is the whole trial
    foreseen = Foreseen({"first": [0.1] * 3, "bad": [0.9, 0.0, 0.9], "good": [0.9] * 3})
    assert epochs_of(AccuracyPruner(foreseen), CURVES) == [3, 2, 3]


def test_what_is_not_a_number_prunes_nothing() -> None:
    assert epochs_of(AccuracyPruner(Foreseen(dict.fromkeys(CURVES, [float("nan")] * 3))), CURVES) == [3, 3, 3]


def test_before_the_first_report() -> None:
    study = optuna.create_study(direction="maximize", pruner=AccuracyPruner(Foreseen({"a": [0.0]})))
    study.add_trial(optuna.trial.create_trial(value=0.9))
    trial = study.ask()
    trial.set_user_attr(RUN, "a")
    assert not trial.should_prune()
    trial.report(0.1, 0)  # the network before training
    assert not trial.should_prune()
    trial.report(0.1, 1)
    assert trial.should_prune()


def test_pruned_trials_are_not_the_best() -> None:
    study = optuna.create_study(direction="maximize", pruner=AccuracyPruner(Foreseen({"a": [0.5]})))
    study.add_trial(optuna.trial.create_trial(state=TrialState.PRUNED, intermediate_values={1: 0.99}))
    trial = study.ask()
    trial.set_user_attr(RUN, "a")
    trial.report(0.1, 1)
    assert not trial.should_prune()


# ------------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("directions", "words"),
    [(["minimize"], "got minimize"), (["maximize", "minimize"], "got maximize, minimize")],
)
def test_a_study_of_another_direction(directions: list[str], words: str) -> None:
    pruner = AccuracyPruner(Foreseen({}))
    study = optuna.create_study(directions=directions, pruner=pruner)
    frozen = study.ask()
    with pytest.raises(ConfigurationError, match=f"the study maximises accuracy alone; {words}"):
        pruner.prune(study, study.trials[frozen.number])


def test_a_trial_that_does_not_say_where_its_run_is() -> None:
    study = optuna.create_study(direction="maximize", pruner=AccuracyPruner(Foreseen({})))
    trial = study.ask()
    trial.report(0.5, 1)
    words = r"trial 0 does not name its run folder\. Call trial.set_user_attr\(\"run\", folder\)"
    with pytest.raises(ConfigurationError, match=words):
        trial.should_prune()


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"level": 0.0}, "`level` is between 0 and 1; got 0"),
        ({"level": 1.0}, "`level` is between 0 and 1; got 1"),
        ({"startup": 0}, "`startup` is at least 1; got 0"),
        ({"warmup": 0}, "`warmup` is at least 1; got 0"),
        ({"patience": 0}, "`patience` is at least 1; got 0"),
    ],
    ids=str,
)
def test_choices_that_make_no_sense(choices: dict[str, float], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        AccuracyPruner(Foreseen({}), **choices)


# ------------------------------------------------------------------------------------------- with a real predictor


def recorded(folder: Path, rate: float, *, epochs: int = 2) -> Path:
    """A run whose weights move as much as its final accuracy says."""
    torch.manual_seed(round(1e4 * rate))
    network = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    configuration = {"rate": rate}
    with Recorder(
        folder, network, torch.zeros(1, 4), measures=("channel_degree",), configuration=configuration
    ) as record:
        record.record(0, accuracy=0.1, epoch=0.0)
        for epoch in range(1, epochs + 1):
            with torch.no_grad():
                for parameter in network.parameters():
                    parameter.mul_(1 + 4 * rate)
            record.record(epoch, accuracy=0.1 + 0.8 * rate * epoch / epochs, epoch=float(epoch))
    return folder


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> AccuracyPredictor:
    folder = tmp_path_factory.mktemp("runs")
    runs = [recorded(folder / str(n), n / 24) for n in range(24)]
    return AccuracyPredictor(epochs=1, trees=10).fit(runs)


def test_a_real_predictor_prunes_the_trial_that_cannot_win(tmp_path: Path, predictor: AccuracyPredictor) -> None:
    def objective(trial: optuna.Trial) -> float:
        rate = trial.suggest_float("rate", 0, 1)
        folder = recorded(tmp_path / str(trial.number), rate)
        trial.set_user_attr(RUN, str(folder))
        for epoch in (1, 2):
            trial.report(0.1, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
        return 0.1 + 0.8 * rate

    study = optuna.create_study(direction="maximize", pruner=AccuracyPruner(predictor))
    for rate in (0.7, 0.1, 0.95):
        study.enqueue_trial({"rate": rate})
    study.optimize(objective, n_trials=3)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "PRUNED", "COMPLETE"]
    assert study.best_params == {"rate": 0.95}


def test_a_run_without_an_epoch(tmp_path: Path, predictor: AccuracyPredictor) -> None:
    study = optuna.create_study(direction="maximize", pruner=AccuracyPruner(predictor))
    study.add_trial(optuna.trial.create_trial(value=0.9))
    trial = study.ask()
    trial.set_user_attr(RUN, str(recorded(tmp_path, 0.5, epochs=0)))
    trial.report(0.5, 1)
    with pytest.raises(PredictionError, match="a prediction needs a whole epoch"):
        trial.should_prune()


# ------------------------------------------------------------------------------------------------- replayed studies


def test_a_study_replayed_without_a_pruner() -> None:
    result = replay(CURVES, NopPruner())
    assert (result.epochs, result.best, result.epochs_to_best, result.pruned) == (9, 0.9, 9, 0)


def test_a_study_replayed_with_ours() -> None:
    foreseen = Foreseen({"first": [0.1] * 3, "bad": [0.5] * 3, "good": [0.95] * 3})
    result = replay(CURVES, AccuracyPruner(foreseen))
    assert (result.epochs, result.best, result.epochs_to_best, result.pruned) == (7, 0.9, 7, 1)


def test_the_end_of_a_trial_is_not_pruned() -> None:
    foreseen = Foreseen({"first": [0.1] * 3, "bad": [0.9, 0.9, 0.1], "good": [0.95] * 3})
    assert replay(CURVES, AccuracyPruner(foreseen)).pruned == 0


def test_the_best_counts_from_its_own_end() -> None:
    result = replay({"best": [0.9, 0.9], "equal": [0.9, 0.9], "worse": [0.1, 0.2]}, NopPruner())
    assert (result.best, result.epochs_to_best, result.epochs) == (0.9, 2, 6)


def test_a_replayed_median_pruner_is_optunas() -> None:
    random = np.random.default_rng(0)
    curves = {str(n): sorted(random.uniform(0, 1, 8)) for n in range(30)}
    result = replay(curves, MedianPruner())
    trained = epochs_of(MedianPruner(), curves)
    whole = [run for run, epochs in zip(curves, trained) if epochs == 8]
    assert 0 < result.pruned < 30
    assert result.best == max(curves[run][-1] for run in whole)
    assert abs(result.epochs - sum(trained)) <= result.pruned  # a trial pruned at its very end was trained all the same


@pytest.mark.parametrize("make", [NopPruner, MedianPruner, lambda: HyperbandPruner(max_resource=8)])
def test_a_replay_repeats(make: Callable[[], optuna.pruners.BasePruner]) -> None:
    random = np.random.default_rng(1)
    curves = {str(n): list(random.uniform(0, 1, 8)) for n in range(25)}
    assert replay(curves, make(), name="a") == replay(curves, make(), name="a")


def test_the_log_is_as_it_was() -> None:
    replay(CURVES, NopPruner())
    assert optuna.logging.get_verbosity() == optuna.logging.WARNING


def test_the_pruners_by_name() -> None:
    made = pruners(Foreseen({}), 10)
    kinds = {name: type(pruner).__name__ for name, pruner in made.items()}
    assert kinds == {
        "none": "NopPruner",
        "median": "MedianPruner",
        "hyperband": "HyperbandPruner",
        "predicted": "AccuracyPruner",
    }
