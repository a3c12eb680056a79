"""Prediction of final accuracy: features, estimators, baselines, evaluation.

Needs scikit-learn: ``pip install 'axonometry[predict]'``.
"""

from axonometry.predict._optional import require_extra

require_extra()

from axonometry.predict.analysis import (  # noqa: E402
    importances as importances,
    learning_curve as learning_curve,
    transfer as transfer,
)
from axonometry.predict.evaluation import (  # noqa: E402 - after the extra was looked for, so that its absence is said
    Evaluation as Evaluation,
    EvaluationPlan as EvaluationPlan,
    available as available,
    evaluate as evaluate,
)
from axonometry.predict.feature_sets import FEATURE_SETS as FEATURE_SETS  # noqa: E402
from axonometry.predict.features import (  # noqa: E402
    RunTable as RunTable,
    feature_table as feature_table,
    read_runs as read_runs,
)
from axonometry.predict.predictor import AccuracyPredictor as AccuracyPredictor  # noqa: E402
from axonometry.predict.stopping import StopBelow as StopBelow  # noqa: E402
