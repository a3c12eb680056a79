"""What is trained for the experiment on La Malfa et al. 2022 and 2024: conditions that differ in one thing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from axonometry.experiments import Scale, Trial, trials_of
from axonometry.papers.ijcai2024.comparisons import HARD_COMPARISONS, Comparison, among
from axonometry.populations import draw, draw_hard_grid, grid
from axonometry.predict.evaluation import EvaluationPlan

DRAWN: Mapping[str, tuple[Any, ...]] = {
    "optimiser": ("adam", "rmsprop"),
    "learning_rate": (0.001, 0.0014, 0.002, 0.0028, 0.004, 0.0057),
    "scale": (0.7, 1.0, 1.4),
    "weight_decay": (0.0, 1e-5, 1e-4),
}
"""The spread of hyper-parameters inside a condition. The same draws are made in every condition, so that conditions do
not differ in them: the i-th network of each has the same ones, and the same seed."""
ALIKE = {"optimiser": "adam", "learning_rate": 0.001}
"""The hyper-parameters of networks that differ by their seed alone."""
OVERVIEW = "against-weights"
"""The section that needs all conditions."""
_NEVER = 10**9
"""Updates between two records: the first and the last network alone are kept."""


@dataclass(frozen=True)
class ComparisonOptions:
    """What the sections need to know.

    Attributes:
        comparisons: What is compared.
        plan: Folds, learners and resamples.
    """

    comparisons: tuple[Comparison, ...]
    plan: EvaluationPlan


_DENSE = {"family": "fully-connected", "units": 64, "layers": 2}
_GRU = {"family": "recurrent", "cell": "gru", "units": 64}
CONDITIONS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "dense": ("dense, 2 hidden layers of 64, ReLU", _DENSE),
    "depth-1": ("1 hidden layer", {**_DENSE, "layers": 1}),
    "depth-4": ("4 hidden layers", {**_DENSE, "layers": 4}),
    "width-16": ("16 units a layer", {**_DENSE, "units": 16}),
    "width-256": ("256 units a layer", {**_DENSE, "units": 256}),
    "linear": ("linear", {**_DENSE, "activation": "linear"}),
    "tanh": ("tanh", {**_DENSE, "activation": "tanh"}),
    "sigmoid": ("sigmoid", {**_DENSE, "activation": "sigmoid"}),
    "fashion": ("Fashion-MNIST", {**_DENSE, "dataset": "fashion-mnist"}),
    "reconstruction": ("reconstruction of the images", {**_DENSE, "objective": "bce"}),
    "performance": ("dense, hyper-parameters that learn well and badly", {**_DENSE, "activation": "relu"}),
    "autoencoder": ("dense autoencoder, 784-64-21-64-784", {**_DENSE, "family": "autoencoder", "objective": "bce"}),
    "convolutional": ("2 convolutions of 8 channels", {"family": "convolutional", "units": 8, "layers": 2}),
    "conv-autoencoder": ("convolutional autoencoder", {"family": "convolutional-autoencoder", "objective": "bce"}),
    "recurrent": ("recurrent, tanh, 96 units, over rows", {"family": "recurrent", "units": 96}),
    "lstm": ("LSTM, 48 units, over rows", {**_GRU, "cell": "lstm", "units": 48}),
    "gru": ("GRU, 64 units, over rows", _GRU),
    "gru-fashion": ("GRU, rows of Fashion-MNIST", {**_GRU, "dataset": "fashion-mnist"}),
    "gru-text": ("GRU, characters of a text", {**_GRU, "dataset": "text", "test_fraction": 0.25}),
    "attention": ("2 blocks of self-attention, 32 wide, over rows", {"family": "attention", "units": 32, "layers": 2}),
}
"""Each in words, and the attributes of its networks; those that take longest last; ``performance`` is the hard grid."""


def conditions(
    images: float,
    characters: float,
    epochs: int,
    described: Mapping[str, tuple[str, dict[str, Any]]] = CONDITIONS,
) -> dict[str, dict[str, Any]]:
    """All attributes of each condition's networks.

    Args:
        images: Part of MNIST and Fashion-MNIST that is learned from.
        characters: Part of the text's windows.
        epochs: Of every training.
        described: In words, and their own attributes.
    """
    common = {"dataset": "mnist", "batch_size": 64, "epochs": epochs, "record_every": _NEVER, "test_fraction": 0.1}
    parts = {"text": characters}
    return {
        name: {**common, "train_fraction": parts.get(own.get("dataset", "mnist"), images), **own}
        for name, (_, own) in described.items()
    }


_SMALL_IMAGES = {**_DENSE, "dataset": "mnist-14"}
HARD_CONDITIONS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "relu-14": ("dense, 2 hidden layers of 64, ReLU, 14 x 14 images", _SMALL_IMAGES),
    "gelu-14": ("GELU", {**_SMALL_IMAGES, "activation": "gelu"}),
    "silu-14": ("SiLU", {**_SMALL_IMAGES, "activation": "silu"}),
    "width-56": ("56 units a layer", {**_SMALL_IMAGES, "units": 56}),
    "noisy-14": ("a tenth of the labels false", {**_SMALL_IMAGES, "label_noise": 0.1}),
    "seeds-14": ("alike but for the seed, judged on all test images", {**_SMALL_IMAGES, "test_fraction": 1.0}),
}
"""As :data:`CONDITIONS`; those of ``seeds-14`` have one choice of hyper-parameters, and there are twice as many."""


DIGITS = {"dataset": "digits", "epochs": 1, "train_fraction": 0.2, "test_fraction": 0.5, "batch_size": 16}


def tiny_conditions() -> dict[str, dict[str, Any]]:
    """Those that can be trained on the digits in seconds."""
    few = "dense depth-1 width-16 tanh reconstruction performance convolutional recurrent gru".split()
    return {name: {**own, **DIGITS} for name, own in conditions(1.0, 1.0, 1).items() if name in few}


def condition_trials(
    attributes: Mapping[str, dict[str, Any]], comparisons: Sequence[Comparison], performance: int, seeds: int
) -> tuple[Trial, ...]:
    """The trials of all conditions; ``performance`` times as many networks in the one that is cut by performance."""
    found: list[Trial] = []
    for name, fixed in attributes.items():
        if name == "performance":
            networks = draw_hard_grid(range(100_000, 100_000 + performance * seeds), **fixed)
        elif name == "seeds-14":
            networks = grid({"seed": range(200_000, 200_000 + 2 * seeds)}, **ALIKE, **fixed)
        else:
            networks = draw(range(seeds), DRAWN, **fixed)
        needed = dict.fromkeys(one.kind for one in comparisons if name in one.conditions)
        found += trials_of(networks, name, sections=(*needed, OVERVIEW))
    return tuple(found)


def _scale(
    attributes: Mapping[str, dict[str, Any]], performance: int, seeds: int, about: str, plan: EvaluationPlan
) -> Scale:
    comparisons = among(attributes) or among(attributes, HARD_COMPARISONS)
    made = partial(condition_trials, attributes, comparisons, performance)
    titles = {name: title for name, (title, _) in {**CONDITIONS, **HARD_CONDITIONS}.items()}
    return Scale(made, seeds, about, titles, ComparisonOptions(comparisons, plan))


FEW, FOLDS = EvaluationPlan(folds=3, inner_folds=2, trees=5, resamples=200), EvaluationPlan(folds=5, inner_folds=4)
_HARD = conditions(1 / 15, 1.0, 5, HARD_CONDITIONS)
_SMALL, _FULL = conditions(images=1 / 15, characters=1 / 6, epochs=5), conditions(1.0, 1.0, epochs=10)
SCALES = {
    "tiny": _scale(tiny_conditions(), 3, 10, "110 networks on the digits, a minute or two.", FEW),
    "small": _scale(_SMALL, 5, 30, "720 networks on 4,000 images, half an hour on two cores.", FOLDS),
    "medium": _scale(_HARD, 1, 200, "The harder questions: 1,400 networks on 4,000 small images, an hour.", FOLDS),
    "full": _scale(_FULL, 5, 200, "4,800 networks on all images, for a cluster.", FOLDS),
}
