"""Data sets as tensors: local files in their official formats, and those that need no file."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from axonometry.errors import ConfigurationError, DataError, MissingExtraError
from axonometry.populations.gaussian_processes import LENGTHS, gaussian_processes
from axonometry.populations.image_files import (
    CIFAR10,
    CLASSES,
    FASHION_MNIST,
    MNIST,
    Layout,
    Split,
    read_cifar,
    read_idx,
)
from axonometry.populations.modular_addition import modular_addition
from axonometry.populations.registry import Registry
from axonometry.populations.signals import mnist_1d
from axonometry.populations.text import VOCABULARY, text_windows

DIRECTORY_VARIABLE = "AXONOMETRY_DATA"
"""Environment variable that names the data directory."""

_DIGITS_FOR_TRAINING = 1437


@dataclass(frozen=True, eq=False)
class Dataset:
    """A classification data set in memory, whole.

    Attributes:
        name: What configurations call it.
        train_inputs: float32 in [0, 1], shape (N, C, H, W); any float32 once they are :func:`projected`. Or
            tokens, int64 in [0, n_tokens), shape (N, T).
        train_labels: int64 in [0, n_classes), shape (N,).
        test_inputs: As train_inputs.
        test_labels: As train_labels.
        n_classes: Number of classes.
        n_tokens: Size of the vocabulary of tokens; None for images and all else that is no token.

    Raises:
        DataError: Shapes, types or values do not fit together.

    >>> x, y = torch.rand(4, 1, 2, 2), torch.tensor([0, 1, 0, 1])
    >>> Dataset("squares", x, y, x[:2], y[:2], n_classes=2).shape
    (1, 2, 2)
    """

    name: str
    train_inputs: Tensor
    train_labels: Tensor
    test_inputs: Tensor
    test_labels: Tensor
    n_classes: int
    n_tokens: int | None = None

    def __post_init__(self) -> None:
        for half, inputs, labels in (
            ("train", self.train_inputs, self.train_labels),
            ("test", self.test_inputs, self.test_labels),
        ):
            self._check(f"the {half} inputs of {self.name}", inputs, f"the {half} labels of {self.name}", labels)
        if self.train_inputs.shape[1:] != self.test_inputs.shape[1:]:
            shapes = f"{tuple(self.train_inputs.shape[1:])} and {tuple(self.test_inputs.shape[1:])}"
            raise DataError(
                f"train and test inputs of {self.name} have one shape", shapes, "Check the data set's files"
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one input, (C, H, W) for images."""
        return tuple(self.train_inputs.shape[1:])

    def _check(self, inputs_name: str, inputs: Tensor, labels_name: str, labels: Tensor) -> None:
        self._check_inputs(inputs_name, inputs)
        if labels.dtype != torch.int64 or labels.shape != inputs.shape[:1]:
            came = f"{labels.dtype} of shape {tuple(labels.shape)}"
            raise DataError(
                f"{labels_name} are int64 of shape ({len(inputs)},)", came, "Give one class index per input"
            )
        if int(labels.min()) < 0 or int(labels.max()) >= self.n_classes:
            came = f"{int(labels.min())} to {int(labels.max())}"
            raise DataError(f"{labels_name} are from 0 to {self.n_classes - 1}", came, "Number the classes from 0")

    def _check_inputs(self, name: str, inputs: Tensor) -> None:
        came = f"{inputs.dtype} of shape {tuple(inputs.shape)}"
        if self.n_tokens is None:
            if inputs.dtype != torch.float32 or inputs.ndim < 2 or not len(inputs):
                remedy = "Convert them with .float(), or say `n_tokens` where they are tokens"
                raise DataError(f"{name} are float32 of shape (N, ...)", came, remedy)
        elif inputs.dtype != torch.int64 or inputs.ndim != 2 or not inputs.numel():
            raise DataError(f"{name} are tokens, int64 of shape (N, T)", came, "Leave `n_tokens` out for images")
        elif int(inputs.min()) < 0 or int(inputs.max()) >= self.n_tokens:
            came = f"{int(inputs.min())} to {int(inputs.max())}"
            raise DataError(f"{name} are from 0 to {self.n_tokens - 1}", came, "Number the tokens from 0")


@dataclass(frozen=True)
class Source:
    """Where a data set comes from.

    Attributes:
        load: Gives the data set. Its keywords are ``options`` and, where there is a layout, ``directory``.
        options: Attributes of a run's configuration that the data depend on.
        layout: The files that it is read from; None where it needs none.
    """

    load: Callable[..., Dataset]
    options: tuple[str, ...] = ()
    layout: Layout | None = None


