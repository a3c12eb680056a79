"""Basins in sample space against closed forms, in every state they can have, and with everything that can go wrong."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.stats import norm
from torch import Tensor, nn

from axonometry.errors import ConfigurationError, SamplesError, WeightsError
from axonometry.metrics.basins import Basin, NoCrossingWarning, classifier, sample_basin


def corner(n: int, classes: int, height: float = 1.0, label: int = 0) -> tuple[Tensor, Tensor]:
    """n samples at ``height`` times a unit vector: what a network that passes its inputs on classifies right."""
    samples = torch.zeros(n, classes)
    samples[:, label] = height
    return samples, torch.full((n,), label)


def expected(classes: int, threshold: float = 0.5) -> float:
    """s*/m where logits are inputs: E Φ(z + m/s)^(K-1) is the probability that the right one is the largest."""

    def accuracy(s: float) -> float:
        return quad(lambda z: norm.pdf(z) * norm.cdf(z + 1 / s) ** (classes - 1), -9, 9)[0]

    return brentq(lambda s: accuracy(s) - threshold, 1e-2, 1e3)


@pytest.mark.parametrize(("classes", "worked"), [(3, 1.796881), (4, 1.195065), (10, 0.678046)])
def test_logits_that_are_inputs(classes: int, worked: float) -> None:
    assert expected(classes) == pytest.approx(worked, abs=1e-6)
    basin = sample_basin(nn.Identity(), *corner(400, classes, 0.5), draws=64)
    one = basin.network
    assert one.state == "crossed"
    assert one.amplitude == pytest.approx(0.5 * worked, rel=0.04)
    assert one.low < 0.5 * worked < one.high
    assert (one.high - one.low) / one.amplitude < 0.1
    assert one.low_all < one.low < one.amplitude < one.high < one.high_all
    assert basin.classes == {0: one}


def test_another_threshold() -> None:
    one = sample_basin(nn.Identity(), *corner(400, 3), draws=64, threshold=0.8).network
    assert one.amplitude == pytest.approx(expected(3, 0.8), rel=0.04)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    truth = expected(4)
    found = [sample_basin(nn.Identity(), *corner(20, 4), draws=8, seed=seed).network for seed in range(40)]
    held = sum(one.low < truth < one.high for one in found)
    assert held >= 34  # 38 are expected
    assert sum(one.low_all < truth < one.high_all for one in found) >= 34
    assert np.mean([one.amplitude for one in found]) == pytest.approx(truth, rel=0.05)


def test_each_sample_has_its_own() -> None:
    heights = torch.linspace(0.2, 2.0, 10)
    samples, labels = corner(10, 4)
    basin = sample_basin(nn.Identity(), samples * heights[:, None], labels, draws=4000)
    ratio = basin.samples["amplitude"] / heights.numpy() / expected(4)
    assert ratio.between(0.9, 1.1).all()
    inside = (basin.samples["low"] / heights.numpy() < expected(4)) & (
        basin.samples["high"] / heights.numpy() > expected(4)
    )
    assert inside.sum() >= 8
    assert (basin.samples["state"] == "crossed").all()


def test_each_class_has_its_own() -> None:
    parts = [corner(150, 4, height, label) for label, height in ((3, 0.5), (1, 1.0))]
    samples, labels = (torch.cat(both) for both in zip(*parts, strict=True))
    order = torch.randperm(300)
    basin = sample_basin(nn.Identity(), samples[order], labels[order], draws=64)
    assert list(basin.classes) == [1, 3]
    assert basin.classes[1].amplitude == pytest.approx(expected(4), rel=0.05)
    assert basin.classes[3].amplitude == pytest.approx(0.5 * expected(4), rel=0.05)
    assert basin.classes[3].amplitude < basin.network.amplitude < basin.classes[1].amplitude
    assert {one.n for one in basin.classes.values()} == {150}


@settings(max_examples=10, deadline=None)
@given(st.sampled_from([2.0**-8, 0.5, 4.0, 2.0**9]))
def test_it_scales_with_the_samples(factor: float) -> None:
    samples, labels = corner(6, 3)
    one = sample_basin(nn.Identity(), samples, labels, amplitudes=(2.0**-6, 8.0))
    other = sample_basin(nn.Identity(), samples * factor, labels, amplitudes=(2.0**-6 * factor, 8.0 * factor))
    assert other.network.amplitude == pytest.approx(factor * one.network.amplitude, rel=1e-5)
    assert other.samples["amplitude"].to_numpy() == pytest.approx(factor * one.samples["amplitude"].to_numpy())


@pytest.mark.parametrize("precision", [0.3, 0.02, 0.001])
def test_the_bracket_is_as_narrow_as_asked_for(precision: float) -> None:
    basin = sample_basin(nn.Identity(), *corner(50, 4), precision=precision)
    curve = basin.curves[basin.curves["group"] == "network"]
    below = (curve["accuracy"] <= 0.5).to_numpy().argmax()
    low, high = curve["amplitude"].iloc[[below - 1, below]]
    assert low < basin.network.amplitude <= high
    assert high / low <= 1 + precision
    assert curve["accuracy"].iloc[below - 1] > 0.5
    assert curve["amplitude"].is_monotonic_increasing


def test_the_curve_is_the_accuracy_under_the_same_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Tensor] = []

    class Watched(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            seen.append(x.clone())
            return x

    samples, labels = corner(8, 3)
    basin = sample_basin(Watched(), samples, labels, draws=4)
    grid = [x.view(4, 8, 3) for x in seen[1:18]]
    noise = [(x - samples) / s for x, s in zip(grid, np.geomspace(1e-3, 10, 17), strict=True)]
    assert all(torch.allclose(one, noise[-1], atol=1e-3) for one in noise[4:])
    assert noise[-1].std() == pytest.approx(1, abs=0.2)
    curve = basin.curves[basin.curves["group"] == "network"].set_index("amplitude")["accuracy"]
    for s, x in zip(np.geomspace(1e-3, 10, 17), grid, strict=True):
        place = np.abs(curve.index - s).argmin()
        assert curve.iloc[place] == pytest.approx(float((x.argmax(-1) == 0).double().mean()))


def test_a_network_that_classifies_nothing_right() -> None:
    samples, _ = corner(5, 3)
    basin = sample_basin(nn.Identity(), samples, torch.tensor([1, 2, 1, 2, 1]))
    assert (basin.network.amplitude, basin.network.high, basin.network.state) == (0, 0, "wrong")
    assert "without noise" in basin.network.reason
    assert {one.state for one in basin.classes.values()} == {"wrong"}
    assert (basin.samples["amplitude"] == 0).all()
    assert (basin.samples["predicted"] == 0).all()


def test_a_network_that_is_right_half_of_the_time_has_no_basin() -> None:
    samples, _ = corner(4, 3)
    basin = sample_basin(nn.Identity(), samples, torch.tensor([0, 0, 1, 1]))
    assert (basin.network.amplitude, basin.network.clean) == (0, 0.5)
    assert basin.classes[0].amplitude > 1
    assert (basin.samples["amplitude"] > 0).tolist() == [True, True, False, False]


def constant(classes: int, label: int) -> nn.Module:
    layer = nn.Linear(classes, classes)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    with torch.no_grad():
        layer.bias[label] = 1
    return layer


def test_a_sample_set_of_one_class() -> None:
    with pytest.warns(NoCrossingWarning, match=r"levels off at 100.0% .* one class may be most or all"):
        basin = sample_basin(constant(3, 1), *corner(5, 3, label=1))
    assert (basin.network.amplitude, basin.network.low, basin.network.state) == (np.inf, np.inf, "censored")
    assert np.isinf(basin.samples["amplitude"]).all()
    assert list(basin.classes) == [1]
    assert len(basin.remarks) == 1


def test_two_classes_with_a_linear_readout_never_cross() -> None:
    with pytest.warns(NoCrossingWarning) as caught:
        basin = sample_basin(nn.Identity(), *corner(500, 2, 2.0))
    assert "with 2 classes a guess is right 50% of the time" in str(caught[0].message)
    assert "another threshold, between 0.5 and 1" in str(caught[0].message)
    assert basin.network.state == "censored"
    curve = basin.curves[(basin.curves["group"] == "network") & (basin.curves["amplitude"] > 0.3)]
    probability = norm.cdf(2 / (curve["amplitude"] * 2**0.5))
    assert curve["accuracy"].to_numpy() == pytest.approx(probability, abs=0.03)


def test_two_classes_with_the_remedy() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        one = sample_basin(nn.Identity(), *corner(500, 2), threshold=0.75).network
    assert one.amplitude == pytest.approx(1 / (2**0.5 * norm.ppf(0.75)), rel=0.05)


def test_no_crossing_before_the_greatest_amplitude_is_censored() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoCrossingWarning)
        one = sample_basin(nn.Identity(), *corner(50, 4), amplitudes=(1e-3, 0.5)).network
    assert (one.amplitude, one.high, one.state) == (np.inf, np.inf, "censored")
    assert "stays above" in one.reason


def test_below_at_the_least_amplitude_is_an_upper_bound() -> None:
    basin = sample_basin(nn.Identity(), *corner(50, 4), amplitudes=(5.0, 50.0))
    one = basin.network
    assert (one.amplitude, one.low, one.state) == (pytest.approx(5.0), 0, "below")
    assert "upper bound" in one.reason


def test_nan_logits_are_refused() -> None:
    class Breaks(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.where(x[:, :1] > 1.5, torch.nan, x)

    samples, labels = corner(3, 3)
    samples[0, 0] = 2.0
    with pytest.raises(WeightsError, match="finite logits; got NaN for sample 0"):
        sample_basin(Breaks(), samples, labels)


class Counting(nn.Module):
    """Batch norm, dropout and a counter that every forward pass moves."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3))
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        if x.isnan().any():
            raise RuntimeError("broken")
        return self.inside(x)


