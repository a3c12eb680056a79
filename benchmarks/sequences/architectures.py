"""Small networks of many kinds, for images of 16 x 16 pixels and for texts of 32 characters."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

WIDTH, HEADS, TOKENS = 48, 4, 128


class Residual(nn.Module):
    """Adds what a block makes of its input to it."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """The sum."""
        return x + self.body(x)


class Transformer(nn.Module):
    """Two layers in front of a linear one: of characters, or of the 16 patches of an image."""

    def __init__(self, channels: int | None, classes: int) -> None:
        super().__init__()
        length = 32 if channels is None else 16
        cut = nn.Conv2d(channels or 1, WIDTH, 4, stride=4)
        self.embed = nn.Embedding(TOKENS, WIDTH) if channels is None else nn.Sequential(cut, nn.Flatten(2))
        self.images = channels is not None
        self.positions = nn.Parameter(torch.randn(length, WIDTH) * 0.02)
        layer = nn.TransformerEncoderLayer(
            WIDTH, HEADS, 4 * WIDTH, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, classes)

    def forward(self, x: Tensor) -> Tensor:
        """The classes of the last place, or of the mean of the patches."""
        embedded = self.embed(x)
        embedded = embedded.transpose(1, 2) if self.images else embedded
        h = self.blocks(embedded + self.positions)
        return self.head(self.norm(h.mean(1) if self.images else h[:, -1]))


class Recurrent(nn.Module):
    """Two recurrent layers that read the rows of an image or the characters of a text."""

    def __init__(self, cell: type[nn.GRU | nn.LSTM], channels: int | None, classes: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(TOKENS, 24) if channels is None else nn.Identity()
        self.cells = cell(24 if channels is None else 16 * channels, WIDTH, num_layers=2, batch_first=True)
        self.head = nn.Linear(WIDTH, classes)

    def forward(self, x: Tensor) -> Tensor:
        """The classes of the last place."""
        rows = x if x.ndim == 2 else x.transpose(1, 2).flatten(2)
        return self.head(self.cells(self.embed(rows))[0][:, -1])


class Autoencoder(nn.Module):
    """An image from 24 numbers."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.shape = (channels, 16, 16)
        wide = channels * 256
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(wide, 96), nn.SiLU(), nn.Linear(96, 24))
        self.decoder = nn.Sequential(nn.Linear(24, 96), nn.SiLU(), nn.Linear(96, wide))

    def forward(self, x: Tensor) -> Tensor:
        """The image that comes back."""
        return self.decoder(self.encoder(x)).view(-1, *self.shape)


class Pairs(nn.Module):
    """Two numbers below 97, each one of so many, embedded and added, of which a hidden layer makes a class."""

    def __init__(self, channels: int | None, classes: int) -> None:
        super().__init__()
        self.embed = nn.Linear(194, WIDTH, bias=False)
        self.hidden, self.head = nn.Linear(WIDTH, 128), nn.Linear(128, classes)

    def forward(self, x: Tensor) -> Tensor:
        """The classes."""
        return self.head(torch.relu(self.hidden(self.embed(x))))


def normed(channels: int, classes: int) -> nn.Module:
    """Three linear layers with layer norm and GELU."""
    first = [nn.Flatten(), nn.Linear(256 * channels, 96), nn.LayerNorm(96), nn.GELU()]
    return nn.Sequential(*first, nn.Linear(96, 64), nn.LayerNorm(64), nn.GELU(), nn.Linear(64, classes))


def plain(channels: int, classes: int) -> nn.Module:
    """Two linear layers."""
    return nn.Sequential(nn.Flatten(), nn.Linear(256 * channels, 64), nn.Tanh(), nn.Linear(64, classes))


def regression(channels: int, classes: int) -> nn.Module:
    """One linear layer."""
    return nn.Sequential(nn.Flatten(), nn.Linear(256 * channels, classes))


def separable(channels: int, classes: int) -> nn.Module:
    """Convolutions of each channel alone, and of one pixel, with batch norm."""
    layers: list[nn.Module] = [nn.Conv2d(channels, 16, 3, stride=2, padding=1), nn.BatchNorm2d(16), nn.ReLU6()]
    for wide, out in ((16, 24), (24, 32)):
        layers += [nn.Conv2d(wide, wide, 3, padding=1, groups=wide, bias=False), nn.BatchNorm2d(wide), nn.ReLU6()]
        layers += [nn.Conv2d(wide, out, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU6()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, classes))


def residual(channels: int, classes: int) -> nn.Module:
    """Two residual blocks with group norm."""
    layers: list[nn.Module] = [nn.Conv2d(channels, 16, 3, stride=2, padding=1)]
    layers += [Residual(nn.GroupNorm(4, 16), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1)) for _ in range(2)]
    return nn.Sequential(*layers, nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(256, classes))


ARCHITECTURES: dict[str, Callable[[int, int], nn.Module]] = {
    "normed": normed,
    "plain": plain,
    "regression": regression,
    "separable": separable,
    "residual": residual,
    "autoencoder": Autoencoder,
    "transformer": Transformer,
    "pairs": Pairs,
    "gru": lambda channels, classes: Recurrent(nn.GRU, channels, classes),
    "lstm": lambda channels, classes: Recurrent(nn.LSTM, channels, classes),
}
