"""Rules of alerts: what they say, what is none, and when they fire."""

from __future__ import annotations

import math

import pytest

from axonometry.errors import ConfigurationError
from axonometry.watch.alerts import KEPT, Alerts
from axonometry.watch.rules import AlertRule
from axonometry.watch.series import SeriesKey, Value


@pytest.mark.parametrize(
    ("text", "name", "sign", "number"),
    [
        ("dead > 0.3", "dead", ">", 0.3),
        ("predicted<0.6", "predicted", "<", 0.6),
        ("  gradient.node_strength.std   >=  1e-3 ", "gradient.node_strength.std", ">=", 1e-3),
        ("val/loss <= -2", "val/loss", "<=", -2.0),
        ("loss == inf", "loss", "==", math.inf),
        ("epoch!=0", "epoch", "!=", 0.0),
    ],
)
def test_a_rule_is_a_name_a_comparison_and_a_number(text: str, name: str, sign: str, number: float) -> None:
    rule = AlertRule.parse(text)
    assert (rule.name, rule.sign, rule.number) == (name, sign, number)


@pytest.mark.parametrize(
    "text",
    ["", "dead", "dead >", "> 0.3", "dead > much", "dead = 0.3", "dead => 0.3", "a b > 1", "a > 1 and b > 2", "a >> 1"],
)
def test_what_is_no_rule_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(ConfigurationError, match="an alert is NAME OP NUMBER") as refused:
        AlertRule.parse(text)
    assert "\n" not in str(refused.value)
    assert "--alert 'dead > 0.3'" in str(refused.value)


def test_a_comparison_with_nan_that_never_holds_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"never holds.*--alert 'loss == nan'"):
        AlertRule.parse("loss > nan")


@pytest.mark.parametrize(
    ("text", "value", "holds"),
    [
        ("a > 1", 1.0, False),
        ("a >= 1", 1.0, True),
        ("a < 1", 0.5, True),
        ("a <= 1", 1.5, False),
        ("a == 1", 1.0, True),
        ("a != 1", 1.0, False),
        ("a < 1", math.nan, False),
        ("a > 1", math.nan, False),
        ("a != 1", math.nan, False),
        ("a == nan", math.nan, True),
        ("a == nan", 1.0, False),
        ("a > 1", math.inf, True),
    ],
)
def test_when_a_rule_holds(text: str, value: float, holds: bool) -> None:
    assert AlertRule.parse(text).holds(value) is holds


def test_a_measure_by_its_own_name_is_its_mean() -> None:
    rule = AlertRule.parse("node_strength > 1")
    assert [rule.is_of(name) for name in ("node_strength.mean", "node_strength", "node_strength.std", "x")] == [
        True,
        True,
        False,
        False,
    ]


def judged(alerts: Alerts, layer: str, *values: float, run: str = "a") -> None:
    for step, value in enumerate(values):
        alerts.judge(run, [Value(SeriesKey("dead", layer), step, value)])


def test_an_alert_fires_once_by_layer_and_run_and_again_after_it_was_over() -> None:
    alerts = Alerts([AlertRule.parse("dead > 0.3")])
    judged(alerts, "conv1", 0.2, 0.4, 0.5, 0.1, 0.6)
    judged(alerts, "conv2", 0.9)
    judged(alerts, "conv1", 0.2, run="b")
    assert [(a.number, a.run, a.layer, a.step, a.value, a.over) for a in alerts.fired] == [
        (1, "a", "conv1", 1, 0.4, True),
        (2, "a", "conv1", 4, 0.6, False),
        (3, "a", "conv2", 0, 0.9, False),
    ]
    assert [a.number for a in alerts.active] == [2, 3]
    alerts.end("a")
    assert alerts.active == []
    assert str(alerts.fired[1]) == "dead > 0.3: a, layer conv1: 0.6 at step 4"


def test_alerts_that_are_over_do_not_pile_up() -> None:
    alerts = Alerts([AlertRule.parse("dead > 0.3")])
    judged(alerts, "conv1", *[0.4, 0.2] * (KEPT + 5), 0.4)
    assert alerts.count == KEPT + 6
    assert len(alerts.fired) == KEPT + 1
    assert [a.number for a in alerts.active] == [KEPT + 6]
