"""The configuration that a user gave to a run, as flat columns of plain values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

Plain = str | int | float | bool | None


def flat_configuration(configuration: Mapping[str, Any] | None) -> dict[str, Plain]:
    """A configuration with a dotted name for each value in dictionaries of dictionaries; lists are JSON texts.

    >>> flat_configuration({"optimizer": {"name": "sgd", "betas": [0.9, 0.99]}, "width": 8})
    {'optimizer.name': 'sgd', 'optimizer.betas': '[0.9, 0.99]', 'width': 8}
    >>> flat_configuration(None)
    {}
    """
    flat: dict[str, Plain] = {}
    for key, value in (configuration or {}).items():
        if isinstance(value, Mapping):
            flat |= {f"{key}.{name}": inside for name, inside in flat_configuration(value).items()}
        else:
            flat[str(key)] = json.dumps(value) if isinstance(value, list) else value
    return flat