def load_dataset(name: str, directory: str | Path | None = None, **options: Any) -> Dataset:
    """Read a data set.

    Args:
        name: A name in :data:`DATASETS`: ``"digits"``, ``"text"``, ``"modular-addition"``, ``"mnist"``,
            ``"fashion-mnist"``, ``"cifar10"``, ``"mnist-14"``, ``"fashion-mnist-14"``, ``"cifar10-16"``,
            ``"mnist-1d"``, ``"nonlinear-gaussian"``, ``"gaussian"``, or a registered one.
        directory: Where the files are, in a folder of the data set's name or directly; ``$AXONOMETRY_DATA`` where
            None. Only MNIST, Fashion-MNIST and CIFAR-10 need one, in either size.
        options: What else the data depend on, such as the ``modulus`` of modular addition.

    Returns:
        Inputs are the stored values divided by their maximum (255, 16 for the digits), nothing subtracted, as in the
        official code of paper 1 (definitions 1.2). Nothing is cached on disk.

        The digits are scikit-learn's 1,797 images of 8 x 8 pixels. Ours is the split [our choice]: in the order of
        ``numpy.random.RandomState(0).permutation(1797)``, the first 1,437 are for training and the other 360 for
        testing, since the file's own order repeats 0 to 9.

        ``mnist-14`` and ``fashion-mnist-14`` have 14 x 14 pixels, each the mean of 2 x 2, in a frame of zeros that
        makes them 16 x 16, the least that the networks of paper 3 read. ``cifar10-16`` is halved likewise, without a
        frame. ``mnist-1d`` is made from a seed by the package of that name (:mod:`axonometry.populations.signals`).

        ``nonlinear-gaussian`` are processes on a ring of two correlation lengths, and ``gaussian`` normal ones of the
        same covariances, drawn by the ``seed`` (:mod:`axonometry.populations.gaussian_processes`).

        The text is made of the documentation strings of Python's standard library (:mod:`axonometry.populations.text`):
        32 characters, and the next one is the class. It differs between versions of Python.

    Raises:
        DataError: There is no such data set, or a file is missing or damaged; the message says which belongs where.

    >>> load_dataset("digits").shape, len(load_dataset("modular-addition", modulus=5).train_labels)
    ((1, 8, 8), 15)
    """
    source = DATASETS.lookup(name)
    where = {} if source.layout is None else {"directory": _directory(source.layout, directory)}
    return replace(source.load(**where, **options), name=name)


def projected(dataset: Dataset, components: int) -> Dataset:
    """A data set whose inputs are projected on the first principal components of its training inputs.

    z = (x - x̄) V, with x̄ the mean of all training inputs and V (numbers, components) the eigenvectors of their
    covariance of the largest eigenvalues, orthonormal: noise of amplitude s on each component is what noise of that
    amplitude on each pixel leaves there. The labels are not looked at, and test inputs are not in x̄ and V. A
    component's sign is such that its greatest entry is positive [our choice].

    Args:
        dataset: Of images, or of any other inputs that are no tokens.
        components: How many, at most the numbers of an input.

    Returns:
        Inputs of shape (N, components).

    Raises:
        ConfigurationError: An input has fewer numbers, or is made of tokens.

    >>> projected(load_dataset("digits"), 5).shape
    (5,)
    """
    if dataset.n_tokens is not None:
        raise ConfigurationError("principal components are of numbers", "tokens", "Leave `components` out")
    inputs = dataset.train_inputs.flatten(1).double()
    if components > inputs.shape[1]:
        came = f"{components} of {inputs.shape[1]}"
        raise ConfigurationError("an input has at least `components` numbers", came, "Choose fewer")
    _, vectors = torch.linalg.eigh(torch.cov(inputs.T).reshape(inputs.shape[1], -1))
    vectors = vectors.flip(1)[:, :components]
    largest = vectors.gather(0, vectors.abs().argmax(0, keepdim=True))
    mean, vectors = inputs.mean(0), vectors * largest.sign()
    train, test = (
        ((some.flatten(1).double() - mean) @ vectors).float() for some in (dataset.train_inputs, dataset.test_inputs)
    )
    return replace(dataset, train_inputs=train, test_inputs=test)


def require(name: str, directory: str | Path | None = None) -> None:
    """Make sure that a data set's files are there, without reading them.

    Args:
        name: As for :func:`load`.
        directory: As for :func:`load`.

    Raises:
        DataError: There is no such data set, or a file is missing.

    >>> require("digits")  # scikit-learn brings them: nothing happens
    >>> require("pictures")
    Traceback (most recent call last):
        ...
    axonometry.errors.DataError: a data set is one of digits, text, modular-addition, mnist, ...
    """
    layout = DATASETS.lookup(name).layout
    if layout is not None:
        layout.find(_directory(layout, directory))


