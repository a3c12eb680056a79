"""Weights on disk, tensor by tensor and without running a line of what the file says."""

from axonometry.checkpoints.checkpoint import Checkpoint as Checkpoint
from axonometry.checkpoints.opening import open_checkpoint as open_checkpoint
from axonometry.checkpoints.table import weight_moments as weight_moments, weight_table as weight_table
