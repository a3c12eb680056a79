"""Weights on disk, read tensor by tensor; code in a file is never run."""

from axonometry.checkpoints.checkpoint import Checkpoint as Checkpoint
from axonometry.checkpoints.opening import open_checkpoint as open_checkpoint, open_checkpoints as open_checkpoints
from axonometry.checkpoints.table import weight_moments as weight_moments, weight_table as weight_table
