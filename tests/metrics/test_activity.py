"""Neuron activation: statistics of a stream against numpy over the stored samples."""

from __future__ import annotations

import gc
import math
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given, strategies as st
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import axonometry as ax
from axonometry.errors import SamplesError, ValuesError
from axonometry.metrics import neuron_activation, neuron_statistics, streaming_moments as tally_module
from axonometry.metrics.streaming_moments import StreamingMoments
from axonometry.populations import LeNet
from axonometry.program.readings.live import LiveBatch, live_batches

SHAPES = st.tuples(st.integers(1, 40), st.integers(1, 6))


@st.composite
def streams(draw: st.DrawFn) -> list[Tensor]:
    """Batches of values, some neurons constant, zero or far from 0, in float32 or float64."""
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    samples, neurons = draw(SHAPES)
    values = torch.randn(samples, neurons, generator=generator, dtype=torch.float64)
    scale = torch.tensor([draw(st.sampled_from([0.0, 1e-12, 1e-3, 1.0, 1e6, 1e20])) for _ in range(neurons)])
    centre = torch.tensor([draw(st.sampled_from([0.0, 1.0, -3.0, 100.0])) for _ in range(neurons)])
    values = values * scale.double() + centre.double()
    if draw(st.booleans()):
        values = values.relu()
    values = values.to(draw(st.sampled_from([torch.float32, torch.float64])))
    cuts = sorted(draw(st.sets(st.integers(1, samples), max_size=4)) | {samples})
    return [values[a:b] for a, b in zip([0, *cuts], cuts, strict=False) if b > a]


def tallied(batches: list[Tensor], **choices: Any) -> StreamingMoments:
    tally = StreamingMoments(**choices)
    assert all(tally.add(batch) for batch in batches)
    return tally


@given(streams())
def test_every_neurons_statistics_are_numpys(batches: list[Tensor]) -> None:
    tally, stored = tallied(batches), torch.cat(batches).double().numpy()
    size = np.abs(stored).max(0)
    np.testing.assert_allclose(tally.mean().numpy(), stored.mean(0), rtol=1e-6, atol=1e-7 * size.max())
    spread = stored.var(0)
    assert np.all(np.abs(tally.variance().numpy() - spread) <= 1e-5 * spread + 1e-12 * size**2)
    assert np.array_equal(tally.variance().numpy() == 0, stored.min(0) == stored.max(0))
    assert np.array_equal(tally.minimum.numpy(), stored.min(0))
    assert np.array_equal(tally.maximum.numpy(), stored.max(0))
    assert np.array_equal(tally.zeros.numpy(), (stored == 0).sum(0))


@given(streams())
def test_pooled_moments_are_those_of_all_values(batches: list[Tensor]) -> None:
    pooled, stored = tallied(batches).pooled(), torch.cat(batches).double().numpy().ravel()
    assert (pooled.count, pooled.nonfinite) == (stored.size, 0)
    assert (pooled.minimum, pooled.maximum) == (stored.min(), stored.max())
    size = np.abs(stored).max()
    assert pooled.mean == pytest.approx(stored.mean(), rel=1e-6, abs=1e-7 * size)
    assert pooled.std == pytest.approx(stored.std(), rel=1e-5, abs=1e-7 * size)
    if stored.std() > 1e-4 * size:
        assert pooled.skewness == pytest.approx(scipy.stats.skew(stored), rel=1e-4, abs=1e-4)
        assert pooled.kurtosis == pytest.approx(scipy.stats.kurtosis(stored), rel=1e-4, abs=1e-3)
    if stored.min() == stored.max():
        assert (pooled.std, pooled.skewness, pooled.kurtosis) == (0.0, 0.0, 0.0)


@given(streams(), st.lists(st.floats(0, 1), min_size=1, max_size=5))
def test_a_quantile_is_the_order_statistic_rounded_once(batches: list[Tensor], probabilities: list[float]) -> None:
    found, stored = tallied(batches).quantiles(probabilities), np.sort(torch.cat(batches).double().numpy().ravel())
    for probability, value in zip(probabilities, found, strict=True):
        exact = stored[max(1, math.ceil(probability * stored.size)) - 1]
        assert abs(value - exact) <= 2**-8 * (1 + 2**-15) * abs(exact) + 1e-40
        assert stored[0] <= value <= stored[-1]


