"""What restrains trading moves a figure that somebody can watch: every halt, breaker, gate, and the loss stops."""

from __future__ import annotations

import re
from datetime import timedelta
from math import isnan

from bot.domain.product import Side
from bot.execution.report import ActReport
from bot.ops.explain import Explained, page
from bot.ports import KillProbe, KillState
from bot.record.journal import read_days
from tests.loop.markets import RISE, calm, then
from tests.loop.stage import BTC, Stage, config_of, steady
from tests.loop.test_latches import RULE, TIGHT, stopped_out

ON = KillState(KillProbe.PRESENT, "drill")
OFF = KillState(KillProbe.ABSENT)


def test_a_halt_shows_while_it_lasts_and_no_longer():
    stage = Stage([*RISE, *steady(62, 900, "65500", 10)])
    stage.disk.kill = ON
    stage.run_for(70)
    assert stage.metric("bot_halts", cause="kill_switch") == 1
    assert stage.metric("bot_kill_switch") == 1
    stage.disk.kill = OFF
    stage.run_for(180)
    assert stage.metrics.registry.get_sample_value("bot_halts", {"cause": "kill_switch"}) is None


def test_a_latch_and_an_open_breaker_are_causes_like_any_other():
    """A loss stop, a governor and a breaker stand in the books; nothing was observed, and yet nobody may enter."""
    stopped = stopped_out(config_of(RULE, risk=TIGHT))
    assert stopped.last.reason == "daily_stop"
    assert stopped.metric("bot_halts", cause="daily_stop") == 1
    assert stopped.logged("cycle.completed")[-1]["halts"] == ["daily_stop"]
    stopped.boot()
    stopped.cycle()
    assert stopped.metric("bot_halts", cause="daily_stop") == 1
    limited = Stage()
    limited.loop._hit_breakers(ActReport(rate_limited=50), "c1")
    limited.cycle()
    assert limited.metric("bot_halts", cause="breaker") == 1


def test_a_gate_that_refuses_is_counted_by_its_name():
    stage = Stage(RISE, config_of(risk={"approval_above_usd": 1}))
    stage.run_for(130)
    assert stage.metric("bot_rejections_total", gate="human_approval") >= 1
    assert stage.metric("bot_no_trade_total", reason="approval_pending") >= 1


def test_a_breaker_shows_open_and_then_shut():
    stage = Stage([*RISE, *steady(62, 4000, "65500", 10)])
    stage.loop._hit_breakers(ActReport(rate_limited=50), "c1")
    stage.cycle()
    before = stage.metric("bot_breaker_open", breaker="rate_limited")
    cooled = float(stage.config.policy.risk.breakers.rate_limited.cooloff_seconds) + 120
    stage.run_for(cooled)
    after = stage.metrics.registry.get_sample_value("bot_breaker_open", {"breaker": "rate_limited"})
    assert (before, after) == (1, 0)


def test_the_way_to_the_loss_stops_is_a_figure_and_an_unknown_one_is_none():
    stage = Stage([*RISE, *steady(62, 900, "60000", 10)])
    stage.run_for(400)
    fall = stage.metrics.registry.get_sample_value("bot_result_pct", {"period": "drawdown"})
    assert fall is not None
    stage.metrics.results({"day": None})
    assert stage.metrics.registry.get_sample_value("bot_result_pct", {"period": "drawdown"}) is None


def test_a_reload_moves_the_configuration_that_is_said_to_run():
    stage = Stage([*RISE, *steady(62, 600, "65500", 20)])
    stage.cycle()
    tight = config_of(risk={"max_open_positions": 1, "cooldown_minutes": 1})
    stage.loop.reload(lambda _running: tight)
    stage.run_for(61)
    [sample] = [s for m in stage.metrics.registry.collect() if m.name == "bot_build_info" for s in m.samples]
    assert sample.labels["config_hash"] == tight.config_hash


def test_what_was_approved_and_not_sent_stands_in_the_journal_with_its_number():
    """The decision says TRADED; only this tells why nothing came of it."""
    stage = Stage(RISE, config_of(execution={"governors": {"notional_per_day_usd": 1}}))
    stage.run_for(70)
    rows = stage.events("order.refused")
    assert rows
    assert {(row["product"], row["side"], row["kind"]) for row in rows} == {(BTC, "BUY", "entry")}
    assert all(re.search(r"\d", row["detail"]) for row in rows)
    assert not stage.wire.placed
    assert stage.metric("bot_rejections_total", gate=rows[0]["reason"]) >= 1


