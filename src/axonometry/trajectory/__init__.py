"""Networks over training time: recording a run, opening it, checking it."""

from axonometry.trajectory.aligned import AlignedSeries as AlignedSeries, aligned_series as aligned_series
from axonometry.trajectory.checkpoint_steps import load_checkpoints as load_checkpoints
from axonometry.trajectory.folders import load_runs as load_runs
from axonometry.trajectory.level_changes import change_points as change_points, measures_of as measures_of
from axonometry.trajectory.onset import (
    GrokkingOnset as GrokkingOnset,
    grokking_onset as grokking_onset,
    onset_series as onset_series,
)
from axonometry.trajectory.recorder import Recorder as Recorder
from axonometry.trajectory.remeasure import remeasure as remeasure
from axonometry.trajectory.run import Snapshots as Snapshots, Trajectory as Trajectory, load as load
from axonometry.trajectory.verify import Finding as Finding, verify as verify