@pytest.mark.parametrize("breaks", [False, True])
def test_the_model_is_left_as_it_was(breaks: bool) -> None:
    model = Counting().train()
    model.inside[0].eval()
    model(torch.randn(5, 3)).sum().backward()
    called: list[int] = []
    model.register_forward_hook(lambda *_: called.append(1))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    gradients = [p.grad.clone() for p in model.parameters()]
    samples, labels = torch.randn(6, 3), torch.tensor([0, 1, 2, 0, 1, 2])
    state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    if breaks:
        with pytest.raises(SamplesError, match="labels number the logits, from 0; got the label 3"):
            sample_basin(model, samples, labels + 1)
    else:
        sample_basin(model, samples, labels)
    assert model.training
    assert not model.inside[0].training
    assert called == []
    assert len(model._forward_hooks) == 1
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(torch.equal(p.grad, g) for p, g in zip(model.parameters(), gradients, strict=True))
    assert torch.equal(torch.get_rng_state(), state)
    assert (np.random.get_state()[1] == numpy_state).all()


def network() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(5, 16), nn.Tanh(), nn.Linear(16, 4))


def same(one: Basin, other: Basin) -> bool:
    return one.network == other.network and one.samples.equals(other.samples) and one.curves.equals(other.curves)


def test_the_seed_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    model, samples = network(), torch.randn(300, 5)
    labels = model(samples).argmax(1)
    first = sample_basin(model, samples, labels, draws=3)
    torch.manual_seed(99)
    assert same(first, sample_basin(model, samples, labels, draws=3))
    assert not same(first, sample_basin(model, samples, labels, draws=3, seed=1))
    monkeypatch.setattr(classifier, "_ROWS", 1000)  # how many pass at once decides nothing
    assert sample_basin(model, samples, labels, draws=3).network.amplitude == pytest.approx(first.network.amplitude)


