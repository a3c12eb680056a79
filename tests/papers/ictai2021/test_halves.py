"""Split-half reliability of accuracy: the halves by hand, and what the section says of made-up networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from axonometry.experiments import Context, Estimate, Measurements, Scale
from axonometry.papers.ictai2021 import halves as module
from axonometry.papers.ictai2021.ensembles import Ensemble
from axonometry.papers.ictai2021.halves import half_accuracies, measure_with_halves
from axonometry.populations import RunConfiguration, train_population
from axonometry.populations.datasets import load_dataset


def context(folder: Path) -> Context:
    return Context(Scale(lambda _: (), 1), 1, folder)


@pytest.mark.usefixtures("in_this_process")
def test_halves_are_even_and_odd_images(tmp_path: Path) -> None:
    configuration = RunConfiguration(epochs=1, train_fraction=0.2, layers=1, units=6, test_fraction=0.5)
    population = train_population([configuration], tmp_path / "runs", workers=1)
    name = configuration.identity
    halves = half_accuracies(population, name, context(tmp_path))
    data, state = load_dataset("digits"), population.runs[name].snapshots[population.runs[name].steps[-1]]
    weights = [state[key] for key in state]
    hidden = torch.relu(data.test_inputs[:180].flatten(1) @ weights[0].T + weights[1])
    right = ((hidden @ weights[2].T + weights[3]).argmax(1) == data.test_labels[:180]).double()
    assert halves == pytest.approx((float(right[::2].mean()), float(right[1::2].mean())))
    assert np.mean(halves) == pytest.approx(population.frame["accuracy"].iloc[0])
    rows = measure_with_halves(population, context(tmp_path)).query("metric == 'accuracy'")
    assert rows["value"].tolist() == pytest.approx(list(halves))


@pytest.mark.parametrize(("noise", "verdict"), [(0.1, "holds"), (50.0, "undecided")])
def test_the_section_tells_reliable_from_noisy_accuracy(
    monkeypatch: pytest.MonkeyPatch, noise: float, verdict: str
) -> None:
    draw, n = np.random.default_rng(0), 60
    truth = draw.normal(size=n)
    halves = pd.DataFrame({half: truth + noise * draw.normal(size=n) for half in module.HALVES})
    strong, weak = Estimate(0.5, 0.3, 0.7, n, within=(-1.0, 1.0)), Estimate(0.0, -0.2, 0.2, n, within=(-1.0, 1.0))
    rows: list[dict[str, Any]] = [
        {"metric": "link_weights", "statistic": "std", "layer": "fc1", "alike": strong},
        {"metric": "link_weights", "statistic": "std", "layer": "fc2", "alike": weak},
        {"metric": "node_strength", "statistic": "std", "layer": "fc1", "alike": weak},
    ]
    one = object.__new__(Ensemble)
    networks = pd.DataFrame({"stratum": ["a", "b"] * (n // 2)})
    vars(one).update(title="networks", networks=networks, separation=pd.DataFrame(rows), wide=lambda metric: halves)
    monkeypatch.setattr(module, "ensembles", lambda found: [one])
    section = module.reliability(Measurements((), {}, {}, context(Path())))
    told, control = section.claims
    assert told.verdict == verdict
    assert control.verdict == "in part"
    assert "fc1 ρ = 0.50" in control.numbers
    assert len(section.tables[0].rows) == 1