@given(streams())
def test_one_batch_or_many(batches: list[Tensor]) -> None:
    many, one = tallied(batches), tallied([torch.cat(batches)])
    size = float(one.maximum.abs().maximum(one.minimum.abs()).max())
    torch.testing.assert_close(many.mean(), one.mean(), rtol=1e-6, atol=1e-7 * size)
    torch.testing.assert_close(many.variance(), one.variance(), rtol=1e-5, atol=1e-12 * size**2)
    assert torch.equal(many.histogram, one.histogram)


@given(streams())
def test_joined_tallies_are_one(batches: list[Tensor]) -> None:
    joined, one = tallied(batches[:1], bounds=(0.0, 1.0)), tallied([torch.cat(batches)], bounds=(0.0, 1.0))
    if batches[1:]:
        joined.join(tallied(batches[1:], bounds=(0.0, 1.0)))
    size = float(one.maximum.abs().maximum(one.minimum.abs()).max())
    torch.testing.assert_close(joined.mean(), one.mean(), rtol=1e-6, atol=1e-7 * size)
    torch.testing.assert_close(joined.variance(), one.variance(), rtol=1e-5, atol=1e-12 * size**2)
    for name in ("minimum", "maximum", "zeros", "low", "high", "histogram"):
        assert torch.equal(getattr(joined, name), getattr(one, name))
    assert joined.count == one.count


def test_blocks_are_carried_over_to_one_centre(monkeypatch: pytest.MonkeyPatch) -> None:
    # Sorted samples: the mean of the first block is far from that of all, and each neuron's from the others'.
    values = (torch.randn(2000, 3) + torch.tensor([0.0, 1000.0, -3.0])).sort(0).values
    monkeypatch.setitem(tally_module._BLOCK, "cpu", 60)
    tally, stored = tallied([values]), values.double()
    torch.testing.assert_close(tally.variance(), stored.var(0, correction=0), rtol=1e-6, atol=0)
    pooled = tally.pooled()
    assert pooled.skewness == pytest.approx(scipy.stats.skew(stored.numpy().ravel()), rel=1e-6)
    assert pooled.kurtosis == pytest.approx(scipy.stats.kurtosis(stored.numpy().ravel()), rel=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_summed_in_more(dtype: torch.dtype) -> None:
    values = (torch.randn(5000, 2) * 10 + 200).to(dtype)
    tally, stored = tallied(list(values.split(700))), values.double()
    torch.testing.assert_close(tally.mean(), stored.mean(0), rtol=1e-7, atol=0)
    torch.testing.assert_close(tally.variance(), stored.var(0, correction=0), rtol=1e-5, atol=0)


def test_numbers_near_the_end_of_float32() -> None:
    values = torch.tensor([[3e38, 1.0, -1e-30], [-3e38, 1.0, 1e-30], [1e38, 1.0, 3e-30]])
    tally = tallied([values])
    torch.testing.assert_close(tally.mean(), values.double().mean(0))
    torch.testing.assert_close(tally.variance(), values.double().var(0, correction=0))
    assert tally.quantiles([0.0, 1.0]) == [float(values.min()), float(values.max())]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_tally_says_that_a_number_is_not_finite(bad: float) -> None:
    values = torch.randn(50, 3)
    values[31, 1] = bad
    assert not StreamingMoments().add(values)


def network(*layers: nn.Module) -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(*layers)


def test_statistics_of_a_network_against_stored_activations() -> None:
    model, samples = LeNet((1, 28, 28)).eval(), torch.rand(50, 1, 28, 28)
    graph = ax.capture(model, samples)
    found = neuron_activation(graph, samples, batch_size=16)
    (stored,) = live_batches(graph, samples, batch_size=50)
    assert found.n_samples == 50
    for group in graph.groups:
        values = stored.activations[group.name].double()
        torch.testing.assert_close(found.mean[group.name], values.mean(0), rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(found.variance[group.name], values.var(0, correction=0), rtol=1e-4, atol=1e-9)
        torch.testing.assert_close(found.sparsity[group.name], (values == 0).double().mean(0))
        assert found.dead[group.name] == int((values == values[0]).all(0).sum())
        assert found.pooled[group.name].mean == pytest.approx(float(values.mean()), rel=1e-5, abs=1e-7)
    assert found.saturated == {}
    assert found.sparsity["conv1"].mean() > 0.05


def test_frames_are_tidy() -> None:
    model, samples = network(nn.Linear(3, 4), nn.Sigmoid(), nn.Linear(4, 2)), torch.randn(9, 3)
    found = neuron_activation(ax.capture(model, samples), samples)
    moments = found.moments().set_index(["group", "statistic"])["value"]
    assert moments["0", "mean"] == found.pooled["0"].mean
    assert moments["0", "count"] == 36
    assert ("0", "saturated") in moments.index
    assert ("2", "saturated") not in moments.index
    frame = found.frame()
    assert frame.columns.tolist() == ["group", "neuron", "mean", "variance", "minimum", "maximum", "sparsity"]
    assert len(frame) == 9
    assert frame[frame["group"] == "0"]["mean"].tolist() == found.mean["0"].tolist()
    quantiles = found.quantiles([0.0, 0.5, 1.0])
    assert quantiles[quantiles["group"] == "2"]["value"].is_monotonic_increasing
    with pytest.raises(ValuesError, match=r"between 0 and 1; got 1.5"):
        found.quantiles([1.5])


def test_dead_and_saturated_neurons_are_counted() -> None:
    model = network(nn.Linear(1, 4), nn.Tanh(), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 1))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[100.0], [0.0], [0.1], [1e-9]]))
        model[0].bias.copy_(torch.tensor([200.0, 0.3, 0.0, 50.0]))  # always 1, always the same, free, always 1
        model[2].weight.fill_(1.0)
        model[2].bias.copy_(torch.tensor([-100.0, 0.0, 100.0]))  # dead, free, never off
    samples = torch.linspace(-1, 1, 101)[:, None]
    found = neuron_activation(ax.capture(model, samples), samples)
    assert found.saturated == {"0": 2}
    assert found.dead["2"] == 1
    assert found.dead["0"] == int((torch.tanh(model[0](samples)) == torch.tanh(model[0](samples[:1]))).all(0).sum())
    assert found.sparsity["2"].tolist()[0] == 1.0


