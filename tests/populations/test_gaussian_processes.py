"""Non-linear Gaussian processes: the definitions' numbers, and covariances of what is drawn against closed forms."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import integrate, stats

from axonometry.populations import RunConfiguration
from axonometry.populations.datasets import load_dataset
from axonometry.populations.gaussian_processes import (
    LENGTHS,
    erf_covariance,
    gaussian_processes,
    ring_covariance,
)
from axonometry.populations.training import dataset_of


def test_the_covariance_behind_the_error_function_is_that_of_the_definitions_and_of_an_integral() -> None:
    covariance = torch.tensor([[1.0, 0.5], [0.5, 1.0]], dtype=torch.float64)
    assert float(erf_covariance(covariance, 3.0)[0, 1]) == pytest.approx(0.416841, abs=1e-6)
    assert 2 / math.pi * math.asin(9 / 10) == pytest.approx(0.712867, abs=1e-6)
    normal = stats.multivariate_normal([0, 0], covariance.numpy())

    def integrand(y: float, x: float) -> float:
        return math.erf(3 * x / math.sqrt(2)) * math.erf(3 * y / math.sqrt(2)) * normal.pdf([x, y])

    found, _ = integrate.dblquad(integrand, -6, 6, -6, 6, epsabs=1e-4)
    assert found / 0.712867 == pytest.approx(0.416841, abs=1e-3)


def test_a_ring_has_no_ends() -> None:
    covariance = ring_covariance(7, 1.5)
    torch.testing.assert_close(covariance, covariance.roll((1, 1), (0, 1)))
    assert covariance.diagonal().tolist() == pytest.approx([1.0] * 7, abs=1e-9)
    assert float(covariance[0, 3]) == pytest.approx(math.exp(-4) / 1.001)


@pytest.mark.parametrize("normal", [False, True])
def test_both_processes_have_the_covariance_and_one_alone_is_normal(normal: bool) -> None:
    (inputs, classes), (tested, _) = gaussian_processes(normal=normal, seed=3)
    assert (len(inputs), len(tested)) == (20_000, 2_000)
    for label, length in enumerate(LENGTHS):
        some = inputs[classes == label].double()
        expected = erf_covariance(ring_covariance(40, length), 5.0)
        assert float((some.T @ some / len(some) - expected).abs().max()) < 0.06
        kurtosis = stats.kurtosis(some.numpy().ravel())
        assert abs(kurtosis) < 0.05 if normal else kurtosis < -1.2


def test_they_are_data_sets_that_a_runs_seed_draws() -> None:
    for name in ("nonlinear-gaussian", "gaussian"):
        one, other = (dataset_of(RunConfiguration(dataset=name, family="mlp", seed=seed), None) for seed in (0, 1))
        again = load_dataset(name, seed=0)
        assert (again.name, again.shape, again.n_classes) == (name, (40,), 2)
        assert torch.equal(one.train_inputs, again.train_inputs)
        assert not torch.equal(one.train_inputs, other.train_inputs)
    both = (load_dataset(name, seed=0).train_inputs for name in ("nonlinear-gaussian", "gaussian"))
    assert not torch.allclose(*both)
