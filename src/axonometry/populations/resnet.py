"""ResNets in the ImageNet layout, with the module names of torchvision so that its state dicts fit."""

from __future__ import annotations

from torch import Tensor, nn

from axonometry.errors import ConfigurationError


def _conv(before: int, after: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(before, after, kernel, stride, padding=kernel // 2, bias=False)


class BasicBlock(nn.Module):
    """Two convolutions of 3x3 and a shortcut (He et al. 2015, figure 5 left)."""

    expansion = 1

    def __init__(self, before: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1, self.bn1 = _conv(before, width, 3, stride), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = _conv(width, width, 3), nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _projection(before, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """The block's output; shapes (N, before, H, W) -> (N, width, H / stride, W / stride)."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)


class Bottleneck(nn.Module):
    """Convolutions of 1x1, 3x3 (which strides) and 1x1, and a shortcut (He et al. 2015, figure 5 right)."""

    expansion = 4

    def __init__(self, before: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1, self.bn1 = _conv(before, width, 1), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = _conv(width, width, 3, stride), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = _conv(width, 4 * width, 1), nn.BatchNorm2d(4 * width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _projection(before, 4 * width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """The block's output; shapes (N, before, H, W) -> (N, 4 width, H / stride, W / stride)."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)


def _projection(before: int, after: int, stride: int) -> nn.Sequential | None:
    """The 1x1 convolution of a shortcut between different shapes, None where they are equal."""
    if stride == 1 and before == after:
        return None
    return nn.Sequential(_conv(before, after, 1, stride), nn.BatchNorm2d(after))


_BLOCKS: dict[int, tuple[type[BasicBlock] | type[Bottleneck], tuple[int, ...]]] = {
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
}


class ResNet(nn.Module):
    """ResNet-18, -34 or -50 in the ImageNet layout: a 7x7 stem of stride 2, max-pooling, four stages, mean, ``fc``.

    Parameters and buffers have torchvision's names and shapes; ReLU works in place and the shortcut is added in place,
    as there. Parameters start as PyTorch's layers draw them.

    Args:
        depth: 18, 34 or 50.
        n_classes: Number of logits.
        in_channels: Channels of the input.

    Raises:
        ConfigurationError: There is no ResNet of that depth here.

    >>> sum(parameter.numel() for parameter in ResNet(18).parameters())  # as torchvision says
    11689512
    """

    def __init__(self, depth: int, n_classes: int = 1000, *, in_channels: int = 3) -> None:
        if depth not in _BLOCKS:
            raise ConfigurationError(f"a ResNet's depth is one of {', '.join(map(str, _BLOCKS))}", str(depth))
        super().__init__()
        block, counts = _BLOCKS[depth]
        self.conv1 = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        before = 64
        for number, count in enumerate(counts, start=1):
            width = 64 * 2 ** (number - 1)
            strides = [1 if number == 1 else 2] + [1] * (count - 1)
            befores = [before] + [width * block.expansion] * (count - 1)
            blocks = [block(b, width, stride) for b, stride in zip(befores, strides, strict=True)]
            setattr(self, f"layer{number}", nn.Sequential(*blocks))
            before = width * block.expansion
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(before, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits; shapes (N, in_channels, H, W) -> (N, n_classes)."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for number in range(1, 5):
            x = getattr(self, f"layer{number}")(x)
        return self.fc(self.avgpool(x).flatten(1))
