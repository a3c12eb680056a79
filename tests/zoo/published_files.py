"""Files in exactly the formats in which zoos are published, of small trainings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F

ACTIVATIONS = {"relu": torch.relu, "tanh": torch.tanh, "gelu": F.gelu}
EPOCHS = (0, 1, 2, 4)
"""Of the checkpoints: not all epochs, as in the Small CNN Zoo."""


def images(n: int, channels: int, side: int) -> tuple[Tensor, Tensor]:
    """Images whose mean brightness is their class."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(3, (n,), generator=generator)
    return torch.rand(n, channels, side, side, generator=generator) + labels[:, None, None, None] / 2, labels


@dataclass(frozen=True)
class Trained:
    """The states and accuracies of a training by epoch."""

    states: Mapping[int, dict[str, Tensor]]
    accuracy: Mapping[int, float]


def trained(model: nn.Module, inputs: Tensor, labels: Tensor, rate: float) -> Trained:
    """Train with Adam, and keep what :data:`EPOCHS` say."""
    optimizer, states, accuracy = torch.optim.Adam(model.parameters(), lr=rate), {}, {}
    for epoch in range(max(EPOCHS) + 1):
        if epoch:
            optimizer.zero_grad()
            F.cross_entropy(model(inputs), labels).backward()
            optimizer.step()
        if epoch in EPOCHS:
            states[epoch] = {name: tensor.clone() for name, tensor in model.state_dict().items()}
            with torch.no_grad():
                accuracy[epoch] = float((model(inputs).argmax(1) == labels).float().mean())
    return Trained(states, accuracy)


class TheirSmallCNN(nn.Module):
    """Three convolutions with stride 2, global average pooling, a dense layer."""

    def __init__(self, units: int, activation: str) -> None:
        super().__init__()
        self.conv = nn.ModuleList(nn.Conv2d(n, units, 3, 2) for n in (1, units, units))
        self.dense, self.activation = nn.Linear(units, 3), activation

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.conv:
            x = ACTIVATIONS[self.activation](layer(x))
        return self.dense(x.mean((2, 3)))


def write_small_cnn_zoo(folder: Path, n: int = 8) -> list[TheirSmallCNN]:
    """``weights.npy``, ``metrics.csv.gz``, ``layout.csv`` of n networks; the networks as they are at the end."""
    folder.mkdir(parents=True)
    inputs, labels = images(12, 1, 28)
    rows, flat, models = [], [], []
    layout: list[dict[str, Any]] = []
    for number in range(n):
        torch.manual_seed(number)
        activation, rate = ("relu", "tanh")[number % 2], 10.0 ** -(2 + number % 3)
        model = TheirSmallCNN(4, activation)
        models.append(model)
        found = trained(model, inputs, labels, rate)
        for epoch in EPOCHS:
            variables = _tensorflow(found.states[epoch])
            flat.append(np.concatenate([value.ravel() for value in variables.values()]))
            layout = layout or _layout(variables)
            rows.append(
                {
                    "config.activation": activation, "config.dataset": "mnist", "config.learning_rate": rate,
                    "config.num_units": 4, "config.optimizer": "adam", "config.random_seed": number,
                    "modeldir": f"/models/{number}", "step": epoch, "test_accuracy": found.accuracy[epoch],
                    "test_loss": 1.0, "train_accuracy": found.accuracy[epoch], "train_loss": 1.0,
                    "laststep": epoch == max(EPOCHS),
                }
            )  # fmt: skip
    np.save(folder / "weights.npy", np.stack(flat).astype(np.float32))
    pd.DataFrame(rows).to_csv(folder / "metrics.csv.gz", compression="gzip")
    pd.DataFrame(layout).to_csv(folder / "layout.csv", index=False)
    return models


