"""Every proxy against a second computation from its definition, on networks that torch alone runs."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import axonometry as ax
from axonometry.errors import SamplesError
from axonometry.metrics.zero_cost import PROXIES, proxies
from axonometry.metrics.zero_cost.flow import path_norm, synaptic_flow


def chain() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)).double()


def images() -> nn.Sequential:
    torch.manual_seed(1)
    first = (nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2))
    return nn.Sequential(*first, nn.Flatten(), nn.Linear(16, 3)).double().eval()


@pytest.fixture(params=[chain, images])
def case(request: pytest.FixtureRequest) -> tuple[nn.Sequential, Tensor, Tensor]:
    module = request.param()
    shape = (4,) if request.param is chain else (2, 4, 4)
    generator = torch.Generator().manual_seed(2)
    return module, torch.randn(10, *shape, generator=generator).double(), torch.arange(10) % 3


def found_of(case: tuple[nn.Sequential, Tensor, Tensor]) -> dict[str, float]:
    module, samples, labels = case
    return proxies(ax.capture(module, samples[:1]), (samples, labels))


def test_all_are_there(case: tuple[nn.Sequential, Tensor, Tensor]) -> None:
    found = found_of(case)
    assert tuple(found) == PROXIES
    assert not any(math.isnan(value) for value in found.values())
    assert found["parameters"] == sum(p.numel() for p in case[0].parameters())


def test_gradients(case: tuple[nn.Sequential, Tensor, Tensor]) -> None:
    module, samples, labels = case
    found = found_of(case)
    parameters = list(module.parameters())
    gradients = torch.autograd.grad(F.cross_entropy(module(samples), labels), parameters)
    assert found["grad_norm"] == pytest.approx(math.sqrt(sum(float(g.square().sum()) for g in gradients)))
    expected = sum(float((p * g).abs().sum().detach()) for p, g in zip(parameters, gradients, strict=True))
    assert found["snip"] == pytest.approx(expected)


def test_grasp_is_a_finite_difference_of_gradients(case: tuple[nn.Sequential, Tensor, Tensor]) -> None:
    """H g as the change of the gradient along g."""
    module, samples, labels = case
    parameters, step = list(module.parameters()), 1e-6

    def gradient() -> list[Tensor]:
        return list(torch.autograd.grad(F.cross_entropy(module(samples), labels), parameters))

    start = [p.detach().clone() for p in parameters]
    g, sides = gradient(), []
    for sign in (1, -1):
        with torch.no_grad():
            for p, p0, one in zip(parameters, start, g, strict=True):
                p.copy_(p0 + sign * step * one)
        sides.append(gradient())
    with torch.no_grad():
        for p, p0 in zip(parameters, start, strict=True):
            p.copy_(p0)
    product = [(a - b) / (2 * step) for a, b in zip(*sides, strict=True)]
    expected = -sum(float((p * h).sum().detach()) for p, h in zip(parameters, product, strict=True))
    assert found_of(case)["grasp"] == pytest.approx(expected, rel=1e-4)


def test_flow_and_paths_of_a_chain() -> None:
    """Products of absolute and of squared matrices; three layers."""
    module = chain()
    graph = ax.capture(module, torch.zeros(1, 4).double())
    state = module.state_dict()
    matrices = [state[f"{i}.weight"].numpy() for i in (4, 2, 0)]
    flow = np.linalg.multi_dot([np.abs(m) for m in matrices]).sum()
    assert synaptic_flow(graph) == pytest.approx(math.log(3 * flow))
    paths = np.linalg.multi_dot([m**2 for m in matrices]).sum()
    assert path_norm(graph) == pytest.approx(math.log(math.sqrt(paths)))


def test_flow_through_convolutions_is_that_of_the_linear_network() -> None:
    """With absolute weights, no norm, and the pool as the maximum of equal paths: torch's own gradient, θ dR/dθ."""
    module = images()
    convolution, norm, dense = module[0], module[1], module[5]
    assert isinstance(convolution, nn.Conv2d)
    assert isinstance(dense, nn.Linear)
    plain = nn.Sequential(convolution, nn.AvgPool2d(2), nn.Flatten(), dense)
    graph = ax.capture(
        nn.Sequential(convolution, norm, nn.AvgPool2d(2), nn.Flatten(), dense).eval(),
        torch.zeros(1, 2, 4, 4).double(),
    )
    weights = [convolution.weight, dense.weight]
    with torch.no_grad():
        for layer in (convolution, dense):
            layer.weight.abs_()
            assert layer.bias is not None
            layer.bias.zero_()
    total = plain(torch.ones(1, 2, 4, 4).double()).sum()
    gradients = torch.autograd.grad(total, weights)
    expected = sum(float((w * g).sum().detach()) for w, g in zip(weights, gradients, strict=True))
    assert synaptic_flow(graph) == pytest.approx(math.log(expected), rel=1e-5)


