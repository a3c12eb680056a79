"""Recording a training run from any training loop."""

from __future__ import annotations

import operator
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, SupportsFloat, SupportsIndex

import torch
from torch import Tensor, nn

from axonometry.arguments import argument_errors
from axonometry.errors import RunError
from axonometry.metrics.nulls import NullModel
from axonometry.program import NeuralGraph, capture
from axonometry.program.readings.samples import Samples
from axonometry.program.untouched import unwrapped
from axonometry.trajectory import store
from axonometry.trajectory.architecture import shapes
from axonometry.trajectory.begin import begin, saved
from axonometry.trajectory.choices import (
    given_graph,
    is_sharded,
    known_layers,
    known_measures,
    numbers,
    planned,
    sample_set,
    selected,
    state_tensors,
    warn_of_extra_state,
)
from axonometry.trajectory.fields import short
from axonometry.trajectory.marks import Marks
from axonometry.trajectory.measuring import measured_with
from axonometry.trajectory.network import noted_inputs, noted_network
from axonometry.trajectory.optimizers import Stateful, load_states, optimizer_classes, optimizer_states, other_optimizer
from axonometry.trajectory.place import RunPlace
from axonometry.trajectory.state import own_copies, random_state, random_state_kept, set_random_state, write_state
from axonometry.trajectory.tables import write_piece

if TYPE_CHECKING:
    import pandas as pd

    from axonometry.metrics import TrainingState

MEASURES = ("link_weights", "node_strength", "layer_fluctuation")
"""Measures that are recorded by default: those of paper 1."""


@dataclass(frozen=True)
class Overhead:
    """What recording costs.

    Attributes:
        capture: Seconds for the capture, once.
        records: Seconds for all records since.
        elapsed: Seconds since the capture, records among them.

    >>> Overhead(capture=0.5, records=2.0, elapsed=102.0).share
    0.02
    """

    capture: float
    records: float
    elapsed: float

    @property
    def share(self) -> float:
        """The time of all records relative to the time of the rest since the capture."""
        return self.records / (self.elapsed - self.records) if self.elapsed > self.records else 0.0


