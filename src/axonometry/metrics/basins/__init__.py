"""Attraction basins: how much noise on its inputs or its weights a network tolerates, and how flat its loss is."""

# Measures stand in the catalogue in the order of these lines.
# isort: off
from axonometry.metrics.basins.basin import Basin as Basin, Crossing as Crossing, NoCrossingWarning as NoCrossingWarning
from axonometry.metrics.basins.sample_noise import sample_basin as sample_basin
from axonometry.metrics.basins.weight_noise import weight_basin as weight_basin
from axonometry.metrics.basins.hessian import Sharpness as Sharpness, sharpness as sharpness
from axonometry.metrics.basins.planes import (
    SamplePlane as SamplePlane,
    WeightPlane as WeightPlane,
    sample_plane as sample_plane,
    weight_plane as weight_plane,
)
from axonometry.metrics.basins.radii import Radii as Radii, sample_radii as sample_radii
from axonometry.metrics.basins.learning_coefficient import (
    LangevinPlan as LangevinPlan,
    learning_coefficient as learning_coefficient,
)
from axonometry.metrics.basins.line import WeightLine as WeightLine, merge as merge, weight_line as weight_line
