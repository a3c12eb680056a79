"""The oracles themselves, where they must agree with torch: with coefficients as they are, on linear layers."""

from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F

from axonometry.testing import MAPS, dense

from . import toys_conv  # noqa: F401
from .oracles import REGISTRY, adaptive, averaged, interpolation, mapped, nearest, padded_lengths, windows

pytestmark = pytest.mark.filterwarnings("ignore:Using padding=.same.")
IDENTITY = MAPS["identity"]


@pytest.mark.parametrize(
    "name", [name for name in REGISTRY if name.startswith(("conv1d", "conv2d", "conv3d", "conv_transpose"))]
)
def test_convolution_oracles_are_the_layer_itself(name: str) -> None:
    toy = REGISTRY[name]()
    x = torch.randn(1, *toy.groups["input"], dtype=torch.float64)
    expected = toy.module(x) - toy.module(torch.zeros_like(x))
    torch.testing.assert_close(
        (dense(toy) @ torch.cat([x.flatten(), torch.zeros(expected.numel())]))[x.numel() :], expected.flatten()
    )


@pytest.mark.parametrize(
    ("n", "k", "s", "p", "ceil_mode", "include"),
    [
        case
        for case in itertools.product((4, 5, 7), (2, 3), (1, 2, 3), (0, 1), (False, True), (False, True))
        if case[3] <= case[1] // 2
    ],
)
def test_average_windows_are_torch_average_pooling(
    n: int, k: int, s: int, p: int, ceil_mode: bool, include: bool
) -> None:
    x = torch.randn(2, 3, n, n + 1, dtype=torch.float64)
    axes = [windows(m, k, s, p, ceil_mode=ceil_mode) for m in (n, n + 1)]
    counts = (
        [padded_lengths(m, k, s, p, axis.shape[0]) for m, axis in zip((n, n + 1), axes, strict=True)]
        if include
        else None
    )
    expected = F.avg_pool2d(x, k, s, p, ceil_mode=ceil_mode, count_include_pad=include)
    torch.testing.assert_close(averaged(axes, counts)(x, IDENTITY), expected)


@pytest.mark.parametrize(
    ("n", "k", "s", "p", "d", "ceil_mode"),
    [(7, 2, 2, 1, 3, True), (8, 3, 2, 1, 2, False), (5, 3, 3, 1, 1, True), (6, 2, 3, 0, 2, True)],
)
def test_windows_cover_what_max_pooling_reads(n: int, k: int, s: int, p: int, d: int, ceil_mode: bool) -> None:
    covered = windows(n, k, s, p, d, ceil_mode)
    x = torch.zeros(n, 1, n) + torch.eye(n)[:, None]
    torch.testing.assert_close(F.max_pool1d(x, k, s, p, d, ceil_mode)[:, 0].T.double(), covered)


@pytest.mark.parametrize(("n", "outputs"), [(5, 3), (7, 7), (6, 4), (3, 5), (8, 1)])
def test_adaptive_windows_and_interpolation_are_torch_s(n: int, outputs: int) -> None:
    x = torch.randn(2, 3, n, dtype=torch.float64)
    torch.testing.assert_close(averaged([adaptive(n, outputs)])(x, IDENTITY), F.adaptive_avg_pool1d(x, outputs))
    torch.testing.assert_close(mapped([nearest(n, outputs)])(x, IDENTITY), F.interpolate(x, outputs))
    torch.testing.assert_close(
        mapped([nearest(n, outputs, exact=True)])(x, IDENTITY), F.interpolate(x, outputs, mode="nearest-exact")
    )
    for align_corners in (False, True) if outputs > 1 else (False,):
        expected = F.interpolate(x, outputs, mode="linear", align_corners=align_corners)
        torch.testing.assert_close(mapped([interpolation(n, outputs, align_corners)])(x, IDENTITY), expected)
