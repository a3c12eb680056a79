"""Building stones of hand-written adjacency matrices: which positions a window covers, spelled out index by index."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil, floor

import torch
from torch import Tensor, nn

from axonometry.testing import Block, Toy, WeightMap, randomise

REGISTRY: dict[str, Callable[[], Toy]] = {}
"""Every toy of this folder by name, filled by :func:`toy`."""


def toy(function: Callable[[], Toy]) -> Callable[[], Toy]:
    """Register a toy under its function's name."""
    return register(function.__name__, function)


def register(name: str, function: Callable[[], Toy]) -> Callable[[], Toy]:
    """Register a toy under a name."""
    assert name not in REGISTRY, name
    REGISTRY[name] = function
    return function


class Net(nn.Module):
    """A module whose forward pass is a function of itself and one input."""

    def __init__(self, function: Callable[[Net, Tensor], Tensor], **parts: nn.Module | nn.Parameter) -> None:
        super().__init__()
        self._function = function
        for name, part in parts.items():
            setattr(self, name, part)
        randomise(self)

    def forward(self, x: Tensor) -> Tensor:
        return self._function(self, x)


def sequential(*modules: nn.Module) -> nn.Sequential:
    """A Sequential with random parameters and statistics, in float64 and eval mode."""
    return randomise(nn.Sequential(*modules))


def zeros(*shape: int) -> tuple[Tensor, ...]:
    """One example input of a batch of one."""
    return (torch.zeros(1, *shape, dtype=torch.float64),)


def number(value: float) -> Tensor:
    """A coefficient that is no parameter."""
    return torch.tensor(value, dtype=torch.float64)


def gain(norm: nn.Module, dimensions: int = 0) -> Tensor:
    """What a batch norm in eval mode multiplies each channel with, broadcastable to (channels, ...)."""
    scale = torch.ones_like(norm.running_var) if norm.weight is None else norm.weight
    return (scale / (norm.running_var + norm.eps).sqrt()).reshape(-1, *[1] * dimensions)


def skip(coefficient: float = 1.0) -> Block:
    """Links from each neuron to the neuron of the same place."""
    return lambda x, f: x * f(number(coefficient))


def linear(layer: nn.Linear) -> Block:
    """A linear layer's links."""
    return lambda x, f: x @ f(layer.weight).T


# ----------------------------------------------------------------------------------------------- convolutions