@pytest.mark.parametrize(("share", "expected"), [(0.94, 0), (0.96, 1)])
def test_saturated_is_95_percent_at_one_bound(share: float, expected: int) -> None:
    model = network(nn.Linear(1, 1), nn.Sigmoid())
    with torch.no_grad():
        model[0].weight.fill_(1.0)
        model[0].bias.zero_()
    low = torch.full((int(share * 100), 1), -4.7)  # sigmoid 0.009
    samples = torch.cat([low, torch.zeros(100 - len(low), 1)])
    graph = ax.capture(model, samples)
    assert neuron_activation(graph, samples).saturated["0"] == expected
    half = torch.cat([torch.full((50, 1), -9.0), torch.full((50, 1), 9.0)])  # at both bounds: not at one
    assert neuron_activation(graph, half).saturated["0"] == 0


@pytest.mark.parametrize(
    ("kind", "parts"), [(nn.LSTM, [0, 0, -1, 0]), (nn.GRU, [0, 0, -1]), (nn.RNN, [-1])], ids=["lstm", "gru", "rnn"]
)
def test_saturated_units_of_recurrent_layers(kind: Any, parts: list[int]) -> None:
    # Every part, with biases of -9, 0, 9: sigmoid and tanh at the lower bound, nowhere near one, at the upper one.
    layer = kind(2, 3, batch_first=True)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
        layer.bias_ih_l0.copy_(torch.tensor([-9.0, 0.1, 9.0]).repeat(len(parts)))
    samples = torch.randn(20, 4, 2)
    graph = ax.capture(nn.ModuleDict({"body": layer})["body"], samples[:1])
    found = neuron_activation(graph, samples)
    (name,) = found.saturated
    assert found.saturated[name] == 4 * 2 * len(parts)
    assert sorted({round(x) for x in found.minimum[name].reshape(-1).tolist()}) == sorted({0, 1, *parts})