@argument_errors
class Recorder:
    """Records measures and weights of a model while it learns; a kill at any instant leaves the folder readable.

    The network is captured once; a record then costs the measures and the writing. The model is left as it is: mode,
    gradients, hooks, parameters and random state. Where several processes train one model, record in one of them.

    >>> import tempfile
    >>> model, example = nn.Linear(3, 2), torch.zeros(1, 3)
    >>> folder = tempfile.TemporaryDirectory()
    >>> with Recorder(f"{folder.name}/run", model, example) as recorder:
    ...     for epoch in range(5):
    ...         # train the model for one epoch, then:
    ...         recorder.record(epoch, loss=1 / (epoch + 1))
    >>> recorder.last_step
    4
    >>> folder.cleanup()

    The same lines begin a run and resume it after it was killed:

    >>> with Recorder("runs/digits", model, example, resume=True) as recorder:  # doctest: +SKIP
    ...     last = recorder.restore(optimizer)
    ...     for epoch in range(0 if last is None else last + 1, 5):
    ...         train_one_epoch(model, optimizer)
    ...         recorder.record(epoch, optimizer=optimizer, loss=loss)

    Args:
        folder: The run's folder; it is made if it is missing.
        model: The network, in any mode; also inside ``torch.compile``, ``DataParallel`` or ``DistributedDataParallel``.
        example_inputs: What the model's forward takes, as for :func:`axonometry.capture`.
        graph: Instead of the example, ``axonometry.capture(model, ...)`` with what it needs besides: inputs by name,
            ``batch_axis``, ``pooling``.
        measures: Names out of ``axonometry.metrics.catalogue``.
        layers: Names of groups and synapses to measure, or patterns such as ``conv*``; None for all. Weights are kept
            for all layers in any case.
        keep_weights: Whether each step's weights are kept, from which its graph can be read.
        configuration: Further facts about the run, as JSON values.
        samples: What the network is run on, for measures such as ``neuron_activation``: a tensor, several, or an
            iterable of batches such as a DataLoader, read anew at every step; best the same samples, unshuffled, that
            training does not see. ``run.json`` notes how many they are and a SHA-256 of them.
        planned_steps: How many steps the whole training will record, 11 for the initial network and ten epochs. A run
            that is closed with fewer counts as stopped early, and no prediction takes its accuracy for the final one.
        resume: Whether to resume the run that the folder holds, if it holds one.
        network: Where the model's code is, as ``nets.py:Net``: a module, or a class or function whose parameters are
            keys of the configuration. Commands rebuild the network from it where they are told to; it is checked now.
        null: A null model that the measures are compared with at every step, or the number of draws of weights that are
            shuffled within layers: rows ``mean_z`` and ``mean_rank`` then stand beside ``mean``. Measures of gradients
            and updates have none.

    Raises:
        ConfigurationError: A measure or a layer does not exist, a measure needs samples and there are none, or there is
            no example, or one besides the graph, or the graph is another model's.
        SamplesError: The samples do not fit the network.
        RunError: The folder holds a run (without ``resume``), is being written by another recorder, or holds another
            network's run.
        CaptureError: The model has no graph.
    """

    def __init__(  # noqa: PLR0913 - each is a choice about the run, and all but two are rarely made
        self,
        folder: str | Path,
        model: nn.Module,
        *example_inputs: Any,
        graph: NeuralGraph | None = None,
        measures: str | Iterable[str] = MEASURES,
        layers: str | Iterable[str] | None = None,
        keep_weights: bool = True,
        configuration: Mapping[str, Any] | None = None,
        samples: Samples | None = None,
        planned_steps: SupportsIndex | None = None,
        resume: bool = False,
        network: str | None = None,
        null: NullModel | int | None = None,
    ) -> None:
        began = time.perf_counter()
        self.folder = Path(folder)
        self._model = unwrapped(model)
        measures = known_measures(measures)
        layers = known_layers(layers)
        graph = given_graph(self._model, example_inputs, graph)
        self._graph = capture(self._model, *example_inputs) if graph is None else graph
        self._names = selected(self._graph, layers)
        description = store.describe(
            self._graph, measures=measures, layers=layers, keep_weights=keep_weights, configuration=configuration
        )
        description = replace(
            description,
            tensors=shapes(state_tensors(self._model)),
            planned_steps=planned(planned_steps),
            inputs=noted_inputs(example_inputs),
            network=noted_network(self._model, network, configuration),
            null=None if null is None else NullModel.of(null),
        )
        self._samples, self._training = samples, Marks(measures)
        with random_state_kept():
            description = replace(description, samples=sample_set(self._graph, measures, samples))
        warn_of_extra_state(self._model)
        self._lock, description, steps = begin(self.folder, description, resume=resume)
        self._place = RunPlace(self.folder, self._lock, description, steps)
        self._resumed_with = description.optimizers if steps else None
        self._begun = time.perf_counter()
        self._capture, self._spent = self._begun - began, 0.0

    @property
    def last_step(self) -> int | None:
        """The last complete step in the folder; None where there is none yet."""
        return self._place.steps[-1] if self._place.steps else None

    @property
    def overhead(self) -> Overhead:
        """What recording cost so far."""
        return Overhead(self._capture, self._spent, time.perf_counter() - self._begun)

    @property
    def measures(self) -> tuple[str, ...]:
        """The names of the measures that are recorded."""
        return self._place.description.measures

    @property
    def graph(self) -> NeuralGraph:
        """The network's graph, with the weights as they are now; of the last step's snapshot where they are sharded.

        Raises:
            RunError: They are sharded, and no snapshot was kept.
        """
        if not is_sharded(self._model) or self.last_step is None:
            return self._graph.at(state_tensors(self._model))
        return self._graph.at(saved(self.folder, self.last_step, keep_weights=self._place.description.keep_weights)[0])

    @torch.inference_mode(False)  # the caller may be evaluating; what is made or restored here outlives that
    def record(
        self,
        step: SupportsIndex,
        *,
        optimizer: Stateful | Mapping[str, Stateful] | None = None,
        **scalars: SupportsFloat,
    ) -> None:
        """Measure the model as it is now and write the step; when this returns, the step is on the disk.

        Args:
            step: Any integer greater than the last one: an epoch, a count of batches.
            optimizer: What to keep for resuming exactly here, together with the random states of torch, Python and
                numpy: an optimizer, or several such things (``{"optimizer": ..., "schedule": ...}``). Only the newest
                step's is kept.
            **scalars: Numbers that belong to the step, such as ``loss`` and ``accuracy``.

        Raises:
            RunError: The step does not come after the last one, a scalar is not a number, the folder was deleted, moved
                or replaced, or writing failed; the folder is then intact up to the last step.
        """
        begun = time.perf_counter()
        try:
            self._record(self._next(step), optimizer, scalars)
        finally:
            self._spent += time.perf_counter() - begun

    def _record(
        self, number: int, optimizer: Stateful | Mapping[str, Stateful] | None, scalars: Mapping[str, SupportsFloat]
    ) -> None:
        # First of all, whatever fails after: other processes may be gathering sharded weights together with this one.
        # One copy is measured, written and summed up: other threads may train on meanwhile (Hogwild).
        state, training = own_copies(state_tensors(self._model)), self._training.taken(self._model)
        place = self._place
        place.require()
        description = place.description
        values = numbers(scalars, description.measures)
        if optimizer is not None:
            self._require_resumed(optimizer)
        # Measured before anything is written: an error in a measure leaves the folder at the last step.
        frame = self._measured(state, training)
        self._training.keep(state)
        kinds = description.optimizers if optimizer is None else optimizer_classes(optimizer)
        self._resumed_with = None
        place.describe(complete=False, stopped=False, optimizers=kinds)
        # The order is the protocol. Weights, then what resuming needs, then the table, whose final name is the commit.
        # Killed after the first, the folder has snapshots/3.safetensors and no metrics/3.parquet: step 3 does not
        # exist, its snapshot is written over when training comes there again, and step 2 with its resume file is still
        # there, since that goes last.
        keep = description.keep_weights
        if keep:
            write_state(store.snapshot_path(self.folder, number), state)
        if optimizer is not None:
            tree = {"optimizer": optimizer_states(optimizer), "random": random_state()}
            write_state(store.resume_path(self.folder, number), {} if keep else state, tree)
        place.require()
        write_piece(self.folder, number, frame, values)
        place.add(number)
        # Only now that the new step is whole may the old one's resume file go.
        if len(place.steps) > 1:
            store.resume_path(self.folder, place.steps[-2]).unlink(missing_ok=True)

    def mark(self, optimizer: torch.optim.Optimizer | None = None) -> None:
        """Keep the weights as they are before an update, for measures such as ``update_ratio`` at the next record.

        Without a call, these measures are of all that changed since the last record.

        Args:
            optimizer: Whose second moments ``second_moment.node_strength`` is of, from now on.

        >>> recorder.mark(optimizer)  # doctest: +SKIP
        >>> optimizer.step()  # doctest: +SKIP
        >>> recorder.record(step, loss=loss)  # before zero_grad(), for measures of gradients # doctest: +SKIP
        """
        self._training.mark(self._model, optimizer)

    @torch.inference_mode(False)
    def restore(self, optimizer: Stateful | Mapping[str, Stateful] | None = None) -> int | None:
        """Load the model's state at the last complete step.

        Args:
            optimizer: What was given to :meth:`record`. Its state is loaded too, and so are the random states of torch,
                Python and numpy: training continues as if it had not stopped.

        Returns:
            The last complete step; None where there is none, and nothing was changed.

        Raises:
            RunError: The weights or the optimizer's state were not recorded, or do not fit.
        """
        last = self.last_step
        if last is None:
            return None
        if optimizer is not None:
            self._require_resumed(optimizer)
        weights, tree = saved(self.folder, last, keep_weights=self._place.description.keep_weights)
        if optimizer is not None and tree is None:
            raise RunError(
                f"no optimizer was recorded at step {last} of {self.folder}",
                "",
                "Pass optimizer= to record, or restore the weights alone",
            )
        self._model.load_state_dict({**self._model.state_dict(), **weights})
        if optimizer is not None:
            load_states(optimizer, tree["optimizer"])
            set_random_state(tree["random"])
        return last

    def close(self, *, stopped: bool = False) -> None:
        """End the recording: one table instead of one a step, and the run counts as complete; twice is once.

        Args:
            stopped: Whether training ends here before its planned end, as a pruned trial's. Such a run is left out
                where predictors learn from final accuracies.

        Raises:
            RunError: The folder was deleted, moved or replaced since the last record, or files of steps are gone.
        """
        if not self._lock.held:
            return
        try:
            self._place.end(stopped=stopped or (self._place.description.complete and self._place.description.stopped))
        finally:
            self._lock.release()

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._lock.release()

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        rule = "a recorder is the one writer of its folder and cannot be copied or pickled"
        raise RunError(rule, "", "Pass the run's folder, and load it there")

    def _next(self, step: SupportsIndex) -> int:
        if not self._lock.held:
            raise RunError("the recorder is closed", "", "Open it with resume=True")
        try:
            number = operator.index(step)
        except TypeError as error:
            raise RunError("a step is an integer", short(step), "Pass the epoch's or the batch's number") from error
        last = self.last_step
        if not -(2**63) <= number < 2**63 or (last is not None and number <= last):
            came = f"{short(number)} after {last} in {self.folder}"
            raise RunError("steps increase", came, "Resume after recorder.last_step, or record into another folder")
        return number

    def _require_resumed(self, optimizer: Stateful | Mapping[str, Stateful]) -> None:
        """Until its first record, a resumed run goes on with the optimizer's class that it was recorded with."""
        other = other_optimizer(self._resumed_with, optimizer_classes(optimizer))
        if other:
            remedy = "Pass what the run was recorded with, or record into another folder"
            raise RunError(f"the run in {self.folder} is resumed with its own optimizer", other, remedy)

    def _measured(self, state: Mapping[str, Tensor], training: TrainingState | None) -> pd.DataFrame | None:
        description = self._place.description
        if not description.measures:
            return None
        graph = self._graph.at(state)  # the module itself may have become another one, such as a sharded one
        with torch.no_grad(), torch.autocast(graph.device.type, enabled=False), random_state_kept():
            frame = measured_with(
                graph, description.measures, description.null, samples=self._samples, training=training
            )
        return frame if self._names is None else frame[frame["group"].isin(self._names)]
