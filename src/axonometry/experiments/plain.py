"""Results as values that JSON can hold."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from axonometry.experiments.running import Results

SAID = ("scale", "networks", "trained", "seconds", "not_run")
"""What is said of a call."""


def plain(results: Results) -> dict[str, Any]:
    """Everything that the pages say, with all digits.

    An estimate is an object with value, low, high, n and unit, in evidence and in the cells of tables.
    """
    sections = [{"name": name, **asdict(replace(one, figures=()))} for name, one in results.sections.items()]
    return {
        "experiment": results.experiment.name,
        "title": results.experiment.title,
        **{name: getattr(results, name) for name in SAID},
        "conditions": results.conditions.astype(object).to_dict("records"),
        "sections": [{key: value for key, value in one.items() if key != "figures"} for one in sections],
    }
