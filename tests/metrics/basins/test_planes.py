"""Planes through samples and through weights, point by point against networks asked directly."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from axonometry.errors import SamplesError, WeightsError
from axonometry.metrics.basins import sample_plane, weight_plane


def network(seed: int = 0, *, norm: bool = False) -> nn.Module:
    torch.manual_seed(seed)
    layers = [nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3)]
    if norm:
        layers.insert(1, nn.BatchNorm1d(8))
    return nn.Sequential(*layers)


def test_samples_point_by_point() -> None:
    model, corners = network(), torch.randn(3, 4)
    plane = sample_plane(model, corners, resolution=7)
    along = (corners[1] - corners[0]) / (corners[1] - corners[0]).norm()
    up = (corners[2] - corners[0]) - ((corners[2] - corners[0]) @ along) * along
    up /= up.norm()
    for i, y in enumerate(plane.y):
        for j, x in enumerate(plane.x):
            logits = model(corners[0] + float(x) * along + float(y) * up).detach().sort(descending=True)
            assert int(plane.predicted[i, j]) == int(logits.indices[0])
            assert float(plane.margin[i, j]) == pytest.approx(float(logits.values[0] - logits.values[1]), abs=1e-4)
    for k in range(3):
        assert plane.corners[k] == pytest.approx(
            [float((corners[k] - corners[0]) @ along), float((corners[k] - corners[0]) @ up)], abs=1e-5
        )
        assert plane.x[0] < plane.corners[k][0] < plane.x[-1]
        assert plane.y[0] < plane.corners[k][1] < plane.y[-1]


def test_images_keep_their_shape() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(18, 3))
    plane = sample_plane(model, torch.randn(3, 1, 5, 5), resolution=5)
    assert plane.predicted.shape == plane.margin.shape == (5, 5)
    assert (plane.margin >= 0).all()


def states(*seeds: int, norm: bool = False) -> list[dict[str, Tensor]]:
    found = [network(seed, norm=norm).state_dict() for seed in seeds]
    if norm:
        for scale, state in enumerate(found, start=1):
            state["1.running_var"] *= scale**4
    return found


@pytest.mark.parametrize("norm", [False, True])
def test_weights_point_by_point(norm: bool) -> None:
    model, three = network(9, norm=norm).eval(), states(1, 2, 3, norm=norm)
    samples, labels = torch.randn(20, 4), torch.randint(0, 3, (20,))
    plane = weight_plane(model, three, samples, labels, resolution=5)
    assert plane.predicted.shape == plane.margin.shape == (5, 5, 20)
    names = [name for name, _ in model.named_parameters()]
    vectors = [torch.cat([state[name].flatten() for name in names]).double() for state in three]
    sides = torch.stack([vectors[1] - vectors[0], vectors[2] - vectors[0]], dim=1)
    q, r = torch.linalg.qr(sides)
    q = q * r.diagonal().sign()
    for i, y in enumerate(plane.y):
        for j, x in enumerate(plane.x):
            moved = vectors[0] + q @ torch.tensor([x, y])
            parts = moved.split([three[0][name].numel() for name in names])
            state = {name: part.view_as(three[0][name]).float() for name, part in zip(names, parts, strict=True)}
            if norm:
                second, third = torch.linalg.lstsq(sides, (moved - vectors[0])[:, None]).solution.flatten().tolist()
                share = np.clip([1 - second - third, second, third], 0, 1)
                share /= share.sum()
                state["1.running_var"] = sum(
                    float(a) * one["1.running_var"] for a, one in zip(share, three, strict=True)
                )
            logits = functional_call(model, state, (samples,)).detach()
            right = logits.argmax(1) == labels
            assert float(plane.accuracy[i, j]) == pytest.approx(float(right.double().mean()))
            assert torch.equal(plane.margin[i, j] > 0, right)
    lengths = [float((v - vectors[0]).norm()) for v in vectors]
    assert np.linalg.norm(plane.corners, axis=1) == pytest.approx(lengths, rel=1e-5)


def test_the_model_is_left_as_it_was() -> None:
    model = network(norm=True).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    weight_plane(model, states(1, 2, 3, norm=True), torch.randn(6, 4), torch.zeros(6, dtype=torch.int64), resolution=3)
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_corners_that_span_no_plane() -> None:
    model, samples, labels = network(), torch.randn(5, 4), torch.zeros(5, dtype=torch.int64)
    line = torch.stack([samples[0], samples[1], (samples[0] + samples[1]) / 2])
    with pytest.raises(SamplesError, match="lie on no line"):
        sample_plane(model, line)
    with pytest.raises(SamplesError, match="three samples in floating point"):
        sample_plane(model, samples[:2])
    one, two = states(1, 2)
    with pytest.raises(WeightsError, match="lie on no line"):
        weight_plane(model, [one, two, two], samples, labels)
    with pytest.raises(WeightsError, match="three state dicts; got 2"):
        weight_plane(model, [one, two], samples, labels)
    with pytest.raises(WeightsError, match=r"one without 0\.weight"):
        weight_plane(model, [one, two, {}], samples, labels)
