"""Neuron modes: worked numbers, closed forms, every pair looked at, and networks whose modes are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings, strategies as st
from torch import Tensor, nn

import axonometry as ax
from axonometry.errors import SamplesError, ValuesError
from axonometry.metrics.activation_functions import activation_functions
from axonometry.metrics.modes import MODES, modes as modes_module, order_modes, pre_activations
from axonometry.populations import CifarResNet
from axonometry.program import NeuralGraph
from axonometry.program.readings.live import live_batches

H = torch.tensor([0.1, 0.9, 0.4, -0.3, 0.7, -0.8])


def rate_one_by_one(h: Tensor, y: Tensor) -> Tensor:
    """OPR of each column, every pair looked at."""
    by_h, by_y = ((x[:, None] - x[None, :]).sign() for x in (h.double(), y.double()))
    return (by_h * by_y > 0).sum((0, 1)) / (by_h != 0).sum((0, 1)).double()


def one_layer(activation: nn.Module, *, width: int = 12, gain: Tensor | None = None) -> NeuralGraph:
    layers: list[nn.Module] = [nn.Linear(5, width), activation, nn.Linear(width, 3)]
    if gain is not None:
        norm = nn.BatchNorm1d(width)
        norm.weight.data.copy_(gain)
        layers.insert(1, norm)
    return ax.capture(nn.Sequential(*layers).eval(), torch.zeros(1, 5))


def names(modes: ax.metrics.modes.Modes) -> list[str]:
    return [MODES[place] for place in modes.mode.tolist()]


def test_worked_numbers() -> None:
    # definitions 4: 14 concordant pairs and one tie of 15; the fold of five samples is no order-preserving function.
    relu = order_modes(H[:, None], H.relu()[:, None])
    assert relu.rate.tolist() == [14 / 15]
    assert relu.turned.tolist() == [0]
    h = torch.arange(-2.0, 3.0)
    fold = torch.tanh(h + 1) + torch.tanh(1 - h)
    assert fold.tolist() == pytest.approx([0.2335, 0.9640, 1.5232, 0.9640, 0.2335], abs=5e-5)
    assert names(order_modes(h[:, None], fold[:, None])) == ["non_preserving"]


@pytest.mark.parametrize("below", [0, 1, 7, 39, 40])
def test_relu_has_a_closed_form(below: int) -> None:
    h = torch.linspace(0.1, 1, 40)
    h[:below] *= -1
    found = order_modes(h[:, None], h.relu()[:, None])
    assert found.rate.item() == pytest.approx(1 - math.comb(below, 2) / math.comb(40, 2), rel=1e-12)
    assert found.dead.item() == (below == 40)


@settings(max_examples=50)
@given(st.integers(2, 30), st.integers(1, 6), st.integers(0, 10**6))
def test_random_data_with_ties(samples: int, different: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    h, y = (torch.randint(0, different, (samples, 4), generator=generator).float() for _ in range(2))
    torch.testing.assert_close(order_modes(h, y).rate, rate_one_by_one(h, y), equal_nan=True, rtol=0, atol=0)


def test_permuting_samples_changes_nothing_and_turning_values_exchanges_the_two_shares() -> None:
    h, y = torch.randn(60, 5), torch.randn(60, 5)
    whole, moved, turned = (
        order_modes(h, y),
        order_modes(h[order := torch.randperm(60)], y[order]),
        order_modes(h, -y),
    )
    assert torch.equal(whole.rate, moved.rate)
    assert torch.equal(whole.rate, turned.turned)
    assert torch.equal(whole.mode, turned.mode)


def test_the_four_modes_and_orientation() -> None:
    h = torch.linspace(-1, 1, 101)[:, None].expand(-1, 6)
    values = [h[:, 0], -h[:, 0], h[:, 0].relu(), -h[:, 0].relu(), h[:, 0] ** 2, torch.ones(101)]
    found = order_modes(h, torch.stack(values, 1))
    assert names(found) == ["strict", "strict", "weak", "weak", "non_preserving", "dead"]
    assert found.orientation.tolist() == [1, -1, 1, -1, 1, 1]
    summary = found.summary()
    assert [summary[name] for name in ("strict", "weak", "non_preserving", "dead")] == [0.4, 0.4, 0.2, 1 / 6]
    assert summary["reversed"] == pytest.approx(2 / 6)


def test_tolerance_is_how_far_a_strict_neuron_may_lie_below_one() -> None:
    h = torch.linspace(-1, 1, 1000)[:, None]
    y = (h + 0.9).relu()  # 50 samples in the plateau: C(50, 2) / C(1000, 2) = 0.00245
    assert names(order_modes(h, y)) == ["strict"]
    assert names(order_modes(h, y, tolerance=0.002)) == ["weak"]


def test_constant_fields_have_no_rate_and_are_dead() -> None:
    found = order_modes(torch.ones(5, 2), torch.ones(5, 2))
    assert found.rate.isnan().all()
    assert names(found) == ["dead", "dead"]
    assert math.isnan(found.summary()["rate"])


RISING = [nn.Tanh(), nn.Sigmoid(), nn.Softplus(), nn.ELU(), nn.SELU(), nn.CELU(), nn.LeakyReLU(), nn.LogSigmoid()]


@pytest.mark.parametrize("activation", RISING, ids=lambda a: type(a).__name__)
def test_strictly_rising_functions_keep_all_pairs_where_floats_saturate(activation: nn.Module) -> None:
    graph = one_layer(activation)
    samples = 1e4 * torch.randn(300, 5)
    batch = next(live_batches(graph, samples, batch_size=300))
    hidden = graph.groups[1].name
    if isinstance(activation, nn.Tanh | nn.Sigmoid | nn.ELU):
        assert bool(
            (order_modes(batch.pre_activations[hidden], batch.activations[hidden]).rate < 0.9).any()
        )  # rounded y
    modes = ax.neuron_modes(graph, samples)[hidden]
    assert modes.rate.tolist() == [1] * 12
    assert names(modes) == ["strict"] * 12
    assert modes.saturated.all() == isinstance(activation, nn.Tanh | nn.Sigmoid)


class Fold(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.exp(-(x**2))


class Threshold(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.hardtanh(x, -0.2, 0.3)


OTHERS = [nn.ReLU(), nn.ReLU6(), nn.Hardtanh(), nn.Hardsigmoid(), nn.GELU(), nn.SiLU(), nn.Mish(), nn.Hardswish()]
OTHERS += [nn.Hardshrink(), nn.Softshrink(), nn.PReLU(), nn.PReLU(12, -0.5), Fold(), Threshold(), nn.LeakyReLU(-0.1)]


@pytest.mark.parametrize("activation", OTHERS, ids=lambda a: type(a).__name__)
def test_every_pair_of_every_neuron(activation: nn.Module) -> None:
    graph = one_layer(activation)
    samples = torch.randn(120, 5)
    batch = next(live_batches(graph, samples, batch_size=120))
    hidden = graph.groups[1].name
    field, value = batch.pre_activations[hidden], batch.activations[hidden]
    assert not torch.equal(field, value)
    found = ax.neuron_modes(graph, samples)[hidden]
    assert found.rate.tolist() == pytest.approx(rate_one_by_one(field, value).tolist(), abs=1e-9)
    if isinstance(activation, nn.GELU | nn.SiLU | nn.Mish | Fold):
        assert "non_preserving" in names(found)


def test_no_activation_is_the_identity() -> None:
    modes = ax.neuron_modes(one_layer(nn.Identity()), torch.randn(20, 5))
    assert [m.rate.tolist() for m in modes.groups.values()] == [[1] * 12, [1] * 3]


def test_negative_gains_turn_orientation_round() -> None:
    gain = torch.tensor([1.0, -1.0, 0.0, 2.0] * 3)
    modes = ax.neuron_modes(one_layer(nn.ReLU(), gain=gain), torch.randn(50, 5))
    hidden, output = modes.groups.values()
    assert hidden.orientation.tolist() == [1, -1, 0, 1] * 3
    assert output.orientation.tolist() == [1, 1, 1]
    assert bool(((hidden.turned == 0) | hidden.rate.isnan()).all())  # the gain is part of the field


def test_convolutions_by_channel_over_samples_and_positions() -> None:
    network = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(12, 4))
    graph, samples = ax.capture(network, torch.zeros(1, 2, 6, 6)), torch.randn(30, 2, 6, 6)
    with torch.no_grad():
        field = network[0](samples).transpose(0, 1).reshape(3, -1).T
    found = ax.neuron_modes(graph, samples)[graph.groups[1].name]
    assert found.rate.tolist() == rate_one_by_one(field, field.relu()).tolist()


@pytest.mark.parametrize("memory", [1, 2000, 2**30])
def test_memory_changes_nothing(memory: int) -> None:
    network = CifarResNet(8, (1, 8, 8), width=0.25).eval()
    graph, samples = ax.capture(network, torch.zeros(1, 1, 8, 8)), torch.randn(12, 1, 8, 8)
    batches = [samples[:5], samples[5:]]
    whole, parts = ax.neuron_modes(graph, samples), ax.neuron_modes(graph, iter(batches), memory=memory)
    for name, modes in whole.groups.items():
        assert modes.rate.tolist() == pytest.approx(parts[name].rate.tolist(), nan_ok=True), name
        assert torch.equal(modes.orientation, parts[name].orientation)


def test_memory_is_kept() -> None:
    graph = one_layer(nn.PReLU(12))
    held = list(pre_activations.parts(graph, torch.randn(10, 5), {"0": True}, by="neuron", memory=10 * 4 * 2 * 5))
    assert [part.pre_activations.shape for part in held] == [(5, 10), (5, 10), (2, 10)]


def test_half_precision() -> None:
    network = nn.Sequential(nn.Linear(5, 12), nn.ReLU(), nn.Linear(12, 3)).to(torch.bfloat16)
    graph = ax.capture(network, torch.zeros(1, 5, dtype=torch.bfloat16))
    samples = torch.randn(200, 5).to(torch.bfloat16)
    field = next(live_batches(graph, samples, batch_size=200)).pre_activations["0"].float()
    found = ax.neuron_modes(graph, samples)["0"]
    assert found.rate.tolist() == rate_one_by_one(field, field.relu()).tolist()
    assert len(field.unique(dim=0)) < 200 or any(len(column.unique()) < 200 for column in field.T)  # there are ties


def test_frames() -> None:
    modes = ax.neuron_modes(one_layer(nn.ReLU()), torch.randn(40, 5))
    summary, frame = modes.summary(), modes.frame()
    assert list(summary["neurons"]) == [12, 3]
    assert list(frame.groupby("group", sort=False).size()) == [12, 3]
    living = frame[(frame["group"] == "0") & (frame["mode"] != "dead")]
    assert summary["rate"][0] == pytest.approx(living["rate"].mean())
    assert np.isclose(summary[["strict", "weak", "non_preserving"]].sum(axis=1), 1).all()


def test_what_is_not_finite_is_named() -> None:
    samples = torch.randn(9, 5)
    samples[6, 2] = math.nan
    with pytest.raises(SamplesError, match="sample 6"):
        ax.neuron_modes(one_layer(nn.ReLU()), samples)


def test_groups_are_asked_for_by_name() -> None:
    graph = one_layer(nn.ReLU())
    assert list(ax.neuron_modes(graph, torch.randn(9, 5), groups=["input", "0"]).groups) == ["input", "0"]
    with pytest.raises(ValuesError, match="'nothing'"):
        ax.neuron_modes(graph, torch.randn(9, 5), groups=["nothing"])
    with pytest.raises(SamplesError, match="samples"):
        ax.neuron_modes(graph, torch.randn(0, 5))


def test_what_activation_functions_are_known() -> None:
    def of(module: nn.Module) -> tuple[bool, tuple[float, float], bool]:
        function = activation_functions(one_layer(module).program)["0"]
        return function.rising, function.bounds, function.run is not None

    infinite = (-math.inf, math.inf)
    assert of(nn.Tanh()) == (True, (-1, 1), True)
    assert of(nn.Hardtanh(-2, 3)) == (False, (-2, 3), True)
    assert of(nn.LeakyReLU(0.0)) == (False, infinite, True)
    assert of(nn.LeakyReLU(0.1)) == (True, infinite, True)
    assert of(nn.ELU(-1.0)) == (False, infinite, True)
    assert of(nn.PReLU()) == (False, infinite, False)


def test_what_moves_numbers_is_no_part_of_the_function() -> None:
    class Moved(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(5, 12), nn.Linear(12, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.b(torch.sigmoid(self.a(x).unflatten(1, (3, 4)).transpose(1, 2)).flatten(1))

    graph, samples = ax.capture(Moved(), torch.zeros(1, 5)), 100 * torch.randn(30, 5)
    function = activation_functions(graph.program)["a"]
    assert (function.names, function.rising, function.bounds) == (("sigmoid",), True, (0, 1))
    assert ax.neuron_modes(graph, samples)["a"].rate.tolist() == [1] * 12


def test_rising_functions_are_streamed_with_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    layers = [nn.Conv2d(1, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(64, 6), nn.ReLU(), nn.Linear(6, 3)]
    layers[0].weight.data[0] = 0
    layers[0].weight.data[1] *= 100
    graph, samples = ax.capture(nn.Sequential(*layers), torch.zeros(1, 1, 6, 6)), torch.randn(40, 1, 6, 6)
    held = ax.neuron_modes(graph, samples)["0"]
    assert names(held) == ["dead", "strict", "strict", "strict"]
    assert held.saturated.tolist()[1:3] == [True, False]
    monkeypatch.setattr(modes_module, "parts", None)
    streamed = ax.neuron_modes(graph, iter([samples[:13], samples[13:]]), groups=["0"])["0"]
    for name in ("rate", "turned", "dead", "saturated", "orientation"):
        assert torch.equal(getattr(held, name).nan_to_num(-1), getattr(streamed, name).nan_to_num(-1)), name
    samples[30, 0, 2, 2] = math.nan
    with pytest.raises(SamplesError, match="sample 30"):
        ax.neuron_modes(graph, [samples[:13], samples[13:]], groups=["0"])


@pytest.mark.parametrize("kind", ["tanh", "relu", "lstm", "gru"])
def test_recurrent_layers(kind: str) -> None:
    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            gated = {"lstm": nn.LSTM, "gru": nn.GRU}
            self.steps = (
                gated[kind](4, 6, batch_first=True)
                if kind in gated
                else nn.RNN(4, 6, batch_first=True, nonlinearity=kind)
            )
            self.head = nn.Linear(6, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.steps(x)[0][:, -1])

    graph, samples = ax.capture(Last(), torch.zeros(1, 5, 4)), 1e3 * torch.randn(30, 5, 4)
    found = ax.neuron_modes(graph, samples)["steps"]
    batch = next(live_batches(graph, samples, batch_size=30))
    field, value = (x["steps"].flatten(0, 1) for x in (batch.pre_activations, batch.activations))
    expected = rate_one_by_one(field, value)
    if kind == "relu":
        assert found.rate.tolist() == pytest.approx(expected.tolist(), abs=1e-9)
    else:
        assert bool((expected < 0.9).any())  # the rounded gates
        assert (found.rate == 1).all()
