"""A published zoo as a population: each network becomes a run, measured at each of its checkpoints."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from axonometry.errors import ConfigurationError, RunError
from axonometry.files import write_text
from axonometry.metrics.catalogue import needing_samples
from axonometry.progress import Progress, silent
from axonometry.trajectory import Recorder, load
from axonometry.zoo.modules import module_of
from axonometry.zoo.opening import DESCRIPTION, FORMAT, Zoo, open_zoo
from axonometry.zoo.published import PublishedNetwork
from axonometry.zoo.readers import read_published

MEASURES = (
    "link_weights",
    "node_strength",
    "layer_fluctuation",
    "disparity",
    "channel_degree",
    "channel_centrality",
    "spectral_norm",
)
"""What is measured of each network unless the user says otherwise."""


def convert_zoo(
    source: str | Path,
    folder: str | Path,
    *,
    limit: int | None = None,
    measures: Sequence[str] = MEASURES,
    progress: Progress | None = None,
) -> Zoo:
    """Write a published zoo as a population of runs; the same call resumes, and finished runs are left as they are.

    Args:
        source: The published zoo, as :func:`axonometry.zoo.read_published` takes it.
        folder: Of the population; it is made if it is missing.
        limit: How many networks, the first ones of each split in equal shares; all where None.
        measures: What is measured at each checkpoint; none that needs samples.
        progress: Called with networks written, out of how many, and the network's name.

    Returns:
        The zoo.

    Raises:
        ConfigurationError: A measure needs samples.
        DataError: The zoo is of no format that is known, or damaged.
        RunError: The folder holds something else.
    """
    if needing := needing_samples(measures):
        raise ConfigurationError("a zoo is converted without samples", needing[0], "Leave that measure out")
    published, folder, say = read_published(source), Path(folder), progress or silent
    networks = published.networks if limit is None else _some(published.networks, limit)
    write_zoo_file(folder, published.source, {network.name: network.split for network in networks})
    for number, network in enumerate(networks):
        say(number, len(networks), network.name)
        _write(network, folder / network.name, measures)
    say(len(networks), len(networks), "done")
    return open_zoo(folder)


def write_zoo_file(folder: Path, source: str, splits: Mapping[str, str]) -> None:
    """Write ``zoo.json``; what it said of other networks stays.

    Raises:
        RunError: It is of another zoo.
    """
    path, known = folder / DESCRIPTION, dict[str, str]()
    if path.is_file():
        found = json.loads(path.read_text("utf-8"))
        if found["source"] != source:
            remedy = "Choose another folder"
            raise RunError(f"{folder} holds the zoo {found['source']}", f"networks of {source}", remedy)
        known = found["splits"]
    content = {"format": FORMAT, "source": source, "splits": {**known, **splits}}
    write_text(path, json.dumps(content, indent=1) + "\n", parents=True)


def _some(networks: Sequence[PublishedNetwork], limit: int) -> tuple[PublishedNetwork, ...]:
    """The first ones, of each split as many as its share."""
    kept: list[PublishedNetwork] = []
    for split in dict.fromkeys(network.split for network in networks):
        part = [network for network in networks if network.split == split]
        kept += part[: max(1, round(limit * len(part) / len(networks)))]
    return tuple(kept[:limit])


def _write(network: PublishedNetwork, folder: Path, measures: Sequence[str]) -> None:
    if (folder / "run.json").exists() and load(folder).complete:
        return
    first = network.weights[min(network.weights)]()
    module, example = module_of(network.configuration, {name: tuple(t.shape) for name, t in first.items()})
    configuration, steps = dict(network.configuration), sorted(network.weights)
    with Recorder(
        folder, module.eval(), example, measures=measures, configuration=configuration, planned_steps=len(steps),
        resume=True,
    ) as recorder:  # fmt: skip
        last = recorder.last_step
        for step in steps:
            if last is None or step > last:
                module.load_state_dict(network.weights[step]())
                recorder.record(step, optimizer=None, **network.scalars[step])
