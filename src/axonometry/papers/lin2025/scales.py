"""The networks of each section: on the digits in two minutes, on MNIST in an hour, and at the paper's sizes.

Each section has the set-up in which its claim can be seen, which may be another one than the paper's (its own is often
not known); what differs stands with the section. Networks of one condition differ by their seed alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from math import ceil
from typing import Any

import numpy as np

from axonometry.experiments import Scale, Trial
from axonometry.papers.lin2025.measuring import Sizes
from axonometry.populations import RunConfiguration

Trials = Iterator[Trial]
Rates = Sequence[tuple[str, float]]

SHARES = {"lmap": 0.3, "third-phase": 0.3, "depth": 0.5, "grokking": 0.3}
"""Sections whose networks take long have so many of the scale's seeds, two at least."""


def spread(steps: int, count: int, first: int = 1) -> tuple[int, ...]:
    """About so many steps from the first to the last one, evenly spaced in their logarithm.

    >>> spread(1000, 4)
    (1, 10, 100, 1000)
    """
    return tuple(int(step) for step in np.unique(np.geomspace(first, steps, count).round().astype(int)))


def _trial(sections: str, condition: str, steps: int, **attributes: Any) -> Trial:
    chosen: dict[str, Any] = {"family": "mlp", "n_train_evaluated": 1000, "record_steps": ()}
    chosen |= {"max_steps": steps, "epochs": steps, **attributes}
    return Trial(RunConfiguration(**chosen), condition, sections=tuple(sections.split()))


def lmap_trials(width: int, sizes: Sequence[int], steps: int, **training: Any) -> Trials:
    """Tanh and linear networks of one hidden layer over the number of training images."""
    training |= {"widths": (width,), "record_steps": spread(steps, 8, 5)}
    for n in sizes:
        for kind, activation in (("tanh", "tanh"), ("linear", "identity")):
            yield _trial("lmap", f"{kind}, {n} images", steps, **training | {"activation": activation, "n_train": n})


def phase_trials(widths: tuple[int, ...], rates: Rates, steps: int, **training: Any) -> Trials:
    """Deep ReLU networks with batch norm by learning rates, and one whose running statistics do not lag."""
    training |= {"widths": widths, "normalisation": "batch", "batch_size": 50, "record_steps": spread(steps, 16, 4)}
    for name, rate in rates:
        own = {"optimiser": name.lower(), "learning_rate": rate}
        yield _trial("phases late-layers", f"{name} {rate}", steps, **training | own)
    name, rate = rates[0]
    own = {"optimiser": name.lower(), "learning_rate": rate, "norm_momentum": 1.0}
    yield _trial("phases", f"{name} {rate}, statistics of the last batch", steps, **training | own)


def third_phase_trials(widths: tuple[int, ...], batch: int, steps: int, **training: Any) -> Trials:
    """A deeper network whose batch is all of its training images."""
    training |= {"widths": widths, "normalisation": "batch", "n_train": batch, "batch_size": batch}
    yield _trial("third-phase", f"batch of {batch:,}", steps, record_steps=spread(steps, 16, 4), **training)


def running_statistics_trials(width: int, depths: Sequence[int], steps: int, **training: Any) -> Trials:
    """Networks with batch norm by how fast its running statistics follow, and by depth at torch's own 0.1."""
    looks = (*range(4, 64, 4), *range(80, steps, 20))
    training |= {"normalisation": "batch", "record_steps": tuple(step for step in looks if step < steps)}
    deepest = max(depths)
    for layers, momentum in [*((deepest, momentum) for momentum in (0.01, 0.1, 1.0)), *((n, 0.1) for n in depths[:-1])]:
        own = {"widths": (width,) * layers, "norm_momentum": momentum}
        yield _trial("running-statistics", f"{layers} layers, momentum {momentum:g}", steps, **training | own)


