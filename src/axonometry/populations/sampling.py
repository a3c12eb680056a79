"""What a network is shown: the images that a configuration uses, in the order of its updates, augmented anew each time.

All of it follows from the configuration's seed and the number of the update, so that a run that was interrupted, or is
trained together with others, sees the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import ceil

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from axonometry.errors import ConfigurationError
from axonometry.populations.configuration import RunConfiguration
from axonometry.populations.datasets import Dataset
from axonometry.populations.seeds import generator

_MARGIN = 4
"""Pixels of zeros around an image that is cut out anew: the usual augmentation of CIFAR-10."""


def used_images(configuration: RunConfiguration, dataset: Dataset) -> Dataset:
    """The part of a data set that a configuration uses, with its noisy labels.

    Raises:
        ConfigurationError: The configuration asks for more samples than there are.

    >>> from axonometry.populations.datasets import load_dataset
    >>> used = used_images(RunConfiguration(n_train=100, test_fraction=0.5), load_dataset("digits"))
    >>> len(used.train_labels), len(used.test_labels)
    (100, 180)
    """
    inputs, labels = _subset(configuration, dataset)
    n_test = _part(configuration.test_fraction, len(dataset.test_labels))
    if configuration.n_test is not None:
        n_test = _require_enough("n_test", configuration.n_test, len(dataset.test_labels))
    return replace(
        dataset,
        train_inputs=inputs,
        train_labels=add_label_noise(configuration, labels, dataset.n_classes),
        test_inputs=dataset.test_inputs[:n_test],
        test_labels=dataset.test_labels[:n_test],
    )


def _subset(configuration: RunConfiguration, dataset: Dataset) -> tuple[Tensor, Int[Tensor, " n"]]:
    """The training samples that are used: the first ones of a fraction, or a number of them drawn by the seed."""
    inputs, labels = dataset.train_inputs, dataset.train_labels
    if configuration.n_train is None:
        n = _part(configuration.train_fraction, len(labels))
        return inputs[:n], labels[:n]
    if _require_enough("n_train", configuration.n_train, len(labels)) == len(labels):
        return inputs, labels  # all of them: in their own order, and not copied
    chosen = torch.randperm(len(labels), generator=generator(configuration.seed, "subset"))[: configuration.n_train]
    return inputs[chosen], labels[chosen]


def _require_enough(name: str, wanted: int, there: int) -> int:
    if wanted > there:
        raise ConfigurationError(f"`{name}` is at most the data set's {there:,}", f"{wanted:,}", "Choose fewer")
    return wanted


def _part(fraction: float, n: int) -> int:
    # The small number keeps 0.29 of 100 images at 29, which floating point makes 28.999999999999996.
    return max(1, int(n * fraction + 1e-9))


def add_label_noise(configuration: RunConfiguration, labels: Tensor, n_classes: int) -> Tensor:
    """The labels, a part of them replaced by another class, each other class as likely.

    A label moves by 1 to n - 1 classes, round: of ten classes, 7 moved by 5 is 2. So no label stays what it was, and
    exactly the part that was asked for is wrong.

    >>> labels = torch.zeros(10, dtype=torch.int64)
    >>> (add_label_noise(RunConfiguration(label_noise=0.3), labels, 10) != labels).sum().item()
    3
    """
    if not configuration.label_noise or n_classes < 2:
        return labels
    source = generator(configuration.seed, "label noise")
    changed = torch.randperm(len(labels), generator=source)[: int(len(labels) * configuration.label_noise + 1e-9)]
    steps = torch.randint(1, n_classes, (len(changed),), generator=source)
    labels = labels.clone()
    labels[changed] = (labels[changed] + steps) % n_classes
    return labels


def order(seed: int, n: int, epoch: int) -> Int[Tensor, " n"]:
    """The order in which a run goes through its n images in an epoch, from 0.

    >>> order(0, 5, epoch=0).tolist(), order(0, 5, epoch=1).tolist()
    ([2, 3, 1, 0, 4], [0, 4, 2, 3, 1])
    """
    return torch.randperm(n, generator=generator(seed, "order", epoch))


def augmentation(seed: int, n: int, epoch: int) -> tuple[Int[Tensor, "n 2"], Bool[Tensor, " n"]]:
    """How each of n images is cut out anew in an epoch: rows and columns from the frame's corner; whether turned.

    >>> moves, flips = augmentation(seed=0, n=3, epoch=0)
    >>> moves.tolist(), flips.tolist()  # (4, 4) leaves an image where it is
    ([[7, 6], [1, 1], [0, 2]], [False, False, False])
    """
    source = generator(seed, "augmentation", epoch)
    moves = torch.randint(2 * _MARGIN + 1, (n, 2), generator=source)
    return moves, torch.rand(n, generator=source) < 0.5


def padded_for_crop(inputs: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c height width"]:
    """Images with zeros around them, to be cut out anew.

    >>> padded_for_crop(torch.ones(1, 1, 2, 2)).shape
    torch.Size([1, 1, 10, 10])
    """
    return F.pad(inputs, (_MARGIN,) * 4)


def random_crop(
    inputs: Shaped[Tensor, "n ..."],
    chosen: Int[Tensor, "*batch"],
    moves: Int[Tensor, "*images 2"] | None = None,
    flips: Bool[Tensor, "*images"] | None = None,
) -> Tensor:
    """Chosen images, cut out anew of their frames where moves are given; shape (..., C, H, W).

    Args:
        inputs: All images, :func:`padded_for_crop` where moves are given.
        chosen: Numbers of images.
        moves: What :func:`augmentation` gave, of all images; or of as many sets of all images as ``chosen`` has rows.
        flips: Likewise.

    >>> image = torch.arange(4.0).reshape(1, 1, 2, 2)
    >>> moved, turned = torch.tensor([[4, 5]]), torch.tensor([False])
    >>> random_crop(padded_for_crop(image), torch.tensor([0]), moved, turned)[0, 0].tolist()  # a column to the left
    [[1.0, 0.0], [3.0, 0.0]]
    """
    if moves is None or flips is None:
        return inputs.index_select(0, chosen.flatten()).unflatten(0, chosen.shape)
    moves, flips = (moves[chosen], flips[chosen]) if flips.ndim == 1 else (_each(moves, chosen), _each(flips, chosen))
    height, width = (size - 2 * _MARGIN for size in inputs.shape[-2:])
    windows = inputs.unfold(2, height, 1).unfold(3, width, 1)  # a view: (N, C, moves, moves, H, W)
    rows, columns = moves.unbind(-1)
    cut = windows[chosen, :, rows, columns]
    return torch.where(flips[..., None, None, None], cut.flip(-1), cut)


def _each(values: Tensor, chosen: Int[Tensor, "networks batch"]) -> Tensor:
    """Of each network's own values those that it chose."""
    return values[torch.arange(len(chosen), device=chosen.device)[:, None], chosen]


