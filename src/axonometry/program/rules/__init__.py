"""The rules of the ATen calls; importing this package registers them."""

from axonometry.program.registry import find_rule as find_rule
from axonometry.program.rules import (
    activations as activations,
    arithmetic as arithmetic,
    attention as attention,
    normalisation as normalisation,
    pooling as pooling,
    recurrent as recurrent,
    resampling as resampling,
    shapes as shapes,
    synapses as synapses,
)
