"""What is compared: conditions that differ in one of the five things that the paper names."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

Kind = Literal["size", "type", "activation", "task", "performance"]
KINDS: dict[Kind, str] = {
    "size": "number of parameters",
    "type": "type of layers",
    "activation": "activation",
    "task": "task",
    "performance": "performance",
}
"""What networks differ in, in the paper's order."""


@dataclass(frozen=True)
class Comparison:
    """Can networks of several conditions be told apart?

    Attributes:
        name: A short name.
        kind: What the conditions differ in.
        title: The question, in words.
        conditions: What each is called here, by its name; one condition alone is cut by performance into the lowest and
            the highest third.
        confounded: What else differs between them, or gives the answer away before training.
    """

    name: str
    kind: Kind
    title: str
    conditions: Mapping[str, str]
    confounded: str


CONFOUNDED = {
    "depth": "With one hidden layer, the first and the last are the same; how many links a neuron has differs between "
    "the layers that are pooled.",
    "width": "A neuron's strength is a sum over its links, whose number is the width; and PyTorch's initial weights "
    "shrink with the number of inputs.",
    "layer-type": "Kernels are shared by many links, recurrent neurons exist once for every row, attention has links "
    "of weight 1 and norms: the initial weights alone give the type away. Numbers of parameters differ as well, and "
    "the autoencoder has another task.",
    "recurrent-type": "Gates are neurons too, so that numbers of links differ; the units differ, and with them the "
    "initial weights.",
    "autoencoder-type": "Kernels are shared by many links, and the numbers of parameters differ.",
    "activation": "Nothing on the links' side: the four start from the same weights. The activation's own range "
    "bounds what neurons put out, before training too.",
    "task": "Reconstruction has as many outputs as inputs and classification 10: the last hidden layer has other "
    "numbers of links. Images of Fashion-MNIST are brighter, which reaches all that depends on data before training.",
    "data-set": "Nothing on the links' side: the two start from the same weights. Images of Fashion-MNIST are "
    "brighter, which reaches all that depends on data before training.",
    "sequence": "The text is read through an embedding, and has 40 classes: other layers, other numbers of links.",
    "performance": "Learning rate, optimiser, scale of the initial weights, label noise and weight decay are drawn at "
    "random; where they decide the accuracy, a measure that shows them shows it too.",
}
_TYPES = ("dense", "convolutional", "recurrent", "attention", "autoencoder")
_COMPARED: tuple[tuple[str, Kind, str, dict[str, str]], ...] = (
    ("depth", "size", "1, 2 or 4 hidden layers?", {"depth-1": "1 layer", "dense": "2 layers", "depth-4": "4 layers"}),
    ("width", "size", "16, 64 or 256 units?", {"width-16": "16 units", "dense": "64 units", "width-256": "256 units"}),
    ("layer-type", "type", "Dense, convolutional, recurrent, attention or autoencoder?", dict(zip(_TYPES, _TYPES))),
    (
        "recurrent-type",
        "type",
        "Recurrent with tanh, GRU or LSTM?",
        {"recurrent": "tanh", "gru": "GRU", "lstm": "LSTM"},
    ),
    (
        "autoencoder-type",
        "type",
        "Dense or convolutional?",
        {"autoencoder": "dense", "conv-autoencoder": "convolutional"},
    ),
    (
        *("activation", "activation", "Linear, ReLU, tanh or sigmoid?"),
        {"linear": "linear", "dense": "ReLU", "tanh": "tanh", "sigmoid": "sigmoid"},
    ),
    (
        *("task", "task", "Classes, Fashion-MNIST's classes, or reconstruction?"),
        {"dense": "classes", "fashion": "Fashion-MNIST's", "reconstruction": "reconstruction"},
    ),
    ("data-set", "task", "MNIST or Fashion-MNIST?", {"dense": "MNIST", "fashion": "Fashion-MNIST"}),
    (
        *("sequence", "task", "A GRU over rows of MNIST, rows of Fashion-MNIST, or a text?"),
        {"gru": "rows of MNIST", "gru-fashion": "rows of Fashion-MNIST", "gru-text": "text"},
    ),
    ("performance", "performance", "The lowest or the highest third in accuracy?", {"performance": "performance"}),
)
COMPARISONS = tuple(Comparison(*one, CONFOUNDED[one[0]]) for one in _COMPARED)
"""Comparisons of the five kinds that the paper names."""
_ALIKE = "Nothing on the links' side: both start from the same weights, as networks of one seed do."
HARD_COMPARISONS = (
    Comparison(
        *("smooth-activation", "activation", "ReLU, GELU or SiLU?"),
        {"relu-14": "ReLU", "gelu-14": "GELU", "silu-14": "SiLU"},
        "Nothing on the links' side: the three start from the same weights. GELU and SiLU put out negative values.",
    ),
    Comparison(
        *("near-width", "size", "56 or 64 units a layer?", {"width-56": "56 units", "relu-14": "64 units"}),
        "Sums have an eighth fewer terms, and initial weights of later layers a larger scale.",
    ),
    Comparison(
        "noisy-labels", "task", "MNIST, or a tenth false labels?", {"relu-14": "0 %", "noisy-14": "10 %"}, _ALIKE
    ),
    Comparison(
        *("seed-alone", "performance", "The lowest or the highest third in accuracy, of seeds?", {"seeds-14": "seeds"}),
        "Nothing: hyper-parameters are the same, so that initial weights and the order of images alone differ.",
    ),
)
"""Questions at which statistics of the weights leave room: what is told apart differs little [our choice]."""


def among(conditions: Collection[str], comparisons: Iterable[Comparison] = COMPARISONS) -> tuple[Comparison, ...]:
    """The comparisons of some conditions: those that two or more are left of, or the one that it has.

    Args:
        conditions: Names of the conditions that there are.
        comparisons: What could be compared.
    """
    asked = tuple(comparisons)
    there = [
        replace(one, conditions={name: label for name, label in one.conditions.items() if name in conditions})
        for one in asked
    ]
    return tuple(new for new, old in zip(there, asked) if len(new.conditions) >= min(2, len(old.conditions)))
