"""Random networks whose matrices are built along with them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from hypothesis import strategies as st
from torch import Tensor, nn

from axonometry.testing import Block, Toy, randomise

from .oracles import (
    averaged,
    conv,
    gain,
    linear,
    mapped as interpolated,
    nearest,
    number,
    taps,
    transposed_taps,
    windows,
    zeros,
)

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Signal:
    """What a layer reads: the linear map from every group to it, and how it came about.

    ``fresh`` names the synapse that nothing has read yet, so that a norm folds into it and a skip joins its sum.
    """

    shape: Shape
    maps: dict[str, Block]
    fresh: str = ""

    def through(self, block: Block, shape: Shape) -> Signal:
        """The signal behind wiring."""
        return Signal(shape, {source: chained(block, first) for source, first in self.maps.items()})

    @property
    def read(self) -> Signal:
        """The same signal, now that somebody reads it."""
        return replace(self, fresh="")


def chained(second: Block, first: Block) -> Block:
    return lambda x, f: second(first(x, f), f)


def both(one: Block, other: Block) -> Block:
    return lambda x, f: one(x, f) + other(x, f)


def added(one: dict[str, Block], other: dict[str, Block]) -> dict[str, Block]:
    return {
        key: both(one[key], other[key]) if key in one and key in other else one.get(key, other.get(key))
        for key in one | other
    }


@dataclass
class Network:
    """Groups and blocks found so far."""

    groups: dict[str, Shape]
    blocks: dict[tuple[str, str], Block] = field(default_factory=dict)

    def synapse(self, name: str, signal: Signal, block: Block, shape: Shape) -> Signal:
        """A new group that reads a signal."""
        self.groups[name] = shape
        self.blocks |= {(name, source): chained(block, first) for source, first in signal.maps.items()}
        return Signal(shape, {name: lambda x, f: x}, fresh=name)

    def rescale(self, name: str, scale: Tensor) -> None:
        """Fold a gain into all links of a group."""
        for key in [key for key in self.blocks if key[0] == name]:
            self.blocks[key] = chained(lambda x, f: x * f(scale), self.blocks[key])

    def join(self, name: str, signal: Signal) -> None:
        """Add a skip to the sum of a group."""
        incoming = {source: block for (target, source), block in self.blocks.items() if target == name}
        self.blocks |= {(name, source): block for source, block in added(incoming, signal.maps).items()}


class Skip(nn.Module):
    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + x


class Beside(Skip):
    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.body(x)], 1)


class Twice(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * x


# A step of a plan is a name; it becomes a layer and its effect on the signal once the shape is known.
SIMPLE = (
    "conv",
    "conv_stride",
    "depthwise",
    "pointwise",
    "transposed",
    "norm",
    "group_norm",
    "relu",
    "max",
    "average",
    "upsample",
    "drop",
    "twice",
    "flip",
)
SYNAPSES = ("conv", "conv_stride", "depthwise", "pointwise", "transposed", "skip")
plans = st.lists(
    st.one_of(
        st.sampled_from(SIMPLE),
        st.tuples(
            st.sampled_from(("skip", "beside")),
            st.lists(st.sampled_from(("conv", "depthwise", "norm", "relu", "twice", "flip", "skip")), max_size=3),
        ),
    ),
    min_size=1,
    max_size=6,
)


class Flip(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.flip(3)


@dataclass
class Builder:
    """Builds a module and its matrix side by side."""

    network: Network

    def sequence(self, steps: list[object], signal: Signal, path: str) -> tuple[nn.Sequential, Signal]:
        layers = nn.Sequential()
        for step in steps:
            here = f"{path}{len(layers)}"
            made = self.block(step, signal, here) if isinstance(step, tuple) else self.layer(step, signal, here)
            if made is not None:
                layer, signal = made
                layers.append(layer)
        return layers, signal

    def layer(self, step: str, signal: Signal, name: str) -> tuple[nn.Module, Signal] | None:
        return (
            getattr(self, step)(signal, name)
            if signal.shape[1] <= 4 or step not in ("transposed", "upsample")
            else None
        )

    def block(self, step: tuple[str, list[object]], signal: Signal, name: str) -> tuple[nn.Module, Signal]:
        """A body that keeps the shape, ending in a synapse or not, beside the signal itself."""
        kind, steps = step
        if kind == "skip" and not any(inner in SYNAPSES for inner in steps):
            steps = [inner for inner in steps if inner != "relu"]  # relu(x) + x is one nonlinearity of x, no skip
        body, end = self.sequence(steps, signal.read, f"{name}.body.")
        if kind == "beside":
            c, d = signal.shape[0], end.shape[0]
            whole = (c + d, *signal.shape[1:])
            left = signal.through(lambda x, f: torch.cat([x, x.new_zeros(x.shape[0], d, *x.shape[2:])], 1), whole)
            right = end.through(lambda x, f: torch.cat([x.new_zeros(x.shape[0], c, *x.shape[2:]), x], 1), whole)
            return Beside(body), Signal(whole, added(left.maps, right.maps))
        if end.fresh:
            self.network.join(end.fresh, signal)
            return Skip(body), end
        return Skip(body), Signal(signal.shape, added(end.maps, signal.maps))

    def skip(self, signal: Signal, name: str) -> tuple[nn.Module, Signal]:
        return self.block(("skip", ["relu", "depthwise"]), signal, name)

    # synapses

    def conv(self, signal: Signal, name: str) -> tuple[nn.Module, Signal]:
        c, h, w = signal.shape
        layer = randomise(nn.Conv2d(c, c, 3, padding=1), seed=len(self.network.groups))
        return layer, self.network.synapse(
            name, signal, conv(layer.weight, [taps(h, 3, 1, 1), taps(w, 3, 1, 1)]), signal.shape
        )

    def conv_stride(self, signal: Signal, name: str) -> tuple[nn.Module, Signal]:
        c, h, w = signal.shape
        layer = randomise(nn.Conv2d(c, 2, (2, 3), stride=(2, 1), padding=1, bias=False), seed=len(self.network.groups))
        axes = [taps(h, 2, 2, 1), taps(w, 3, 1, 1)]
        return layer, self.network.synapse(
            name, signal, conv(layer.weight, axes), (2, axes[0].shape[0], axes[1].shape[0])
        )

    def depthwise(self, signal: Signal, name: str) -> tuple[nn.Module, Signal]:
        c, h, w = signal.shape
        layer = randomise(
            nn.Conv2d(c, c, 3, padding=1, groups=c, padding_mode="circular"), seed=len(self.network.groups)
        )
        if min(h, w) < 1:
            layer = randomise(nn.Conv2d(c, c, 1, groups=c))
        axes = [taps(n, 3, 1, 1, 1, "circular") for n in (h, w)]
        return layer, self.network.synapse(name, signal, conv(layer.weight, axes, groups=c), signal.shape)

    def pointwise(self, signal: Signal, name: str) -> tuple[nn.Module, Signal]:
        c, h, w = signal.shape
        layer = randomise(nn.Conv2d(c, 3, 1), seed=len(self.network.groups))
        return layer, self.network.synapse(name, signal, conv(layer.weight, [taps(h, 1), taps(w, 1)]), (3, h, w))

    def transposed(self, signal: Signal, name: str) -> tuple[nn.Module, Signal]:
        c, h, w = signal.shape
        layer = randomise(nn.ConvTranspose2d(c, 2, 2, stride=(2, 1)), seed=len(self.network.groups))
        axes = [transposed_taps(h, 2, 2), transposed_taps(w, 2, 1)]
        return layer, self.network.synapse(
            name, signal, conv(layer.weight, axes, transposed=True), (2, axes[0].shape[0], axes[1].shape[0])
        )

    # norms, carriers, wiring

    def norm(self, signal: Signal, name: str) -> tuple[nn.Module, Signal]:
        layer = randomise(nn.BatchNorm2d(signal.shape[0]), seed=7)
        if signal.fresh:
            self.network.rescale(signal.fresh, gain(layer, 2))
            return layer, signal
        return layer, signal.through(lambda x, f: x * f(gain(layer, 2)), signal.shape)

    def group_norm(self, signal: Signal, name: str) -> tuple[nn.Module, Signal]:
        layer = randomise(nn.GroupNorm(1, signal.shape[0]), seed=8)
        return layer, signal.through(lambda x, f: x * f(layer.weight)[:, None, None], signal.shape)

    def relu(self, signal: Signal, name: str) -> tuple[nn.Module, Signal]:
        return nn.ReLU(), signal.read

    def drop(self, signal: Signal, name: str) -> tuple[nn.Module, Signal]:
        return nn.Dropout(0.4), signal

    def twice(self, signal: Signal, name: str) -> tuple[nn.Module, Signal]:
        """A number scales the open sum in front of it as a batch norm does."""
        if signal.fresh:
            self.network.rescale(signal.fresh, number(2.0))
            return Twice(), signal
        return Twice(), signal.through(lambda x, f: x * f(number(2.0)), signal.shape)

    def flip(self, signal: Signal, name: str) -> tuple[nn.Module, Signal] | None:
        """Relabelling an open sum would relabel its group; only signals that have been read are flipped here."""
        if signal.fresh:
            return None
        return Flip(), signal.through(lambda x, f: x.flip(3), signal.shape)

    def max(self, signal: Signal, name: str) -> tuple[nn.Module, Signal]:
        axes = [windows(n, 3, 2, 1) for n in signal.shape[1:]]
        return nn.MaxPool2d(3, 2, 1), signal.through(
            averaged(axes), (signal.shape[0], *[axis.shape[0] for axis in axes])
        )

    def average(self, signal: Signal, name: str) -> tuple[nn.Module, Signal] | None:
        if min(signal.shape[1:]) < 2:
            return None
        axes = [windows(n, 2, 1) for n in signal.shape[1:]]
        return nn.AvgPool2d(2, 1), signal.through(averaged(axes), (signal.shape[0], *[axis.shape[0] for axis in axes]))

    def upsample(self, signal: Signal, name: str) -> tuple[nn.Module, Signal]:
        c, h, w = signal.shape
        return nn.Upsample(scale_factor=(1, 2)), signal.through(
            interpolated([nearest(h, h), nearest(w, 2 * w)]), (c, h, 2 * w)
        )


def built(plan: list[object]) -> Toy:
    """A plan as a module with a linear head, and its matrix."""
    shape = (2, 3, 4)
    builder = Builder(Network({"input": shape}))
    layers, signal = builder.sequence(plan, Signal(shape, {"input": lambda x, f: x}), "")
    head = randomise(nn.Linear(int(torch.Size(signal.shape).numel()), 2), seed=99)
    flat = signal.through(lambda x, f: x.flatten(1), (int(torch.Size(signal.shape).numel()),))
    layers.append(nn.Flatten()).append(head)
    builder.network.synapse(f"{len(layers) - 1}", flat, linear(head), (2,))
    return Toy(str(plan), layers.eval(), zeros(*shape), builder.network.groups, builder.network.blocks)
