"""A pause after a fill, a longer one after a stop-out, a global one after a losing streak."""

from __future__ import annotations

from datetime import timedelta

from bot.domain.decision import Allow, Reason, Reject
from bot.domain.state import Cooldown
from bot.risk.cooldowns import after_fill, after_streak, blocking
from bot.risk.engine import RiskEngine
from tests.builders import NOW, config, minutes, pid, policy, state

RISK = policy(risk={"cooldown_minutes": 30, "cooldown_after_stop_minutes": 240, "loss_streak": 3}).risk


def test_any_fill_pauses_its_product_and_a_stop_out_longer():
    fill, stop = after_fill(pid("BTC-USD"), NOW, False, RISK), after_fill(pid("BTC-USD"), NOW, True, RISK)
    assert fill is not None
    assert stop is not None
    assert (fill.until, stop.until) == (NOW + minutes(30), NOW + minutes(240))
    assert fill.product == "BTC-USD"


def test_a_stop_out_never_pauses_less_than_a_fill():
    odd = policy(risk={"cooldown_minutes": 60, "cooldown_after_stop_minutes": 0}).risk
    stop = after_fill(pid("BTC-USD"), NOW, True, odd)
    assert stop is not None
    assert stop.until == NOW + minutes(60)


def test_no_minutes_is_no_pause():
    off = policy(risk={"cooldown_minutes": 0, "cooldown_after_stop_minutes": 0}).risk
    assert after_fill(pid("BTC-USD"), NOW, True, off) is None


def test_a_losing_streak_pauses_everything():
    assert after_streak(2, NOW, RISK) is None
    pause = after_streak(3, NOW, RISK)
    assert pause is not None
    assert pause.product is None
    assert blocking((pause,), "DOGE", NOW) is pause


def test_a_streak_limit_that_is_off_pauses_nothing():
    assert after_streak(99, NOW, policy(risk={"loss_streak": None}).risk) is None


def test_a_pause_of_one_coin_holds_under_every_listing_until_it_ends():
    pause = Cooldown(pid("BTC-USD"), "after_fill", NOW + minutes(1))
    engine = RiskEngine(config())
    kept = state(cooldowns=(pause,))
    refused = engine.apply_symbol_cooldown(pid("BTC-USDC"), NOW, kept)
    assert isinstance(refused, Reject)
    assert refused.reason is Reason.COOLDOWN
    assert engine.apply_symbol_cooldown(pid("ETH-USD"), NOW, kept) == Allow()
    assert engine.apply_symbol_cooldown(pid("BTC-USD"), NOW + timedelta(minutes=1), kept) == Allow()


def test_of_several_pauses_the_last_to_end_is_told():
    short, long = (Cooldown(pid("BTC-USD"), "x", NOW + minutes(m)) for m in (1, 9))
    assert blocking((long, short), "BTC", NOW) is long
