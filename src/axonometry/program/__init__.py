"""The network as a program, and the graph that its cut reading is."""

from axonometry.program.capture import capture as capture
from axonometry.program.capture import read_exported as read_exported
from axonometry.program.description import (
    Coverage as Coverage,
)
from axonometry.program.description import (
    Group as Group,
)
from axonometry.program.description import (
    Kernel as Kernel,
)
from axonometry.program.description import (
    Synapse as Synapse,
)
from axonometry.program.description import (
    Wire as Wire,
)
from axonometry.program.graph import NeuralGraph as NeuralGraph
from axonometry.program.program import Program as Program
from axonometry.program.registry import rule as rule