def _tensorflow(state: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    """Variables as TensorFlow has them: biases first, kernels as height, width, inputs, outputs."""
    found = {}
    names = {"conv.0": "conv2d", "conv.1": "conv2d_1", "conv.2": "conv2d_2", "dense": "dense"}
    for ours, theirs in names.items():
        weight = state[f"{ours}.weight"]
        found[f"sequential/{theirs}/bias:0"] = state[f"{ours}.bias"].numpy()
        kernel = weight.permute(2, 3, 1, 0) if weight.ndim == 4 else weight.T
        found[f"sequential/{theirs}/kernel:0"] = kernel.contiguous().numpy()
    return found


def _layout(variables: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    rows, start = [], 0
    for name, value in variables.items():
        end = start + value.size
        rows.append(
            {"varname": name, "start_idx": start, "end_idx": end, "size": value.size, "shape": str(value.shape)}
        )
        start = end
    return rows


@dataclass
class CNNConfig:
    """As in their ``cnn_sampler``; pickled with the checkpoint."""

    n_layers: int
    n_classes: int
    channels: list[int]
    kernel_size: list[int]
    stride: list[int]
    padding: list[int]
    residual: list[int]
    activation: list[str]


class TheirParkCNN(nn.Module):
    """A network of the CNN Wild Park, with the residual added in place."""

    def __init__(self, cfg: CNNConfig) -> None:
        super().__init__()
        self.cfg = cfg
        self.layers = nn.ModuleList(
            nn.Conv2d(cfg.channels[i], cfg.channels[i + 1], cfg.kernel_size[i], cfg.stride[i], cfg.padding[i])
            for i in range(cfg.n_layers)
        )
        self.fc = nn.Linear(cfg.channels[-1], cfg.n_classes)

    def forward(self, x: Tensor) -> Tensor:
        kept = []
        for i, layer in enumerate(self.layers):
            x = layer(x)
            if self.cfg.residual[i] > -1:
                other = kept[self.cfg.residual[i]]
                both = min(other.shape[1], x.shape[1])
                x = x.clone()
                x[:, :both] += other[:, :both]
            x = ACTIVATIONS[self.cfg.activation[i]](x)
            kept.append(x)
        return self.fc(x.mean((2, 3)))


def write_wild_park(folder: Path) -> dict[str, TheirParkCNN]:
    """Trial folders and ``cnn_park_splits.json`` of four networks of two architectures; the networks by trial."""
    inputs, labels = images(6, 3, 32)
    deep = CNNConfig(3, 3, [3, 4, 3, 5], [3, 5, 3], [1] * 3, [1, 2, 1], [-1, -1, 0], ["relu", "gelu", "tanh"])
    flat = CNNConfig(2, 3, [3, 4, 4], [3, 3], [1] * 2, [1, 1], [-1, -1], ["gelu", "relu"])
    splits: dict[str, Any] = {split: {"path": [], "score": [], "step": []} for split in ("train", "val", "test")}
    models = {}
    for number, split in enumerate(("train", "train", "val", "test")):
        torch.manual_seed(number)
        config = (deep, flat)[number % 2]
        model = TheirParkCNN(config)
        found = trained(model, inputs, labels, 0.01)
        trial = f"NN_tune_trainable_{number:05d}"
        models[trial] = model
        for epoch in EPOCHS[1:]:
            path = Path("cifar10_zooV2") / trial / f"checkpoint_{epoch:06d}" / "checkpoint.pt"
            (folder / path).parent.mkdir(parents=True)
            last = {"test/acc": found.accuracy[epoch], "training_iteration": epoch}
            saved = {"model": found.states[epoch], "optimizer": {"state": {}}, "config": config}
            torch.save({**saved, "iteration": epoch, "last_result": last}, folder / path)
            for name, value in (("path", path.as_posix()), ("score", found.accuracy[epoch]), ("step", epoch)):
                splits[split][name].append(value)
    (folder / "cnn_park_splits.json").write_text(json.dumps(splits))
    return models


class TheirListedCNN(nn.Module):
    """The small CNN of the Model Zoos: a list of layers, pooling before the nonlinearity."""

    def __init__(self, activation: type[nn.Module], dropout: float) -> None:
        super().__init__()
        drop = [nn.Dropout(dropout)] if dropout else []
        self.module_list = nn.ModuleList(
            [
                *[nn.Conv2d(1, 8, 5), nn.MaxPool2d(2, 2), activation(), *drop],
                *[nn.Conv2d(8, 6, 5), nn.MaxPool2d(2, 2), activation(), *drop],
                *[nn.Conv2d(6, 4, 2), activation(), nn.Flatten()],
                *[nn.Linear(36, 20), activation(), *drop, nn.Linear(20, 10)],
            ]
        )

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.module_list:
            x = layer(x)
        return x


def write_model_zoo(folder: Path, n: int = 4) -> dict[str, TheirListedCNN]:
    """Trial folders of Ray Tune; the networks by trial."""
    inputs, labels = images(6, 1, 28)
    models = {}
    for number in range(n):
        torch.manual_seed(number)
        kind, dropout = (("tanh", nn.Tanh), ("gelu", nn.GELU))[number % 2], 0.5 * (number // 2)
        model = TheirListedCNN(kind[1], dropout)
        found = trained(model, inputs, labels, 0.003)
        trial = folder / f"NN_tune_trainable_{number:05d}"
        models[trial.name] = model.eval()
        trial.mkdir(parents=True)
        params = {
            "model::type": "CNN", "model::nlin": kind[0], "model::dropout": dropout, "model::channels_in": 1,
            "optim::optimizer": "adam", "optim::lr": 0.003, "seed": number, "cuda": False, "dataset::dump": "/data.pt",
        }  # fmt: skip
        (trial / "params.json").write_text(json.dumps(params))
        lines = []
        for epoch in EPOCHS:
            train = -999 if epoch == 0 else found.accuracy[epoch]
            scores = {"train_loss": train, "train_acc": train, "test_loss": 1.0, "test_acc": found.accuracy[epoch]}
            lines.append(json.dumps({**scores, "training_iteration": epoch, "config": params}))
            # the older releases write checkpoint_4, the newer ones checkpoint_000004
            checkpoint = trial / (f"checkpoint_{epoch}" if number % 2 else f"checkpoint_{epoch:06d}")
            checkpoint.mkdir()
            torch.save(found.states[epoch], checkpoint / "checkpoints")
            torch.save({"state": {}}, checkpoint / "optimizer")
        (trial / "result.json").write_text("\n".join(lines) + "\n")
    return models
