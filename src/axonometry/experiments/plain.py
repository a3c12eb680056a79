"""Results as values that JSON can hold."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from axonometry.experiments.running import Results
from axonometry.experiments.section import Section
from axonometry.report.page import Table
from axonometry.statistics import Estimate


def plain(results: Results) -> dict[str, Any]:
    """Everything that the pages say, with all digits.

    An estimate is an object with value, low, high, n and unit, in evidence and in the cells of tables.
    """
    return {
        "experiment": results.experiment.name,
        "title": results.experiment.title,
        "scale": results.scale,
        "networks": results.networks,
        "trained": results.trained,
        "seconds": results.seconds,
        "conditions": results.conditions.astype(object).to_dict("records"),
        "sections": [_section(name, section) for name, section in results.sections.items()],
        "not_run": results.not_run,
    }


def _section(name: str, section: Section) -> dict[str, Any]:
    claims = [
        {
            "words": claim.words,
            "verdict": claim.verdict,
            "numbers": claim.numbers,
            "evidence": [asdict(one) for one in claim.evidence],
        }
        for claim in section.claims
    ]
    return {"name": name, "title": section.title, "claims": claims, "tables": [_table(one) for one in section.tables]}


def _table(table: Table) -> dict[str, Any]:
    rows = [[asdict(cell) if isinstance(cell, Estimate) else cell for cell in row] for row in table.rows]
    return {"title": table.title, "columns": table.columns, "rows": rows}