def _directory(layout: Layout, directory: str | Path | None) -> Path:
    named = directory or os.environ.get(DIRECTORY_VARIABLE)
    if not named:
        raise DataError(
            f"{layout.title} is read from local files",
            "no directory",
            f"Name the directory that holds {layout.folders[0]}/, or set {DIRECTORY_VARIABLE} to it",
        )
    path = Path(named).expanduser()
    if not path.is_dir():
        source = "" if directory else f" (from {DIRECTORY_VARIABLE})"
        raise DataError(
            f"the data directory is a folder that holds {layout.folders[0]}/",
            f"{path}{source}, which is none",
            "Check its name",
        )
    return path


def _digits() -> Dataset:
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise MissingExtraError.of("scikit-learn", "populations") from error
    images, classes = load_digits(return_X_y=True)
    order = np.random.RandomState(0).permutation(len(classes))
    inputs = torch.from_numpy(images[order]).float().div_(16).reshape(-1, 1, 8, 8)
    labels = torch.from_numpy(classes[order]).long()
    train, test = slice(_DIGITS_FOR_TRAINING), slice(_DIGITS_FOR_TRAINING, None)
    return Dataset("digits", inputs[train], labels[train], inputs[test], labels[test], CLASSES)


def _text() -> Dataset:
    train, test = text_windows()
    return Dataset("text", *train, *test, n_classes=len(VOCABULARY), n_tokens=len(VOCABULARY))


def _pixels(split: Split) -> Tensor:
    return torch.tensor(split.images).float().div_(255)


def _labels(split: Split) -> Tensor:
    return torch.tensor(split.labels).long()


def _sums(**options: Any) -> Dataset:
    train, test, modulus = modular_addition(**options)
    return Dataset("modular-addition", *train, *test, n_classes=modulus)


def _signals() -> Dataset:
    train, test = mnist_1d()
    return Dataset("mnist-1d", *train, *test, n_classes=CLASSES)


def _processes(*, normal: bool) -> Callable[..., Dataset]:
    def load(**options: Any) -> Dataset:
        train, test = gaussian_processes(normal=normal, **options)
        return Dataset("gaussian-process", *train, *test, n_classes=len(LENGTHS))

    return load


def halved(images: Tensor, frame: int = 0) -> Tensor:
    """Images of half the height and width: each pixel the mean of four, in a frame of zeros.

    Args:
        images: Shape (N, C, H, W).
        frame: Pixels of zeros on each side.

    >>> halved(torch.tensor([[[[0.0, 1.0], [2.0, 5.0]]]]), frame=1)[0, 0].tolist()
    [[0.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 0.0]]
    """
    return F.pad(F.avg_pool2d(images, 2), (frame,) * 4)


def _smaller(source: Source, frame: int) -> Source:
    def load(directory: Path) -> Dataset:
        whole = source.load(directory=directory)
        train, test = halved(whole.train_inputs, frame), halved(whole.test_inputs, frame)
        return replace(whole, train_inputs=train, test_inputs=test)

    return replace(source, load=load)


def _images(name: str, layout: Layout, read: Callable[[Layout, Path], tuple[Split, Split]]) -> Source:
    def load(directory: Path) -> Dataset:
        train, test = read(layout, directory)
        return Dataset(name, _pixels(train), _labels(train), _pixels(test), _labels(test), CLASSES)

    return Source(load, layout=layout)


_MNIST, _FASHION = _images("mnist", MNIST, read_idx), _images("fashion-mnist", FASHION_MNIST, read_idx)
_CIFAR = _images("cifar10", CIFAR10, read_cifar)

DATASETS = Registry(
    "a data set",
    Source,
    {
        "digits": Source(_digits),
        "text": Source(_text),
        "modular-addition": Source(_sums, ("modulus", "n_train", "seed")),
        "mnist": _MNIST,
        "fashion-mnist": _FASHION,
        "cifar10": _CIFAR,
        "mnist-14": _smaller(_MNIST, frame=1),
        "fashion-mnist-14": _smaller(_FASHION, frame=1),
        "cifar10-16": _smaller(_CIFAR, frame=0),
        "mnist-1d": Source(_signals),
        "nonlinear-gaussian": Source(_processes(normal=False), ("seed",)),
        "gaussian": Source(_processes(normal=True), ("seed",)),
    },
    DataError,
)
"""Data sets by the name that configurations use; ``DATASETS.register(name, load)`` adds one.

``load()`` gives a :class:`Dataset`; it is called once in a process.
"""
