"""The Prometheus rules watch metrics that exist, by labels and values they really have."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from bot.domain.decision import Outcome
from bot.ops.alerts import Severity
from bot.settings.load import load_config
from tests.docs.markdown import ROOT, Row, document, names, section, tables

RULES: list[dict[str, Any]] = yaml.safe_load((ROOT / "monitoring" / "alerts.yml").read_text())["groups"][0]["rules"]
METRICS: list[Row] = tables(section(document("docs/REFERENCE.md"), "Metrics"))[0]
LABELS = {names(row["metric"])[0]: set(names(row["labels"])) for row in METRICS}
IDS = [rule["alert"] for rule in RULES]


@pytest.mark.parametrize("rule", RULES, ids=IDS)
def test_a_rule_asks_for_metrics_and_labels_that_exist(rule: dict[str, Any]) -> None:
    used = re.findall(r"\b(bot_\w+)(?:\{([^}]*)\})?", rule["expr"])
    assert used or "up{" in rule["expr"]
    for metric, matchers in used:
        assert metric in LABELS
        assert set(re.findall(r"(\w+)\s*[=!]", matchers)) <= LABELS[metric]
    for label in re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]):
        assert any(label in LABELS[metric] for metric, _ in used)


@pytest.mark.parametrize("rule", RULES, ids=IDS)
def test_a_rule_compares_with_values_that_occur(rule: dict[str, Any]) -> None:
    for label, value in re.findall(r'(outcome|severity)="(\w+)"', rule["expr"]):
        kinds = {"outcome": Outcome, "severity": Severity}
        assert value in {member.value for member in kinds[label]}
    assert rule["labels"]["severity"] in {"warning", "critical"}
    assert rule["annotations"]["summary"].endswith(".")


def test_the_hourly_budget_rings_when_only_the_reserve_is_left() -> None:
    limits = load_config(ROOT / "config").policy.rate_limits
    [rule] = [rule for rule in RULES if rule["alert"] == "BulwarkBudgetLow"]
    assert int(rule["expr"].rpartition("<")[2]) == limits.hourly * limits.reserve_pct.fraction
