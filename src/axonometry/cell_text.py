"""The text of a table's cell: in the terminal, in Markdown and on pages."""

from __future__ import annotations

import math
import os


def number(value: object) -> str:
    """A cell's text: thousands separators, floats with four significant digits, a dash for missing values.

    >>> number(12954), number(0.123456), number(float("nan")), number(True), number(2e-7)
    ('12,954', '0.1235', '–', 'yes', '2e-07')
    """
    if value is None or type(value).__name__ == "NAType":
        return "–"
    if isinstance(value, bool) or type(value).__name__ == "bool":
        return "yes" if value else "no"
    if isinstance(value, (str, os.PathLike)):
        return str(value)
    if isinstance(value, (list, tuple)):
        return " × ".join(number(item) for item in value) or "–"
    try:
        real = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return str(value)
    except OverflowError:  # an integer beyond floats; str() of thousands of digits is slow, and refused beyond 4300
        return "> 1.8e308" if value > 0 else "< −1.8e308"  # type: ignore[operator]
    if math.isnan(real):
        return "–"
    if math.isinf(real):
        return "∞" if real > 0 else "−∞"
    if hasattr(value, "__index__"):
        return f"{value:,}"
    return f"{real:.4g}" if abs(real) < 1e3 else (f"{real:,.0f}" if abs(real) < 1e9 else f"{real:.3e}")
