"""Rewrites of an exported program, in the order in which they are made.

Each takes the program and returns it, changed in place where it can be; what a later one relies on stands in its text.
"""

from collections.abc import Callable

from torch.export import ExportedProgram

from axonometry.program.passes.attention import find_attention as find_attention
from axonometry.program.passes.branches import take_branches as take_branches
from axonometry.program.passes.chance import take_means as take_means
from axonometry.program.passes.decomposition import take_apart as take_apart
from axonometry.program.passes.embeddings import find_lookups as find_lookups
from axonometry.program.passes.in_place import functional as functional
from axonometry.program.passes.losses import leave_out_losses as leave_out_losses
from axonometry.program.passes.memory import lay_out as lay_out
from axonometry.program.passes.pooling_order import pool_last as pool_last
from axonometry.program.passes.recurrence import unroll as unroll
from axonometry.program.passes.routing import route as route
from axonometry.program.passes.sums import read_written_sums as read_written_sums
from axonometry.program.passes.templates import name_templates as name_templates

Pass = Callable[[ExportedProgram], ExportedProgram]
PASSES: tuple[Pass, ...] = (
    lay_out,
    functional,
    take_branches,
    name_templates,
    leave_out_losses,
    take_means,
    take_apart,
    read_written_sums,
    unroll,
    pool_last,
    find_lookups,
    route,
    find_attention,
)
"""What strides tell lies in memory row by row; calls return instead of writing; one side of each branch is left; types
and shapes are written into the calls that take them from a value; losses are left out; draws are at their means; calls
have a rule where torch can tell them by others; linear layers written as products and sums are one call; recurrent
layers are linear maps and gates; nonlinearities stand in front of max-pooling; embeddings multiply one-hot vectors;
experts are met in a product with all of them; attention knows its masks."""