def test_an_alert_is_counted_and_logged_when_it_is_said_and_when_it_escalates():
    stage = Stage(calm(10, 900), config_of(alerts={"escalate_after_seconds": 120}))
    stage.wire.venue_clock_ahead = timedelta(milliseconds=400)
    stage.run_for(61)
    assert stage.metric("bot_alerts_total", severity="WARNING") == 1
    assert stage.metric("bot_alerts_total", severity="CRITICAL") == 0
    stage.run_for(180)
    assert stage.metric("bot_alerts_total", severity="WARNING") == 1
    assert stage.metric("bot_alerts_total", severity="CRITICAL") == 1
    assert [row["severity"] for row in stage.logged("alert.raised")] == ["WARNING", "CRITICAL"]


def test_what_each_order_was_expected_to_cost_and_did_is_counted_and_explained():
    stage = Stage(then(*calm(90, 600)))
    stage.run_until(lambda: stage.working(Side.SELL), 200)
    stage.run_for(180)
    [measured], settled = stage.events("execution.measured"), stage.events("execution.settled")
    assert stage.metric("bot_slippage_bps_count") == 1
    assert -5 < float(measured["slippage_bps"]) < 0
    assert (stage.metric("bot_slippage_bps_bucket", le="-5.0"), stage.metric("bot_slippage_bps_bucket", le="0.0")) == (
        0,
        1,
    )
    assert stage.metric("bot_fees_total", kind="expected") == float(measured["expected_fee"]) > 0
    assert stage.metric("bot_fees_total", kind="actual") == float(measured["actual_fee"]) > 0
    assert settled
    assert stage.metric("bot_settle_seconds_count") == len(settled)
    assert stage.metric("bot_settle_seconds_sum") == sum(row["bucket_ms"] for row in settled) / 1000
    days = stage.disk.journal_days()
    events = tuple(event for event in read_days(stage.disk, days) if event.topic == "execution.measured")
    told = "\n".join(page(Explained("c", None, events)))
    assert re.search(r"got 65\d\d\d(\.\d{1,8})? \(0\.1 bps better\) and", told)
    assert f"expected {measured['expected_price']} and a fee of {measured['expected_fee']}" in told


def test_products_that_are_out_of_the_question_are_a_figure_by_reason():
    """No rule wishes for a banned product, so no gate ever refuses it: this figure alone moves."""
    stage = Stage(calm(10, 900))
    stage.cycle()
    assert stage.metrics.registry.get_sample_value("bot_excluded", {"reason": "banned"}) is None
    stage.inbox.drop("flag", BTC, "recent_exploit")
    stage.run_for(61)
    assert stage.metric("bot_excluded", reason="banned") == 1
    assert stage.metric("bot_no_trade_total", reason="too_few_eligible") >= 1
    assert stage.alerts()["universe.empty"] == "WARNING"
    stage.window.aged = timedelta(seconds=6)
    stage.inbox.drop("unflag", BTC)
    stage.run_for(61)
    assert stage.metric("bot_excluded", reason="quote_stale") == 1
    assert stage.metrics.registry.get_sample_value("bot_excluded", {"reason": "banned"}) is None


def test_a_wish_that_a_cap_cuts_down_is_counted():
    stage = Stage(RISE, config_of({"budget_pct": 1}))
    stage.run_for(70)
    assert stage.wire.placed
    assert stage.metric("bot_clamps_total", gate="rule_budget") == 1


def test_an_equity_that_is_unknown_is_not_shown_as_it_was():
    stage = Stage(calm(10, 900), opening={"USD": "10000", "ETH": "0.05"})
    stage.run_for(61)
    assert stage.metric("bot_equity_usd") > 10000
    assert stage.metric("bot_exposure_pct", scope="total") > 0
    stage.world.conditions.feed.empty.add("ETH-USD")
    stage.run_for(400)
    assert stage.last.reason == "nlv_unknown"
    assert isnan(stage.metric("bot_equity_usd"))
    assert stage.metrics.registry.get_sample_value("bot_exposure_pct", {"scope": "total"}) is None
    assert stage.metric("bot_halts", cause="nlv_unknown") == 1
    assert stage.alerts()["halt.nlv_unknown"] == "CRITICAL"
