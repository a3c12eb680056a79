"""Saved predictors: the same predictions, and every tampered file refused."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
import zipfile
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
    with pytest.raises(PredictionError, match="format 3; this software reads formats 1 to 2"):
        opened(saved.replace(b"predictor 2 ", b"predictor 3 ", 1), tmp_path)


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


def put(path: tuple[str | int, ...], change: Callable[[Any], Any]) -> Callable[[dict[str, Any]], None]:
    """Exchanges one value of the first model."""

    def forge(content: dict[str, Any]) -> None:
        *above, last = path
        holder = first(content, *above)
        holder[last] = change(holder[last])

    return forge


def chosen(name: str, value: object) -> Callable[[dict[str, Any]], None]:
    return lambda content: content["choices"].update({name: value})


def stated(name: str, value: object) -> Callable[[dict[str, Any]], None]:
    return lambda content: content["state"].update({name: value})


def one(value: float) -> Callable[[Any], Any]:
    """An array with another first number."""

    def change(array: Any) -> Any:
        array = array.copy()
        array.flat[0] = value
        return array

    return change


FOLD = ("folds", 0)
TREES, KERNEL = (*FOLD, "learners", 0, 0), (*FOLD, "learners", 0, 1)
RANKS = (*FOLD, "ranks", 0)
WRONG: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "epochs of text": (chosen("epochs", "1"), "`epochs` is a whole number from 1; got '1'"),
    "epochs of 400 digits": (chosen("epochs", 10**400), "epochs is a whole number from 1 to .* a number of 1329 bits"),
    "a task of its own": (chosen("task", ["regression"]), "the task is regression or classification"),
    "a seed of text": (chosen("random_state", "0"), "`random_state` is a whole number"),
    "classes of text": (chosen("classes", "2"), "classes are numbers"),
    "per_group 1": (chosen("per_group", 1), "`per_group` is True, False or None"),
    "no horizons": (lambda c: c.update(horizons={}), "horizons are those of 1 numbers of known epochs"),
    "horizons of another number": (lambda c: c.update(horizons={"2": first(c)}), "horizons are those"),
    "a list of horizons": (lambda c: c.update(horizons=[first(c)]), "horizons are those"),
    "bounds of NaN": (stated("bounds_", [float("nan"), 1.0]), "bounds_ are two numbers"),
    "bounds that descend": (stated("bounds_", [1.0, 0.0]), "bounds_ ascend"),
    "bounds of 400 digits": (stated("bounds_", [0, 10**400]), "int too large"),
    "columns of numbers": (lambda c: stated("columns_", [0] * len(c["state"]["columns_"]))(c), "columns_ are names"),
    "named_ 2": (stated("named_", 2), "named_ and per_group_ are true or false"),
    "n_features_in_ one more": (stated("n_features_in_", 99), "n_features_in_ is a whole number from"),
    "views of floats": (put(("views", 0), lambda a: a.astype(float)), "views and columns go together"),
    "a view of nothing": (put(("views", 0), lambda a: a[:0]), "views and columns go together"),
    "folds of floats": (put(("fold_of",), lambda a: a + 0.0), "sizes that go together"),
    "no folds": (put(("folds",), lambda a: []), "folds that are no list"),
    "targets of NaN": (put(("targets",), one(np.nan)), "targets are finite, and not nan"),
    "targets of two columns": (put(("targets",), lambda a: np.hstack([a, a])), r"targets have the shape \(any, 1\)"),
    "infinite predictions": (put(("out_of_fold",), one(np.inf)), "out_of_fold are finite, and not inf"),
    "weights of NaN": (put((*FOLD, "weights"), one(np.nan)), "weights are finite"),
    "weights below 0": (put((*FOLD, "weights"), one(-1.0)), "weights are at least 0 and add up to 1"),
    "weights of text": (put((*FOLD, "weights"), lambda a: a.astype(str)), "weights are numbers, and not <U"),
    "no learners": (put((*FOLD, "learners", 0), lambda a: []), "do not fit together"),
    "ranks of floats": (put((*RANKS, "columns"), lambda a: a + 0.5), "belong to its columns"),
    "an infinite grid": (put((*RANKS, "grid"), one(-np.inf)), "grid are finite"),
    "a huge grid": (put((*RANKS, "grid"), one(-1e308)), "grid are finite, and not -1e"),
    "a grid of complex numbers": (put((*RANKS, "grid"), lambda a: a + 0j), "grid are numbers"),
    "depth 2.5": (put((*TREES, "depth"), lambda a: 2.5), "depth is a whole number from 0 to"),
    "depth true": (put((*TREES, "depth"), lambda a: True), "depth is a whole number"),
    "depth too small": (put((*TREES, "depth"), lambda a: 0), "nodes lead down to its leaves"),
    "nodes of floats": (put((*TREES, "left"), lambda a: a + 0.0), "nodes left are indices"),
    "roots of floats": (put((*TREES, "roots"), lambda a: a + 0.5), "nodes roots are indices"),
    "columns of nodes of floats": (put((*TREES, "column"), lambda a: a + 0.0), "columns of nodes are indices"),
    "a threshold of NaN": (put((*TREES, "threshold"), one(np.nan)), "threshold are finite"),
    "a threshold too few": (put((*TREES, "threshold"), lambda a: a[:-1]), "threshold have the shape"),
    "values of NaN": (put((*TREES, "value"), one(np.nan)), "value are finite"),
    "values of two targets": (put((*TREES, "value"), lambda a: np.hstack([a, a])), "value have the shape"),
    "a kernel of NaN": (put((*KERNEL, "weights"), one(np.nan)), "weights are finite"),
    "rows beyond 32 bits": (put((*KERNEL, "rows"), lambda a: one(1e200)(a.astype(float))), "finite in 32 bits"),
    "a length of 0": (put((*KERNEL, "length"), lambda a: 0), "length is above 0"),
    "a length of NaN": (put((*KERNEL, "length"), lambda a: float("nan")), "length is above 0"),
    "a mean of two": (put((*KERNEL, "mean"), lambda a: np.append(a, a)), "mean have the shape"),
    "a mean of infinity": (put((*KERNEL, "mean"), one(np.inf)), "mean are finite"),
    "an array for all": (lambda c: c.update(state=np.zeros(3)), "no columns_"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_followed_or_computed_with_is_checked_at_the_opening(saved: bytes, tmp_path: Path, name: str) -> None:
    content = skops.io.loads(saved.partition(b"\n")[2], trusted=[])
    forge, message = WRONG[name]
    forge(content)
    with pytest.raises(PredictionError, match=message) as e:
        opened(signed(skops.io.dumps(content)), tmp_path)
    assert "\n" not in str(e.value)
    assert str(tmp_path) in str(e.value)


def test_a_member_that_unpacks_to_more_is_not_unpacked(saved: bytes, tmp_path: Path) -> None:
    written = io.BytesIO(saved.partition(b"\n")[2])
    with zipfile.ZipFile(written, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.npy", bytes(2**26))
    with pytest.raises(PredictionError, match=r"bomb\.npy that unpacks to 67,108,864 bytes"):
        opened(signed(written.getvalue()), tmp_path)


def test_a_file_of_any_size_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "predictor").open("wb") as file:
        file.truncate(2**31)  # takes no room on the disk
    with pytest.raises(PredictionError, match="a file of 2,147,483,648 bytes; at most 1,073,741,824 are read"):
        AccuracyPredictor.load(tmp_path / "predictor")


def test_numbers_that_overflow_together_are_said(saved: bytes, tmp_path: Path) -> None:
    content = skops.io.loads(saved.partition(b"\n")[2], trusted=[])
    for fold in first(content, "folds"):
        for of in fold["learners"]:
            of[1]["weights"] = of[1]["weights"] * 0 + 1e300
            of[1]["rows"] = of[1]["rows"] * 0 + np.float32(1e38)
            of[1]["length"] = float("inf")
    predictor = opened(signed(skops.io.dumps(content)), tmp_path)
    with pytest.raises(PredictionError, match="finite predictions; got NaN or infinity"):
        predictor.predict(table(5).features)
