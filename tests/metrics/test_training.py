"""Gradients, updates and Adam's moments as graphs, against closed forms."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

import axonometry as ax
from axonometry.errors import ConfigurationError
from axonometry.metrics import TrainingState, gradients, reweighted, second_moments
from axonometry.metrics.training import gradient_noise_scale, update_cosine, update_ratio, weighted_strength

if TYPE_CHECKING:
    from pathlib import Path


class Residual(nn.Module):
    """Two layers with a skip, batch norm behind the first."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.second = nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Linear(3, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = torch.relu(self.norm(self.first(x)))
        return self.second(h) + h


def trained(model: nn.Module) -> nn.Module:
    model(torch.randn(8, 3)).square().sum().backward()
    return model


def test_strengths_of_gradients_are_sums_of_gradients_and_skips_count_nothing() -> None:
    model = trained(Residual())
    graph = ax.capture(model.eval(), torch.zeros(1, 3))
    found = weighted_strength(graph, gradients(model))
    gain = model.norm.weight / (model.norm.running_var + model.norm.eps).sqrt()
    first, second = model.first.weight.grad * gain[:, None], model.second.weight.grad
    torch.testing.assert_close(found["input"], first.sum(0).detach())
    hidden, output = (name for name in found if name != "input")
    torch.testing.assert_close(found[hidden], (first.sum(1) + second.sum(0)).detach())
    torch.testing.assert_close(found[output], second.sum(1).detach())
    plain = ax.node_strength(reweighted(graph, gradients(model)))
    torch.testing.assert_close(plain[output], (second.sum(1) + 1).detach())  # the skip is still a link of 1


def test_a_graph_takes_gradients_as_its_weights() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    model(torch.randn(8, 3)).square().sum().backward()
    graph = ax.capture(model, torch.zeros(1, 3)).at(gradients(model))
    torch.testing.assert_close((graph @ graph.ones())["2"], model[2].weight.grad.sum(1))


def test_ratio_and_cosine_of_a_step_of_gradient_descent_with_decay() -> None:
    before = {"w": torch.tensor([[3.0, 4.0]])}
    after = {"w": torch.tensor([[3.0, 4.0]]) * 0.9}
    assert update_ratio(before, after) == {"": pytest.approx(0.1), "w": pytest.approx(0.1)}
    assert update_cosine(before, after)["w"] == pytest.approx(-1)
    assert math.isnan(update_cosine(before, before)["w"])
    assert math.isnan(update_ratio({"w": torch.zeros(2)}, {"w": torch.ones(2)})["w"])


def test_second_moments_of_adam_are_those_of_its_formula() -> None:
    model = nn.Linear(3, 2)
    optimizer = torch.optim.Adam(model.parameters(), betas=(0.9, 0.99))
    expected = torch.zeros(2, 3)
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.randn(4, 3)).square().sum().backward()
        expected = 0.99 * expected + 0.01 * model.weight.grad**2
        optimizer.step()
    torch.testing.assert_close(second_moments(model, optimizer)["weight"], expected)
    assert second_moments(model, torch.optim.SGD(model.parameters(), lr=0.1)) == {}


def test_the_noise_scale_is_the_trace_of_the_covariance_over_the_squared_mean() -> None:
    model, inputs, labels = nn.Linear(3, 2).double(), torch.randn(40, 3).double(), torch.arange(40) % 2
    inputs[:, 0] += labels
    rows = []
    for x, y in zip(inputs, labels):
        model.zero_grad()
        nn.functional.cross_entropy(model(x[None]), y[None]).backward()
        rows.append(torch.cat([model.weight.grad.reshape(-1), model.bias.grad]))
    g = torch.stack(rows)
    trace = g.var(0).sum()
    expected = float(trace / (g.mean(0).square().sum() - trace / 40))
    found = gradient_noise_scale(ax.capture(model, inputs[:1]), [(inputs, labels)])
    assert found == pytest.approx(expected if expected > 0 else math.inf)
    with pytest.raises(ConfigurationError, match="noise of gradients is that between samples; got one"):
        gradient_noise_scale(ax.capture(model, inputs[:1]), [(inputs[:1], labels[:1])])


MEASURES = ("gradient.node_strength", "update_ratio", "update_cosine", "second_moment.node_strength")


def test_a_recorder_takes_them_at_every_step(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    optimizer = torch.optim.Adam(model.parameters())
    norms = []
    with ax.Recorder(tmp_path / "run", model, torch.zeros(1, 3), measures=MEASURES) as recorder:
        for step in range(3):
            optimizer.zero_grad()
            model(torch.randn(8, 3)).square().sum().backward()
            recorder.mark(optimizer)
            before = model[0].weight.detach().clone()
            optimizer.step()
            norms.append(float((model[0].weight.detach() - before).norm() / before.norm()))
            recorder.record(step)
            mean = float((model[0].weight.grad.sum(1) + model[2].weight.grad.sum(0)).mean())
    rows = ax.load(tmp_path / "run").metrics.set_index(["metric", "group", "statistic", "step"])["value"].sort_index()
    assert rows["update_ratio", "0", "value"].tolist() == pytest.approx(norms)
    assert rows["gradient.node_strength", "0", "mean", 2] == pytest.approx(mean, rel=1e-5)
    assert rows["second_moment.node_strength", "0", "mean"].gt(0).all()


def test_gradients_that_were_zeroed_are_nan_and_one_warning(tmp_path: Path) -> None:
    model = nn.Linear(3, 2)
    with ax.Recorder(tmp_path / "run", model, torch.zeros(1, 3), measures=MEASURES) as recorder:
        with pytest.warns(UserWarning, match=r"no gradients to measure: .* before optimizer\.zero_grad"):
            recorder.record(0)
        with torch.no_grad():
            model.weight.mul_(2)
        recorder.record(1)
    rows = ax.load(tmp_path / "run").metrics.set_index(["metric", "group", "statistic", "step"])["value"].sort_index()
    assert rows["gradient.node_strength", "input", "mean"].isna().all()
    assert math.isnan(rows["update_ratio", "weight", "value", 0])
    assert rows["update_ratio", "weight", "value", 1] == pytest.approx(1)  # since the last record


def test_weights_alone_do_not_say_what_training_did() -> None:
    graph = ax.capture(nn.Linear(3, 2), torch.zeros(1, 3))
    with pytest.raises(ConfigurationError, match="what training did at a step; got nothing for update_ratio"):
        ax.measure(graph, ["update_ratio"])
    given = TrainingState(gradients={"weight": torch.ones(2, 3)})
    table = ax.measure(graph, ["gradient.layer_fluctuation", "gradient.node_strength"], training=given)
    assert table.set_index(["metric", "group", "statistic"])["value"]["gradient.node_strength", "weight", "mean"] == 3
