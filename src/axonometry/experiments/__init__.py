"""Experiments: networks at several scales, one table of measurements, sections with claims and verdicts.

An :class:`Experiment` is declared once; :func:`run` trains, resumes, measures, caches and reads it, and the results are
printed, or written as Markdown, JSON or an HTML page, without a line of the experiment's own. A whole one is
``examples/experiment.py``.
"""

from axonometry.experiments.claims import Claim as Claim, Verdict as Verdict, joint as joint
from axonometry.experiments.existing import run_on as run_on
from axonometry.experiments.experiment import (
    Context as Context,
    Experiment as Experiment,
    Measurements as Measurements,
    Scale as Scale,
    Trial as Trial,
    measure_population as measure_population,
    trials_of as trials_of,
)
from axonometry.experiments.markdown import markdown as markdown, write_markdown as write_markdown
from axonometry.experiments.page import results_page as results_page
from axonometry.experiments.plain import load_results as load_results, plain as plain
from axonometry.experiments.running import Results as Results, run as run
from axonometry.experiments.section import (
    Section as Section,
    cross_table as cross_table,
    in_words as in_words,
    listed as listed,
)
from axonometry.report.charts import (
    IntervalChart as IntervalChart,
    LineChart as LineChart,
    MatrixChart as MatrixChart,
)
from axonometry.report.page import Figure as Figure, Table as Table
from axonometry.statistics import (
    Estimate as Estimate,
    estimate_of_draws as estimate_of_draws,
    estimate_of_row as estimate_of_row,
    mean_estimate as mean_estimate,
    paired_estimate as paired_estimate,
    rank_correlation as rank_correlation,
    ratio_estimate as ratio_estimate,
    repeated_folds_estimate as repeated_folds_estimate,
    share_estimate as share_estimate,
)
