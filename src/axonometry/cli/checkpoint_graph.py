"""Checkpoints as graphs: which network they are of, and the tables of its measures."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from axonometry.cli import terminal
from axonometry.errors import ConfigurationError
from axonometry.importing import variable_at
from axonometry.progress import Progress

if TYPE_CHECKING:
    from torch import nn

    from axonometry.checkpoints import Checkpoint
    from axonometry.checkpoints.graph_measures import GraphTables
    from axonometry.checkpoints.survey import TensorFacts

SPARE = (
    *("rows_shuffled", "rows_spread", "columns_shuffled", "columns_spread"),
    *("lowest", "highest", "kurtosis", "skewness", "nonfinite"),
)
"""Columns that a narrow terminal has no room for, the first to go first."""


def measured_graph(
    checkpoint: Checkpoint, place: str | None, move: Progress, facts: Iterable[TensorFacts] = ()
) -> GraphTables:
    """The measures of the network that is named, or that the folder says; of each matrix alone where nothing does."""
    from axonometry.checkpoints.graph_measures import graph_tables, layer_tables
    from axonometry.checkpoints.hub_network import hub_network

    network = hub_network(checkpoint.path) if place is None else network_without_weights(place)
    done = 0

    def told(name: str) -> None:
        nonlocal done
        done += 1
        move(done, max(done, 4 * len(checkpoint)), f"As a graph: {name}")

    if network is None:
        return layer_tables(checkpoint, told)
    module, example = network
    return graph_tables(checkpoint, module, example, told, {one.name: one.statistics for one in facts})


def show_graph(found: dict[str, Any], path: Path) -> None:
    """Tables of groups, synapses and heads."""
    titles = {
        "groups": f"Neuron groups of {path}: node strength, its spread (fluctuation), absolute weights in and out",
        "synapses": "Link weights of each synapse, normalisations folded in; how far sums of rows and columns differ, "
        "against the same weights shuffled (z)",
        "heads": "Heads of attention: absolute weights into queries, keys, values, and out of values",
    }
    for key, title in titles.items():
        rows = found[key]
        if rows:
            spare = [name for name in SPARE if name in rows[0]]
            terminal.show_table(rows[0], (row.values() for row in rows), title, spare=spare)
    if found["note"]:
        terminal.note(found["note"])


def network_without_weights(place: str) -> tuple[nn.Module, tuple[object, ...]]:
    """A custom network built without memory for its weights, and an example of what it takes; its code is run.

    Args:
        place: ``FILE.py:NAME`` or ``package.module:NAME``; the name is a function that gives the module and its
            example, ``return Net(), torch.zeros(1, 3, 32, 32)``, or such a tuple.

    Raises:
        ConfigurationError: There is none.
    """
    from torch import nn

    from axonometry.checkpoints.hollow import hollow

    def build() -> object:
        found = variable_at(place)
        return found() if callable(found) and not isinstance(found, nn.Module) else found

    try:
        found = hollow(build)
    except ConfigurationError:
        raise
    except Exception as error:  # whatever a user's code raises
        words = f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"
        raise ConfigurationError(f"{place} makes a network", words, "Correct it") from error
    if not (isinstance(found, tuple) and len(found) > 1 and isinstance(found[0], nn.Module)):
        what = "nothing of that name" if found is None else f"a {type(found).__name__}"
        remedy = "Let it be a function with: return Net(), torch.zeros(1, 3, 32, 32)"
        raise ConfigurationError(f"{place} gives a network and an example of what it takes", what, remedy)
    return found[0].eval(), found[1:]
