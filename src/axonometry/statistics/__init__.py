"""Moments of tensors, and estimates with confidence intervals."""

from axonometry.statistics.descriptive import Moments as Moments, moments as moments
from axonometry.statistics.estimates import (
    DRAWS as DRAWS,
    LEVEL as LEVEL,
    Estimate as Estimate,
    bootstrap_estimate as bootstrap_estimate,
    mean_estimate as mean_estimate,
)
