"""Trainings of every habit: schedules, optimisers, from scratch and from trained weights, saved in several ways."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from axonometry.populations.datasets import load_dataset
from benchmarks.sequences.architectures import ARCHITECTURES

State = dict[str, Tensor]


@dataclass(frozen=True)
class Training:
    """A training and what is saved of it.

    Attributes:
        network: One of :data:`~benchmarks.sequences.architectures.ARCHITECTURES`.
        data: Name of the data set.
        optimiser: One of :data:`OPTIMISERS`.
        rate: Largest learning rate.
        schedule: One of :data:`SCHEDULES`.
        steps: How many checkpoints there are.
        every: Updates between two; 0 for powers of 2.
        habit: ``"scratch"``; ``"tuned"``, from weights that another data set trained; ``"head"``, with all but the last
            layer frozen; ``"mean"``, the running mean of the weights is saved; ``"whole"``, on all of 500 samples at
            once.
        kept_as: Type that is saved.
    """

    network: str
    data: str
    optimiser: str
    rate: float
    schedule: str
    steps: int
    every: int
    habit: str = "scratch"
    kept_as: str = "float32"

    @property
    def name(self) -> str:
        """What it is called."""
        words = (self.network, self.data, self.optimiser, self.schedule, self.habit, self.kept_as)
        return " ".join(word for word in words if word not in ("scratch", "float32"))

    @property
    def numbers(self) -> list[int]:
        """Updates after which there is a checkpoint."""
        if self.every:
            return [self.every * step for step in range(self.steps)]
        return [0, *(2**step for step in range(self.steps - 1))]


TRAININGS = (
    Training("normed", "mnist-14", "adamw", 1e-3, "constant", 24, 20),
    Training("normed", "cifar10-16", "sgd", 5e-2, "exponential", 16, 25),
    Training("normed", "fashion-mnist-14", "adam", 1e-3, "triangular", 36, 10),
    Training("normed", "fashion-mnist-14", "sgd", 2e-3, "constant", 15, 20, "tuned"),
    Training("normed", "mnist-14", "adamw", 2e-5, "linear", 20, 10, "tuned"),
    Training("plain", "mnist-14", "momentum", 5e-2, "restarts", 33, 12),
    Training("plain", "fashion-mnist-14", "sgd", 0.5, "constant", 30, 100),
    Training("plain", "mnist-14", "momentum", 5e-2, "cosine", 40, 25, "whole"),
    Training("plain", "cifar10-16", "sgd", 0.6, "constant", 25, 1, "whole"),
    Training("plain", "cifar10-16", "adam", 1e-3, "alternating", 20, 8),
    Training("regression", "mnist-14", "sgd", 0.1, "constant", 12, 15),
    Training("regression", "fashion-mnist-14", "adam", 1e-3, "exponential", 28, 15),
    Training("separable", "fashion-mnist-14", "adam", 3e-3, "one-cycle", 20, 12),
    Training("separable", "mnist-14", "momentum", 5e-2, "constant", 18, 12),
    Training("separable", "cifar10-16", "sgd", 1e-2, "cosine", 14, 12, "tuned"),
    Training("residual", "cifar10-16", "momentum", 2e-2, "restarts", 30, 8),
    Training("residual", "fashion-mnist-14", "adamw", 2e-3, "stairs", 22, 10),
    Training("residual", "mnist-14", "adam", 1e-3, "constant", 16, 8, "head"),
    Training("autoencoder", "mnist-14", "adam", 2e-3, "triangular", 32, 12),
    Training("autoencoder", "fashion-mnist-14", "rmsprop", 5e-4, "constant", 20, 15),
    Training("transformer", "text", "adamw", 1e-3, "warm-up", 40, 8),
    Training("transformer", "text", "adam", 5e-4, "constant", 10, 0),
    Training("transformer", "text", "adamw", 1e-3, "restarts", 26, 8, kept_as="bfloat16"),
    Training("transformer", "mnist-14", "adamw", 1e-3, "cosine", 20, 10),
    Training("transformer", "fashion-mnist-14", "momentum", 2e-2, "one-cycle", 24, 10),
    Training("transformer", "fashion-mnist-14", "adamw", 1e-4, "linear", 18, 8, "tuned", "bfloat16"),
    Training("transformer", "cifar10-16", "adamw", 1e-3, "constant", 24, 8, "mean"),
    Training("gru", "text", "adam", 3e-3, "stairs", 20, 12),
    Training("lstm", "mnist-14", "rmsprop", 1e-3, "constant", 16, 12, kept_as="float16"),
    Training("lstm", "text", "adamw", 3e-3, "triangular", 24, 10),
    Training("pairs", "modular-addition", "decayed", 3e-3, "constant", 40, 30),
    Training("pairs", "modular-addition", "momentum", 0.1, "cosine", 10, 40),
)


def rate(schedule: str, u: float) -> float:
    """The learning rate at a share of the training, relative to its largest."""
    return SCHEDULES[schedule](u)


def _falling(u: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * u))


def _restarted(u: float) -> float:
    """Restarts after 1, 3 and 7 fifteenths of all and at the end of 15: each cycle is twice the last."""
    begin, width = 0.0, 1 / 15
    while u >= begin + width - 1e-9 and begin + width < 1:
        begin, width = begin + width, 2 * width
    return _falling((u - begin) / width) + 1e-3


SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda u: 1.0,
    "exponential": lambda u: math.exp(-5 * u),
    "cosine": _falling,
    "linear": lambda u: 1 - u,
    "warm-up": lambda u: min(10 * u, _falling(max(0.0, u - 0.1) / 0.9)) + 1e-4,
    "one-cycle": lambda u: 0.04 + u / 0.3 if u < 0.3 else _falling((u - 0.3) / 0.7),
    "triangular": lambda u: 0.02 + 0.98 * (1 - abs(2 * ((5 * u) % 1) - 1)),
    "alternating": lambda u: 1.0 if (20 * u) % 2 < 1 else 0.02,
    "restarts": _restarted,
    "stairs": lambda u: 0.1 ** (u * 4 // 1),
}
OPTIMISERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "momentum": lambda p, lr: torch.optim.SGD(p, lr, momentum=0.9, nesterov=True, weight_decay=5e-4),
    "adam": torch.optim.Adam,
    "adamw": lambda p, lr: torch.optim.AdamW(p, lr, weight_decay=0.1, betas=(0.9, 0.95)),
    "decayed": lambda p, lr: torch.optim.AdamW(p, lr, weight_decay=1.0),
    "rmsprop": torch.optim.RMSprop,
}


@cache
def _data(name: str) -> tuple[Tensor, Tensor, int, int | None]:
    found = load_dataset(name)
    channels = None if found.n_tokens else int(found.train_inputs.shape[1])
    return found.train_inputs, found.train_labels, found.n_classes, channels


def trained(training: Training, seed: int, start: int) -> Iterator[State]:
    """The states of a training, one after the other.

    Args:
        training: Which one.
        seed: Decides which samples come when.
        start: Decides the first weights.
    """
    inputs, labels, classes, channels = _data(training.data)
    model = _initial(training, start, channels, classes)
    moving = _learned(model, training.habit)
    optimizer = OPTIMISERS[training.optimiser](moving, lr=training.rate)
    numbers = training.numbers
    mean = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    choose = torch.Generator().manual_seed(seed)
    some = torch.randperm(len(inputs), generator=choose)[:500]
    for number in range(numbers[-1] + 1):
        if number in numbers:
            kept = mean if training.habit == "mean" else model.state_dict()
            yield {name: _as(tensor, training.kept_as) for name, tensor in kept.items()}
        for group in optimizer.param_groups:
            group["lr"] = training.rate * rate(training.schedule, number / max(1, numbers[-1]))
        whole = training.habit == "whole"
        batch = some if whole else torch.randint(0, len(inputs), (32,), generator=choose)
        _update(model, optimizer, inputs[batch], labels[batch])
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point():
                mean[name].lerp_(tensor, 0.02)


def _update(model: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor) -> None:
    optimizer.zero_grad()
    out = model(x)
    loss = nn.functional.mse_loss(out, x) if out.shape == x.shape else nn.functional.cross_entropy(out, y)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 10.0)
    optimizer.step()


def _initial(training: Training, seed: int, channels: int | None, classes: int) -> nn.Module:
    if training.habit == "tuned":
        other = "mnist-14" if "fashion" in training.data else "fashion-mnist-14"
        other = "cifar10-16" if "cifar" in training.data else other
        first = replace(training, data=other, optimiser="adam", rate=1e-3, schedule="constant", steps=2, every=200,
                        habit="scratch", kept_as="float32")  # fmt: skip
        *_, state = trained(first, seed + 1, seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = ARCHITECTURES[training.network](channels, classes)
    if training.habit == "tuned":
        model.load_state_dict(state)
    return model


def _learned(model: nn.Module, habit: str) -> list[nn.Parameter]:
    last = [child for child in model.modules() if isinstance(child, nn.Linear)][-1]
    return list((last if habit == "head" else model).parameters())


def _as(tensor: Tensor, kind: str) -> Tensor:
    return tensor.detach().to(getattr(torch, kind)) if tensor.is_floating_point() else tensor.detach().clone()


def states(folder: Path, training: Training, seed: int, start: int) -> list[State]:
    """The states of a training, from its folder where they are there already."""
    place = folder / training.name.replace(" ", "_") / f"{seed}-{start}"
    files = [place / f"step_{number}.safetensors" for number in training.numbers]
    if not files[-1].exists():
        place.mkdir(parents=True, exist_ok=True)
        for file, state in zip(files, trained(training, seed, start), strict=True):
            save_file({name: tensor.contiguous().clone() for name, tensor in state.items()}, file)
    return [load_file(file) for file in files]
