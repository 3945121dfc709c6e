"""Entries: which rule speaks, how sure it is, and what it says when it gives up."""

from __future__ import annotations

from typing import Any

import pytest

from bot.domain.decision import ExitReason, Reason, Regime, TradeProposal, TriggerKind
from bot.domain.order import OrderState
from bot.domain.position import Exits
from bot.rules.entry import RulesEngine, Signals, Wishes
from bot.triggers.engine import fires, in_force
from tests.builders import (
    NOW,
    config,
    d,
    market,
    minutes,
    order,
    pid,
    position,
    price,
    rule,
    snapshot,
    state,
    trigger,
    usd,
)

BTC, ETH = pid("BTC-USD"), pid("ETH-USD")
STILL = {"sizing": {"target_volatility_pct": None}}


def wishes(
    *triggers: Any, rules: Any = None, account: Any = None, regime: Regime = Regime.CHOP, tiers: Any = None,
    eligible: Any = (BTC, ETH), views: Any = None, **sections: Any,
) -> Wishes:  # fmt: skip
    settings = config(**{"rules": rules or [rule()], **STILL, **sections})
    snap = snapshot(views or [market(), market("ETH-USD")], account=account)
    signals = Signals(eligible, tiers or dict.fromkeys(eligible, 1), triggers, regime)
    return RulesEngine(settings, in_force, fires).propose(snap, signals)


def given_up(found: Wishes) -> list[tuple[str, Reason]]:
    return [(item.results[-1].gate, item.refusal.reason) for item in found.given_up if item.refusal is not None]


def test_a_rule_that_holds_proposes_what_it_is_told_to():
    rules = [rule(trailing_stop_pct=4, max_hold_minutes=90)]
    (wish,) = wishes(trigger(), rules=rules).wanted
    assert (wish.product, wish.rule, wish.size_quote, wish.reference) == (BTC, "dip", usd(200), price("100.01"))
    assert wish.exits == Exits(d(5), d(10), d(4), 90)
    assert [t.kind for t in wish.triggers] == [TriggerKind.BREAKOUT]


def test_conviction_weighs_the_strongest_trigger_and_adds_the_boosts():
    weak, strong = trigger(kind=TriggerKind.MOMENTUM, score="0.2"), trigger(score="0.9", confidence="0.5")
    both = [rule(when={"all": ["breakout", "momentum"]})]
    (wish,) = wishes(weak, strong, rules=both, regime=Regime.BULL).wanted
    assert wish.conviction == d("0.84"), "0.6 x 0.9 + 0.4 x 0.5 + 0.05 for the second trigger + 0.05 in a bull"


@pytest.mark.parametrize(("boost", "conviction"), [("0.9", "1"), ("-2", "0")])
def test_conviction_stays_between_nothing_and_certainty(boost, conviction):
    boosts = {"boost_by_regime": {"chop": boost}, "min_conviction": 0}
    (wish,) = wishes(trigger(score="0.5"), conviction=boosts).wanted
    assert wish.conviction == d(conviction)


def test_a_wish_that_is_not_sure_enough_is_given_up_in_the_open():
    found = wishes(trigger(score="0.2", confidence="0.2"))
    assert found.wanted == ()
    assert given_up(found) == [("conviction", Reason.BELOW_MIN_CONVICTION)]


def test_the_next_rule_may_be_surer():
    rules = [rule("first"), rule("second", {"any": ["momentum"]})]
    found = wishes(trigger(score="0.1", confidence="0.1"), trigger(kind=TriggerKind.MOMENTUM), rules=rules)
    assert [w.rule for w in found.wanted] == ["second"]
    assert given_up(found) == [("conviction", Reason.BELOW_MIN_CONVICTION)]


def test_a_product_is_proposed_once_by_the_first_rule_that_holds():
    assert [w.rule for w in wishes(trigger(), rules=[rule("first"), rule("second")]).wanted] == ["first"]


def test_products_come_in_the_order_of_their_best_trigger():
    found = wishes(trigger("ETH-USD", score="0.9"), trigger("BTC-USD", score="0.5"))
    assert [w.product for w in found.wanted] == [ETH, BTC]


def test_or_in_the_order_given_when_the_policy_says_so():
    found = wishes(trigger("ETH-USD"), trigger("BTC-USD"), triggers={"rank_by": "product"})
    assert [w.product for w in found.wanted] == [BTC, ETH]


def test_a_rule_only_speaks_for_its_tiers_and_regimes_and_when_enabled():
    assert wishes(trigger(), rules=[rule(tiers=[2])]).wanted == ()
    assert wishes(trigger(), rules=[rule(tiers=[1])]).wanted
    assert wishes(trigger(), rules=[rule(regimes=["bull"])]).wanted == ()
    assert wishes(trigger(), rules=[rule(regimes=["bull", "chop"])]).wanted
    assert wishes(trigger(), rules=[rule(enabled=False)]).wanted == ()


def test_nothing_fired_is_silence():
    assert wishes() == Wishes(())


@pytest.mark.parametrize(
    ("account", "reason"),
    [
        (state([position()]), Reason.ALREADY_HELD),
        (state([position(managed=False)]), Reason.ALREADY_HELD),
        (state(orders=[order()]), Reason.ALREADY_WORKING),
        (state(orders=[order("BTC-USDC", state=OrderState.UNKNOWN)]), Reason.ORDER_UNRESOLVED),
    ],
)
def test_one_position_and_one_entry_per_coin(account, reason):
    found = wishes(trigger(), account=account, rules=[rule("first"), rule("second")], exits={"trim_to_cap": False})
    assert found.wanted == ()
    assert given_up(found) == [("one_position", reason)], "said once, not once a rule"


def test_a_coin_held_in_another_currency_is_held():
    found = wishes(trigger(), account=state([position("BTC-EUR")]), exits={"trim_to_cap": False})
    assert given_up(found) == [("one_position", Reason.ALREADY_HELD)]


def test_dust_does_not_block_its_coin_for_ever():
    assert wishes(trigger(), account=state([position(amount="0.001")])).wanted


def test_a_rule_pauses_after_its_last_entry():
    pausing = [rule(cooldown_minutes=30)]
    recent = state(rule_last_entry={"dip": NOW - minutes("29.9")})
    assert given_up(wishes(trigger(), rules=pausing, account=recent)) == [("rule_cooldown", Reason.COOLDOWN)]
    over = state(rule_last_entry={"dip": NOW - minutes(30)})
    assert wishes(trigger(), rules=pausing, account=over).wanted
    assert wishes(trigger(), account=recent).wanted, "without a cooldown of its own it does not"


def test_a_crash_gives_up_every_wish_that_holds():
    assert given_up(wishes(trigger(), regime=Regime.CRASH)) == [("sizing", Reason.REGIME_CRASH)]


def test_a_market_without_a_quote_or_bars_is_not_looked_at():
    blind = [market(bid=None), market("ETH-USD", windows=None)]
    assert wishes(trigger(), trigger("ETH-USD"), views=blind) == Wishes(())


def test_exits_come_first():
    account = state([position("ETH-USD", at=200, stop_loss_pct=5)])
    first, second = wishes(trigger(), account=account).wanted
    assert first.exit_reason is ExitReason.STOP_LOSS
    assert isinstance(second, TradeProposal)
    assert second.product == BTC


def test_a_coin_that_is_being_left_is_not_entered_in_the_same_cycle():
    account = state([position(at=200, stop_loss_pct=5)])
    found = wishes(trigger(), account=account)
    assert [w.exit_reason for w in found.wanted] == [ExitReason.STOP_LOSS]