def test_half_precision_and_samples_of_another_type() -> None:
    samples, labels = corner(100, 4)
    layer = nn.Linear(4, 4, bias=False)
    nn.init.eye_(layer.weight)
    one = sample_basin(layer.bfloat16(), samples.double(), labels).network
    assert one.amplitude == pytest.approx(expected(4), rel=0.1)


def test_a_compiled_model_and_one_that_returns_an_object() -> None:
    class Output:
        def __init__(self, logits: Tensor) -> None:
            self.logits = logits

    class Wrapped(nn.Module):
        def forward(self, x: Tensor) -> Output:
            return Output(x)

    samples, labels = corner(20, 4)
    plain = sample_basin(nn.Identity(), samples, labels)
    assert same(plain, sample_basin(Wrapped(), samples, labels))
    assert same(plain, sample_basin(nn.DataParallel(nn.Identity()), samples, labels))


def test_progress_counts_to_its_end() -> None:
    calls: list[tuple[int, int, str]] = []
    sample_basin(nn.Identity(), *corner(4, 3), progress=lambda *call: calls.append(call))
    assert [done for done, _, _ in calls] == list(range(len(calls)))
    assert {total for _, total, _ in calls} == {len(calls)}
    assert calls[0][2] == "amplitude 0.001"


def test_tables() -> None:
    basin = sample_basin(nn.Identity(), *corner(4, 3))
    frame = basin.frame()
    assert frame["group"].tolist() == ["network", "0"]
    assert list(basin.samples) == ["sample", "label", "predicted", "amplitude", "low", "high", "state"]
    assert list(basin.curves) == ["group", "amplitude", "accuracy", "low", "high"]
    first = basin.curves.groupby("group").first()
    assert (first["amplitude"] == 0).all()
    assert (first["accuracy"] == 1).all()
    assert (basin.curves["low"] <= basin.curves["high"]).all()