def depth_trials(widths: Sequence[int], layers: Sequence[int], steps: int, **training: Any) -> Trials:
    """Networks of few to many hidden layers with batch norm, with and without skips, trained to one loss."""
    training |= {"normalisation": "batch", "stop_check_every": 20}
    for family, name in (("mlp", "batch norm"), ("residual-mlp", "batch norm and skips")):
        for width in widths:
            for n in layers:
                own = {"family": family, "widths": (width,) * n}
                yield _trial("depth", f"{n} layers of {width}, {name}", steps, **training | own)


def flat_minima_trials(batches: Mapping[int, int], rates: Sequence[float], **training: Any) -> Trials:
    """The same network trained to the same loss, by batch size with the most updates, and by learning rate."""
    for batch, steps in batches.items():
        for rate in rates:
            own = {"batch_size": batch, "learning_rate": rate, "stop_check_every": 10}
            yield _trial("flat-minima", f"batch of {batch}, rate {rate:g}", steps, **training | own)


def addition(modulus: int, n_train: int, steps: int, looks: int, **training: Any) -> Trial:
    """Addition modulo a number, in one batch, looked at in even steps."""
    training |= {"dataset": "modular-addition", "modulus": modulus, "n_train": n_train, "batch_size": n_train}
    training |= {"n_test": min(1000, modulus**2 - n_train), "optimiser": "adamw", "weight_decay": 1.0}
    own = {"record_steps": tuple(range(looks, steps, looks)), "n_train_evaluated": 2000}
    return _trial("grokking", f"addition modulo {modulus}", steps, **training | own)


def omnigrok(n: int, factor: float, decay: float, steps: int, looks: int, **training: Any) -> Trial:
    """A few images from initial weights times a factor, by squared error."""
    training |= {"n_train": n, "initial_factor": factor, "objective": "squared-error", "optimiser": "adamw"}
    training |= {"weight_decay": decay, "record_steps": tuple(range(looks, steps, looks))}
    return _trial("grokking", f"{n:,} images, weights times {factor:g}, decay {decay}", steps, **training)


def double_descent_trials(widths: Sequence[int], contrast: Sequence[int], steps: int, **training: Any) -> Trials:
    """One hidden layer of few to many neurons, noisy labels, full batches: squared error, and cross entropy."""
    training |= {"label_noise": 0.2, "schedule": "cosine", "batch_size": training["n_train"]}
    for loss, several in (("squared-error", widths), ("cross-entropy", contrast)):
        for width in several:
            own = {"widths": (width,), "objective": loss}
            yield _trial("double-descent", f"{loss.replace('-', ' ')}, width {width}", steps, **training | own)


def digits(seed: int) -> Trials:
    """All networks of a seed on the digits."""
    data: dict[str, Any] = {"dataset": "digits", "seed": seed, "batch_size": 50, "learning_rate": 3e-3}
    whole = data | {"n_train": 1437}
    yield from lmap_trials(64, (50, 200, 600, 1437), 300, **data | {"learning_rate": 1e-2})
    yield from phase_trials((32,) * 8, (("SGD", 0.03), ("SGD", 0.2), ("Adam", 0.003), ("Adam", 0.001)), 300, **whole)
    yield from third_phase_trials((32,) * 12, 500, 150, **data)
    yield from running_statistics_trials(32, (2, 8), 200, **whole | {"batch_size": 200})
    yield from depth_trials((16, 32), (2, 4, 8), 200, **whole | {"stop_at_train_loss": 0.1})
    own = {"stop_at_train_loss": 0.05, "n_train": 1000, "widths": (32, 32)}
    yield from flat_minima_trials(dict.fromkeys((16, 128, 1000), 1000), (1e-3, 3e-3, 1e-2), **data | own)
    yield addition(23, 370, 1000, 50, seed=seed, widths=(128,), learning_rate=1e-2)
    yield omnigrok(100, 4.0, 0.3, 2000, 50, **data | {"widths": (50, 50), "batch_size": 100})
    own = {"learning_rate": 1e-2, "n_train": 200, "components": 20}
    yield from double_descent_trials((2, 4, 8, 16, 32, 64, 256), (2, 4, 8, 32, 256), 800, **data | own)


