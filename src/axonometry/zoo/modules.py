"""The networks of published zoos as modules, built from a run's configuration and the shapes of its weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from axonometry.errors import ConfigurationError
from axonometry.zoo.published import SOURCE

Shapes = Mapping[str, Sequence[int]]
Activation = Callable[[Tensor], Tensor]

ACTIVATIONS: Mapping[str, Activation] = {
    "relu": torch.relu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "gelu": F.gelu,
    "silu": F.silu,
    "elu": F.elu,
    "celu": F.celu,
    "leaky_relu": F.leaky_relu,
    "leakyrelu": F.leaky_relu,
    "linear": lambda x: x,
    "none": lambda x: x,
}
"""By the names that the zoos' configurations use."""

COLOUR = ("cifar", "stl", "svhn")
"""Data sets of 32 x 32 images; the others have 28 x 28."""


class SmallCNN(nn.Module):
    """Convolutions 3 x 3 with stride 2, the mean over places, a dense layer (Unterthiner et al. 2020 [recalled])."""

    def __init__(self, channels: Sequence[int], n_classes: int, activation: str) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(inside, outside, 3, 2) for inside, outside in pairwise(channels))
        self.fc = nn.Linear(channels[-1], n_classes)
        self.activation = _activation(activation)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of images, shape (batch, channels, height, width)."""
        for layer in self.layers:
            x = self.activation(layer(x))
        return torch.as_tensor(self.fc(x.mean((2, 3))))


class WildParkCNN(nn.Module):
    """A network of the CNN Wild Park (Kofinas et al. 2024): residuals add what channels both layers have.

    Args:
        channels: Of the input and of each layer.
        kernels: Width of each layer's kernels.
        strides: Of each layer.
        residual: By layer, the layer whose output is added to its sum, -1 for none.
        activations: By layer.
        n_classes: Outputs.
    """

    def __init__(
        self,
        channels: Sequence[int],
        kernels: Sequence[int],
        strides: Sequence[int],
        residual: Sequence[int],
        activations: Sequence[str],
        n_classes: int,
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Conv2d(inside, outside, kernel, stride, kernel // 2)
            for inside, outside, kernel, stride in zip(channels, channels[1:], kernels, strides, strict=False)
        )
        self.fc = nn.Linear(channels[-1], n_classes)
        self.residual, self.activations = tuple(residual), tuple(map(_activation, activations))

    def forward(self, x: Tensor) -> Tensor:
        """Logits of images, shape (batch, channels, height, width)."""
        kept: list[Tensor] = []
        for layer, place, activation in zip(self.layers, self.residual, self.activations, strict=True):
            x = layer(x)
            if place >= 0:
                both = min(kept[place].shape[1], x.shape[1])
                shared = x[:, :both] + kept[place][:, :both]
                x = torch.cat([shared, x[:, both:]], 1) if both < x.shape[1] else shared
            x = activation(x)
            kept.append(x)
        return torch.as_tensor(self.fc(x.mean((2, 3))))


class ListedCNN(nn.Module):
    """A network of the Model Zoos (Schürholt et al. 2022): a list of layers, of which some have weights.

    Args:
        shapes: Of the weights, whose names say at which place of the list each stands.
        activation: Behind each layer but the last.
        pooled: How many convolutions have a max-pooling of 2 behind them.
    """

    def __init__(self, shapes: Shapes, activation: str, pooled: int) -> None:
        super().__init__()
        self.activation, self.pooled, self.places = _activation(activation), pooled, tuple[str, ...]()
        self.module_list = nn.ModuleDict()
        for name, shape in shapes.items():
            if name.endswith("weight"):
                place = name.split(".")[1]
                bias = f"module_list.{place}.bias" in shapes
                layer = (
                    nn.Conv2d(shape[1], shape[0], (shape[2], shape[3]), bias=bias)
                    if len(shape) == 4
                    else nn.Linear(shape[1], shape[0], bias=bias)
                )
                self.module_list[place] = layer
        self.places = tuple(self.module_list)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of images, shape (batch, channels, height, width), or of flat inputs."""
        for number, place in enumerate(self.places):
            layer = self.module_list[place]
            if isinstance(layer, nn.Linear) and x.ndim > 2:
                x = x.flatten(1)
            x = layer(x)
            if number < self.pooled:
                x = F.max_pool2d(x, 2)
            if number < len(self.places) - 1:
                x = self.activation(x)
        return x


def module_of(configuration: Mapping[str, Any], shapes: Shapes) -> tuple[nn.Module, Tensor]:
    """The network of a run that comes from a published zoo, with any weights, and an input for it.

    Args:
        configuration: Of the run; its entry ``zoo`` says which format it comes from.
        shapes: Of its weights, by name.

    Raises:
        ConfigurationError: The format is not known, or an activation is not.
    """
    builders = {"small-cnn-zoo": _small_cnn, "cnn-wild-park": _wild_park, "model-zoos": _listed}
    source = configuration.get(SOURCE)
    if source not in builders:
        remedy = f"There are: {', '.join(builders)}"
        raise ConfigurationError("a network of a published zoo says its format", repr(source), remedy)
    return builders[source](configuration, shapes)


def _activation(name: str) -> Activation:
    if name not in ACTIVATIONS:
        remedy = f"There are: {', '.join(ACTIVATIONS)}"
        raise ConfigurationError("an activation of a zoo's network has a name that is known", repr(name), remedy)
    return ACTIVATIONS[name]


def _small_cnn(configuration: Mapping[str, Any], shapes: Shapes) -> tuple[nn.Module, Tensor]:
    kernels = [shape for name, shape in shapes.items() if name.startswith("layers.") and len(shape) == 4]
    channels = [kernels[0][1], *(shape[0] for shape in kernels)]
    side = 32 if str(configuration.get("dataset", "")).startswith(COLOUR) else 28
    module = SmallCNN(channels, shapes["fc.weight"][0], str(configuration.get("activation", "relu")))
    return module, torch.zeros(1, channels[0], side, side)


def _wild_park(configuration: Mapping[str, Any], shapes: Shapes) -> tuple[nn.Module, Tensor]:
    kernels = [shape for name, shape in shapes.items() if name.startswith("layers.") and len(shape) == 4]
    channels = [kernels[0][1], *(shape[0] for shape in kernels)]
    strides = configuration.get("stride") or [1] * len(kernels)
    module = WildParkCNN(
        channels, [shape[2] for shape in kernels], strides, configuration["residual"], configuration["activation"],
        shapes["fc.weight"][0],
    )  # fmt: skip
    return module, torch.zeros(1, channels[0], 32, 32)


def _listed(configuration: Mapping[str, Any], shapes: Shapes) -> tuple[nn.Module, Tensor]:
    kind, activation = configuration["model::type"], str(configuration.get("model::nlin", "leakyrelu"))
    first = next(iter(shapes.values()))
    if kind == "MLP":
        return ListedCNN(shapes, activation, 0), torch.zeros(1, first[1])
    sides = {"CNN": (28, 2), "CNN2": (28, 2), "CNN3": (32, 3)}
    if kind not in sides:
        raise ConfigurationError(
            "networks of the Model Zoos that are read are MLP, CNN, CNN2 and CNN3", repr(kind), "Convert those alone"
        )
    side, pooled = sides[kind]
    return ListedCNN(shapes, activation, pooled), torch.zeros(1, first[1], side, side)
