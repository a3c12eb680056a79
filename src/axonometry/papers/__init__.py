"""The papers' experiments, each declared in a folder of its own; imported when they are asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from axonometry.experiments import Experiment

PAPERS = {
    "ictai2021": "La Malfa et al. 2021: do accurate networks have other graphs?",
    "cikm2022": "Vahedian et al. 2021: do a few epochs of a network's graph tell how accurate it becomes?",
    "ijcai2024": "La Malfa et al. 2022, 2024: do five measures tell networks of different size, type, task... apart?",
    "lin2025": "Lin et al. 2025: neuron modes, linear maps and attraction basins in six experiments.",
}
"""By name; a package of that name declares ``EXPERIMENT``."""


def load_paper(name: str) -> Experiment:
    """The experiment of a paper.

    Raises:
        ConfigurationError: There is no such paper.
    """
    from axonometry.experiments.running import chosen

    chosen(PAPERS, name, "paper")
    found: Experiment = import_module(f"{__name__}.{name}").EXPERIMENT
    return found