def taps(n: int, k: int, stride: int = 1, padding: int | str = 0, dilation: int = 1, mode: str = "zeros") -> Tensor:
    """1 at [output position, tap, input position] where the tap of the output's window lies on the input position."""
    reach = dilation * (k - 1)
    before, after = (
        (reach // 2, reach - reach // 2) if padding == "same" else (0, 0) if padding == "valid" else (padding, padding)
    )
    outputs = (n + before + after - reach - 1) // stride + 1
    covered = torch.zeros(outputs, k, n, dtype=torch.float64)
    for o in range(outputs):
        for tap in range(k):
            i = reflected(o * stride - before + tap * dilation, n, mode)
            if i is not None:
                covered[o, tap, i] += 1
    return covered


def reflected(i: int, n: int, mode: str) -> int | None:
    """The input position behind a position of the padded axis, or None in zero padding."""
    if 0 <= i < n:
        return i
    if mode == "circular":
        return i % n
    if mode == "replicate":
        return min(max(i, 0), n - 1)
    if mode == "reflect":
        return -i if i < 0 else 2 * (n - 1) - i
    return None


def transposed_taps(
    n: int, k: int, stride: int = 1, padding: int = 0, output_padding: int = 0, dilation: int = 1
) -> Tensor:
    """As :func:`taps`, for a transposed convolution: input i writes to i * stride - padding + tap * dilation."""
    outputs = (n - 1) * stride - 2 * padding + dilation * (k - 1) + output_padding + 1
    covered = torch.zeros(outputs, k, n, dtype=torch.float64)
    for i in range(n):
        for tap in range(k):
            o = i * stride - padding + tap * dilation
            if 0 <= o < outputs:
                covered[o, tap, i] += 1
    return covered


def conv(
    weight: Tensor, axes: Sequence[Tensor], *, groups: int = 1, transposed: bool = False, scale: Tensor | None = None
) -> Block:
    """A convolution's links, one by one: taps for each axis, torch's weight, a gain per output channel."""

    def block(x: Tensor, f: WeightMap) -> Tensor:
        w = f(weight.transpose(0, 1) if transposed and groups == 1 else weight)
        full = full_kernel(w, groups, transposed and groups > 1)
        if scale is not None:
            full = full * f(scale).reshape(-1, *[1] * (full.dim() - 1))
        letters = [("i", "k", "o"), ("j", "l", "p"), ("m", "n", "q")][: len(axes)]
        equation = "Yc" + "".join(k for _, k, _ in letters) + "".join("," + o + k + i for i, k, o in letters)
        links = torch.einsum(
            f"{equation}->Y{''.join(o for *_, o in letters)}c{''.join(i for i, *_ in letters)}", full, *axes
        )
        return torch.tensordot(x, links, dims=(list(range(1, x.dim())), list(range(x.dim() - 1, 2 * (x.dim() - 1)))))

    return block


def full_kernel(w: Tensor, groups: int, transposed: bool) -> Tensor:
    """(outputs, inputs, taps...) with zeros between channels of different groups."""
    if groups == 1:
        return w
    parts = [part.transpose(0, 1) if transposed else part for part in w.chunk(groups)]
    outputs, inputs = parts[0].shape[:2]
    full = w.new_zeros(groups * outputs, groups * inputs, *w.shape[2:])
    for g, part in enumerate(parts):
        full[g * outputs : (g + 1) * outputs, g * inputs : (g + 1) * inputs] = part
    return full


# ---------------------------------------------------------------------------------------------------- windows


def windows(
    n: int, k: int, stride: int | None = None, padding: int = 0, dilation: int = 1, ceil_mode: bool = False
) -> Tensor:
    """1 at [output position, input position] where a pooling window covers the input position."""
    stride = stride or k
    span = n + 2 * padding - dilation * (k - 1) - 1
    outputs = (ceil(span / stride) if ceil_mode else floor(span / stride)) + 1
    if ceil_mode and (outputs - 1) * stride >= n + padding:
        outputs -= 1
    covered = torch.zeros(outputs, n, dtype=torch.float64)
    for o in range(outputs):
        for tap in range(k):
            i = o * stride - padding + tap * dilation
            if 0 <= i < n:
                covered[o, i] += 1
    return covered


def padded_lengths(n: int, k: int, stride: int, padding: int, outputs: int) -> Tensor:
    """How many positions of each average window count when padding does: those of the padded axis, never beyond it."""
    return torch.tensor(
        [min(o * stride + k, n + 2 * padding) - o * stride for o in range(outputs)], dtype=torch.float64
    )


def adaptive(n: int, outputs: int) -> Tensor:
    """The windows of adaptive pooling: from floor(o n / outputs) to ceil((o + 1) n / outputs)."""
    covered = torch.zeros(outputs, n, dtype=torch.float64)
    for o in range(outputs):
        covered[o, floor(o * n / outputs) : ceil((o + 1) * n / outputs)] = 1
    return covered


def separable(axes: Sequence[Tensor], x: Tensor) -> Tensor:
    """A matrix (outputs, inputs) for each of the last axes, applied to x."""
    for axis, matrix in enumerate(axes, start=x.dim() - len(axes)):
        x = torch.tensordot(x, matrix, dims=([axis], [1])).movedim(-1, axis)
    return x


def outer(vectors: Sequence[Tensor]) -> Tensor:
    """The product of one vector an axis."""
    result = torch.ones((), dtype=torch.float64)
    for vector in vectors:
        result = result[..., None] * vector
    return result


def averaged(axes: Sequence[Tensor], counts: Sequence[Tensor] | None = None) -> Block:
    """Each output is the mean of the inputs it covers: links of 1 / count, counting the covered inputs unless told."""
    divisor = outer(counts or [axis.sum(1) for axis in axes])
    return lambda x, f: separable(axes, x) * f(1 / divisor)


def mapped(axes: Sequence[Tensor]) -> Block:
    """Each output is a sum of inputs with the product of the axes' entries as coefficient."""
    return lambda x, f: separable([f(axis) * (axis != 0) for axis in axes], x)


def nearest(n: int, outputs: int, exact: bool = False) -> Tensor:
    """Nearest-neighbour interpolation of an axis."""
    matrix = torch.zeros(outputs, n, dtype=torch.float64)
    for o in range(outputs):
        matrix[o, min(floor((o + 0.5 * exact) * n / outputs), n - 1)] = 1
    return matrix


def interpolation(n: int, outputs: int, align_corners: bool) -> Tensor:
    """Linear interpolation of an axis."""
    matrix = torch.zeros(outputs, n, dtype=torch.float64)
    for o in range(outputs):
        place = o * (n - 1) / (outputs - 1) if align_corners else max((o + 0.5) * n / outputs - 0.5, 0.0)
        low = min(int(place), n - 1)
        matrix[o, low] += 1 - (place - low)
        matrix[o, min(low + 1, n - 1)] += place - low
    return matrix
