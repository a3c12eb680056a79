"""Published zoos are read as they are: our modules with the weights that are read compute what theirs computed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from axonometry.errors import ConfigurationError, DataError
from axonometry.zoo import read_published
from axonometry.zoo.modules import module_of
from axonometry.zoo.published import PublishedNetwork
from tests.zoo.published_files import EPOCHS


def same_outputs(network: PublishedNetwork, theirs: torch.nn.Module) -> None:
    """The network at its last checkpoint gives what theirs gives, on noise."""
    state = network.weights[max(network.weights)]()
    ours, example = module_of(network.configuration, {name: tuple(t.shape) for name, t in state.items()})
    ours.load_state_dict(state)
    x = torch.randn(2, *example.shape[1:], generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert torch.allclose(ours.eval()(x), theirs.eval()(x), atol=1e-5)


def test_small_cnn_zoo(small_cnn_files: tuple[Path, list[Any]]) -> None:
    folder, models = small_cnn_files
    zoo = read_published(folder)
    assert zoo.source == "small-cnn-zoo"
    assert len(zoo) == 8
    assert all(tuple(network.weights) == EPOCHS for network in zoo.networks)
    for network, theirs in zip(zoo.networks, models, strict=True):
        same_outputs(network, theirs)
    first = zoo.networks[0]
    assert first.configuration["learning_rate"] == 0.01
    assert first.configuration["seed"] == 0
    table = pd.read_csv(folder / "metrics.csv.gz")
    assert first.scalars[4]["accuracy"] == table["test_accuracy"][3]


def test_small_cnn_zoo_has_the_split_of_its_second_half(
    small_cnn_files: tuple[Path, list[Any]], tmp_path: Path
) -> None:
    zoo = read_published(small_cnn_files[0])
    assert [network.split for network in zoo.networks[4:]] == ["test"] * 4
    assert sorted(network.split for network in zoo.networks[:4]) == ["train", "train", "train", "validation"]
    # A shuffle that is published beside it comes first: here the rows of the last network before all others.
    folder = tmp_path / "shuffled"
    shutil.copytree(small_cnn_files[0], folder)
    order = [28, 29, 30, 31, *range(28)]
    (folder / "cifar10_split.csv").write_text("\n".join(map(str, order)))
    shuffled = [network.split for network in read_published(folder).networks]
    assert shuffled[7] != "test"
    assert shuffled[3:7] == ["test"] * 4


def test_wild_park(wild_park_files: tuple[Path, dict[str, Any]]) -> None:
    folder, models = wild_park_files
    zoo = read_published(folder)
    assert zoo.source == "cnn-wild-park"
    assert {network.name: network.split for network in zoo.networks} == dict(
        zip(models, ("train", "train", "validation", "test"), strict=True)
    )
    for network in zoo.networks:
        same_outputs(network, models[network.name])
        assert tuple(network.weights) == EPOCHS[1:]
    splits = json.loads((folder / "cnn_park_splits.json").read_text())
    assert zoo.networks[0].scalars[4]["accuracy"] == splits["train"]["score"][2]


def test_model_zoo(model_zoo_files: tuple[Path, dict[str, Any]]) -> None:
    folder, models = model_zoo_files
    zoo = read_published(folder)
    assert zoo.source == "model-zoos"
    assert {network.name for network in zoo.networks} == set(models)
    for network in zoo.networks:
        same_outputs(network, models[network.name])
    first = zoo.networks[0]
    assert "train_accuracy" not in first.scalars[0]
    assert first.scalars[4]["train_accuracy"] >= 0
    assert first.configuration["optim::lr"] == 0.003
    assert "dataset::dump" not in first.configuration


def test_a_trial_that_was_killed_while_it_wrote_is_read_up_to_there(
    model_zoo_files: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    folder = tmp_path / "zoo"
    shutil.copytree(model_zoo_files[0], folder)
    results = next(iter(sorted(folder.iterdir()))) / "result.json"
    results.write_text(results.read_text()[:-20])
    assert tuple(read_published(folder).networks[0].weights) == EPOCHS[:-1]


def test_what_is_no_zoo_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a published zoo is the Small CNN Zoo .* which is none"):
        read_published(tmp_path)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / "metrics.csv.gz").write_bytes(b"no gzip"), "Get it again"),
        (lambda f: (f / "weights.npy").write_bytes(b"no array"), "Get it again"),
        (lambda f: np.save(f / "weights.npy", np.zeros((3, 351), np.float32)), "both tables have a row a checkpoint"),
        (lambda f: np.save(f / "weights.npy", np.zeros((32, 9), np.float32)), "where in a row of 9"),
        (lambda f: (f / "layout.csv").write_text("varname,start_idx,end_idx\n"), "has the column shape"),
        (lambda f: (f / "split.csv").write_text("0\n0\n"), "holds every row's number once"),
        (
            lambda f: (f / "layout.csv").write_text('varname,start_idx,end_idx,shape\na/gamma:0,0,1,"(1,)"\n'),
            "end in kernel:0 or bias:0",
        ),
        (
            lambda f: (f / "layout.csv").write_text("varname,start_idx,end_idx,shape\na/bias:0,0,1,__import__('os')\n"),
            "is a tuple of numbers",
        ),
    ],
)
def test_damaged_tables_are_named(
    small_cnn_files: tuple[Path, list[Any]], tmp_path: Path, spoil: Any, message: str
) -> None:
    folder = tmp_path / "spoiled"
    shutil.copytree(small_cnn_files[0], folder)
    spoil(folder)
    with pytest.raises(DataError, match=message):
        read_published(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"training": {}}, "has train, val and test"),
        ({"train": {"path": ["a"], "score": []}}, "as many scores as paths"),
        ({"train": {"path": ["../a.pt"], "score": [1]}}, "names checkpoints inside its folder"),
        ({"train": {"path": ["/etc/passwd"], "score": [1]}}, "names checkpoints inside its folder"),
    ],
)
def test_a_wrong_split_file_is_named(tmp_path: Path, content: Any, message: str) -> None:
    (tmp_path / "cnn_park_splits.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=message):
        read_published(tmp_path)


@pytest.mark.parametrize(
    ("configuration", "message"),
    [
        ({}, "says its format"),
        ({"zoo": "small-cnn-zoo", "activation": "swish"}, "a name that is known"),
        ({"zoo": "model-zoos", "model::type": "ResNet18"}, "MLP, CNN, CNN2 and CNN3"),
    ],
)
def test_networks_that_are_not_known_are_named(configuration: dict[str, str], message: str) -> None:
    shapes = {"layers.0.weight": (4, 1, 3, 3), "layers.0.bias": (4,), "fc.weight": (3, 4), "fc.bias": (3,)}
    with pytest.raises(ConfigurationError, match=message):
        module_of(configuration, shapes)
