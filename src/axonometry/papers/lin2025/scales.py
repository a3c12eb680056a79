"""The networks of each section: on the digits in a minute, on MNIST in half an hour, and at the paper's sizes.

A seed of the smallest scale has 34 networks; those of ``depth`` for example are of 1, 2, 4 and 8 layers, 16 wide, 32
wide, and 32 wide from other initial weights. Networks of one condition differ by their seed alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from axonometry.experiments import Scale, Trial
from axonometry.papers.lin2025.measuring import Sizes
from axonometry.populations import RunConfiguration

Trials = Iterator[Trial]


def spread(steps: int, count: int, first: int = 1) -> tuple[int, ...]:
    """About so many steps from the first to the last one, evenly spaced in their logarithm.

    >>> spread(1000, 4)
    (1, 10, 100, 1000)
    """
    return tuple(int(step) for step in np.unique(np.geomspace(first, steps, count).round().astype(int)))


def _trial(section: str, condition: str, steps: int, **attributes: Any) -> Trial:
    chosen: dict[str, Any] = {"family": "mlp", "n_train_evaluated": 2000, "record_steps": ()}
    chosen |= {"max_steps": steps, "epochs": steps, **attributes}
    return Trial(RunConfiguration(**chosen), condition, sections=(section,))


def lmap_trials(width: int, sizes: Sequence[int], steps: int, **training: Any) -> Trials:
    """Tanh and linear networks of one hidden layer over the number of training images."""
    training |= {"widths": (width,), "record_steps": spread(steps, 8, 5)}
    for n in sizes:
        for kind, activation in (("tanh", "tanh"), ("linear", "identity")):
            yield _trial("lmap", f"{kind}, {n} images", steps, **training | {"activation": activation, "n_train": n})


def phase_trials(widths: tuple[int, ...], rates: Sequence[tuple[str, float]], steps: int, **training: Any) -> Trials:
    """Deep ReLU networks by learning rates of SGD, and of Adam."""
    training |= {"widths": widths, "initialiser": "he", "batch_size": 50, "record_steps": spread(steps, 8, 10)}
    for name, rate in rates:
        yield _trial("phases", f"{name} {rate}", steps, **training | {"optimiser": name.lower(), "learning_rate": rate})


def depth_trials(widths: Sequence[int], layers: Sequence[int], compared: int, steps: int, **training: Any) -> Trials:
    """Networks of one to many hidden layers, of several widths; of one width from two ways to begin."""
    for width in widths:
        for n in layers:
            for begins in ("he", "torch") if width == compared else ("he",):
                own = {"widths": (width,) * n, "initialiser": begins}
                yield _trial("depth", f"{n} layer{'s' * (n > 1)} of {width}, {begins}", steps, **training | own)


def flat_minima_trials(batches: Mapping[int, int], **training: Any) -> Trials:
    """The same network trained to the same loss, by batch size with the most updates."""
    for batch, steps in batches.items():
        own = {"batch_size": batch, "stop_check_every": 20}
        yield _trial("flat-minima", f"batch of {batch}", steps, **training | own)


def addition(modulus: int, n_train: int, steps: int, **training: Any) -> Trial:
    """Addition modulo a number, in one batch."""
    training |= {"dataset": "modular-addition", "modulus": modulus, "n_train": n_train, "batch_size": n_train}
    training |= {"n_test": min(1000, modulus**2 - n_train), "optimiser": "adamw", "weight_decay": 1.0}
    return _trial("grokking", f"addition modulo {modulus}", steps, record_steps=spread(steps, 40, 10), **training)


def omnigrok(n: int, factor: float, decay: float, steps: int, **training: Any) -> Trial:
    """A few images from initial weights times a factor, by squared error."""
    training |= {"n_train": n, "initial_factor": factor, "objective": "squared-error", "optimiser": "adamw"}
    training |= {"weight_decay": decay, "record_steps": spread(steps, 40, 10)}
    return _trial("grokking", f"{n:,} images, weights times {factor:g}, decay {decay}", steps, **training)


def double_descent_trials(widths: Sequence[int], steps: int, **training: Any) -> Trials:
    """One hidden layer of few to many neurons on images of which 15% have a false label."""
    for width in widths:
        yield _trial("double-descent", f"width {width}", steps, widths=(width,), label_noise=0.15, **training)


def digits(seed: int) -> Trials:
    """All networks of a seed on the digits."""
    data: dict[str, Any] = {"dataset": "digits", "seed": seed, "batch_size": 50, "learning_rate": 3e-3}
    whole = data | {"n_train": 1437}
    yield from lmap_trials(64, (50, 200, 600, 1437), 300, **data | {"learning_rate": 1e-2})
    yield from phase_trials((32,) * 6, (("SGD", 0.03), ("SGD", 0.2), ("Adam", 0.003), ("Adam", 0.001)), 300, **whole)
    yield from depth_trials((16, 32), (1, 2, 4, 8), 32, 300, **whole)
    own = {"stop_at_train_loss": 0.05, "n_train": 1000, "widths": (32, 32)}
    yield from flat_minima_trials(dict.fromkeys((16, 64, 1000), 2000), **data | own)
    yield addition(23, 370, 1500, seed=seed, widths=(128,), learning_rate=1e-2)
    yield omnigrok(100, 4.0, 0.3, 3000, **data | {"widths": (50, 50), "batch_size": 100})
    yield from double_descent_trials((2, 4, 8, 16, 64), 1500, **data | {"learning_rate": 1e-2, "n_train": 200})


def mnist(seed: int, full: bool) -> Trials:
    """All networks of a seed on MNIST: at the paper's sizes where they are known, or smaller and trained less."""
    n_test, images, times = (10_000, 60_000, 20) if full else (2000, 10_000, 1)
    data: dict[str, Any] = {
        "dataset": "mnist",
        "seed": seed,
        "n_test": n_test,
        "batch_size": 100,
        "learning_rate": 1e-3,
    }
    sizes = (100, 300, 600, 2000, 6000, 20_000, 60_000)
    yield from lmap_trials(2048 if full else 512, sizes, 800 * times, **data)
    rates = (("SGD", 0.03), ("SGD", 0.37), ("Adam", 0.001), ("Adam", 0.0003))
    yield from phase_trials((512,) * 10, rates, 1000 * times, **data | {"n_train": 60_000 if full else 20_000})
    widths, layers = (64, 128, 256, 512) if full else (32, 128), (1, 2, 4, 6, 8, 12, 20, 30, 100)
    yield from depth_trials(widths, layers, 128, 700 * times, **data | {"n_train": images})
    batches = {batch: times * max(900, 8000 * 16 // batch) for batch in (16, 64, 256, 1000, 4000)}
    own = {"stop_at_train_loss": 0.02, "n_train": 60_000 if full else 4000, "widths": (128, 128)}
    yield from flat_minima_trials(batches, **data | own)
    modulus, steps = (97, 30_000) if full else (59, 4000)
    yield addition(modulus, round(0.6 * modulus**2), steps, seed=seed, widths=(256,), learning_rate=3e-3)
    for decay, steps in ((0.3, 100_000), (0.01, 100_000)) if full else ((0.3, 6000), (0.1, 15_000)):
        yield omnigrok(1000, 8.0, decay, steps, **data | {"widths": (200, 200), "batch_size": 200})
    widths = (2, 4, 6, 8, 12, 16, 24, 32, 64, 128, 256, *((512, 1024) if full else ()))
    own = {"learning_rate": 3e-3, "n_train": 4000 if full else 1000}
    yield from double_descent_trials(widths, 100_000 if full else 3000, **data | own)


def _of_all_seeds(trials: Callable[[int], Iterable[Trial]], seeds: int) -> list[Trial]:
    return [trial for seed in range(seeds) for trial in trials(seed)]


_small, _full = partial(mnist, full=False), partial(mnist, full=True)
SCALES = {
    "tiny": Scale(partial(_of_all_seeds, digits), 2, "The digits: a minute.", options=Sizes(60, 360)),
    "small": Scale(partial(_of_all_seeds, _small), 3, "MNIST: half an hour.", options=Sizes(300, 1000)),
    "full": Scale(
        partial(_of_all_seeds, _full), 5, "The paper's sizes: over 50 hours of a core.", options=Sizes(2000, 10_000)
    ),
}
