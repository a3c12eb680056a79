"""Saved predictors: the same predictions, and every tampered file refused."""

from __future__ import annotations

import gzip
import hashlib
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from sklearn.linear_model import LinearRegression

from axonometry.errors import PredictionError
from axonometry.predict import AccuracyPredictor
from tests.predict.synthetic import table


@pytest.fixture(scope="module")
def fitted() -> AccuracyPredictor:
    return AccuracyPredictor("degree", epochs=1, trees=2, folds=2).fit(table(20))


@pytest.fixture(scope="module")
def saved(fitted: AccuracyPredictor, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("predictor") / "saved"
    fitted.save(path)
    return path.read_bytes()


def opened(content: bytes, folder: Path) -> AccuracyPredictor:
    (folder / "predictor").write_bytes(content)
    return AccuracyPredictor.load(folder / "predictor")


def signed(body: bytes) -> bytes:
    return b"axonometry-predictor 1 %s\n%s" % (hashlib.sha256(body).hexdigest().encode(), body)


def test_round_trip(fitted: AccuracyPredictor, saved: bytes, tmp_path: Path) -> None:
    again, new = opened(saved, tmp_path), table(30, seed=5).features
    assert again.get_params() == fitted.get_params()
    np.testing.assert_array_equal(again.predict_interval(new, 0.8), fitted.predict_interval(new, 0.8))
    classes = AccuracyPredictor("curve", epochs=1, trees=2, task="classification", classes=(0.4, 0.6)).fit(table(20))
    classes.save(tmp_path / "classes")
    again = AccuracyPredictor.load(tmp_path / "classes")
    np.testing.assert_array_equal(again.predict_proba(new), classes.predict_proba(new))


FORMATS = Path(__file__).parent / "formats"


@pytest.mark.parametrize("name", ["regression", "classification"])
def test_a_file_that_version_0_1_wrote_opens_and_predicts_as_it_did(name: str, tmp_path: Path) -> None:
    predictor = opened(gzip.decompress((FORMATS / f"1-{name}.predictor.gz").read_bytes()), tmp_path)
    new = table(6, seed=7).features
    found = predictor.predict_interval(new, 0.8) if name == "regression" else predictor.predict_proba(new)
    expected = json.loads((FORMATS / f"1-{name}.json").read_text())["rows"]
    # That version measured the kernel's distances in float32.
    np.testing.assert_allclose(found, expected, atol=1e-6)
    predictor.save(tmp_path / "again")
    np.testing.assert_array_equal(AccuracyPredictor.load(tmp_path / "again").predict(new), predictor.predict(new))


def test_any_changed_byte_is_refused(saved: bytes, tmp_path: Path) -> None:
    places = [*range(90), *random.Random(0).sample(range(len(saved)), 60)]
    for place in places:
        changed = bytearray(saved)
        changed[place] ^= 1
        with pytest.raises(PredictionError, match=r"AccuracyPredictor.save wrote"):
            opened(bytes(changed), tmp_path)


@pytest.mark.parametrize("length", [0, 5, 40, 89, 1000, -1])
def test_a_truncated_file_is_refused(saved: bytes, tmp_path: Path, length: int) -> None:
    with pytest.raises(PredictionError, match=r"AccuracyPredictor.save wrote"):
        opened(saved[:length], tmp_path)


def test_a_newer_format_is_named(saved: bytes, tmp_path: Path) -> None:
    with pytest.raises(PredictionError, match="format 2; this software reads format 1"):
        opened(saved.replace(b"predictor 1 ", b"predictor 2 ", 1), tmp_path)


def test_other_types_are_refused_though_the_checksum_fits(tmp_path: Path) -> None:
    forged = signed(skops.io.dumps({"choices": {}, "state": AccuracyPredictor()}))
    with pytest.raises(PredictionError, match=r"the types axonometry\.predict\.predictor\.AccuracyPredictor"):
        opened(forged, tmp_path)
    with pytest.raises(PredictionError, match=r"do not fit together|does not fit together"):
        opened(signed(skops.io.dumps({"choices": LinearRegression()})), tmp_path)
    with pytest.raises(PredictionError, match="skops cannot read"):
        opened(signed(b"no zip"), tmp_path)


@pytest.mark.parametrize("name", ["left", "right", "column", "roots"])
def test_a_forged_tree_that_leads_outside_is_refused(saved: bytes, tmp_path: Path, name: str) -> None:
    content = skops.io.loads(saved.partition(b"\n")[2], trusted=[])
    forest = content["horizons"]["1"]["folds"][0]["learners"][0][0]
    forest[name] = forest[name] + 10_000_000
    with pytest.raises(PredictionError, match="nodes"):
        opened(signed(skops.io.dumps(content)), tmp_path)


def first(content: dict[str, Any], *path: str | int) -> Any:
    """A part of the first model of a file's content."""
    part = content["horizons"]["1"]
    for step in path:
        part = part[step]
    return part


FORGERIES: dict[str, Callable[[dict[str, Any]], object]] = {
    "a column after the last": lambda c: first(c, "views", 0).__setitem__(-1, len(c["state"]["columns_"])),
    "a column before the first": lambda c: first(c, "views", 0).__setitem__(0, -1),
    "a fold that there is not": lambda c: first(c).update(fold_of=first(c, "fold_of") + 1),
    "a fold too few": lambda c: first(c).update(fold_of=first(c, "fold_of")[:-1]),
    "a target too few": lambda c: first(c).update(targets=first(c, "targets")[:-1]),
    "a weight too few": lambda c: first(c, "folds", 0).update(weights=first(c, "folds", 0, "weights")[:-1]),
    "a learner too few": lambda c: first(c, "folds", 0, "learners", 0).pop(),
    "quantiles of another column": lambda c: first(c, "folds", 0, "ranks", 0).update(
        columns=first(c, "folds", 0, "ranks", 0, "columns") + 1
    ),
    "a training row too few": lambda c: first(c, "folds", 0, "learners", 0, 1).update(
        rows=first(c, "folds", 0, "learners", 0, 1, "rows")[:-1]
    ),
    "no state": lambda c: c.pop("state"),
    "no bounds": lambda c: c["state"].pop("bounds_"),
    "a choice that there is not": lambda c: c["choices"].update(colour="red"),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_part_is_refused_in_one_line(saved: bytes, tmp_path: Path, name: str) -> None:
    content = skops.io.loads(saved.partition(b"\n")[2], trusted=[])
    opened(signed(skops.io.dumps(content)), tmp_path)
    FORGERIES[name](content)
    words = r"go together|belong to its columns|has its weight|not fit together"
    with pytest.raises(PredictionError, match=words) as e:
        opened(signed(skops.io.dumps(content)), tmp_path)
    assert "\n" not in str(e.value)
