"""Upsampling: nearest neighbours copy; interpolation is a product of one small matrix an axis."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from axonometry.program.links import Links
from axonometry.program.op_call import Lowering, OpCall
from axonometry.program.registry import op_rule, overloads

NEAREST = ["upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d"]
NEAREST += ["_upsample_nearest_exact1d", "_upsample_nearest_exact2d", "_upsample_nearest_exact3d"]
INTERPOLATIONS = ["upsample_linear1d", "upsample_bilinear2d", "upsample_trilinear3d", "upsample_bicubic2d"]
INTERPOLATIONS += ["_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa"]


@op_rule(*overloads(*NEAREST))
def nearest(call: OpCall) -> Lowering:
    """Copies."""
    operation = call.operation
    return Lowering("wiring", lambda links, *args: operation(*args))


@op_rule(*overloads(*INTERPOLATIONS))
def interpolation(call: OpCall) -> Lowering:
    """Separable: the coefficients of a position are products of those of its axes."""
    operation = call.operation
    name = call.name
    mode = "bicubic" if "bicubic" in name else "bilinear"
    inputs, outputs = call.shape(call.args[0])[2:], call.shape()[2:]
    align = bool(call.argument(2))
    factors = _factors(call, len(inputs))

    def read(links: Links, x: Tensor, *args: Any) -> Tensor:
        if links.identity:
            return operation(x, *args)
        for axis, (n, m) in enumerate(zip(inputs, outputs, strict=True)):
            matrix = _axis(n, m, mode, align, factors[axis], "_aa" in name).to(x)
            x = torch.tensordot(x, links(matrix), dims=([2 + axis], [1])).movedim(-1, 2 + axis)
        return x

    return Lowering("wiring", read)


def _factors(call: OpCall, rank: int) -> list[float | None]:
    """The scale factors that the call was given, where it was; the ratio of sizes is a rounded one."""
    if call.operation._overloadname == "vec":
        given = call.argument(3)
        return list(given) if given else [None] * rank
    return [call.argument(3 + axis) for axis in range(rank)]


def _axis(n: int, m: int, mode: str, align: bool, factor: float | None, antialias: bool) -> Tensor:
    """The (m, n) matrix that resamples one axis."""
    basis = torch.eye(n, dtype=torch.float64)[None, :, :, None]
    named: dict[str, Any] = {"mode": mode, "align_corners": align, "antialias": antialias}
    if factor is None:
        resampled = F.interpolate(basis, size=(m, 1), **named)
    else:
        resampled = F.interpolate(basis, scale_factor=(factor, 1.0), recompute_scale_factor=False, **named)
    return resampled[0, :, :, 0].T
