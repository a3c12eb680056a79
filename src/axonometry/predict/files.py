"""Fitted predictors on disk: one line that names the format and the content's SHA-256, then numbers and texts in skops.

The content holds dictionaries, lists, texts, numbers and arrays of numbers, and no other type: skops is told to trust
nothing, so a file that asks for anything else is refused before anything is built. The checksum finds files that were
damaged; a forger can write a new one, which is why every number that is followed or computed with is checked as well
(:mod:`axonometry.predict.restoring`).
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from axonometry.errors import PredictionError
from axonometry.files import REMEDIES, atomic_write, disguised, read_whole
from axonometry.predict.forest import Forest
from axonometry.predict.horizon_model import HorizonModel
from axonometry.predict.learners import Learner
from axonometry.predict.rank_gauss import RankGaussTransformer
from axonometry.predict.restoring import REMEDY, restored

FORMAT = 2
"""The version of the format that this software writes; it reads the older ones too.

Format 1 had CV+ intervals of one width; a predictor of that format predicts them still. Format 2 has the same content.

To change the format: raise the number, keep reading the old one where that can be done (``_content`` knows which it
is), add a file of the old format to the tests, and say in CHANGELOG.md what changed.
"""

LARGEST = 2**30
"""Bytes of a file."""
_MAGIC = b"axonometry-predictor"
_STATE = ("columns_", "named_", "per_group_", "bounds_", "n_features_in_")


def save_predictor(predictor: Any, path: Path) -> None:
    """Write a fitted predictor, whole or not at all.

    Args:
        predictor: An ``AccuracyPredictor``, whose module imports this one.
        path: The file.

    Raises:
        RunError: The file cannot be written.
    """
    import skops.io
    from sklearn.utils.validation import check_is_fitted

    check_is_fitted(predictor)
    state = {
        name: _plain(getattr(predictor, name))
        for name in (*_STATE, "thresholds_", "digests_")
        if hasattr(predictor, name)
    }
    content = {
        "choices": {name: _plain(value) for name, value in predictor.get_params(deep=False).items()},
        "state": state,
        "horizons": {str(epochs): _state_of(horizon) for epochs, horizon in predictor.models_.items()},
    }
    body = skops.io.dumps(content)
    with atomic_write(path, parents=True) as partial:
        partial.write_bytes(b"%s %d %s\n%s" % (_MAGIC, FORMAT, hashlib.sha256(body).hexdigest().encode(), body))


def load_predictor(path: Path, make: Callable[..., Any]) -> Any:
    """Read a predictor.

    Args:
        path: The file.
        make: The class ``AccuracyPredictor``, called with the choices that the file holds.

    Raises:
        PredictionError: It is not a saved predictor, corrupt, of another format, or holds more than numbers and texts.
    """
    content, version = _content(path)
    try:
        return restored(content, make, relative=version > 1)
    except (PredictionError, KeyError, TypeError, ValueError, OverflowError) as error:
        refused = _refused(path, f"content that does not fit together ({str(error).rstrip('.')[:300]})")
        raise refused from error


def _content(path: Path) -> tuple[Any, int]:
    """What a file holds, and the version of its format."""
    import skops.io

    try:
        data = read_whole(path, LARGEST)
    except ValueError as error:
        raise _refused(path, str(error)) from error
    if (other := disguised(data[:512])) is not None:
        raise _refused(path, other, REMEDIES[other])
    head, _, body = data.partition(b"\n")
    words = head.split(b" ")
    if len(words) != 3 or words[0] != _MAGIC or not words[1].isdigit():
        raise _refused(path, "another kind of file")
    if not 1 <= int(words[1]) <= FORMAT:
        raise _refused(path, f"format {int(words[1])}; this software reads formats 1 to {FORMAT}")
    if hashlib.sha256(body).hexdigest().encode() != words[2]:
        raise _refused(path, "a file that was changed or truncated after it was written")
    try:
        _check_members(body)
        if unsafe := skops.io.get_untrusted_types(data=body):
            raise _refused(path, f"the types {', '.join(unsafe)}, which a predictor has no use for")
        return skops.io.loads(body, trusted=[]), int(words[1])
    except PredictionError:
        raise
    except Exception as error:  # skops raises what zip, JSON and its own readers raise; all of it means: not our file
        raise _refused(path, f"what skops cannot read ({type(error).__name__}: {error})") from error


def _check_members(body: bytes) -> None:
    """Nothing in the archive is larger than the archive: we write members as they are, and others unpack to anything.

    Raises:
        ValueError: A member is compressed, or larger.
    """
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        for member in archive.infolist():
            if member.compress_type != zipfile.ZIP_STORED or member.file_size > len(body):
                raise ValueError(f"{member.filename[:40]} that unpacks to {member.file_size:,} bytes")


def _refused(path: Path, came: str, remedy: str = REMEDY) -> PredictionError:
    return PredictionError(f"{path} is a predictor that AccuracyPredictor.save wrote", came, remedy)


def _plain(value: Any) -> Any:
    """Numbers, texts, lists and arrays stay; tuples and numpy's scalars become what skops knows without trust."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, tuple | list):
        return [_plain(inside) for inside in value]
    return value


def _state_of(horizon: HorizonModel) -> dict[str, Any]:
    ensemble = horizon.ensemble
    return {
        "views": [np.asarray(view) for view in horizon.views],
        "fold_of": ensemble.fold_of,
        "out_of_fold": ensemble.out_of_fold,
        "targets": ensemble.targets,
        "folds": [
            {
                "weights": fold.weights,
                "ranks": [_fields(ranks) for ranks in fold.ranks],
                "learners": [[_learner_state(learner) for learner in of] for of in fold.learners],
            }
            for fold in ensemble.folds
        ],
    }


def _fields(part: RankGaussTransformer | Forest) -> dict[str, Any]:
    return {field.name: _plain(getattr(part, field.name)) for field in fields(part)}


def _learner_state(learner: Learner) -> dict[str, Any]:
    return _fields(learner) if isinstance(learner, Forest) else dict(learner.state())
