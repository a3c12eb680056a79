"""How values are shown: functions of ``report`` that are looked up when a value is first drawn or shown.

Graphs, values and runs are shown by ``graph.draw()`` or by a notebook. What computes them imports no figure, so that
the package of figures stands above it; one name here is the only way up, and it is taken at the call.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from axonometry.errors import MissingExtraError


def shown(function: str, *arguments: Any, **named: Any) -> Any:
    """Call a function of ``axonometry.report.notebook``.

    Args:
        function: Its name.
        *arguments: What it takes.
        **named: What it takes by name.

    Raises:
        MissingExtraError: The packages that draw are not installed.
    """
    for package in ("plotly", "jinja2"):
        if find_spec(package) is None:
            missing = MissingExtraError.of(package, "report")
            raise missing
    return getattr(import_module("axonometry.report.notebook"), function)(*arguments, **named)
