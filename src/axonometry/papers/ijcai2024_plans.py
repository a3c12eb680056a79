"""What is trained for the experiment on La Malfa et al. 2022 and 2024: cells of networks that differ in one thing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from axonometry.populations import RunConfiguration, draw, hard_grid

DRAWN: Mapping[str, tuple[Any, ...]] = {
    "optimiser": ("adam", "rmsprop"),
    "learning_rate": (0.001, 0.0014, 0.002, 0.0028, 0.004, 0.0057),
    "scale": (0.7, 1.0, 1.4),
    "weight_decay": (0.0, 1e-5, 1e-4),
}
"""The spread of hyper-parameters inside a cell. The same draws are made in every cell, so that cells do not differ in
them: the i-th network of each has the same ones, and the same seed."""

Kind = Literal["size", "type", "activation", "task", "performance"]


@dataclass(frozen=True)
class Cell:
    """Networks of one kind.

    Attributes:
        name: A short name.
        title: What they are, in words.
        configurations: One network each.
    """

    name: str
    title: str
    configurations: tuple[RunConfiguration, ...]


@dataclass(frozen=True)
class Question:
    """Can networks of several cells be told apart?

    Attributes:
        name: A short name.
        kind: What the cells differ in, of the five that the paper names.
        title: The question, in words.
        cells: Names of the cells; one cell alone is cut by performance into the lowest and the highest third.
        confounded: What else differs between the cells, or gives the answer away before training.
        labels: What the cells are called where this is asked; their names where empty.
    """

    name: str
    kind: Kind
    title: str
    cells: tuple[str, ...]
    confounded: str
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", self.labels or self.cells)


@dataclass(frozen=True)
class Sizes:
    """How much is trained.

    Attributes:
        n: Networks in a cell.
        n_performance: Networks in the cell that is cut by performance.
        images: Part of MNIST and Fashion-MNIST that is learned from.
        characters: Part of the text's windows.
        epochs: Of every training.
    """

    n: int
    n_performance: int
    images: float
    characters: float
    epochs: int


def cells(sizes: Sizes) -> tuple[Cell, ...]:
    """All cells, those that take longest last."""
    images = {"train_fraction": sizes.images, "test_fraction": 0.1}
    text = {"dataset": "text", "train_fraction": sizes.characters, "test_fraction": 0.25}
    common = {"dataset": "mnist", "batch_size": 64, "epochs": sizes.epochs, "record_every": _NEVER, **images}
    dense = {"family": "fully-connected", "units": 64, "layers": 2}
    gru = {"family": "recurrent", "cell": "gru", "units": 64}
    copy = {"family": "autoencoder", "units": 64, "layers": 2, "objective": "bce"}

    def cell(name: str, title: str, **fixed: Any) -> Cell:
        return Cell(name, title, draw(range(sizes.n), DRAWN, **{**common, **fixed}))

    hard = hard_grid(range(100_000, 100_000 + sizes.n_performance), activation="relu", **{**common, **dense})
    return (
        cell("dense", "dense, 2 hidden layers of 64, ReLU, MNIST", **dense),
        cell("depth-1", "1 hidden layer", **{**dense, "layers": 1}),
        cell("depth-4", "4 hidden layers", **{**dense, "layers": 4}),
        cell("width-16", "16 units a layer", **{**dense, "units": 16}),
        cell("width-256", "256 units a layer", **{**dense, "units": 256}),
        cell("linear", "linear", **dense, activation="linear"),
        cell("tanh", "tanh", **dense, activation="tanh"),
        cell("sigmoid", "sigmoid", **dense, activation="sigmoid"),
        cell("fashion", "Fashion-MNIST", **{**dense, "dataset": "fashion-mnist"}),
        cell("reconstruction", "MNIST put out again", **dense, objective="bce"),
        Cell("performance", "dense, hyper-parameters that learn well and badly", hard),
        cell("autoencoder", "dense autoencoder, 784-64-21-64-784", **copy),
        cell("convolutional", "2 convolutions of 8 channels", family="convolutional", units=8, layers=2),
        cell("conv-autoencoder", "convolutional autoencoder", family="convolutional-autoencoder", objective="bce"),
        cell("recurrent", "recurrent, tanh, 96 units, over rows", family="recurrent", units=96),
        cell("lstm", "LSTM, 48 units, over rows", family="recurrent", cell="lstm", units=48),
        cell("gru", "GRU, 64 units, over rows", **gru),
        cell("gru-fashion", "GRU, rows of Fashion-MNIST", **{**gru, "dataset": "fashion-mnist"}),
        cell("gru-text", "GRU, characters of a text", **{**gru, **text}),
        cell("attention", "2 blocks of self-attention, 32 wide, over rows", family="attention", units=32, layers=2),
    )


QUESTIONS = (
    Question(
        "depth",
        "size",
        "1, 2 or 4 hidden layers?",
        ("depth-1", "dense", "depth-4"),
        "With one hidden layer, the first and the last are the same; how many links a neuron has differs between the "
        "layers that are pooled.",
        ("1 layer", "2 layers", "4 layers"),
    ),
    Question(
        "width",
        "size",
        "16, 64 or 256 units a layer?",
        ("width-16", "dense", "width-256"),
        "A neuron's strength is a sum over its links, whose number is the width; and PyTorch's initial weights shrink "
        "with the number of inputs.",
        ("16 units", "64 units", "256 units"),
    ),
    Question(
        "layer-type",
        "type",
        "Dense, convolutional, recurrent, attention or autoencoder?",
        ("dense", "convolutional", "recurrent", "attention", "autoencoder"),
        "Kernels are shared by many links, recurrent neurons exist once for every row, attention has links of weight 1 "
        "and norms: the initial weights alone give the type away. Numbers of parameters differ as well, and the "
        "autoencoder has another task.",
    ),
    Question(
        "recurrent-type",
        "type",
        "Recurrent with tanh, GRU or LSTM?",
        ("recurrent", "gru", "lstm"),
        "Gates are neurons too, so that numbers of links differ; the units differ, and with them the initial weights.",
        ("tanh", "GRU", "LSTM"),
    ),
    Question(
        "autoencoder-type",
        "type",
        "Dense or convolutional autoencoder?",
        ("autoencoder", "conv-autoencoder"),
        "Kernels are shared by many links, and the numbers of parameters differ.",
    ),
    Question(
        "activation",
        "activation",
        "Linear, ReLU, tanh or sigmoid?",
        ("linear", "dense", "tanh", "sigmoid"),
        "Nothing on the links' side: the four start from the same weights. The activation's own range bounds what "
        "neurons put out, before training too.",
        ("linear", "ReLU", "tanh", "sigmoid"),
    ),
    Question(
        "task",
        "task",
        "MNIST's classes, Fashion-MNIST's classes, or MNIST put out again?",
        ("dense", "fashion", "reconstruction"),
        "Reconstruction has 784 outputs and classification 10: the last hidden layer has other numbers of links. "
        "Images of Fashion-MNIST are brighter, which reaches all that depends on data before training.",
        ("MNIST", "Fashion-MNIST", "reconstruction"),
    ),
    Question(
        "data-set",
        "task",
        "MNIST or Fashion-MNIST?",
        ("dense", "fashion"),
        "Nothing on the links' side: the two start from the same weights. Images of Fashion-MNIST are brighter, which "
        "reaches all that depends on data before training.",
        ("MNIST", "Fashion-MNIST"),
    ),
    Question(
        "sequence",
        "task",
        "A GRU over rows of MNIST, rows of Fashion-MNIST, or a text?",
        ("gru", "gru-fashion", "gru-text"),
        "The text is read through an embedding, and has 40 classes: other layers, other numbers of links.",
        ("rows of MNIST", "rows of Fashion-MNIST", "text"),
    ),
    Question(
        "performance",
        "performance",
        "The lowest or the highest third in accuracy?",
        ("performance",),
        "Learning rate, optimiser, scale of the initial weights, label noise and weight decay are drawn at random; "
        "where they decide the accuracy, a measure that shows them shows it too.",
    ),
)
"""All questions, of the five kinds that the paper names."""


def small() -> tuple[Cell, ...]:
    """30 networks a cell on 4,000 images, 150 for performance: about half an hour on two cores."""
    return cells(Sizes(n=30, n_performance=150, images=1 / 15, characters=1 / 6, epochs=5))


def full() -> tuple[Cell, ...]:
    """200 networks a cell on all images, 1,000 for performance."""
    return cells(Sizes(n=200, n_performance=1000, images=1.0, characters=1.0, epochs=10))


SCALES: Mapping[str, Callable[[], tuple[Cell, ...]]] = {"small": small, "full": full}

_NEVER = 10**9
"""Updates between two records: the first and the last network alone are kept."""
