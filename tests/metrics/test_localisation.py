"""Localisation: worked numbers of the definitions, scipy's kurtosis, and units of every odd kind."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats
from torch import nn

import axonometry as ax
from axonometry.errors import ValuesError
from axonometry.metrics.localisation import localisation, receptive_fields
from axonometry.testing import graph_of


def test_localisation_of_the_definitions() -> None:
    assert localisation(torch.tensor([1, 1, 0, 0])) == (0.5, -1.0)
    assert localisation(torch.ones(10))[0] == pytest.approx(0.1)
    for weights in (torch.zeros(3), torch.tensor([1.0, math.nan])):
        with pytest.raises(ValuesError, match="not all zero"):
            localisation(weights)


def test_excess_kurtosis_is_that_of_scipy_of_weights_around_zero() -> None:
    half = torch.randn(30, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    weights = torch.cat([half, -half])
    assert localisation(weights)[1] == pytest.approx(stats.kurtosis(weights.numpy()))
    assert localisation(1e-200 * weights)[1] == pytest.approx(stats.kurtosis(weights.numpy()))


def test_a_unit_of_a_convolution_has_one_kernel_with_what_batch_norm_makes_of_it() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 3, 3, groups=1, bias=False), nn.BatchNorm2d(3), nn.ReLU()).eval()
    with torch.no_grad():
        model[1].weight.copy_(torch.tensor([1.0, -2.0, 0.0]))
    found = receptive_fields(ax.capture(model, torch.zeros(1, 2, 5, 5)))
    (ratios,) = found.values()
    kernels = model[0].weight.detach()
    assert ratios[:2].tolist() == pytest.approx([localisation(kernel)[0] for kernel in kernels[:2]], rel=1e-5)
    assert ratios[2].isnan()


def test_rows_are_of_the_units_that_have_weights() -> None:
    graph = graph_of([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, -3.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    rows = ax.measure(graph, "localisation").set_index("statistic")["value"].to_dict()
    assert rows == {
        "inverse_participation": 0.75,
        "inverse_participation_largest": 1.0,
        "kurtosis": 0.0,
        "kurtosis_largest": 1.0,
    }
    assert ax.measure(graph_of([[0.0, 0.0]]), "localisation")["value"].isna().all()
    assert ax.measure(graph_of([[-2.0]]), "localisation")["value"].tolist() == [1.0, 1.0, -2.0, -2.0]


@pytest.mark.parametrize("scale", [1e-20, 1.0, 1e20])
def test_neither_signs_nor_sizes_nor_the_order_of_inputs_matter(scale: float) -> None:
    weights = torch.tensor([[0.1, -2.0, 0.7], [3.0, 1.0, -0.2]])
    expected = receptive_fields(graph_of(weights.tolist()))["0"]
    changed = scale * weights.flip(1).abs() * torch.tensor([[5.0], [0.5]])
    torch.testing.assert_close(receptive_fields(graph_of(changed.tolist()))["0"], expected)
