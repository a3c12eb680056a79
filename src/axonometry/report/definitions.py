"""Definitions of the numbers, read from the catalogue of measures and their docstrings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable

from axonometry.metrics import CATALOGUE, jeffreys_divergence
from axonometry.report.page import Facts, Tab

PURE = ("skewness", "kurtosis", "count", "nonfinite", "sparsity", "dead", "saturated")
"""Statistics without a unit."""
STATISTICS = {
    "value": "",
    "mean": "mean of ",
    "std": "standard deviation of ",
    "sparsity": "share of zeros in ",
    "dead": "dead neurons by ",
    "saturated": "saturated neurons by ",
}
"""Words in front of a measure's title."""
_STRENGTHS = "convention links: real links only; paper 1 (ictai2021) adds biases and outer links"
_DEEP = "convention standardised: weights less their mean, over their spread; vanilla takes them as they are"
_CONVENTIONS = {
    "link_weights": "convention links: without biases; paper 1 (ictai2021) pools them with the weights",
    "node_strength": _STRENGTHS,
    "layer_fluctuation": _STRENGTHS,
    "neural_persistence": "convention paper: without the class that never dies; the authors' code (official) counts it",
    "deep_graph_persistence": _DEEP,
}


def axis(metric: str, statistic: str = "value") -> str:
    """The name of an axis: the measure, its statistic and its unit.

    >>> axis("layer_fluctuation"), axis("node_strength", "mean")
    ('layer fluctuation (weight)', 'mean of node strength (weight)')
    """
    spec = CATALOGUE.get(metric)
    if spec is None:
        return metric.replace("_", " ")
    name = spec.title[0].lower() + spec.title[1:]
    words = STATISTICS.get(statistic, f"{statistic} of ")
    unit = "none" if statistic in PURE else spec.units.split(";")[0]
    return f"{words}{name}" + ("" if unit == "none" else f" ({unit})")


def definition(metric: str) -> str:
    """The docstring of a measure: formula and source, then unit and range; empty for other numbers."""
    spec = CATALOGUE.get(metric)
    if spec is None:
        return ""
    counted = convention(metric)
    words = f" {counted[0].upper()}{counted[1:]}." if counted else ""
    return (
        f"{_words(spec.function)}\n\nUnit: {spec.units}. Range: {spec.range}. Invariances: {spec.invariances}.{words}"
    )


def convention(metric: str) -> str:
    """How a measure of several conventions counts in tables and recorded runs; empty for one that has a single way.

    >>> convention("layer_fluctuation")
    'convention links: real links only; paper 1 (ictai2021) adds biases and outer links'
    >>> convention("disparity")
    ''
    """
    return _CONVENTIONS.get(metric, "")


def divergence() -> str:
    """The definition of the Jeffreys divergence, from its docstring."""
    return _words(jeffreys_divergence)


def tab(metrics: Iterable[str]) -> Tab:
    """The tab with the definitions of a page's measures."""
    blocks: list[Facts] = []
    for spec in (CATALOGUE[name] for name in metrics if name in CATALOGUE):
        counted = {"convention": convention(spec.name)} if convention(spec.name) else {}
        facts = {
            "unit": spec.units,
            **counted,
            "range": spec.range,
            "invariances": spec.invariances,
            "source": spec.source,
        }
        blocks.append(Facts({"name in tables": spec.name, **facts}, spec.title, _words(spec.function)))
    return Tab(
        "Definitions",
        (
            *blocks,
            Facts({"name in tables": "jeffreys_divergence", "unit": "nats"}, "Jeffreys divergence", divergence()),
        ),
    )


def _words(function: object) -> str:
    """The documentation of the file that a measure of ours has to itself, or else of the function itself."""
    module = inspect.getmodule(function)
    if module is not None and module.__name__.startswith("axonometry.metrics.") and module.__doc__:
        text = inspect.cleandoc(module.__doc__)
    else:
        text = re.split(r"\n\s*(?:Args|Returns|Raises):", inspect.getdoc(function) or "")[0]
    # A table of the documentation would run together in a paragraph; the sentence that leads to it goes with it.
    text = re.sub(r"[^\n]+(?:\n[^\n]+)*:\n\n={3,}[^\n]*(?:\n[^\n]+)*\n\n?", "", text)
    # The documentation marks code with two backticks and roles; the page with one.
    return re.sub(r"(?::\w+:)?`+~?([^`]+)`+", r"`\1`", text)
