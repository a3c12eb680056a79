"""Moments of tensors, estimates with confidence intervals, and association over networks."""

from axonometry.statistics.association import (
    holm as holm,
    partial_rank_correlation as partial_rank_correlation,
    rank_correlation as rank_correlation,
    rank_test as rank_test,
    roc_area as roc_area,
    sharper as sharper,
    spearman_brown as spearman_brown,
)
from axonometry.statistics.descriptive import Moments as Moments, moments as moments
from axonometry.statistics.estimates import (
    DRAWS as DRAWS,
    LEVEL as LEVEL,
    Estimate as Estimate,
    bootstrap_estimate as bootstrap_estimate,
    estimate_of_draws as estimate_of_draws,
    estimate_of_row as estimate_of_row,
    mean_estimate as mean_estimate,
    paired_estimate as paired_estimate,
    ratio_estimate as ratio_estimate,
    repeated_folds_estimate as repeated_folds_estimate,
    share_estimate as share_estimate,
)
from axonometry.statistics.power import (
    POWER as POWER,
    detectable as detectable,
    p_value as p_value,
    power_at as power_at,
)
from axonometry.statistics.ranges import REALS as REALS, Range as Range