def mnist(seed: int, full: bool, slow_grokking: bool) -> Trials:
    """All networks of a seed on MNIST: at the paper's sizes where they are known, or smaller and trained less.

    Slow grokking is Omnigrok's own, with a decay of 0.01: 100,000 updates.
    """
    data: dict[str, Any] = {"dataset": "mnist", "seed": seed, "batch_size": 100, "learning_rate": 1e-3}
    data |= {"n_test": 10_000 if full else 2000}
    sizes = (100, 600, 6000, 60_000)
    yield from lmap_trials(2048 if full else 256, (*sizes, 300, 2000, 20_000) if full else sizes, 600, **data)
    rates = (("SGD", 0.03), ("SGD", 0.37), ("Adam", 0.001), ("Adam", 0.0003))
    width, images, steps = (512, 60_000, 20_000) if full else (96, 4000, 1000)
    yield from phase_trials((width,) * 10, rates, steps, **data | {"n_train": images})
    yield from third_phase_trials((128,) * 23, *((30_000, 2000) if full else (4000, 150)), **data)
    yield from running_statistics_trials(64, (2, 12), 400, **data | {"batch_size": 500})
    widths, depths = (
        ((64, 128, 256), (2, 4, 6, 8, 12, 16, 24, 32, 50, 100)) if full else ((64, 128), (2, 4, 8, 16, 32, 100))
    )
    own = {"n_train": 10_000 if full else 2000, "stop_at_train_loss": 0.1}
    yield from depth_trials(widths, depths, 3000 if full else 800, **data | own)
    batches = {batch: max(400, 1500 * 16 // batch) * (10 if full else 1) for batch in (16, 128, 1000)}
    flat: dict[str, Any] = {"stop_at_train_loss": 0.02, "n_train": 60_000 if full else 2000, "widths": (128, 128)}
    yield from flat_minima_trials(batches, (3e-4, 1e-3, 3e-3), **data | flat)
    modulus, steps = (97, 30_000) if full else (59, 2000)
    yield addition(modulus, round(0.6 * modulus**2), steps, 25, seed=seed, widths=(256,), learning_rate=3e-3)
    grokking: dict[str, Any] = data | {"widths": (200, 200), "batch_size": 200}
    yield omnigrok(1000, 8.0, 0.3, 100_000 if full else 4000, 50, **grokking)
    if slow_grokking:
        yield omnigrok(1000, 8.0, 0.01, 100_000, 50 if full else 250, **grokking)
    widths = (4, 8, 16, 32, 64, 96, 128, 192, 256, 512, *((1024, 2048) if full else ()))
    own = {"learning_rate": 1e-2, "n_train": 500, "components": 40}
    yield from double_descent_trials(widths, (4, 8, 16, 64, 512), 20_000 if full else 2000, **data | own)


def _of_all_seeds(trials: Callable[[int], Iterable[Trial]], seeds: int) -> list[Trial]:
    def wanted(trial: Trial, seed: int) -> bool:
        return seed < max(2, ceil(seeds * SHARES.get(trial.sections[0], 1)))

    return [trial for seed in range(seeds) for trial in trials(seed) if wanted(trial, seed)]


_small, _medium, _full = (
    partial(_of_all_seeds, partial(mnist, full=full, slow_grokking=slow))
    for full, slow in ((False, False), (False, True), (True, True))
)
SCALES = {
    "tiny": Scale(partial(_of_all_seeds, digits), 2, "The digits: two minutes.", options=Sizes(60, 360)),
    "small": Scale(_small, 3, "MNIST: a quarter of an hour.", options=Sizes(300, 1000)),
    "medium": Scale(_medium, 10, "MNIST: two hours.", options=Sizes(300, 1000)),
    "full": Scale(_full, 10, "The paper's sizes: over 100 hours of a core.", options=Sizes(2000, 10_000)),
}
