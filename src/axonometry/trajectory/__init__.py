"""Networks over training time: recording a run, opening it, checking it."""

from axonometry.trajectory.recorder import Recorder as Recorder
from axonometry.trajectory.run import Snapshots as Snapshots
from axonometry.trajectory.run import Trajectory as Trajectory
from axonometry.trajectory.run import load as load
from axonometry.trajectory.verify import Finding as Finding
from axonometry.trajectory.verify import verify as verify
