"""From neurons to channels: values are followed through the wiring, and channels that meet in a weight are linked."""

from axonometry.program.rolling.channel_graph import (
    Plan as Plan,
    channel_graph as channel_graph,
    layer_matrices as layer_matrices,
    plan_of as plan_of,
    wired as wired,
)
