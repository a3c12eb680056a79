"""Ray Tune and Syne Tune themselves, with a predictor that knows what comes: the trial without hope is stopped."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from axonometry.errors import ConfigurationError
from axonometry.integrations.below_best import BelowBest

EPOCHS = 3
FINAL = {0: 0.8, 1: 0.2, 2: 0.9}
"""The final accuracy of each trial, by its number."""
foreign = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning",
    "ignore::FutureWarning",
    "ignore::UserWarning",
    "ignore::ResourceWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",  # trials that were ended are not waited for
)


class Foreseen:
    """Knows each run's end to 0.05, from the first epoch on; its folder is its number."""

    def history(self, run: str | Path, level: float = 0.9) -> pd.DataFrame:
        final = FINAL[int(run)]
        return pd.DataFrame({"low": [final - 0.05] * EPOCHS, "high": [final + 0.05] * EPOCHS})


def test_the_rule() -> None:
    rule = BelowBest(Foreseen(), patience=2)
    assert [rule.ends("1", epoch, [0.8]) for epoch in (1, 2, 3)] == [False, True, True]
    assert not rule.ends("2", 3, [0.8])
    assert not rule.ends("1", 3, [])
    assert rule.ends("1", 3, [0.26])
    assert not rule.ends("1", 3, [0.24])
    assert BelowBest(Foreseen(), warmup=3).ends("1", 3, [0.8])
    assert not BelowBest(Foreseen(), warmup=3).ends("1", 2, [0.8])
    assert not BelowBest(Foreseen(), startup=2).ends("1", 2, [0.8])
    with pytest.raises(ConfigurationError, match="`warmup` is at least 1; got 0"):
        BelowBest(Foreseen(), warmup=0)


@foreign
def test_ray(tmp_path: Path) -> None:
    pytest.importorskip("ray.tune")
    import ray
    from ray import tune

    from axonometry.integrations.ray import RayAccuracyScheduler

    def train(config: dict[str, Any]) -> None:
        for epoch in range(1, EPOCHS + 1):
            tune.report({"accuracy": config["final"] * epoch / EPOCHS, "run": str(config["number"])})

    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, configure_logging=False)
    try:
        trials = tune.grid_search([{"number": number, "final": final} for number, final in FINAL.items()])
        options = {"metric": "accuracy", "mode": "max", "max_concurrent_trials": 1}
        tuner = tune.Tuner(
            lambda config: train(config["trial"]),
            param_space={"trial": trials},
            tune_config=tune.TuneConfig(scheduler=RayAccuracyScheduler(BelowBest(Foreseen())), **options),
            run_config=tune.RunConfig(storage_path=str(tmp_path), verbose=0),
        )
        found = {result.config["trial"]["number"]: result.metrics for result in tuner.fit()}
    finally:
        ray.shutdown()
    assert {number: row["training_iteration"] for number, row in found.items()} == {0: 3, 1: 1, 2: 3}
    with pytest.raises(ConfigurationError, match="maximises accuracy; got mode='min'"):
        RayAccuracyScheduler(BelowBest(Foreseen())).set_search_properties("accuracy", "min")
    with pytest.raises(ConfigurationError, match="a trial reports its run folder; got accuracy"):
        RayAccuracyScheduler(BelowBest(Foreseen())).on_trial_result(None, None, {"accuracy": 0.1})


SCRIPT = f"""
from argparse import ArgumentParser
from syne_tune import Reporter
parser = ArgumentParser()
parser.add_argument("--number", type=int)
number = parser.parse_known_args()[0].number
report = Reporter()
for epoch in range(1, {EPOCHS + 1}):
    report(epoch=epoch, accuracy={FINAL}[number] * epoch / {EPOCHS}, run=str(number))
"""


@foreign
def test_syne_tune(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("syne_tune")
    from syne_tune import StoppingCriterion, Tuner
    from syne_tune.backend import LocalBackend
    from syne_tune.config_space import choice
    from syne_tune.optimizer.baselines import RandomSearch

    from axonometry.integrations.syne_tune import SyneTuneAccuracyScheduler

    monkeypatch.chdir(tmp_path)  # it writes std.out where it stands
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    monkeypatch.setenv("SYNETUNE_FOLDER", str(tmp_path / "tune"))
    monkeypatch.setenv("PYTHONPATH", ":".join(filter(None, sys.path)))
    space = {"number": choice(list(FINAL))}
    points = [{"number": number} for number in FINAL]
    search = RandomSearch(space, ["accuracy"], do_minimize=False, random_seed=0, points_to_evaluate=points)
    scheduler = SyneTuneAccuracyScheduler(search, BelowBest(Foreseen()))
    tuner = Tuner(
        LocalBackend(str(script)), scheduler, StoppingCriterion(max_num_trials_finished=3), n_workers=1,
        sleep_time=0.05, save_tuner=False,
    )  # fmt: skip
    tuner.run()
    seen = tuner.tuning_status.last_trial_status_seen
    assert [str(seen[trial]).split(".")[-1].lower() for trial in range(3)] == ["completed", "stopped", "completed"]
    assert scheduler.metadata()["scheduler_name"] == "SyneTuneAccuracyScheduler"
    with pytest.raises(ConfigurationError, match=r"reports run, accuracy and epoch; got accuracy, run\. Add epoch"):
        scheduler.on_trial_result(SimpleNamespace(trial_id=0), {"accuracy": 0.1, "run": "0"})
