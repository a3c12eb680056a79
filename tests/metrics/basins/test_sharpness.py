"""The largest Hessian eigenvalue against dense Hessians and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from axonometry.errors import ConvergenceError, WeightsError
from axonometry.metrics.basins import sharpness


def task(n: int = 30, inputs: int = 5, classes: int = 4) -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    return torch.randn(n, inputs, dtype=torch.float64), torch.randint(0, classes, (n,))


def dense(model: nn.Module, samples: Tensor, labels: Tensor, *, scaled: bool = False) -> np.ndarray:
    """The Hessian as a matrix, in units of standard deviations where scaled."""
    point = {name: p.detach() for name, p in model.named_parameters() if p.dim() > 1 or not scaled}
    with sdpa_kernel(SDPBackend.MATH):
        blocks = jacrev(jacrev(lambda q: F.cross_entropy(functional_call(model, q, (samples,)), labels)))(point)
    sizes = {name: p.numel() for name, p in point.items()}
    unit = {name: float(p.std(correction=0)) if scaled else 1.0 for name, p in point.items()}
    return np.block(
        [[unit[a] * unit[b] * blocks[a][b].reshape(sizes[a], sizes[b]).detach().numpy() for b in point] for a in point]
    )


def linear(inputs: int = 5, classes: int = 4) -> nn.Module:
    return nn.Linear(inputs, classes).double()


def deep() -> nn.Module:
    return nn.Sequential(nn.Linear(5, 9), nn.Tanh(), nn.Linear(9, 6), nn.GELU(), nn.Linear(6, 4)).double()


@pytest.mark.parametrize("build", [linear, deep])
@pytest.mark.parametrize("scaled", [False, True])
def test_against_the_dense_hessian(build: type[nn.Module], scaled: bool) -> None:
    model, (samples, labels) = build(), task()
    values = np.linalg.eigvalsh(dense(model, samples, labels, scaled=scaled))
    found = sharpness(model, samples, labels, scaled=scaled, tol=1e-8)
    assert found.value == pytest.approx(values[-1], rel=1e-6)
    assert found.residual < 1e-4
    assert found.parameters == len(values)
    assert found.products >= 1


def test_one_sample_of_a_linear_softmax() -> None:
    model, x = nn.Linear(40, 3, bias=False).double(), torch.randn(1, 40, dtype=torch.float64)
    p = model(x).softmax(1)[0].detach()
    largest = torch.linalg.eigvalsh(torch.diag(p) - torch.outer(p, p))[-1]
    assert sharpness(model, x, torch.tensor([1])).value == pytest.approx(float(largest * x.norm() ** 2), rel=1e-3)
    nn.init.zeros_(model.weight)
    assert sharpness(model, x, torch.tensor([1])).value == pytest.approx(float(x.norm() ** 2) / 3, rel=1e-3)


def test_single_precision_and_many_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    model, (samples, labels) = deep(), task()
    exact = sharpness(model, samples, labels).value
    monkeypatch.setattr("axonometry.metrics.basins.classifier._ROWS", 7)
    assert sharpness(model, samples, labels).value == pytest.approx(exact, rel=1e-6)
    assert sharpness(model.float(), samples, labels).value == pytest.approx(exact, rel=1e-2)


def test_scaled_does_not_see_a_rescaling_that_leaves_the_function() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 12), nn.ReLU(), nn.Linear(12, 4)).double()
    samples, labels = task()
    before = [sharpness(model, samples, labels, scaled=scaled, tol=1e-6).value for scaled in (False, True)]
    with torch.no_grad():
        for p in model[0].parameters():
            p.mul_(10)
        model[2].weight /= 10
    after = [sharpness(model, samples, labels, scaled=scaled, tol=1e-6).value for scaled in (False, True)]
    assert after[1] == pytest.approx(before[1], rel=1e-4)
    assert abs(after[0] / before[0] - 1) > 0.5


def test_no_curvature_at_all() -> None:
    found = sharpness(nn.Linear(40, 3, bias=False), torch.zeros(4, 40), torch.zeros(4, dtype=torch.int64))
    assert (found.value, found.residual) == (0, 0)


def test_attention_has_a_second_derivative() -> None:
    class Attends(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.q, self.out = nn.Linear(4, 4), nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            x = x.view(-1, 1, 6, 4)
            return self.out(F.scaled_dot_product_attention(self.q(x), x, x).mean((1, 2)))

    samples, labels = torch.randn(5, 24).double(), torch.tensor([0, 1, 2, 0, 1])
    model = Attends().double()
    values = np.linalg.eigvalsh(dense(model, samples, labels))
    assert sharpness(model, samples, labels).value == pytest.approx(values[-1], rel=1e-6)


def test_the_model_is_left_as_it_was() -> None:
    model, (samples, labels) = deep().train(), task()
    model(samples).sum().backward()
    gradients = [p.grad.clone() for p in model.parameters()]
    model[0].weight.requires_grad_(False)
    state = torch.get_rng_state()
    sharpness(model, samples, labels)
    assert model.training
    assert [p.requires_grad for p in model.parameters()] == [False, *[True] * 5]
    assert all(torch.equal(p.grad, g) for p, g in zip(model.parameters(), gradients, strict=True))
    assert torch.equal(torch.get_rng_state(), state)


def test_what_has_no_sharpness() -> None:
    model, (samples, labels) = deep(), task()
    with torch.no_grad():
        model[0].bias[0] = torch.inf
    with pytest.raises(WeightsError, match="diverged"):
        sharpness(model, samples, labels)
    with pytest.raises(WeightsError, match="network with parameters; got none"):
        sharpness(nn.Identity(), samples, labels)


def test_what_does_not_converge_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("axonometry.metrics.basins.hessian._RESTARTS", 1)
    model = nn.Sequential(nn.Linear(5, 60), nn.Tanh(), nn.Linear(60, 60), nn.Tanh(), nn.Linear(60, 4)).double()
    with pytest.raises(ConvergenceError, match=r"found to 1\.0e-15"):
        sharpness(model, *task(), tol=1e-15)
