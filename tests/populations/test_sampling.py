"""What a network is shown: fractions, wrong labels, batches that depend on seed and update alone, augmentation."""

from __future__ import annotations

from itertools import chain, islice
from math import ceil

import pytest
import torch
from hypothesis import given, strategies as st

from axonometry.populations import Dataset, RunConfiguration
from axonometry.populations.sampling import BatchSampler, used_images


def pictures(n: int, *, classes: int = 10, size: int = 6) -> Dataset:
    source = torch.Generator().manual_seed(0)
    inputs = torch.rand(n, 2, size, size, generator=source) + 0.1
    labels = torch.randint(classes, (n,), generator=source)
    return Dataset("pictures", inputs, labels, inputs.clone(), labels.clone(), classes)


def configuration(**values: object) -> RunConfiguration:
    return RunConfiguration.from_dict({"dataset": "pictures", "batch_size": 7, **values})


def test_the_first_images_are_used() -> None:
    data = pictures(100)
    used = used_images(configuration(train_fraction=0.29, test_fraction=0.5), data)
    assert len(used.train_labels) == 29
    assert len(used.test_labels) == 50
    assert used.train_inputs.equal(data.train_inputs[:29])


def test_as_many_labels_are_wrong_as_asked_and_every_wrong_one_is_another_class() -> None:
    data = pictures(1000)
    used = used_images(configuration(label_noise=0.3), data)
    changed = used.train_labels != data.train_labels
    assert int(changed.sum()) == 300
    assert used.test_labels.equal(data.test_labels)
    steps = (used.train_labels - data.train_labels)[changed] % 10
    assert set(steps.tolist()) == set(range(1, 10))
    assert used_images(configuration(label_noise=0.3), data).train_labels.equal(used.train_labels)
    assert not used_images(configuration(label_noise=0.3, seed=1), data).train_labels.equal(used.train_labels)


@pytest.mark.parametrize("augmentation", ["none", "crop-flip"])
@pytest.mark.parametrize("start", [1, 3, 4, 9])
def test_batches_depend_on_the_number_of_the_update_alone(augmentation: str, start: int) -> None:
    asked = configuration(augmentation=augmentation)
    data = used_images(asked, pictures(25))
    whole = list(islice(BatchSampler(asked, data).batches(0), 12))
    assert [len(labels) for _, labels in whole] == [7, 7, 7, 4] * 3
    for (inputs, labels), (again, labels_again) in zip(whole[start:], BatchSampler(asked, data).batches(start)):
        assert inputs.equal(again)
        assert labels.equal(labels_again)


def numbered(n: int) -> Dataset:
    """Images of one pixel, the number of the image."""
    inputs, labels = torch.arange(float(n)).view(n, 1, 1, 1), torch.zeros(n, dtype=torch.int64)
    return Dataset("pictures", inputs, labels, inputs, labels, 10)


def shown(asked: RunConfiguration, n: int, start: int, updates: int) -> list[list[float]]:
    """The numbers of the images of some updates."""
    return [inputs.flatten().tolist() for inputs, _ in islice(BatchSampler(asked, numbered(n)).batches(start), updates)]


@given(n=st.integers(1, 60), batch=st.integers(1, 20), start=st.integers(0, 30))
def test_an_epoch_shows_every_image_once_wherever_the_batches_start(n: int, batch: int, start: int) -> None:
    asked, per_epoch = configuration(batch_size=batch), ceil(n / batch)
    whole = shown(asked, n, 0, start + per_epoch)
    assert shown(asked, n, start, per_epoch) == whole[start:]
    assert BatchSampler(asked, numbered(n)).per_epoch == per_epoch
    for first in range(0, len(whole) - per_epoch + 1, per_epoch):
        assert sorted(chain(*whole[first : first + per_epoch])) == list(range(n))


def test_the_order_changes_with_epoch_and_seed() -> None:
    orders = [shown(configuration(seed=seed, batch_size=50), 50, epoch, 1) for seed in range(3) for epoch in range(3)]
    assert len({tuple(order) for (order,) in orders}) == 9


def test_an_epoch_shows_every_image_once() -> None:
    data = pictures(25)
    feed = BatchSampler(configuration(), data)
    shown = torch.cat([inputs for inputs, _ in islice(feed.batches(0), feed.per_epoch)])
    assert sorted(shown.flatten(1)[:, 0].tolist()) == sorted(data.train_inputs.flatten(1)[:, 0].tolist())


def test_cut_out_images_are_windows_of_the_padded_image_turned_or_not() -> None:
    data = pictures(40)
    asked = configuration(augmentation="crop-flip", batch_size=40)
    order = next(iter(BatchSampler(configuration(batch_size=40), data).batches(0)))[0]
    shown = next(iter(BatchSampler(asked, data).batches(0)))[0]
    found = set()
    for image, original in zip(shown, order, strict=True):
        padded = torch.nn.functional.pad(original, (4, 4, 4, 4))
        windows = {
            (row, column, turned): window.flip(-1) if turned else window
            for row in range(9)
            for column in range(9)
            for turned in (False, True)
            for window in [padded[:, row : row + 6, column : column + 6]]
        }
        fitting = [place for place, window in windows.items() if window.equal(image)]
        assert fitting
        found |= {fitting[0]}
    assert len(found) > 20
    assert {turned for _, _, turned in found} == {False, True}
