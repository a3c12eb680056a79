"""The text of Python's documentation: its characters, its windows, its digest, and learning from it."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from axonometry.errors import ConfigurationError, DataError
from axonometry.populations import RunConfiguration, load_population, text, train, train_population
from axonometry.populations.datasets import Dataset, load_dataset
from axonometry.populations.text import N_TEST, N_TRAIN, VOCABULARY, WINDOW, sha256_of_text, standard_text

TINY = {"dataset": "text", "train_fraction": 0.01, "test_fraction": 0.02, "epochs": 1, "record_every": 10**6}


def test_the_vocabulary_and_nothing_else() -> None:
    assert len(set(VOCABULARY)) == len(VOCABULARY) == 40
    assert set(standard_text()) == set(VOCABULARY)
    assert "  " not in standard_text()
    assert standard_text().startswith("command-line parsing library")  # argparse's first words
    assert sha256_of_text() == hashlib.sha256(standard_text().encode()).hexdigest()


def test_what_becomes_of_other_characters() -> None:
    assert text._plain("  Até 3.14\n\n[x]\tY ") == "at? 0.00 ?x? y"


def test_windows_and_what_follows_them() -> None:
    data = load_dataset("text")
    assert data.train_inputs.shape == (N_TRAIN, WINDOW)
    assert data.test_inputs.shape == (N_TEST, WINDOW)
    assert (data.n_classes, data.n_tokens, data.shape) == (40, 40, (WINDOW,))
    whole = standard_text()
    for inputs, labels, half in (
        (data.train_inputs, data.train_labels, whole[: len(whole) * 4 // 5]),
        (data.test_inputs, data.test_labels, whole[len(whole) * 4 // 5 :]),
    ):
        for number in (0, 1, 17):
            words = "".join(VOCABULARY[code] for code in [*inputs[number].tolist(), int(labels[number])])
            assert words in half
    assert torch.equal(load_dataset("text").train_inputs, data.train_inputs)


def test_without_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "MODULES", ("sys", "there.is.none", "builtins"))
    standard_text.cache_clear()
    try:
        with pytest.raises(DataError, match="sources of Python's standard library; got 0 characters"):
            standard_text()
    finally:
        standard_text.cache_clear()


def test_a_runs_configuration_holds_the_digest() -> None:
    configuration = RunConfiguration(family="recurrent", dataset="text")
    assert configuration.data_sha256 == sha256_of_text()
    assert replace(configuration, data_sha256="0" * 64).identity != configuration.identity
    assert RunConfiguration(family="recurrent").data_sha256 is None


def test_another_pythons_text_is_refused(tmp_path: Path) -> None:
    other = RunConfiguration(family="recurrent", data_sha256="ab" * 32, **TINY)
    with pytest.raises(DataError, match=r"the SHA-256 abababababab\.\.\.; got "):
        train(other, tmp_path)


def test_images_only(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="images alone are reconstructed or cut out anew; got objective bce"):
        train(RunConfiguration(family="recurrent", objective="bce", **TINY), tmp_path)
    with pytest.raises(ConfigurationError, match=r"images alone are reconstructed or cut out anew; got .*crop-flip"):
        train(RunConfiguration(family="recurrent", augmentation="crop-flip", **TINY), tmp_path)


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize("family", ["recurrent", "attention"])
def test_runs_of_the_text_are_read_again(family: str, tmp_path: Path) -> None:
    configuration = RunConfiguration(family=family, units=8, **TINY)
    train_population([configuration], tmp_path, workers=1)
    population = load_population(tmp_path)
    graph = population.graph(configuration.identity)
    assert graph.groups[0].shape == (WINDOW, 40)
    assert {c.role for c in graph.coverage} <= {"synapse", "bias", "normalisation"}
    measured = population.measured(["node_strength"])
    assert "node_strength" in set(measured.runs[configuration.identity].metrics["metric"])


def tokens(**changes: object) -> Dataset:
    parts: dict[str, object] = {
        "name": "mine",
        "train_inputs": torch.tensor([[0, 1], [2, 1]]),
        "train_labels": torch.tensor([0, 1]),
        "test_inputs": torch.tensor([[2, 2]]),
        "test_labels": torch.tensor([1]),
        "n_classes": 2,
        "n_tokens": 3,
    }
    return Dataset(**(parts | changes))  # type: ignore[arg-type]


def test_tokens_are_checked() -> None:
    assert tokens().shape == (2,)
    with pytest.raises(DataError, match="the train inputs of mine are from 0 to 1; got 0 to 2"):
        tokens(n_tokens=2)
    with pytest.raises(DataError, match=r"the train inputs of mine are tokens, int64 .*; got torch.float32"):
        tokens(train_inputs=torch.zeros(2, 2))
    with pytest.raises(DataError, match=r"the train inputs of mine are float32 .*say `n_tokens` where they are tokens"):
        tokens(n_tokens=None)
