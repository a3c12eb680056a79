"""Alerts: which rules hold for which runs and layers, and since when."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace

from axonometry.cell_text import number
from axonometry.watch.rules import AlertRule
from axonometry.watch.series import Value

KEPT = 1000
"""Alerts that are over and still listed."""


@dataclass(frozen=True)
class Alert:
    """A rule that began to hold.

    Attributes:
        number: Alerts are counted as they fire, from 1.
        rule: As it was written.
        run: The run's name.
        layer: Where; empty for a number of the whole run.
        step: When the value was recorded.
        value: The value then.
        at: Seconds since 1970.
        over: Whether the rule does not hold any more.

    >>> print(Alert(1, "dead > 0.3", "a", "conv1", step=7, value=0.41, at=0.0))
    dead > 0.3: a, layer conv1: 0.41 at step 7
    """

    number: int
    rule: str
    run: str
    layer: str
    step: int
    value: float
    at: float
    over: bool = False

    def __str__(self) -> str:
        where = f", layer {self.layer}" if self.layer else ""
        value = "nan" if self.value != self.value else number(self.value)
        return f"{self.rule}: {self.run}{where}: {value} at step {self.step}"


class Alerts:
    """The alerts of all runs; a rule that holds at every step of a run fires once, and again after it did not hold.

    Attributes:
        rules: All rules.
        fired: What fired, in this order; of those that are over, the last :data:`KEPT`.
        count: How many fired.
        revision: Grows with each change.

    >>> from axonometry.watch.series import SeriesKey
    >>> alerts = Alerts([AlertRule.parse("loss > 1")])
    >>> for step, loss in enumerate((2.0, 3.0, 0.5, 1.5)):
    ...     alerts.judge("a", [Value(SeriesKey("loss", ""), step, loss)])
    >>> [(alert.step, alert.over) for alert in alerts.fired]
    [(0, True), (3, False)]
    """

    def __init__(self, rules: Iterable[AlertRule]) -> None:
        self.rules = tuple(rules)
        self.fired: list[Alert] = []
        self.count = self.revision = 0
        self._active: dict[tuple[AlertRule, str, str, str], Alert] = {}

    @property
    def active(self) -> list[Alert]:
        """Those whose rule holds now."""
        return list(self._active.values())

    def judge(self, run: str, values: Iterable[Value]) -> None:
        """Judge values that were recorded since the last call, in their order."""
        for (name, layer), step, value in values if self.rules else ():
            for rule in self.rules:
                if rule.is_of(name):
                    self._set(rule, (run, name, layer), step, value)

    def end(self, run: str) -> None:
        """A run began anew, or is gone: what held of it holds no more."""
        for key in [key for key in self._active if key[1] == run]:
            self._over(key)

    def _set(self, rule: AlertRule, of: tuple[str, str, str], step: int, value: float) -> None:
        key = (rule, *of)
        if not rule.holds(value):
            self._over(key)
        elif key not in self._active:
            self.count += 1
            alert = Alert(self.count, str(rule), of[0], of[2], step, value, time.time())
            self._active[key] = alert
            self.fired.append(alert)
            self.revision += 1

    def _over(self, key: tuple[AlertRule, str, str, str]) -> None:
        alert = self._active.pop(key, None)
        if alert is None:
            return
        self.fired[self.fired.index(alert)] = replace(alert, over=True)
        self.revision += 1
        over = [one for one in self.fired if one.over]
        if len(over) > KEPT:
            self.fired.remove(over[0])
