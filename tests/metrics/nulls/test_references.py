"""What layers' fluctuation is by chance: closed form of matrices against all orders, networks against their draws."""

import itertools
import math

import pytest
import torch
from torch import nn

import axonometry as ax
from axonometry.metrics import fluctuation_references, weight_spreads
from axonometry.metrics.nulls import spread_of_sums
from axonometry.statistics import moments
from axonometry.testing import graph_of


def found(matrix: torch.Tensor) -> tuple[float, float, float]:
    return spread_of_sums(matrix.sum(1), moments(matrix))


def drawn(matrix: torch.Tensor, draws: int) -> torch.Tensor:
    chance, flat = torch.Generator().manual_seed(0), matrix.flatten()
    orders = (flat[torch.randperm(len(flat), generator=chance)] for _ in range(draws))
    return torch.stack([order.view(matrix.shape).sum(1).std(correction=0) for order in orders])


def test_the_expected_square_is_that_of_all_orders_of_the_entries() -> None:
    entries = torch.tensor([0.0, 1.0, 3.0, 4.0, 4.5, 7.0], dtype=torch.float64)
    squares = [
        float(entries[list(order)].view(3, 2).sum(1).var(correction=0)) for order in itertools.permutations(range(6))
    ]
    variance = 2 * float(entries.var(correction=0)) * (6 - 2) / (6 - 1)
    assert sum(squares) / len(squares) == pytest.approx(variance, rel=1e-12)
    # Two degrees of freedom: the mean of √(χ²/2) is √π / 2.
    assert found(entries.view(3, 2))[1] == pytest.approx(math.sqrt(variance) * math.sqrt(math.pi) / 2, rel=1e-12)


@pytest.mark.parametrize(("rows", "n", "heavy"), [(64, 50, 0.0), (10, 84, 0.3), (16, 9, 0.5), (10, 784, 1.0)])
def test_mean_and_deviation_are_those_of_draws(rows: int, n: int, heavy: float) -> None:
    chance = torch.Generator().manual_seed(1)
    normal = torch.randn(rows, n, generator=chance, dtype=torch.float64)
    matrix = normal + heavy * normal**3 + 0.3
    value, shuffled, z = found(matrix)
    draws = drawn(matrix, 1500)
    assert shuffled == pytest.approx(float(draws.mean()), rel=0.01)
    assert (value - shuffled) / z == pytest.approx(float(draws.std()), rel=0.08)


def test_z_tells_rows_that_differ_more_than_by_chance_and_less() -> None:
    noise = torch.randn(32, 40, generator=torch.Generator().manual_seed(2))
    apart, even = noise + torch.linspace(-1, 1, 32)[:, None], noise - noise.mean(1, keepdim=True)
    assert found(apart)[2] > 10
    assert found(even)[2] < -5


@pytest.mark.parametrize(
    "matrix",
    [torch.ones(5, 4), torch.rand(2, 9), torch.rand(9, 1), torch.tensor([[1.0, 2.0], [0.0, 1.0], [3.0, math.nan]])],
)
def test_where_shuffling_says_nothing_there_is_no_z(matrix: torch.Tensor) -> None:
    value, shuffled, z = found(matrix)
    assert math.isnan(z)
    assert math.isnan(shuffled)
    assert value >= 0


def test_rows_and_columns_of_a_kernel_are_its_outputs_and_inputs() -> None:
    kernel = torch.randn(8, 6, 3, 3, generator=torch.Generator().manual_seed(3))
    kernel[:, 2] += 0.5  # what one input channel sends differs
    spreads = weight_spreads(kernel)
    rows, columns = kernel.sum((1, 2, 3)), kernel.sum((0, 2, 3))
    assert spreads["rows_spread"] == pytest.approx(float(rows.std(correction=0)), rel=1e-5)
    assert spreads["columns_spread"] == pytest.approx(float(columns.std(correction=0)), rel=1e-5)
    assert abs(spreads["rows_z"]) < 3
    assert spreads["columns_z"] > 3.5
    assert all(math.isnan(value) for value in weight_spreads(torch.rand(5)).values())


def test_a_trained_layer_stands_beside_fresh_and_shuffled_ones() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(40, 30), nn.ReLU(), nn.Linear(30, 10))
    before = ax.capture(model, torch.zeros(1, 40))
    fresh = ax.layer_fluctuation(before)["0"]
    with torch.no_grad():
        model[0].weight += torch.linspace(-1, 1, 30)[:, None]
    table = fluctuation_references(ax.capture(model, torch.zeros(1, 40)))
    row = table.loc["0"]
    assert row["layer_fluctuation"] == pytest.approx(ax.layer_fluctuation(ax.capture(model, torch.zeros(1, 40)))["0"])
    assert row["untrained"] == pytest.approx(fresh, rel=0.3)
    assert row["z"] > 5
    assert row["shuffled"] == pytest.approx(model[0].weight.std().item() * math.sqrt(40), rel=0.25)
    # What was the network before training, where it is given.
    given = fluctuation_references(graph_of([[1.0, 0.0], [0.0, 3.0]]), graph_of([[0.0, 0.0], [0.0, 5.0]]), draws=0)
    assert given.loc["0", ["layer_fluctuation", "untrained"]].tolist() == [1.0, 2.5]
    assert given["z"].isna().all()


class OwnLayer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(4, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.weight


def test_layers_without_an_initialiser_have_no_untrained_network() -> None:
    table = fluctuation_references(ax.capture(OwnLayer(), torch.zeros(1, 4)), draws=3)
    assert table["untrained"].isna().all()
    assert table["shuffled"].notna().all()
