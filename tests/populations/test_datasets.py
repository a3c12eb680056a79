"""Data sets from local files, whole and damaged on purpose."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from axonometry.errors import ConfigurationError, DataError, MissingExtraError
from axonometry.populations.datasets import DATASETS, Dataset, load_dataset, projected, require

IDX = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
CIFAR = (*(f"data_batch_{n}.bin" for n in range(1, 6)), "test_batch.bin")
RECORD = 3073


def idx(values: np.ndarray) -> bytes:
    return bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">u4").tobytes() + values.astype(np.uint8).tobytes()


def write_idx(folder: Path, n_train: int = 5, n_test: int = 3, *, size: int = 4) -> dict[str, np.ndarray]:
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    arrays = {
        name: random.integers(
            0, 10 if "labels" in name else 256, (n,) if "labels" in name else (n, size, size), np.uint8
        )
        for name, n in zip(IDX, (n_train, n_train, n_test, n_test), strict=True)
    }
    for name, values in arrays.items():
        (folder / name).write_bytes(idx(values))
    return arrays


def write_cifar(folder: Path, records: int = 2) -> dict[str, np.ndarray]:
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    batches = {}
    for name in CIFAR:
        batch = random.integers(0, 256, (records, RECORD), np.uint8)
        batch[:, 0] %= 10
        (folder / name).write_bytes(batch.tobytes())
        batches[name] = batch
    return batches


def compress(path: Path) -> Path:
    packed = path.with_name(path.name + ".gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    return packed


# ------------------------------------------------------------------------------------------------- the real files


@pytest.mark.parametrize(("name", "mean", "std"), [("mnist", 33.3184, 78.5675), ("fashion-mnist", 72.9404, 90.0212)])
def test_the_official_files(data_directory: Path, name: str, mean: float, std: float) -> None:
    data = load_dataset(name, data_directory)
    assert (data.name, data.n_classes, data.shape) == (name, 10, (1, 28, 28))
    assert (len(data.train_inputs), len(data.test_inputs)) == (60_000, 10_000)
    assert data.train_inputs.dtype == torch.float32
    assert data.train_labels.dtype == torch.int64
    assert (float(data.train_inputs.min()), float(data.train_inputs.max())) == (0.0, 1.0)
    pixels = data.train_inputs.double() * 255
    assert float(pixels.mean()) == pytest.approx(mean, abs=1e-4)
    assert float(pixels.std(correction=0)) == pytest.approx(std, abs=1e-4)


def test_the_labels_of_mnist(data_directory: Path) -> None:
    counts = load_dataset("mnist", data_directory).train_labels.bincount().tolist()
    assert counts == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]


def test_parts_of_cifar_batches(data_directory: Path) -> None:
    data = load_dataset("cifar10", data_directory)
    assert data.shape == (3, 32, 32)
    assert (len(data.train_labels), len(data.test_labels)) == (8000, 1000)
    with gzip.open(data_directory / "cifar10" / "data_batch_2.first1000.bin.gz") as file:
        record = np.frombuffer(file.read(RECORD), np.uint8)
    assert data.train_labels[4000] == record[0]
    blue = torch.from_numpy(record[1 + 2 * 1024 :].reshape(32, 32).copy()) / 255
    assert torch.equal(data.train_inputs[4000, 2], blue)


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (lambda raw: raw[: len(raw) // 2], "must be a whole gzip file; got 14440 bytes of which"),
        (lambda raw: raw[:100] + bytes([raw[100] ^ 255]) + raw[101:], "must be a whole gzip file"),
        (lambda raw: b"<html>not found</html>", "must be a whole gzip file"),
        (
            lambda raw: gzip.compress(gzip.decompress(raw)[:-10]),
            "must hold 60008 bytes for 60000 values.*got 59998 bytes",
        ),
        (lambda raw: gzip.compress(b"\0\0\x08\x03" + gzip.decompress(raw)[4:]), "magic number 2049; got 2051"),
        (lambda raw: gzip.compress(b""), "magic number 2049; got 0 bytes"),
    ],
    ids=["cut off", "flipped byte", "web page", "too short", "images for labels", "empty"],
)
def test_a_damaged_real_file(
    data_directory: Path, tmp_path: Path, damage: Callable[[bytes], bytes], found: str
) -> None:
    for path in (data_directory / "mnist").iterdir():
        (tmp_path / path.name).symlink_to(path)
    labels = tmp_path / "train-labels-idx1-ubyte.gz"
    raw = labels.read_bytes()
    labels.unlink()
    labels.write_bytes(damage(raw))
    with pytest.raises(DataError, match=found) as raised:
        load_dataset("mnist", tmp_path)
    assert str(labels) in str(raised.value)
    assert "put train-labels-idx1-ubyte.gz there again" in str(raised.value)


# ------------------------------------------------------------------------------------------------- IDX


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("place", ["mnist", "."])
def test_idx_files_anywhere(tmp_path: Path, packed: bool, place: str) -> None:
    arrays = write_idx(tmp_path / place)
    if packed:
        for name in IDX:
            compress(tmp_path / place / name)
    data = load_dataset("mnist", tmp_path)
    assert np.array_equal(data.train_inputs[:, 0].numpy(), arrays[IDX[0]].astype(np.float32) / 255)
    assert np.array_equal(data.test_labels.numpy(), arrays[IDX[3]])


@pytest.mark.parametrize(("name", "side", "frame"), [("fashion-mnist-14", 4, 1), ("cifar10-16", 16, 0)])
def test_images_of_half_the_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, side: int, frame: int
) -> None:
    """The mean of each 2 x 2 pixels, by hand, in a frame of zeros."""
    whole = name.rpartition("-")[0]
    (write_idx(tmp_path / whole, size=2 * side) if frame else write_cifar(tmp_path / whole))
    large, small = load_dataset(whole, tmp_path), load_dataset(name, tmp_path)
    assert small.name == name
    for big, little in ((large.train_inputs, small.train_inputs), (large.test_inputs, small.test_inputs)):
        means = big.numpy().reshape(*big.shape[:2], side, 2, side, 2).mean((3, 5))
        inner = little[..., frame : frame + side, frame : frame + side]
        np.testing.assert_allclose(inner.numpy(), means, rtol=1e-6)
        assert little.shape[-2:] == (side + 2 * frame, side + 2 * frame)
        assert float(little.sum()) == pytest.approx(float(inner.sum()), rel=1e-5)
    assert torch.equal(large.train_labels, small.train_labels)
    require(name, tmp_path)
    monkeypatch.delenv("AXONOMETRY_DATA", raising=False)
    with pytest.raises(DataError, match="read from local files"):
        require(name)


def test_the_environment_names_the_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_idx(tmp_path / "fashion-mnist")
    monkeypatch.setenv("AXONOMETRY_DATA", str(tmp_path))
    assert load_dataset("fashion-mnist").name == "fashion-mnist"
    assert len(load_dataset("fashion-mnist", tmp_path / "fashion-mnist").train_labels) == 5


def test_no_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("AXONOMETRY_DATA", raising=False)
    with pytest.raises(DataError, match=r"MNIST is read from local files; got no directory.*AXONOMETRY_DATA"):
        load_dataset("mnist")
    monkeypatch.setenv("AXONOMETRY_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match=r"nowhere \(from AXONOMETRY_DATA\), which is none"):
        load_dataset("mnist")


def test_a_missing_file_says_what_belongs_where(tmp_path: Path) -> None:
    write_idx(tmp_path / "mnist")
    (tmp_path / "mnist" / IDX[1]).unlink()
    with pytest.raises(DataError, match=rf"no train-labels-idx1-ubyte\[.gz\] there.*{IDX[3]}") as raised:
        require("mnist", tmp_path)
    assert str(tmp_path / "mnist") in str(raised.value)


def test_one_data_set_is_never_read_from_the_folder_of_another(tmp_path: Path) -> None:
    write_idx(tmp_path / "fashion-mnist")
    with pytest.raises(DataError, match=r"MNIST is read from 4 files, .*; got none of them there or in"):
        load_dataset("mnist", tmp_path / "fashion-mnist")


def test_images_and_labels_of_different_count(tmp_path: Path) -> None:
    write_idx(tmp_path, n_test=3)
    (tmp_path / IDX[3]).write_bytes(idx(np.zeros(4, np.uint8)))
    with pytest.raises(DataError, match=r"one label for each image; got 3 images in .*t10k-images.* and 4 labels in"):
        load_dataset("mnist", tmp_path)


def test_a_label_that_is_no_class(tmp_path: Path) -> None:
    write_idx(tmp_path, n_test=3)
    (tmp_path / IDX[3]).write_bytes(idx(np.array([1, 10, 11], np.uint8)))
    with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte must hold labels from 0 to 9; got 10 at image 1"):
        load_dataset("mnist", tmp_path)


def test_an_idx_file_without_images(tmp_path: Path) -> None:
    write_idx(tmp_path)
    (tmp_path / IDX[2]).write_bytes(idx(np.zeros((0, 4, 4), np.uint8)))
    with pytest.raises(DataError, match="0 x 4 x 4 values"):
        load_dataset("mnist", tmp_path)


def test_a_header_that_stops_early(tmp_path: Path) -> None:
    write_idx(tmp_path)
    (tmp_path / IDX[0]).write_bytes(bytes([0, 0, 8, 3, 0, 0, 0, 5, 0]))
    with pytest.raises(DataError, match="a header of 16 bytes; got 9 bytes in all"):
        load_dataset("mnist", tmp_path)


def test_train_and_test_images_of_different_size(tmp_path: Path) -> None:
    write_idx(tmp_path)
    (tmp_path / IDX[2]).write_bytes(idx(np.zeros((3, 5, 5), np.uint8)))
    with pytest.raises(DataError, match=r"one shape; got \(1, 4, 4\) and \(1, 5, 5\)"):
        load_dataset("mnist", tmp_path)


# ------------------------------------------------------------------------------------------------- CIFAR-10


@pytest.mark.parametrize("place", ["cifar10", "cifar-10-batches-bin", "."])
def test_cifar_batches(tmp_path: Path, place: str) -> None:
    batches = write_cifar(tmp_path / place)
    compress(tmp_path / place / "data_batch_3.bin")
    data = load_dataset("cifar10", tmp_path)
    expected = np.concatenate([batches[name] for name in CIFAR[:5]])
    assert np.array_equal(data.train_labels.numpy(), expected[:, 0])
    assert np.array_equal(data.train_inputs.numpy(), expected[:, 1:].reshape(-1, 3, 32, 32).astype(np.float32) / 255)
    assert len(data.test_labels) == 2


def test_a_packed_copy_beside_its_file_is_no_contradiction(tmp_path: Path) -> None:
    write_cifar(tmp_path)
    shutil.copy(tmp_path / "test_batch.bin", tmp_path / "copy")
    compress(tmp_path / "test_batch.bin")
    shutil.move(tmp_path / "copy", tmp_path / "test_batch.bin")
    assert len(load_dataset("cifar10", tmp_path).test_labels) == 2


def test_two_files_for_one_batch(tmp_path: Path) -> None:
    write_cifar(tmp_path)
    shutil.copy(tmp_path / "data_batch_1.bin", tmp_path / "data_batch_1.first2.bin")
    with pytest.raises(DataError, match=r"one file of CIFAR-10 begins with data_batch_1; got .*first2.bin"):
        load_dataset("cifar10", tmp_path)


def test_data_batch_10_is_not_data_batch_1(tmp_path: Path) -> None:
    write_cifar(tmp_path)
    shutil.copy(tmp_path / "data_batch_1.bin", tmp_path / "data_batch_10.bin")
    assert len(load_dataset("cifar10", tmp_path).train_labels) == 10


def test_a_missing_batch(tmp_path: Path) -> None:
    write_cifar(tmp_path / "cifar10")
    (tmp_path / "cifar10" / "data_batch_4.bin").unlink()
    with pytest.raises(DataError, match=r"no data_batch_4\*.bin\[.gz\] there"):
        load_dataset("cifar10", tmp_path)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (bytes(RECORD - 1), "hold records of 3073 bytes; got 3072 bytes"),
        (b"", "hold records of 3073 bytes; got 0 bytes"),
        (bytes(RECORD) + bytes([10]) + bytes(RECORD - 1), "hold labels from 0 to 9; got 10 at image 1"),
    ],
)
def test_a_damaged_batch(tmp_path: Path, content: bytes, found: str) -> None:
    write_cifar(tmp_path)
    (tmp_path / "test_batch.bin").write_bytes(content)
    with pytest.raises(DataError, match=f"test_batch.bin must {found}"):
        load_dataset("cifar10", tmp_path)


# ------------------------------------------------------------------------------------------------- the rest


def test_the_digits_need_no_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AXONOMETRY_DATA", raising=False)
    data = load_dataset("digits")
    assert (len(data.train_labels), len(data.test_labels), data.shape) == (1437, 360, (1, 8, 8))
    assert (float(data.train_inputs.min()), float(data.train_inputs.max())) == (0.0, 1.0)
    # The split is part of every configuration's meaning: it stays what it is.
    assert data.train_labels.bincount().tolist() == [147, 147, 138, 150, 137, 153, 141, 139, 146, 139]
    assert data.test_labels.bincount().tolist() == [31, 35, 39, 33, 44, 29, 40, 40, 28, 41]


def test_principal_components_are_those_of_the_training_images() -> None:
    """Against a singular value decomposition; only the signs are chosen."""
    digits = load_dataset("digits")
    data = projected(digits, 6)
    x = digits.train_inputs.flatten(1).double()
    *_, vectors = torch.linalg.svd(x - x.mean(0), full_matrices=False)
    for ours, images in ((data.train_inputs, digits.train_inputs), (data.test_inputs, digits.test_inputs)):
        expected = (images.flatten(1).double() - x.mean(0)) @ vectors[:6].T
        torch.testing.assert_close(ours.double().abs(), expected.abs(), atol=1e-5, rtol=1e-5)
    assert (data.name, data.shape, data.train_inputs.dtype) == ("digits", (6,), torch.float32)
    assert data.train_labels is digits.train_labels
    # Test images of another kind move nothing: they are in neither mean nor directions.
    other = projected(replace(digits, test_inputs=1 - digits.test_inputs), 6)
    assert other.train_inputs.equal(data.train_inputs)


def test_components_that_are_not_there() -> None:
    with pytest.raises(ConfigurationError, match="an input has at least `components` numbers; got 65 of 64"):
        projected(load_dataset("digits"), 65)
    with pytest.raises(ConfigurationError, match="principal components are of numbers; got tokens"):
        projected(load_dataset("text"), 2)


def test_the_digits_split_leaves_nothing_out() -> None:
    from sklearn.datasets import load_digits

    data = load_dataset("digits")
    ours = torch.cat([data.train_inputs, data.test_inputs]).reshape(1797, 64) * 16
    theirs = torch.from_numpy(load_digits().data).float()
    assert sorted(ours.tolist()) == sorted(theirs.tolist())


def test_digits_without_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "sklearn.datasets", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'axonometry\[populations\]'"):
        load_dataset("digits")


def test_an_unknown_data_set() -> None:
    assert tuple(DATASETS)[:6] == ("digits", "text", "modular-addition", "mnist", "fashion-mnist", "cifar10")
    assert tuple(DATASETS)[6:10] == ("mnist-14", "fashion-mnist-14", "cifar10-16", "mnist-1d")
    with pytest.raises(DataError, match=r"a data set is one of digits, text, .*; got 'imagenet'"):
        load_dataset("imagenet")


def dataset(**changes: object) -> Dataset:
    parts: dict[str, object] = {
        "name": "mine",
        "train_inputs": torch.rand(4, 1, 2, 2),
        "train_labels": torch.tensor([0, 1, 1, 0]),
        "test_inputs": torch.rand(2, 1, 2, 2),
        "test_labels": torch.tensor([0, 1]),
        "n_classes": 2,
    }
    return Dataset(**(parts | changes))  # type: ignore[arg-type]


def test_a_data_set_of_ones_own() -> None:
    assert dataset().shape == (1, 2, 2)


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"train_inputs": torch.rand(4, 1, 2, 2).double()}, "train inputs of mine are float32.*torch.float64"),
        ({"train_inputs": torch.rand(4)}, r"train inputs of mine are float32 of shape \(N, ...\).*\(4,\)"),
        ({"test_inputs": torch.rand(0, 1, 2, 2), "test_labels": torch.zeros(0).long()}, "test inputs of mine"),
        ({"train_labels": torch.tensor([0, 1, 1])}, r"train labels of mine are int64 of shape \(4,\).*\(3,\)"),
        ({"test_labels": torch.tensor([0.0, 1.0])}, "test labels of mine are int64"),
        ({"test_labels": torch.tensor([0, 2])}, "test labels of mine are from 0 to 1; got 0 to 2"),
        ({"test_labels": torch.tensor([-1, 0])}, "test labels of mine are from 0 to 1; got -1 to 0"),
        ({"test_inputs": torch.rand(2, 1, 3, 2)}, r"one shape; got \(1, 2, 2\) and \(1, 3, 2\)"),
    ],
)
def test_a_data_set_that_does_not_fit_together(changes: dict[str, object], found: str) -> None:
    with pytest.raises(DataError, match=found):
        dataset(**changes)
