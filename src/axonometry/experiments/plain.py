"""Results as values that JSON can hold."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from axonometry.experiments.running import Results


def plain(results: Results) -> dict[str, Any]:
    """Everything that the pages say, with all digits.

    An estimate is an object with value, low, high, n and unit, in evidence and in the cells of tables.
    """
    said = ("scale", "networks", "trained", "seconds", "not_run")
    return {
        "experiment": results.experiment.name,
        "title": results.experiment.title,
        **{name: getattr(results, name) for name in said},
        "conditions": results.conditions.astype(object).to_dict("records"),
        "sections": [
            {
                "name": name,
                "title": section.title,
                "claims": [asdict(claim) for claim in section.claims],
                "tables": [asdict(table) for table in section.tables],
            }
            for name, section in results.sections.items()
        ],
    }
