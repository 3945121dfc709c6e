"""docs/CONTROLS.md names every control, and nothing that does not exist."""

from __future__ import annotations

import ast
from functools import cache
from hashlib import sha256

import pytest
from pydantic import BaseModel

from bot.ops.metrics import Metrics
from bot.risk.gates import GATES
from bot.settings.controls import CONTROLS_DIGEST
from bot.settings.policy import BreakersPolicy, Policy
from bot.settings.rules import Rule
from bot.settings.universe import Universe
from tests.docs import controls, spoken
from tests.docs.control import Control
from tests.docs.controls import CONTROLS, ROOT
from tests.sabotage.mistakes import catalogue

LAUNCH = """
    pending exposure caps; circuit breakers; kill switch; cooldowns; fee-aware sizing; product constraints;
    daily and weekly stops, drawdown; last-hop collar and governors; human approval; feasibility at start; risk report;
    single-instance lock; halt table; inbox verbs; deterministic client order ids; order states and timers;
    post-only TTL and re-quotes; fills booked exactly once; quote-sized and lagging fills; graceful shutdown;
    fee-adjusted rounding; latency accounting; jittered schedule; spread, depth and slippage; resting protective stops;
    dust ledger and exit guarantee; expected against actual price and fee; settle-time histogram; post-trade smoke;
    fail-closed gating; staleness at decision and at send; canonical symbols and the USD/USDC alias;
    time: UTC, monotonic durations, bar windows, gaps; partial snapshots and pagination traps;
    bad ticks against crashes; provenance of NLV; cold start; ledger equation; foreign orders, trades and transfers;
    snapshot generations and torn tails; dry-run shadow; paper account across restarts; rate budgets; universe;
    ENV, mode, key and venue; key permissions
"""
"""What has to be in force before live, whatever else is."""

NAMES = [control.name for control in CONTROLS]
by_name = pytest.mark.parametrize("control", CONTROLS, ids=NAMES)


@cache
def functions(path: str) -> frozenset[str]:
    """Names of the test functions of a file below tests/, read and not imported."""
    tree = ast.parse((ROOT / "tests" / path).read_text())
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


@cache
def keys() -> frozenset[str]:
    """Every key of both files, sections included; those of a rule under `rules.NAME`."""
    rules = {f"rules.NAME.{name}" for name in Rule.model_fields}
    return frozenset({*_paths(Policy()), *rules, *(f"universe.yaml: {path}" for path in _paths(Universe()))})


def _paths(model: BaseModel, above: str = "") -> set[str]:
    found = set()
    for name in type(model).model_fields:
        found.add(f"{above}{name}")
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            found |= _paths(value, f"{above}{name}.")
    return found


@cache
def alerts() -> set[str]:
    return spoken.fingerprints()


@cache
def metrics() -> frozenset[str]:
    text = Metrics("a", "b").render().decode()
    return frozenset(line.split()[2] for line in text.splitlines() if line.startswith("# TYPE"))


def test_the_page_is_the_one_the_rows_make():
    """When this fails: python -m tests.docs.controls, and read what changed."""
    assert controls.DOCUMENT.read_text() == controls.page()


def test_the_code_carries_the_digest_of_the_page():
    content = controls.DOCUMENT.read_bytes()
    assert sha256(content).hexdigest() == CONTROLS_DIGEST
    assert controls.DIGEST.read_text() == controls.module(content)


def test_every_control_of_the_launch_list_has_its_row():
    wanted = " ".join(LAUNCH.split())
    for name in NAMES:
        wanted = wanted.replace(name, "")
    assert wanted.replace(";", "").split() == []
    assert len(set(NAMES)) == len(NAMES)


def test_every_gate_and_every_breaker_belongs_to_a_control():
    assert {gate for control in CONTROLS for gate in control.gates} == {row.name for row in GATES}
    assert {name for control in CONTROLS for name in control.breakers} == set(BreakersPolicy.model_fields)


@by_name
def test_every_test_that_proves_a_control_exists(control: Control):
    assert control.tests
    missing = [test for test in control.tests if test.partition("::")[2] not in functions(test.partition("::")[0])]
    assert missing == []


@by_name
def test_every_policy_key_of_a_control_exists(control: Control):
    patterns = {key: controls.key_pattern(key) for key in control.keys}
    assert [key for key, pattern in patterns.items() if not any(map(pattern.fullmatch, keys()))] == []


@by_name
def test_every_metric_and_alert_of_a_control_exists(control: Control):
    assert set(control.metrics) <= metrics()
    assert set(control.alerts) <= alerts()


@by_name
def test_a_control_says_what_it_does_and_is_seen_somewhere(control: Control):
    assert len(control.does.split()) >= 10
    assert all(number[0] == "F" and number[1:].isdigit() for number in control.faults)
    assert list(control.faults) == sorted(set(control.faults))


def test_every_mistake_of_the_sabotage_breaks_a_control_of_the_page():
    assert {mistake.control for mistake in catalogue().values()} <= set(NAMES)


def test_every_control_was_tried_by_a_mistake():
    assert set(NAMES) - {mistake.control for mistake in catalogue().values()} == set()