def test_a_skip_is_no_parameter() -> None:
    """y = c (W x + x): of R = c (w + 1) for one neuron, θ dR/dθ is c w by W and R by c."""

    class Skip(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w, self.c = nn.Linear(1, 1, bias=False), nn.Linear(1, 2, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            return self.c(torch.relu(self.w(x) + x))

    module = Skip()
    graph = ax.capture(module, torch.zeros(1, 1)).at(
        {"w.weight": torch.tensor([[3.0]]), "c.weight": torch.tensor([[2.0], [5.0]])}
    )
    assert synaptic_flow(graph) == pytest.approx(math.log(7 * 3 + 7 * 4))


def test_activations(case: tuple[nn.Sequential, Tensor, Tensor]) -> None:
    module, samples, labels = case
    found = found_of(case)
    kept: list[tuple[Tensor, Tensor]] = []
    value = samples
    for before, after in pairwise([None, *module]):
        assert after is not None
        sums = value
        value = after(value)
        if isinstance(after, nn.ReLU):
            value.retain_grad()
            kept.append((sums, value))
        assert before is None or isinstance(before, nn.Module)
    F.cross_entropy(value, labels).backward()
    fisher = 0.0
    for _, activation in kept:
        assert activation.grad is not None
        product = (
            (activation * activation.grad).detach().flatten(2)
            if activation.dim() > 2
            else (activation * activation.grad).detach()[..., None]
        )
        fisher += float(product.sum(2).square().mean(0).sum())
    assert found["fisher"] == pytest.approx(fisher)
    patterns = torch.cat([(sums > 0).flatten(1) for sums, _ in kept], 1).numpy()
    kernel = np.array([[(a == b).sum() for b in patterns] for a in patterns], dtype=float)
    assert math.exp(found["naswot"]) == pytest.approx(abs(np.linalg.det(kernel)), rel=1e-6, abs=1e-6)


def test_correlations_of_jacobians(case: tuple[nn.Sequential, Tensor, Tensor]) -> None:
    module, samples, _ = case
    rows = []
    for sample in samples:
        one = sample[None].clone().requires_grad_()
        module(one).sum().backward()
        assert one.grad is not None
        rows.append(one.grad.flatten().numpy())
    values = np.linalg.eigvalsh(np.corrcoef(np.array(rows)))
    values = np.clip(values, 0, None) + 1e-5
    assert found_of(case)["jacob_cov"] == pytest.approx(-(np.log(values) + 1 / values).sum(), rel=1e-3)


def test_zico(case: tuple[nn.Sequential, Tensor, Tensor]) -> None:
    module, samples, labels = case
    halves = []
    for rows in (slice(0, 5), slice(5, 10)):
        loss = F.cross_entropy(module(samples[rows]), labels[rows])
        halves.append([g.numpy() for g in torch.autograd.grad(loss, list(module.parameters()))])
    expected = 0.0
    for a, b in zip(*halves, strict=True):
        if a.ndim > 1:
            mean, spread = (np.abs(a) + np.abs(b)) / 2, np.abs(np.abs(a) - np.abs(b)) / 2
            expected += math.log((mean[spread > 0] / spread[spread > 0]).sum())
    assert found_of(case)["zico"] == pytest.approx(expected)


def test_the_catalogue_takes_them(case: tuple[nn.Sequential, Tensor, Tensor]) -> None:
    module, samples, labels = case
    frame = ax.measure(ax.capture(module, samples[:1]), ["proxies"], samples=[(samples, labels)])
    found = found_of(case)
    assert dict(zip(frame["statistic"], frame["value"], strict=True)) == pytest.approx(found)


def test_one_sample_is_refused() -> None:
    module = chain()
    with pytest.raises(SamplesError, match="proxies compare samples; got 1"):
        proxies(ax.capture(module, torch.zeros(1, 4).double()), (torch.zeros(1, 4).double(), torch.tensor([0])))