@pytest.mark.parametrize("bias", [-0.5, 0.5])
def test_the_middle_of_a_tanh_gate_is_no_bound(bias: float) -> None:
    # tanh(0) = 0 would be the lower bound of a sigmoid, and sigmoid(0.5) is near no bound of its own.
    cell = nn.GRU(1, 1, batch_first=True)
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.zero_()
        cell.bias_ih_l0.copy_(torch.tensor([bias, bias, 0.0]))
    samples = torch.randn(20, 3, 1)
    assert list(neuron_activation(ax.capture(cell, samples[:1]), samples).saturated.values()) == [0]


def test_a_recurrent_layer_of_relus_has_no_bounds() -> None:
    layer, samples = nn.RNN(2, 3, nonlinearity="relu", batch_first=True), torch.randn(9, 4, 2)
    assert neuron_activation(ax.capture(layer, samples[:1]), samples).saturated == {}


def test_a_loader_gives_what_the_tensor_gives() -> None:
    model, samples = LeNet((1, 28, 28)).eval(), torch.rand(23, 1, 28, 28)
    graph = ax.capture(model, samples)
    loader = DataLoader(TensorDataset(samples, torch.zeros(23)), batch_size=5)
    a, b = neuron_activation(graph, samples), neuron_activation(graph, loader)
    assert b.n_samples == 23
    for name in a.mean:
        torch.testing.assert_close(a.mean[name], b.mean[name], rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(a.variance[name], b.variance[name], rtol=1e-4, atol=1e-8)


def test_a_sample_that_is_not_finite_is_named() -> None:
    model, samples = LeNet((1, 28, 28)).eval(), torch.rand(40, 1, 28, 28)
    graph = ax.capture(model, samples)
    samples[29, 0, 0, 0] = math.nan
    with pytest.raises(SamplesError, match=r"sample 29, .* first in layer 'input', at 1 of 784 neurons"):
        neuron_activation(graph, samples, batch_size=8)


@pytest.fixture
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("three_threads")
def test_several_threads_change_nothing_but_rounding() -> None:
    model, samples = LeNet((1, 28, 28)).eval(), torch.rand(43, 1, 28, 28)
    graph = ax.capture(model, samples)
    several, again = (neuron_activation(graph, samples, batch_size=5) for _ in range(2))
    one = neuron_activation(graph, samples, batch_size=43)
    assert torch.get_num_threads() == 3
    for name in one.mean:
        assert torch.equal(several.mean[name], again.mean[name])
        assert torch.equal(several.variance[name], again.variance[name])
        torch.testing.assert_close(several.mean[name], one.mean[name], rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(several.variance[name], one.variance[name], rtol=1e-4, atol=1e-9)
        assert several.dead[name] == one.dead[name]
        assert several.pooled[name].kurtosis == pytest.approx(one.pooled[name].kurtosis, rel=1e-3)


@pytest.mark.usefixtures("three_threads")
@pytest.mark.parametrize("places", [(29, 3), (17, 16), (39,)])
def test_the_first_sample_that_is_not_finite_is_named_whichever_thread_meets_it(places: tuple[int, ...]) -> None:
    model, samples = network(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1)), torch.rand(40, 2)
    graph = ax.capture(model, samples)
    samples[list(places), 0] = math.nan
    with pytest.raises(SamplesError, match=rf"sample {min(places)}, .* first in layer 'input', at 1 of 2 neurons"):
        neuron_activation(graph, samples, batch_size=2)
    assert torch.get_num_threads() == 3


def test_memory_does_not_grow_with_the_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = ax.capture(LeNet((1, 28, 28)), torch.zeros(1, 1, 28, 28))
    alive: dict[int, weakref.ref[Any]] = {}
    original, peaks = neuron_statistics.over_live_batches, []

    def watched(graph: Any, samples: Any, function: Any, **choices: Any) -> Any:
        def counted(batch: LiveBatch, lane: int) -> Any:
            for tensor in [*batch.pre_activations.values(), *batch.activations.values()]:
                alive[id(tensor)] = weakref.ref(tensor)
            gc.collect()  # the wrappers that check annotations make circles
            peaks.append(sum(reference() is not None for reference in alive.values()))
            return function(batch, lane)

        return original(graph, samples, counted, **choices)

    monkeypatch.setattr(neuron_statistics, "over_live_batches", watched)
    neuron_activation(graph, (torch.rand(4, 1, 28, 28) for _ in range(12)))
    assert len(peaks) == 12
    assert max(peaks) == max(peaks[:3])  # later batches find no more tensors alive than the first ones
