"""Conventions by name: where papers count differently, a function takes the name of the way to count."""

from __future__ import annotations

from collections.abc import Collection

from axonometry.errors import ConfigurationError, closest


def check_convention(name: str, known: Collection[str]) -> None:
    """Refuse a convention that a measure does not have.

    Args:
        name: The convention asked for.
        known: The conventions that there are.

    Raises:
        ConfigurationError: ``name`` is not among them.

    >>> check_convention("links", ["links", "ictai2021"])
    >>> check_convention("sums", ["links", "ictai2021"])
    Traceback (most recent call last):
        ...
    axonometry.errors.ConfigurationError: a convention is one of the measure's own; got 'sums'. Choose...
    """
    if name not in known:
        remedy = closest(name, known, f"Choose from: {', '.join(known)}")
        raise ConfigurationError("a convention is one of the measure's own", repr(name), remedy)
