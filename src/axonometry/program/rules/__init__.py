"""The rules of the ATen calls; importing this package registers them."""

from axonometry.program.registry import find_rule as find_rule
from axonometry.program.rules import (
    activations as activations,
    arithmetic as arithmetic,
    attention as attention,
    fourier as fourier,
    indexing as indexing,
    normalisation as normalisation,
    order as order,
    pooling as pooling,
    recurrent as recurrent,
    resampling as resampling,
    sampling as sampling,
    shapes as shapes,
    sparse as sparse,
    synapses as synapses,
)
from axonometry.program.rules.operands import refuse_odd_signals as refuse_odd_signals
