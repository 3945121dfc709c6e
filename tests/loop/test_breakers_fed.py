"""What goes wrong while acting is counted by its breaker, whatever else comes of it."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bot.domain.event import ExecutionMeasured, Mismatch
from bot.domain.money import Price
from bot.domain.order import OrderKind
from bot.errors import RateLimited, Rejected, Transient
from bot.execution.report import ActReport, Rejection
from tests.loop.markets import RISE
from tests.loop.stage import BTC, Stage, config_of, steady

BUDGET_BPS = Decimal(25)


def filled(slippage_bps: str, fee: str) -> ActReport:
    """An order that was to pay a fee of 1 at a price of 100."""
    actual = Price(Decimal(100) * (1 + Decimal(slippage_bps) / 10_000))
    measured = ExecutionMeasured("c", Price(Decimal(100)), actual, Decimal(slippage_bps), Decimal(1), Decimal(fee))
    return ActReport(measured=(measured,))


REPORTS = {
    "rejections": ActReport(rejections=(Rejection("c", BTC, OrderKind.ENTRY, "INSUFFICIENT_FUND", "no"),)),
    "reconcile_mismatch": ActReport(mismatches=(Mismatch("order c", "OPEN", "absent"),)),
    "rate_limited": ActReport(rate_limited=1),
    "api_errors": ActReport(errors=("listing orders: no answer",)),
    "slippage": filled("25.1", "1"),
    "fee_above_assumed": filled("0", "1.02"),
}


@pytest.mark.parametrize(("kind", "report"), REPORTS.items(), ids=REPORTS.keys())
def test_each_mishap_is_one_hit_of_its_own_breaker(kind, report):
    stage = Stage()
    stage.loop._hit_breakers(report, "c1")
    found = stage.state.breakers
    assert list(found) == [kind]
    assert found[kind].open or len(found[kind].hits) == 1


@pytest.mark.parametrize("report", [filled("25", "1"), filled("-80", "1"), filled("0", "1.01"), ActReport()])
def test_what_lies_within_the_budget_hits_nothing(report):
    stage = Stage()
    assert stage.config.policy.execution.max_slippage_bps == BUDGET_BPS
    stage.loop._hit_breakers(report, "c1")
    assert stage.state.breakers == {}


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("rejections", Rejected("INSUFFICIENT_FUND", "no")),
        ("rate_limited", RateLimited("throttled", 10)),
        ("api_errors", Transient("the connection was refused")),
    ],
)
def test_orders_that_fail_open_the_breaker_and_tell(kind, error):
    tight = config_of(risk={"breakers": {kind: {"threshold": 1}}})
    stage = Stage([*RISE, *steady(62, 900, "65500", 20)], tight)
    stage.idle(62)
    stage.wire.broken["place"] = error
    stage.cycle()
    assert stage.state.breakers[kind].open
    assert stage.wire.placed == []
    assert f"halt.breaker.{kind}" in stage.alerts()
    del stage.wire.broken["place"]
    assert stage.cycle().reason == "circuit_breaker"
    stage.check()