class BatchSampler:
    """The batches of one run: a function of the seed and the update's number, whatever was drawn before.

    With 5 images in batches of 2, update 4 is the second batch of epoch 1:

        epoch 0, in the order 3 1 | 4 0 | 2        updates 0, 1, 2
        epoch 1, in the order 0 2 | 1 3 | 4        updates 3, 4, 5

    A run that resumes at update 4 makes epoch 1's order anew from the seed, and leaves the first batch out.

    Args:
        configuration: The run's.
        dataset: What :func:`used_images` gave.
    """

    def __init__(self, configuration: RunConfiguration, dataset: Dataset) -> None:
        self._configuration, self._inputs, self._labels = configuration, dataset.train_inputs, dataset.train_labels
        self._augmented = configuration.augmentation == "crop-flip"
        if self._augmented:
            self._inputs = padded_for_crop(self._inputs)

    @property
    def per_epoch(self) -> int:
        """Updates in one pass over the images."""
        return ceil(len(self._labels) / self._configuration.batch_size)

    def batches(self, start: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs and labels of the updates from number ``start`` on, without end."""
        epoch, skipped = divmod(start, self.per_epoch)
        while True:
            seed, n = self._configuration.seed, len(self._labels)
            moves, flips = augmentation(seed, n, epoch) if self._augmented else (None, None)
            for chosen in order(seed, n, epoch).split(self._configuration.batch_size)[skipped:]:
                yield random_crop(self._inputs, chosen, moves, flips), self._labels.index_select(0, chosen)
            epoch, skipped = epoch + 1, 0
