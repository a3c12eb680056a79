"""The rules of the ATen calls; importing this package registers them."""

from axonometry.program.registry import find as find
from axonometry.program.rules import (
    activations as activations,
)
from axonometry.program.rules import (
    arithmetic as arithmetic,
)
from axonometry.program.rules import (
    normalisation as normalisation,
)
from axonometry.program.rules import (
    pooling as pooling,
)
from axonometry.program.rules import (
    resampling as resampling,
)
from axonometry.program.rules import (
    shapes as shapes,
)
from axonometry.program.rules import (
    synapses as synapses,
)
