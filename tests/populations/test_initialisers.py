"""The initialisers: what they draw, checked against closed forms."""

from __future__ import annotations

from math import sqrt

import pytest
import torch
from torch import Tensor, nn

from axonometry.errors import ConfigurationError
from axonometry.populations.initialisers import INITIALISERS, PAPER_INITIALISERS, fans, initialise

TRUNCATED = 0.8796256610342398
IN, OUT, TAPS = 30, 50, 9


class Layers(nn.Module):
    """One linear layer, one convolution and one normalisation, wide enough for statistics."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(400, 600)
        self.conv = nn.Conv2d(IN, OUT, 3)
        self.norm = nn.BatchNorm2d(OUT)


def drawn(name: str, scale: float, seed: int = 0) -> dict[str, Tensor]:
    layers = Layers()
    initialise(layers, name, scale, torch.Generator().manual_seed(seed))
    return dict(layers.state_dict())


def n_of(mode: str, fan_in: int, fan_out: int) -> float:
    return {"in": fan_in, "out": fan_out, "avg": (fan_in + fan_out) / 2}[mode]


def test_there_are_nine() -> None:
    assert len(PAPER_INITIALISERS) == 9
    assert set(INITIALISERS) - set(PAPER_INITIALISERS) == {"torch-default", "he"}


@pytest.mark.parametrize("scale", [0.05, 5.0])
@pytest.mark.parametrize("name", INITIALISERS)
def test_standard_deviation_and_support(name: str, scale: float) -> None:
    state = drawn(name, scale)
    for parameter, kernel_fan_in, fan_in, fan_out in [
        ("linear.weight", 400, 400, 600),
        ("linear.bias", 400, 600, 600),
        ("conv.weight", IN * TAPS, IN * TAPS, OUT * TAPS),
        ("conv.bias", IN * TAPS, OUT, OUT),
    ]:
        if name.startswith("variance"):
            std = sqrt(scale / n_of(name.rsplit("-", 1)[1], fan_in, fan_out))
            bound = sqrt(3) * std if "uniform" in name else 2 * std / TRUNCATED
        elif name == "he" and parameter.endswith("bias"):
            assert not state[parameter].any()
            continue
        elif name == "he":
            std, bound = scale * sqrt(2 / kernel_fan_in), 6 * scale * sqrt(2 / kernel_fan_in)
        elif name == "torch-default":
            bound = scale / sqrt(kernel_fan_in)
            std = bound / sqrt(3)
        else:
            std = {"random-normal": scale, "random-uniform": scale / sqrt(3), "truncated-normal": scale * TRUNCATED}[
                name
            ]
            bound = {"random-normal": 6 * scale, "random-uniform": scale, "truncated-normal": 2 * scale}[name]
        values = state[parameter].double()
        error = 4 / sqrt(2 * len(values.flatten()))  # four standard errors of a normal's standard deviation
        assert float(values.std()) == pytest.approx(std, rel=error), parameter
        assert abs(float(values.mean())) < 4 * std / sqrt(len(values.flatten()))
        assert float(values.abs().max()) <= bound * (1 + 1e-6)
        if values.numel() > 10_000 and name not in ("random-normal", "he"):
            assert float(values.abs().max()) > 0.97 * bound  # the support is used to its ends


def test_normals_are_normal_and_the_truncated_ones_are_cut() -> None:
    def kurtosis(name: str) -> float:
        x = drawn(name, 1.0)["linear.weight"].double()
        return float(((x - x.mean()) ** 4).mean() / x.var() ** 2) - 3

    assert kurtosis("random-normal") == pytest.approx(0.0, abs=0.05)
    assert kurtosis("random-uniform") == pytest.approx(-1.2, abs=0.02)
    # Of a standard normal cut at 2: the fourth moment over the squared second, minus 3.
    assert kurtosis("truncated-normal") == pytest.approx(-0.6345, abs=0.02)
    assert kurtosis("variance-scaling-normal-fan-in") == pytest.approx(-0.6345, abs=0.02)


@pytest.mark.parametrize("name", INITIALISERS)
def test_the_generator_decides(name: str) -> None:
    torch.manual_seed(1)
    one = drawn(name, 0.5)
    before = torch.get_rng_state()
    layers = Layers()
    torch.set_rng_state(before)
    initialise(layers, name, 0.5, torch.Generator().manual_seed(0))
    assert torch.equal(torch.get_rng_state(), before)  # the global state is left alone
    assert all(torch.equal(one[key], value) for key, value in layers.state_dict().items())
    other = drawn(name, 0.5, seed=1)
    kinds = ("weight",) if name == "he" else ("weight", "bias")  # He's biases are 0
    keys = [f"{layer}.{kind}" for layer in ("linear", "conv") for kind in kinds]
    assert not any(torch.equal(one[key], other[key]) for key in keys)


@pytest.mark.parametrize("name", ["random-normal", "random-uniform", "truncated-normal", "torch-default", "he"])
def test_scale_scales(name: str) -> None:
    one, three = drawn(name, 1.0), drawn(name, 3.0)
    torch.testing.assert_close(three["conv.weight"], 3 * one["conv.weight"])


def test_normalisation_keeps_one_and_zero() -> None:
    state = drawn("random-normal", 5.0)
    assert torch.equal(state["norm.weight"], torch.ones(OUT))
    assert torch.equal(state["norm.bias"], torch.zeros(OUT))


def test_torch_default_is_what_torch_draws() -> None:
    ours, theirs = drawn("torch-default", 1.0), Layers().state_dict()
    for key in ("linear.weight", "linear.bias", "conv.weight"):
        assert float(ours[key].std()) == pytest.approx(float(theirs[key].std()), rel=0.1)
        assert float(ours[key].abs().max()) == pytest.approx(float(theirs[key].abs().max()), rel=0.02)


def test_layers_without_biases_and_gradients() -> None:
    layer = nn.Conv2d(2, 3, 3, bias=False)
    initialise(layer, "random-normal", 1.0, torch.Generator())
    assert layer.weight.requires_grad
    assert layer.weight.grad_fn is None


def test_fans() -> None:
    assert fans(torch.empty(7, 5)) == (5, 7)
    assert fans(torch.empty(64, 3, 5, 5)) == (75, 1600)
    assert fans(torch.empty(64, 3, 2)) == (6, 128)
    assert fans(torch.empty(9)) == (9, 9)


def test_an_unknown_name() -> None:
    with pytest.raises(ConfigurationError, match=r"`initialiser` is one of random-normal, .*; got 'glorot'"):
        initialise(nn.Linear(1, 1), "glorot", 1.0, torch.Generator())
