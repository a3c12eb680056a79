"""Networks of the common families, small; activations and pooling are chosen, so that each has a linear twin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Layer = Callable[[], nn.Module]


@dataclass(frozen=True)
class Parts:
    """What a network is built of: the real one, or its linear twin (identity and average pooling)."""

    act: Layer
    pool: Callable[..., nn.Module]


REAL = Parts(lambda: nn.ReLU(inplace=True), nn.MaxPool2d)
TWIN = Parts(nn.Identity, lambda *args, **kwargs: nn.AvgPool2d(*args, **kwargs, count_include_pad=False))


def conv_norm(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(outputs)]


class Perceptron(nn.Sequential):
    shape = (5,)

    def __init__(self, parts: Parts) -> None:
        super().__init__(
            nn.Linear(5, 6), parts.act(), nn.Linear(6, 4), nn.BatchNorm1d(4), parts.act(), nn.Dropout(), nn.Linear(4, 3)
        )


class Plain(nn.Sequential):
    """Convolutions, batch norms, pooling with overlap and padding, a linear head."""

    shape = (2, 8, 8)

    def __init__(self, parts: Parts) -> None:
        super().__init__(
            *conv_norm(2, 4, 3),
            parts.act(),
            parts.pool(3, stride=2, padding=1),
            nn.Conv2d(4, 4, 3, padding=2, dilation=2, padding_mode="circular"),
            parts.act(),
            parts.pool(2),
            nn.Flatten(),
            nn.Linear(16, 5),
            parts.act(),
            nn.Linear(5, 3),
        )


class Bottleneck(nn.Module):
    """ResNet-50's block."""

    def __init__(self, inputs: int, width: int, stride: int, parts: Parts) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *conv_norm(inputs, width, 1),
            parts.act(),
            *conv_norm(width, width, 3, stride),
            parts.act(),
            *conv_norm(width, 2 * width, 1),
        )
        self.downsample = (
            nn.Sequential(*conv_norm(inputs, 2 * width, 1, stride))
            if stride > 1 or inputs != 2 * width
            else nn.Identity()
        )
        self.act = parts.act()

    def forward(self, x: Tensor) -> Tensor:
        out = self.body(x)
        out += self.downsample(x)
        return self.act(out)


class Residual(nn.Module):
    """Stem, bottlenecks with and without projection, global pooling, head."""

    shape = (2, 8, 8)

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        self.stem = nn.Sequential(*conv_norm(2, 4, 3, 2), parts.act(), parts.pool(3, 2, 1))
        self.layers = nn.Sequential(Bottleneck(4, 2, 1, parts), Bottleneck(4, 3, 2, parts), Bottleneck(6, 3, 1, parts))
        self.pool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(torch.flatten(self.pool(self.layers(self.stem(x))), 1))


class Preactivation(nn.Module):
    """Batch norm and activation first; the sums stay linear from end to end."""

    shape = (2, 4, 4)

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, 3, 3, padding=1)
        self.bodies = nn.ModuleList(
            nn.Sequential(
                nn.BatchNorm2d(3),
                parts.act(),
                nn.Conv2d(3, 2, 1),
                nn.BatchNorm2d(2),
                parts.act(),
                nn.Conv2d(2, 3, 3, padding=1),
            )
            for _ in range(3)
        )
        self.last, self.fc = nn.Sequential(nn.BatchNorm2d(3), parts.act()), nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = self.stem(x)
        for body in self.bodies:
            h = h + body(h)
        return self.fc(self.last(h).mean((2, 3)))


class Dense(nn.Module):
    """DenseNet: norm, activation, convolution of all earlier maps; a transition; a second block."""

    shape = (2, 4, 4)

    def __init__(self, parts: Parts, growth: int = 2, layers: int = 3) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, 4, 3, padding=1, bias=False)
        self.first = nn.ModuleList(self.layer(4 + i * growth, growth, parts) for i in range(layers))
        width = 4 + layers * growth
        self.transition = nn.Sequential(
            nn.BatchNorm2d(width), parts.act(), nn.Conv2d(width, 4, 1, bias=False), nn.AvgPool2d(2)
        )
        self.second = nn.ModuleList(self.layer(4 + i * growth, growth, parts) for i in range(layers))
        self.norm, self.act, self.fc = nn.BatchNorm2d(width), parts.act(), nn.Linear(width, 3)

    @staticmethod
    def layer(inputs: int, growth: int, parts: Parts) -> nn.Module:
        return nn.Sequential(
            nn.BatchNorm2d(inputs),
            parts.act(),
            nn.Conv2d(inputs, 2 * growth, 1, bias=False),
            nn.BatchNorm2d(2 * growth),
            parts.act(),
            nn.Conv2d(2 * growth, growth, 3, padding=1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        features = self.stem(x)
        for layer in self.first:
            features = torch.cat([features, layer(features)], 1)
        maps = [self.transition(features)]
        for layer in self.second:
            maps.append(layer(torch.cat(maps, 1)))
        h = self.act(self.norm(torch.cat(maps, 1)))
        return self.fc(F.adaptive_avg_pool2d(h, (1, 1)).flatten(1))


class InvertedResidual(nn.Module):
    """MobileNetV2's block: expand, depthwise, project linearly, skip."""

    def __init__(self, inputs: int, outputs: int, stride: int, expand: int, parts: Parts) -> None:
        super().__init__()
        hidden = inputs * expand
        layers = [*conv_norm(inputs, hidden, 1), parts.act()] if expand > 1 else []
        layers += [*conv_norm(hidden, hidden, 3, stride, groups=hidden), parts.act(), *conv_norm(hidden, outputs, 1)]
        self.conv, self.skips = nn.Sequential(*layers), stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.skips else self.conv(x)


class Mobile(nn.Module):
    """MobileNetV2: two linear sums in a row, so that one skip starts at another's group."""

    shape = (3, 8, 8)

    def __init__(self, parts: Parts, width: int = 4) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Sequential(*conv_norm(3, width, 3, 2), parts.act()),
            InvertedResidual(width, width, 1, 1, parts),
            InvertedResidual(width, width + 2, 2, 2, parts),
            InvertedResidual(width + 2, width + 2, 1, 2, parts),
            InvertedResidual(width + 2, width + 2, 1, 2, parts),
            nn.Sequential(*conv_norm(width + 2, 8, 1), parts.act()),
        )
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(8, 4))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).mean([2, 3]))
