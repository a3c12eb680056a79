"""Rules of alerts: a name, a comparison, a number."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass

from axonometry.errors import ConfigurationError

PREDICTED = "predicted"
"""The name of the predicted final accuracy."""

OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_RULE = re.compile(r"\s*(?P<name>[^\s<>=!]+)\s*(?P<sign><=|>=|==|!=|<|>)\s*(?P<number>\S+)\s*")
_MEAN = ".mean"


@dataclass(frozen=True)
class AlertRule:
    """When a value is to be told.

    >>> rule = AlertRule.parse("dead > 0.3")
    >>> rule.name, rule.sign, rule.number, str(rule)
    ('dead', '>', 0.3, 'dead > 0.3')
    >>> rule.holds(0.31), rule.holds(0.3), rule.holds(float("nan"))
    (True, False, False)

    Attributes:
        name: A scalar, a measure (its value, or the mean over a layer's neurons), a measure's statistic as
            ``node_strength.std``, ``dead`` (the share of a layer's neurons) or ``predicted``.
        sign: One of :data:`OPERATORS`.
        number: What the value is compared with; ``nan`` after ``==`` for values that are not a number.
    """

    name: str
    sign: str
    number: float

    @classmethod
    def parse(cls, text: str) -> AlertRule:
        """The rule that a text states.

        Raises:
            ConfigurationError: It states none.

        >>> AlertRule.parse("dead = 0.3")
        Traceback (most recent call last):
        axonometry.errors.ConfigurationError: an alert is NAME OP NUMBER, with OP one of <, <=, >, >=, ==, !=; got ...
        """
        rule = f"an alert is NAME OP NUMBER, with OP one of {', '.join(OPERATORS)}"
        found = _RULE.fullmatch(text)
        if found is None:
            raise ConfigurationError(rule, repr(text), "Write it as: --alert 'dead > 0.3'")
        number = _number(found["number"])
        if number is None:
            raise ConfigurationError(rule, f"{found['number']!r} for the number", "Write it as: --alert 'dead > 0.3'")
        if math.isnan(number) and found["sign"] not in ("==", "!="):
            came = f"{found['sign']} nan, which never holds"
            raise ConfigurationError(rule, came, f"Write it as: --alert '{found['name']} == nan'")
        return cls(found["name"], found["sign"], number)

    def holds(self, value: float) -> bool:
        """Whether a value is to be told; one that is not a number is so by ``== nan`` alone."""
        if math.isnan(value) or math.isnan(self.number):
            return math.isnan(value) and math.isnan(self.number) and self.sign == "=="
        return OPERATORS[self.sign](value, self.number)

    def is_of(self, series: str) -> bool:
        """Whether it is about a series.

        >>> rule = AlertRule.parse("node_strength < 0")
        >>> rule.is_of("node_strength.mean"), rule.is_of("node_strength.std")
        (True, False)
        """
        return self.name in (series, series.removesuffix(_MEAN))

    def __str__(self) -> str:
        return f"{self.name} {self.sign} {self.number:g}"


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
