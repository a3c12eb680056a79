"""The ResNets for small images of He et al. 2015 (1512.03385, section 4.2): 6n + 2 layers, shortcuts of option A."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from axonometry.errors import ConfigurationError
from axonometry.populations.layers import ACTIVATIONS, Dropout, scaled


class ResidualBlock(nn.Module):
    """Two convolutions of 3x3 and a shortcut without parameters: every other pixel, new channels filled with zeros."""

    def __init__(self, before: int, after: int, stride: int, activation: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.act = ACTIVATIONS[activation]()
        self.stride, self.added = stride, after - before

    def forward(self, x: Tensor) -> Tensor:
        """The block's output; shapes (N, before, H, W) -> (N, after, H / stride, W / stride), rounded up."""
        out = self.bn2(self.conv2(self.act(self.bn1(self.conv1(x)))))
        if self.stride > 1:
            x = x[:, :, :: self.stride, :: self.stride]
        if self.added:
            x = F.pad(x, (0, 0, 0, 0, self.added // 2, self.added - self.added // 2))
        return self.act(out + x)


class CifarResNet(nn.Module):
    """A ResNet for small images: three stages of n blocks with 16, 32 and 64 channels, mean, ``fc``.

    Args:
        depth: 6n + 2; 32, 44 and 56 in paper 3.
        input_shape: (C, H, W).
        n_classes: Number of logits.
        width: Factor on all channels.
        activation: A name in ``layers.ACTIVATIONS``.
        dropout: Probability to drop a channel's mean in front of ``fc`` while training [our choice].

    Raises:
        ConfigurationError: The depth is not 6n + 2.
    """

    def __init__(
        self,
        depth: int,
        input_shape: tuple[int, ...] = (3, 32, 32),
        n_classes: int = 10,
        *,
        width: float = 1.0,
        activation: str = "relu",
        dropout: float = 0.0,
    ) -> None:
        if depth < 8 or (depth - 2) % 6:
            raise ConfigurationError("a ResNet for small images has 6n + 2 layers", str(depth), "Choose 20, 32, 44...")
        super().__init__()
        widths = [scaled(n, width) for n in (16, 32, 64)]
        self.conv1 = nn.Conv2d(input_shape[0], widths[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.act = ACTIVATIONS[activation]()
        before = widths[0]
        for stage, after in enumerate(widths, start=1):
            blocks = []
            for number in range((depth - 2) // 6):
                blocks.append(ResidualBlock(before, after, 2 if stage > 1 and number == 0 else 1, activation))
                before = after
            setattr(self, f"layer{stage}", nn.Sequential(*blocks))
        self.dropout = Dropout(dropout, before) if dropout else nn.Identity()
        self.fc = nn.Linear(before, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits; shapes (N, C, H, W) -> (N, n_classes)."""
        x = self.act(self.bn1(self.conv1(x)))
        for stage in range(1, 4):
            x = getattr(self, f"layer{stage}")(x)
        return self.fc(self.dropout(x.mean((2, 3))))
