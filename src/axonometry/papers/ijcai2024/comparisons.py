"""What is compared: conditions that differ in one of the five things that the paper names."""

from __future__ import annotations

from dataclasses import dataclass
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
        conditions: Their names; one condition alone is cut by performance into the lowest and the highest third.
        confounded: What else differs between them, or gives the answer away before training.
        labels: What they are called where this is asked; their names where empty.
    """

    name: str
    kind: Kind
    title: str
    conditions: tuple[str, ...]
    confounded: str
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", self.labels or self.conditions)


COMPARISONS = (
    Comparison(
        "depth",
        "size",
        "1, 2 or 4 hidden layers?",
        ("depth-1", "dense", "depth-4"),
        "With one hidden layer, the first and the last are the same; how many links a neuron has differs between the "
        "layers that are pooled.",
        ("1 layer", "2 layers", "4 layers"),
    ),
    Comparison(
        "width",
        "size",
        "16, 64 or 256 units a layer?",
        ("width-16", "dense", "width-256"),
        "A neuron's strength is a sum over its links, whose number is the width; and PyTorch's initial weights shrink "
        "with the number of inputs.",
        ("16 units", "64 units", "256 units"),
    ),
    Comparison(
        "layer-type",
        "type",
        "Dense, convolutional, recurrent, attention or autoencoder?",
        ("dense", "convolutional", "recurrent", "attention", "autoencoder"),
        "Kernels are shared by many links, recurrent neurons exist once for every row, attention has links of weight 1 "
        "and norms: the initial weights alone give the type away. Numbers of parameters differ as well, and the "
        "autoencoder has another task.",
    ),
    Comparison(
        "recurrent-type",
        "type",
        "Recurrent with tanh, GRU or LSTM?",
        ("recurrent", "gru", "lstm"),
        "Gates are neurons too, so that numbers of links differ; the units differ, and with them the initial weights.",
        ("tanh", "GRU", "LSTM"),
    ),
    Comparison(
        "autoencoder-type",
        "type",
        "Dense or convolutional autoencoder?",
        ("autoencoder", "conv-autoencoder"),
        "Kernels are shared by many links, and the numbers of parameters differ.",
    ),
    Comparison(
        "activation",
        "activation",
        "Linear, ReLU, tanh or sigmoid?",
        ("linear", "dense", "tanh", "sigmoid"),
        "Nothing on the links' side: the four start from the same weights. The activation's own range bounds what "
        "neurons put out, before training too.",
        ("linear", "ReLU", "tanh", "sigmoid"),
    ),
    Comparison(
        "task",
        "task",
        "MNIST's classes, Fashion-MNIST's classes, or MNIST reconstructed?",
        ("dense", "fashion", "reconstruction"),
        "Reconstruction has 784 outputs and classification 10: the last hidden layer has other numbers of links. "
        "Images of Fashion-MNIST are brighter, which reaches all that depends on data before training.",
        ("MNIST", "Fashion-MNIST", "reconstruction"),
    ),
    Comparison(
        "data-set",
        "task",
        "MNIST or Fashion-MNIST?",
        ("dense", "fashion"),
        "Nothing on the links' side: the two start from the same weights. Images of Fashion-MNIST are brighter, which "
        "reaches all that depends on data before training.",
        ("MNIST", "Fashion-MNIST"),
    ),
    Comparison(
        "sequence",
        "task",
        "A GRU over rows of MNIST, rows of Fashion-MNIST, or a text?",
        ("gru", "gru-fashion", "gru-text"),
        "The text is read through an embedding, and has 40 classes: other layers, other numbers of links.",
        ("rows of MNIST", "rows of Fashion-MNIST", "text"),
    ),
    Comparison(
        "performance",
        "performance",
        "The lowest or the highest third in accuracy?",
        ("performance",),
        "Learning rate, optimiser, scale of the initial weights, label noise and weight decay are drawn at random; "
        "where they decide the accuracy, a measure that shows them shows it too.",
    ),
)
"""All comparisons, of the five kinds that the paper names."""

TINY = (
    Comparison(
        "depth",
        "size",
        "1 or 2 hidden layers?",
        ("depth-1", "dense"),
        "With one hidden layer, the first and the last are the same.",
        ("1 layer", "2 layers"),
    ),
    Comparison(
        "width",
        "size",
        "16 or 64 units a layer?",
        ("dense", "width-64"),
        "A neuron's strength is a sum over its links, whose number is the width.",
        ("16 units", "64 units"),
    ),
    Comparison(
        "layer-type",
        "type",
        "Dense, convolutional or recurrent?",
        ("dense", "convolutional", "gru"),
        "Kernels are shared by many links, and the numbers of parameters differ.",
    ),
    Comparison(
        "activation",
        "activation",
        "ReLU or tanh?",
        ("dense", "tanh"),
        "Nothing on the links' side: the two start from the same weights.",
        ("ReLU", "tanh"),
    ),
    Comparison(
        "task",
        "task",
        "The digits' classes, or the digits reconstructed?",
        ("dense", "reconstruction"),
        "Reconstruction has 64 outputs and classification 10.",
        ("classes", "reconstruction"),
    ),
    COMPARISONS[-1],
)
"""The comparisons of the tiny scale."""
