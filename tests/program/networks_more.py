"""More networks of the common families: encoder-decoders, branches, mixers."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .networks import Parts, conv_norm


class UNet(nn.Module):
    """Two levels down and up: one by a transposed convolution, one by bilinear upsampling; skips by cat."""

    shape = (1, 8, 8)

    def __init__(self, parts: Parts, width: int = 2) -> None:
        super().__init__()
        self.down1, self.down2 = self.pair(1, width, parts), self.pair(width, 2 * width, parts)
        self.bottom, self.pool = self.pair(2 * width, 2 * width, parts), parts.pool(2)
        self.up1 = nn.ConvTranspose2d(2 * width, width, 2, stride=2)
        self.up2 = nn.Sequential(
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True), nn.Conv2d(width, width, 1)
        )
        self.merge1, self.merge2 = self.pair(3 * width, width, parts), self.pair(2 * width, width, parts)
        self.out = nn.Conv2d(width, 2, 1)

    @staticmethod
    def pair(inputs: int, outputs: int, parts: Parts) -> nn.Module:
        return nn.Sequential(*conv_norm(inputs, outputs, 3), parts.act(), *conv_norm(outputs, outputs, 3), parts.act())

    def forward(self, x: Tensor) -> Tensor:
        one = self.down1(x)
        two = self.down2(self.pool(one))
        h = self.merge1(torch.cat([two, self.up1(self.bottom(self.pool(two)))], dim=1))
        return self.out(self.merge2(torch.cat([one, self.up2(h)], dim=1)))


class Shuffle(nn.Module):
    """ShuffleNetV2: half of the channels pass by, then channels are shuffled."""

    shape = (4, 3, 3)

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(
                *conv_norm(2, 2, 1), parts.act(), *conv_norm(2, 2, 3, groups=2), *conv_norm(2, 2, 1), parts.act()
            )
            for _ in range(2)
        )
        self.fc = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        for branch in self.branches:
            left, right = x.chunk(2, dim=1)
            x = torch.cat((left, branch(right)), dim=1)
            n, c, h, w = x.size()
            x = x.view(n, 2, c // 2, h, w).transpose(1, 2).contiguous().view(n, c, h, w)
        return self.fc(x.mean([2, 3]))


class Inception(nn.Module):
    """Branches of different kernels, one of them pooling, side by side; a mean of two heads."""

    shape = (2, 4, 4)

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        self.one, self.three = (
            nn.Conv2d(2, 2, 1),
            nn.Sequential(nn.Conv2d(2, 1, 1), parts.act(), nn.Conv2d(1, 2, 3, padding=1)),
        )
        self.pooled, self.act = nn.Sequential(parts.pool(3, stride=1, padding=1), nn.Conv2d(2, 1, 1)), parts.act()
        self.heads = nn.ModuleList([nn.Linear(5, 3), nn.Linear(80, 3)])

    def forward(self, x: Tensor) -> Tensor:
        h = self.act(torch.cat([self.one(x), self.three(x), self.pooled(x)], 1))
        return (self.heads[0](h.mean((2, 3))) - 0.5 * self.heads[1](h.flatten(1))) / 2


class LayerScale(nn.Module):
    """ConvNeXt without its norm: depthwise, channels last, scaled branch added to the input."""

    shape = (2, 3, 3)

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(2, 2, 3, padding=1, groups=2)
        self.wide, self.narrow, self.act = nn.Linear(2, 5), nn.Linear(5, 2), parts.act()
        self.gamma, self.fc = nn.Parameter(torch.ones(2)), nn.Linear(2, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.narrow(self.act(self.wide(self.depthwise(x).permute(0, 2, 3, 1))))
        x = x + (self.gamma * h).permute(0, 3, 1, 2)
        return self.fc(x.mean((-2, -1)))


class Mixer(nn.Module):
    """Token and channel mixing with skips, on patches made by a convolution."""

    shape = (1, 4, 4)

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        self.patches, self.act = nn.Conv2d(1, 3, 2, stride=2), parts.act()
        self.tokens = nn.Sequential(nn.Linear(4, 5), parts.act(), nn.Linear(5, 4))
        self.channels = nn.Sequential(nn.Linear(3, 6), parts.act(), nn.Linear(6, 3))
        self.head = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = x + self.tokens(x.transpose(1, 2)).transpose(1, 2)
        x = x + self.channels(x)
        return self.head(x.mean(1))


class Broadcast(nn.Module):
    """A vector added to every position of a map, the shared encoder called twice, a sum read by two layers."""

    shape = (2, 3, 3)

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        self.conv, self.vector, self.act = nn.Conv2d(2, 3, 3, padding=1), nn.Linear(2, 3), parts.act()
        self.again, self.left, self.right = nn.Conv2d(3, 3, 1), nn.Linear(3, 2), nn.Linear(27, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = self.act(self.conv(x) + self.vector(x.mean((2, 3)))[:, :, None, None])
        h = self.act(self.again(self.act(self.again(h)))) + 0.5 * h
        return self.left(h.mean((2, 3))) + self.right(h.flatten(1))