SAMPLES, LABELS = corner(4, 3)


@pytest.mark.parametrize(
    ("model", "samples", "labels", "match"),
    [
        (nn.Identity(), SAMPLES, LABELS[:3], "each of at least one sample has an integer label"),
        (nn.Identity(), SAMPLES[:0], LABELS[:0], "each of at least one sample"),
        (nn.Identity(), SAMPLES, LABELS.float(), "integer label"),
        (nn.Identity(), SAMPLES, LABELS - 1, "labels are at least 0"),
        (nn.Identity(), SAMPLES, LABELS + 3, "the label 3 and 3 logits"),
        (
            nn.Identity(),
            SAMPLES.clone().index_fill_(0, torch.tensor([2]), torch.nan),
            LABELS,
            "NaN or infinity in sample 2",
        ),
        (nn.Identity(), SAMPLES[:, :1], LABELS, "at least two logits; got shape \\(4, 1\\)"),
        (nn.Flatten(0), SAMPLES, LABELS, "at least two logits"),
        (nn.Embedding(5, 3), torch.arange(4), LABELS, "floating point; got torch.int64"),
    ],
)
def test_samples_that_do_not_fit(model: nn.Module, samples: Tensor, labels: Tensor, match: str) -> None:
    with pytest.raises(SamplesError, match=match):
        sample_basin(model, samples, labels)


@pytest.mark.parametrize(
    "settings",
    [
        {"threshold": 0.0},
        {"threshold": 1.0},
        {"precision": 0.0},
        {"amplitudes": (1.0, 1.0)},
        {"amplitudes": (0.0, 1.0)},
        {"draws": 1},
        {"seed": -1},
    ],
)
def test_settings_that_make_no_sense(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match=f"`{next(iter(settings))}`"):
        sample_basin(nn.Identity(), SAMPLES, LABELS, **settings)


def test_one_sample_and_many_draws() -> None:
    one = sample_basin(nn.Identity(), *corner(1, 3), draws=301)
    assert len(one.samples) == 1
    assert one.network.amplitude == one.samples["amplitude"][0] == one.classes[0].amplitude
    assert np.isnan(one.network.low_all)
