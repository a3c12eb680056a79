"""A recorded training run: measures, weights and graphs over time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from torch import Tensor, nn

from axonometry.arguments import argument_errors
from axonometry.errors import ConfigurationError, RunError
from axonometry.program import Coverage, Group, NeuralGraph, Synapse, Wire, capture
from axonometry.program.untouched import unwrapped
from axonometry.showing import shown
from axonometry.trajectory import store
from axonometry.trajectory.choices import given_graph
from axonometry.trajectory.lock import is_locked
from axonometry.trajectory.state import read_state
from axonometry.trajectory.tables import read_table, steps_in

if TYPE_CHECKING:
    import pandas as pd


@argument_errors
def load(
    folder: str | Path, module: nn.Module | None = None, *example_inputs: Any, graph: NeuralGraph | None = None
) -> Trajectory:
    """Open a recorded run; nothing in the folder is changed, and a run that is being recorded may be opened too.

    Only numbers and text are read from the folder, no code: a run from a stranger is safe to open. This is why
    :meth:`Trajectory.graph` needs the module, which the folder does not hold.

    Args:
        folder: What a :class:`Recorder` wrote.
        module: The network, with any weights, for :meth:`Trajectory.graph`.
        example_inputs: What its forward takes.
        graph: Instead of the module and the example, the network as :func:`axonometry.capture` captured it, with any
            weights.

    Raises:
        RunError: The folder is not a run, is corrupt, or of a newer format.
        ConfigurationError: Both a module and a graph were given.

    >>> import tempfile
    >>> import torch
    >>> from axonometry.trajectory import Recorder
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with Recorder(folder, torch.nn.Linear(2, 1), torch.zeros(1, 2)) as recorder:
    ...         recorder.record(0, accuracy=0.5)
    ...     run = load(folder)
    ...     run.steps, run.scalars()["accuracy"].tolist()
    ((0,), [0.5])
    """
    if graph is not None and (module is not None or example_inputs):
        raise ConfigurationError("pass either a module or a graph", "both", "Leave the module and the example out")
    folder = Path(folder)
    description = store.read_description(folder)
    return Trajectory(folder, steps_in(folder), description, module, example_inputs, graph)


@dataclass(frozen=True)
class HeldElsewhere:
    """Measures and weights of a run that no recorder wrote.

    Attributes:
        measured: Computes the tidy table of all steps.
        weights: The weights by step.
    """

    measured: Callable[[], pd.DataFrame]
    weights: Mapping[int, Mapping[str, Tensor]]


@argument_errors
@dataclass(frozen=True, repr=False)
class Trajectory:
    """A run as :func:`load` found it: all its complete steps at that moment.

    Attributes:
        folder: Where it is.
        steps: The complete steps, ascending.
        description: The content of ``run.json``.
        held: Where measures and weights come from instead of the folder's files.

    >>> import tempfile, torch
    >>> from axonometry.trajectory import Recorder, load
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with Recorder(f"{folder}/run", torch.nn.Linear(3, 2), torch.zeros(1, 3)) as recorder:
    ...         for epoch in range(3):
    ...             recorder.record(epoch, loss=1 / (epoch + 1))
    ...     run = load(f"{folder}/run")
    ...     run.steps, run.state, run.scalars()["loss"].round(2).tolist(), run.snapshots[2]["weight"].shape
    ((0, 1, 2), 'finished', [1.0, 0.5, 0.33], torch.Size([2, 3]))
    """

    folder: Path
    steps: tuple[int, ...]
    description: store.Description
    _module: nn.Module | None = None
    _example_inputs: tuple[Any, ...] = ()
    _graph: NeuralGraph | None = None
    held: HeldElsewhere | None = None

    def __repr__(self) -> str:
        reach = f"{len(self.steps)} steps, {self.steps[0]} to {self.steps[-1]}" if self.steps else "no step"
        return f"Trajectory({self.folder}, {reach}, {self.state})"

    def _repr_html_(self) -> str:
        return str(shown("run_html", self))

    def plot(self, metric: str | None = None, statistic: str | None = None) -> Any:
        """A measure or scalar over the steps, a line a group, as a Plotly figure.

        Args:
            metric: A measure or a scalar that was recorded; by default layer fluctuation, or what was recorded first.
            statistic: Such as ``"mean"``; by default the value, or the mean over a group.

        Raises:
            ConfigurationError: It was not recorded.
        """
        return shown("run_plot", self, metric, statistic)

    @property
    def configuration(self) -> dict[str, Any] | None:
        """The facts that the user gave about the run."""
        return self.description.configuration

    @property
    def groups(self) -> tuple[Group, ...]:
        """The neuron groups, as recorded."""
        return self.description.groups

    @property
    def synapses(self) -> tuple[Synapse, ...]:
        """The synapses, as recorded."""
        return self.description.synapses

    @property
    def wires(self) -> tuple[Wire, ...]:
        """The links without a parameter, as recorded."""
        return self.description.wires

    @property
    def coverage(self) -> tuple[Coverage, ...]:
        """The role of each parameter, as recorded."""
        return self.description.coverage

    @property
    def complete(self) -> bool:
        """Whether the recorder was closed, at the planned end or before it, rather than ended by an error or a kill."""
        return self.description.complete

    @property
    def stopped(self) -> bool:
        """Whether training was ended before its plan: its last accuracy is not the final one."""
        planned = self.description.planned_steps
        short = planned is not None and len(self.steps) < planned
        return self.complete and (self.description.stopped or short)

    @property
    def state(self) -> Literal["finished", "stopped", "running", "interrupted"]:
        """``finished``, or ``stopped`` early; else ``running`` while a process holds the lock, or ``interrupted``."""
        if self.complete:
            return "stopped" if self.stopped else "finished"
        return "running" if is_locked(self.folder) else "interrupted"

    def reloaded(self) -> Trajectory:
        """The run as it is on disk now, with the network that it was loaded with."""
        if self.held is not None:
            return self
        return load(self.folder, self._module, *self._example_inputs, graph=self._graph)

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """All that was measured, tidy: step, group, metric, statistic, value; scalars have the empty group.

        Raises:
            RunError: A table is corrupt.
        """
        return read_table(self.folder, self.steps).to_pandas() if self.held is None else self.held.measured()

    def scalars(self) -> pd.DataFrame:
        """The scalars, a row a step and a column a scalar; NaN where a step has none.

        Raises:
            RunError: A table is corrupt.
        """
        import pandas as pd

        frame = self.metrics
        rows = frame[(frame["group"] == "") & ~frame["metric"].isin(self.description.measures)]
        wide = rows.pivot(index="step", columns="metric", values="value").rename_axis(columns=None)
        return wide.reindex(index=pd.Index(self.steps, name="step", dtype="int64"), columns=rows["metric"].unique())

    @cached_property
    def snapshots(self) -> Mapping[int, Any]:  # of tensors by name; a check of such values at run time would read them
        """The weights at each step, read when asked for; empty where the run kept none."""
        if self.held is not None:
            return self.held.weights
        return Snapshots(self.folder, self.steps if self.description.keep_weights else ())

    def graph(self, step: int) -> NeuralGraph:
        """The network's graph at a step.

        Raises:
            RunError: The run was loaded without its module or is of another network, or the step has no weights.
        """
        return self._captured.at(self.snapshots[step])

    @cached_property
    def _captured(self) -> NeuralGraph:
        if self._graph is not None:
            graph = self._graph
        elif self._module is not None:
            given_graph(self._module, self._example_inputs, None)
            graph = capture(unwrapped(self._module), *self._example_inputs)
        else:
            raise RunError(
                f"{self.folder} was loaded without its module, which a graph needs",
                "",
                "Load it with: axonometry.load(folder, module, example_input)",
            )
        if (graph.groups, graph.synapses, graph.wires) != (self.groups, self.synapses, self.wires):
            raise RunError(
                f"the module is not the one recorded in {self.folder}: groups, synapses or wires differ",
                "",
                f"The recorded groups are: {', '.join(group.name for group in self.groups)}",
            )
        return graph


class Snapshots(Mapping[int, dict[str, Tensor]]):
    """The weights of a run by step, each read from its file when asked for."""

    def __init__(self, folder: Path, steps: tuple[int, ...]) -> None:
        self._folder, self._steps = folder, steps

    def __getitem__(self, step: int) -> dict[str, Tensor]:
        if step not in self._steps:
            known = f"The steps are: {', '.join(map(str, self._steps))}" if self._steps else "This run kept no weights"
            raise RunError(f"no weights at step {step!r}", "", known)
        return read_state(store.snapshot_path(self._folder, step))[0]

    def __contains__(self, step: object) -> bool:
        return step in self._steps

    def __iter__(self) -> Iterator[int]:
        return iter(self._steps)

    def __len__(self) -> int:
        return len(self._steps)

    def __repr__(self) -> str:
        return f"Snapshots({self._folder}, {len(self._steps)} steps)"
