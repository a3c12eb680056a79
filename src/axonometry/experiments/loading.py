"""An experiment from a user's own file."""

from __future__ import annotations

from pathlib import Path

from axonometry.errors import ConfigurationError
from axonometry.experiments.experiment import Experiment
from axonometry.importing import module_of_file


def load_experiment(place: str) -> Experiment:
    """The experiment that a Python file declares. The file is run: open none that you would not run yourself.

    Args:
        place: ``FILE.py:NAME``, the name of a variable of the file.

    Raises:
        ConfigurationError: There is no such file or name, or it is not an :class:`Experiment`.
    """
    file, _, name = place.rpartition(":")
    path = Path(file)
    if file and not path.is_file():
        raise ConfigurationError(f"no such file: {file}", "", "Check the path")
    if not file:
        remedy = "For example: axonometry experiment examples/experiment.py:WIDTHS"
        raise ConfigurationError("an experiment is named by FILE.py:NAME", repr(place), remedy)
    module = module_of_file(path)
    found = getattr(module, name, None)
    if isinstance(found, Experiment):
        return found
    declared = [key for key, value in vars(module).items() if isinstance(value, Experiment)]
    came = f"{name}, which {'does not exist' if found is None else f'is a {type(found).__name__}'}"
    raise ConfigurationError(f"{path} declares the experiment", came, f"It declares: {', '.join(declared) or 'none'}")
