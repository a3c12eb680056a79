"""What is called wrongly names the argument, whatever is called; errors of the user's own code stay what they are."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from jaxtyping import Float
from torch import Tensor, nn

import axonometry as ax
from axonometry.annotations import Count, Seed, fits, type_in_words
from axonometry.arguments import argument_errors
from axonometry.errors import ArgumentError, SamplesError
from tests.conftest import REPOSITORY

GRAPH = ax.capture(nn.Linear(3, 2), torch.zeros(1, 3))


@pytest.fixture(scope="module")
def misused(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What ``tests.misuse`` finds, in a process in which types are not checked at every call."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(REPOSITORY / "src"), str(REPOSITORY)])}
    command = [sys.executable, "-W", "ignore", "-m", "tests.misuse"]
    folder = tmp_path_factory.mktemp("misused")  # a text that is taken for a path becomes a file
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=True)
    found: dict[str, list[str]] = json.loads(ended.stdout)
    return found


def test_whatever_is_called_wrongly_ends_in_no_raw_error(misused: dict[str, list[str]]) -> None:
    assert len(misused) > 100
    assert not {name: lines for name, lines in misused.items() if lines}


@argument_errors
def doubled(values: Iterable[float], times: Count = 1, *, rule: Callable[[float], float] | None = None) -> list[float]:
    return [2 * (rule or float)(value) for value in values] * times


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (([1.0], "x"), r"times of doubled is a whole number, 1 or more; got the text 'x'\. help\(doubled\) says"),
        ((None,), "values of doubled is a list of numbers; got None"),
        (([1.0, "a"],), "values of doubled is a list of numbers; got a list"),
        (([1.0], 2.5), "times of doubled is a whole number, 1 or more; got 2.5"),
    ],
)
def test_the_argument_is_named_and_the_raw_error_is_the_cause(given: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message) as caught:
        doubled(*given)
    assert isinstance(caught.value, TypeError)
    assert type(caught.value.__cause__) in (TypeError, ValueError)


def test_errors_of_the_user_s_code_stay_what_they_are() -> None:
    def failing(_: float) -> float:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        doubled([1.0], rule=failing)
    with pytest.raises(KeyError, match="mine"):
        doubled([1.0], "x", rule=failing)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="missing 1 required positional argument") as caught:
        doubled()  # type: ignore[call-arg]
    assert not isinstance(caught.value, ArgumentError)


@argument_errors
class Holder:
    def __init__(self, seed: Seed) -> None:
        self.draws = np.random.default_rng(seed)

    def read(self, names: Mapping[str, int]) -> Iterable[str]:
        return names.keys()


def test_of_classes_the_constructor_and_the_methods() -> None:
    assert list(Holder(1).read({"a": 1})) == ["a"]
    with pytest.raises(ArgumentError, match="seed of Holder is a whole number, 0 or more; got -1"):
        Holder(-1)
    with pytest.raises(ArgumentError, match=r"names of Holder.read is a mapping from texts to whole numbers; got \[?3"):
        Holder(1).read(3)  # type: ignore[arg-type]
    assert pickle.loads(pickle.dumps(doubled)) is doubled


@argument_errors
def going(values: list[float]) -> Iterable[float]:
    yield from values


def test_of_generators_what_comes_while_they_run() -> None:
    assert list(going([1.0])) == [1.0]
    with pytest.raises(ArgumentError, match="values of going is a list of numbers; got 3"):
        list(going(3))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "hint", "expected"),
    [
        (np.int64(3), int, True),
        (np.float32(3), float, True),
        (torch.tensor(3), int, True),
        (torch.tensor(2.5), int, False),
        (torch.zeros(2), float, False),
        (np.array("x"), float, False),
        (("a", "b"), tuple[str, str], True),
        (("a",), tuple[str, str], False),
        ({"a": torch.zeros(1)}, Mapping[str, Tensor], True),
        ({"a": [0.0]}, Mapping[str, Tensor], False),
        (torch.zeros(2), Iterable[str], False),
        (torch.zeros(2, 3), Float[Tensor, "samples n"], True),
        (torch.zeros(2), Float[Tensor, "samples n"], False),
        (len, Callable[[str], int], True),
        (0, Count, False),
        (0, Seed, True),
    ],
)
def test_what_fits(value: Any, hint: Any, expected: bool) -> None:
    assert fits(value, hint) is expected


def test_shapes_in_words() -> None:
    assert type_in_words(Float[Tensor, "samples n"] | None) == "a tensor of shape (samples, n) or None"


def test_a_group_s_values_have_its_shape() -> None:
    with pytest.raises(ax.errors.ValuesError, match=r"values of 'input' have the shape \(n, 3\); got \(2,\)"):
        GRAPH.from_group("input", torch.zeros(2))
    with pytest.raises(ax.errors.ValuesError, match=r"as in the graph; got 'inputs'\. Did you mean input\?"):
        GRAPH.from_group("inputs", torch.zeros(1, 3))


def test_samples_that_a_network_cannot_be_run_on() -> None:
    with pytest.raises(SamplesError, match=r"can be run on the samples; got samples of shape \(4, 5\) and Runtime"):
        ax.sample_basin(nn.Linear(3, 2), torch.zeros(4, 5), torch.tensor([0, 1, 0, 1]), draws=2)
