"""A zoo as it is worked with: a population of runs, with the split of each and the graph of each at every epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from axonometry.errors import RunError
from axonometry.files import read_json
from axonometry.populations import Population, load_population
from axonometry.program import NeuralGraph, capture
from axonometry.trajectory import Trajectory
from axonometry.zoo.modules import module_of
from axonometry.zoo.published import SOURCE, SPLITS
from axonometry.zoo.readers import published_format

if TYPE_CHECKING:
    import pandas as pd

DESCRIPTION = "zoo.json"
FORMAT = 1
"""Of ``zoo.json``. To change it: raise it, and read the older one in :func:`_description` as well."""


@dataclass(frozen=True)
class Zoo:
    """Many networks with their training, opened from a folder.

    Attributes:
        population: The finished runs.
        source: The published format that they come from, or the preset that they were trained by.
        splits: By run, ``train``, ``validation`` or ``test``.
    """

    population: Population
    source: str
    splits: Mapping[str, str]
    _graphs: dict[object, NeuralGraph] = field(default_factory=dict, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.population)

    @property
    def runs(self) -> Mapping[str, Trajectory]:
        """The runs by name."""
        return self.population.runs

    def captured(self, name: str) -> NeuralGraph:
        """The graph of a network with some weights; networks of one architecture are captured once."""
        run = self.runs[name]
        shapes = run.description.tensors or {}
        key = (run.description.operations, tuple((name, tuple(shape)) for name, shape in shapes.items()))
        if key not in self._graphs:
            configuration = run.configuration or {}
            if SOURCE in configuration:
                module, example = module_of(configuration, shapes)
                self._graphs[key] = capture(module.eval(), example)
            else:
                self._graphs[key] = self.population.graph(name)
        return self._graphs[key]

    def weights(self, name: str, step: int) -> dict[str, Tensor]:
        """The weights of a network at a step."""
        return dict(self.runs[name].snapshots[step])

    @cached_property
    def final_accuracy(self) -> pd.Series:
        """The accuracy at each network's last step."""
        import pandas as pd

        found = {name: accuracy_by_step(run)[run.steps[-1]] for name, run in self.runs.items()}
        return pd.Series(found, name="final_accuracy", dtype="float64")


def accuracy_by_step(run: Trajectory) -> dict[int, float]:
    """The accuracy of a run by step.

    Raises:
        RunError: Its last step has none.
    """
    frame = run.metrics
    rows = frame[(frame["metric"] == "accuracy") & (frame["group"] == "")]
    found = dict(zip(rows["step"].astype(int), rows["value"].astype(float), strict=True))
    if not run.steps or run.steps[-1] not in found:
        raise RunError("a network of a zoo has an accuracy at its last step", str(run.folder), "Convert the zoo again")
    return found


def open_zoo(folder: str | Path) -> Zoo:
    """Open a zoo that was made here or converted.

    Args:
        folder: As ``axonometry zoo make`` or ``axonometry zoo convert`` wrote it.

    Raises:
        RunError: There is no zoo in the folder, no finished run, or its ``zoo.json`` is damaged.
    """
    folder = Path(folder)
    if not (folder / DESCRIPTION).is_file():
        published = published_format(folder) if folder.is_dir() else None
        remedy = "Convert it first: axonometry zoo convert FOLDER OUT" if published else "Make one: axonometry zoo make"
        came = f"{folder}, which holds a published zoo ({published})" if published else str(folder)
        raise RunError("a zoo is a folder of runs with zoo.json", came, remedy)
    described = _description(folder)
    population = load_population(folder)
    if not population.runs:
        raise RunError("a zoo has finished runs", f"none in {folder}", "The command that made it resumes it")
    splits = {name: described["splits"].get(name, SPLITS[0]) for name in population.runs}
    return Zoo(population, str(described["source"]), splits)


def _description(folder: Path) -> dict[str, Any]:
    found = read_json(folder / DESCRIPTION)
    if not isinstance(found, dict) or not isinstance(found.get("splits"), dict) or "source" not in found:
        raise RunError(f"{folder / DESCRIPTION} has source and splits", "something else", "Make or convert it again")
    if found.get("format") != FORMAT:
        raise RunError(f"{DESCRIPTION} of format {FORMAT} is read", repr(found.get("format")), "Update axonometry")
    return found
