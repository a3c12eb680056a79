"""Prediction of final accuracy: features, estimators, baselines, evaluation.

Needs scikit-learn: ``pip install 'axonometry[predict]'``.
"""

from importlib import util

from axonometry.errors import MissingExtraError

for _package in ("sklearn", "skops"):
    if util.find_spec(_package) is None:
        raise MissingExtraError.of(_package.replace("sklearn", "scikit-learn"), "predict")

from axonometry.predict.features import (
    RunTable as RunTable,
    feature_table as feature_table,
    read_runs as read_runs,
)
from axonometry.predict.predictor import AccuracyPredictor as AccuracyPredictor
from axonometry.predict.sets import SETS as SETS
