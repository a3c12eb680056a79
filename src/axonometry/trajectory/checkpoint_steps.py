"""A folder of checkpoints, whoever trained them, as a trajectory: nothing is copied, steps are read when asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from axonometry.arguments import argument_errors
from axonometry.checkpoints import Checkpoint, open_checkpoint, weight_moments
from axonometry.checkpoints.sequence import Item, sequence
from axonometry.errors import ConfigurationError, RunError
from axonometry.metrics.catalogue import measure
from axonometry.program import NeuralGraph, capture
from axonometry.program.readings.samples import Samples
from axonometry.program.untouched import unwrapped
from axonometry.trajectory.choices import given_graph, known_measures, sample_set
from axonometry.trajectory.recorder import MEASURES
from axonometry.trajectory.run import HeldElsewhere, Trajectory
from axonometry.trajectory.store import Description, describe

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ["step", "group", "metric", "statistic", "value"]


@argument_errors
def load_checkpoints(
    folder: str | Path,
    module: nn.Module | None = None,
    *example_inputs: Any,
    graph: NeuralGraph | None = None,
    measures: str | Iterable[str] = MEASURES,
    samples: Samples | None = None,
) -> Trajectory:
    """Open a folder of checkpoints as a run: one checkpoint a step, in the order of the steps that their names say.

    Measures are computed when ``metrics`` is first asked for, from one step in memory at a time. Without the network
    each tensor is a group of its own, whose link weights are measured; node strength and all else needs the network.

    >>> import tempfile
    >>> from axonometry.trajectory.checkpoint_steps import load_checkpoints
    >>> model, folder = nn.Linear(2, 1), tempfile.TemporaryDirectory()
    >>> for step in (100, 20):
    ...     _ = nn.init.constant_(model.weight, step)
    ...     torch.save(model.state_dict(), f"{folder.name}/model_{step}.pt")
    >>> run = load_checkpoints(folder.name, model, torch.zeros(1, 2))
    >>> run.steps, run.graph(100).state["weight"].tolist()
    ((20, 100), [[100.0, 100.0]])
    >>> folder.cleanup()

    Args:
        folder: The checkpoints, files or folders; the text file of a list of them.
        module: The network, with any weights.
        example_inputs: What its forward takes.
        graph: Instead of the module and the example, the network as :func:`axonometry.capture` captured it.
        measures: Names out of ``axonometry.metrics.CATALOGUE``.
        samples: What the network is run on, for the measures that need samples.

    Raises:
        CheckpointError: There are fewer than two checkpoints, or the first is corrupt.
        RunError: Two checkpoints are of one step.
        ConfigurationError: A measure does not exist, or needs samples and there are none; or both a module and a graph
            were given, or a module without an example.
    """
    if graph is not None and (module is not None or example_inputs):
        raise ConfigurationError("pass either a module or a graph", "both", "Leave the module and the example out")
    if module is not None:
        given_graph(module, example_inputs, None)
        graph = capture(unwrapped(module), *example_inputs)
    names = known_measures(measures)
    weights = CheckpointSteps(_by_step(folder))
    held = HeldElsewhere(_Frames(weights, graph, names, samples), weights)
    if graph is None:
        description = Description((), (), (), (), ("link_weights",), None, keep_weights=True, configuration=None)
    else:
        noted = sample_set(graph, names, samples)
        described = describe(graph, measures=names, layers=None, keep_weights=True, configuration=None)
        description = replace(described, samples=noted)
    return Trajectory(
        Path(folder), tuple(weights), replace(description, complete=True), module, example_inputs, graph, held
    )


def _by_step(folder: str | Path) -> dict[int, Item]:
    """The items that name a step, by it; by their number where none does."""
    items = sequence([folder])
    numbered = [item for item in items if item.step is not None]
    if not numbered:
        return dict(enumerate(items))
    found: dict[int, Item] = {}
    for item in numbered:
        other = found.setdefault(item.step or 0, item)
        if other is not item:
            remedy = "Move one of them out of the folder, or list the others in a .txt file"
            raise RunError("each checkpoint of a run is another step", f"{other.name} and {item.name}", remedy)
    return found


class CheckpointSteps(Mapping[int, Mapping[str, Tensor]]):
    """Checkpoints by step, each opened when asked for, its tensors read when asked for."""

    def __init__(self, items: dict[int, Item]) -> None:
        self._items = items
        self[next(iter(items))]  # what is no checkpoint at all is told at once

    def __getitem__(self, step: int) -> Checkpoint:
        if step not in self._items:
            known = f"The steps are: {', '.join(map(str, self._items))}"
            raise RunError(f"no weights at step {step!r}", "", known)
        return open_checkpoint(self._items[step].path)

    def __iter__(self) -> Iterator[int]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return f"CheckpointSteps({len(self)} steps)"


@dataclass(frozen=True)
class _Frames:
    """The measures of every step, computed when called."""

    weights: CheckpointSteps
    graph: NeuralGraph | None
    measures: tuple[str, ...]
    samples: Samples | None

    def __call__(self) -> pd.DataFrame:
        import pandas as pd

        frames = [self._frame(self.weights[step]).assign(step=step) for step in self.weights]
        return pd.concat(frames, ignore_index=True)[COLUMNS]

    def _frame(self, checkpoint: Checkpoint) -> pd.DataFrame:
        if self.graph is not None:
            with torch.no_grad():
                return measure(self.graph.at(checkpoint), self.measures, samples=self.samples)
        return _link_weights(checkpoint)


def _link_weights(checkpoint: Checkpoint) -> pd.DataFrame:
    """The statistics of every tensor's numbers, under the names that ``link_weights`` has of a graph's synapses."""
    import pandas as pd

    rows = [
        (name, "link_weights", statistic, float(value))
        for name, _, found in weight_moments(checkpoint)
        for statistic, value in vars(found).items()
    ]
    return pd.DataFrame(rows, columns=COLUMNS[1:])
