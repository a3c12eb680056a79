"""Published zoos on disk, and what they become, made once for all tests that only read them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from axonometry.zoo import Zoo, convert_zoo
from tests.zoo.published_files import write_model_zoo, write_small_cnn_zoo, write_wild_park


@pytest.fixture(scope="session")
def small_cnn_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Any]]:
    folder = tmp_path_factory.mktemp("zoo") / "small"
    return folder, write_small_cnn_zoo(folder)


@pytest.fixture(scope="session")
def wild_park_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("park")
    return folder, write_wild_park(folder)


@pytest.fixture(scope="session")
def model_zoo_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("model-zoo")
    return folder, write_model_zoo(folder)


@pytest.fixture(scope="session")
def small_cnn_zoo(small_cnn_files: tuple[Path, list[Any]], tmp_path_factory: pytest.TempPathFactory) -> Zoo:
    return convert_zoo(small_cnn_files[0], tmp_path_factory.mktemp("converted"))


@pytest.fixture(scope="session")
def wild_park_zoo(wild_park_files: tuple[Path, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Zoo:
    return convert_zoo(wild_park_files[0], tmp_path_factory.mktemp("converted-park"))
