"""Money: holds, fees, tiers, transfers; every wallet explained to the last digit."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.money import Percent
from bot.domain.product import ProductId
from bot.domain.value import replace
from bot.errors import UnitError
from bot.settings.policy import FillModelPolicy
from bot.venue.account import Account
from bot.venue.fees import LADDER, FeeSchedule, Tier, VolumeMeter
from bot.venue.orders import DOWN, LimitGtc, MarketIoc, StopLimit
from bot.venue.rules import FillRules
from tests.venue.kit import BUY, SECOND, SELL, START, World, bars, book, d, product, ticks


def test_a_limit_buy_holds_price_times_size_and_the_takers_fee() -> None:
    world = World(ticks())
    world.tick("100")
    taker = world.placed(BUY, LimitGtc(d("2"), d("99")))
    assert world.order(taker).hold == d("2") * d("99") * d("1.009")
    maker = world.placed(BUY, LimitGtc(d("2"), d("99"), True))
    assert world.order(maker).hold == d("2") * d("99") * d("1.005")
    assert world.wallet("USD")[1] == world.order(taker).hold + world.order(maker).hold


def test_a_sell_holds_base_and_a_quote_sized_buy_its_amount() -> None:
    world = World(bars())
    world.flat("100")
    world.placed(SELL, StopLimit(d("2"), d("90"), d("95"), DOWN))
    assert world.wallet("BTC") == (d("8"), d("2"))
    world.placed(BUY, MarketIoc(quote_size=d("250")))
    assert world.wallet("USD") == (d("9750"), d("250"))


def test_a_fill_better_than_the_limit_frees_the_difference() -> None:
    world = World(bars())
    world.flat("100")
    order = world.placed(BUY, LimitGtc(d("2"), d("110")))
    world.flat("105")
    assert world.wallet("USD") == (d("10000") - d("210") * d("1.009"), d("0"))
    assert world.order(order).total_value_after_fees == d("210") * d("1.009")


def test_a_partly_filled_buy_holds_exactly_what_the_rest_can_cost() -> None:
    world = World(bars(participation_pct=Percent(d("10"))))
    world.flat("100")
    order = world.placed(BUY, LimitGtc(d("3"), d("99"), True))
    world.bar("100", "100", "98", "98", volume="10")
    assert world.order(order).hold == d("2") * d("99") * d("1.005")
    assert world.order(order).leaves == d("2")
    world.venue.cancel([order], world.now)
    assert world.wallet("USD") == (d("10000") - d("99") * d("1.005"), d("0"))


def test_fees_are_price_times_size_times_rate_and_never_rounded() -> None:
    world = World(ticks(protect=False))
    world.tick("100", depth=book([("99.97", "0.333")], [("100.03", "0.777")]))
    buy, sell = world.placed(BUY, MarketIoc(d("0.777"))), world.placed(SELL, MarketIoc(d("0.333")))
    assert world.order(buy).fees == Decimal("100.03") * Decimal("0.777") * Decimal("0.009")
    assert world.order(sell).fees == Decimal("99.97") * Decimal("0.333") * Decimal("0.009")
    assert world.venue.residuals() == {"BTC": 0, "USD": 0}


def test_a_quote_sized_sell_brings_its_amount_and_frees_the_rest_of_the_base() -> None:
    world = World(ticks())
    world.tick("100", depth=book([("102", "9")], [("103", "9")]))
    order = world.placed(SELL, LimitGtc(None, d("101"), quote_size=d("204")))
    record = world.order(order)
    assert (record.status.value, record.filled_size, record.filled_value) == ("FILLED", d("2"), d("204"))
    assert record.size_in_quote
    assert not record.size_inclusive_of_fees
    assert world.wallet("BTC") == (d("8"), d("0"))


def test_a_partly_filled_quote_sized_sell_holds_only_what_the_rest_needs_at_its_limit() -> None:
    world = World(ticks())
    world.tick("100", depth=book([("105", "1")], [("106", "9")]))
    order = world.placed(SELL, LimitGtc(None, d("100"), quote_size=d("210")))
    assert world.wallet("BTC") == (d("7.95"), d("1.05"))
    assert world.order(order).leaves == d("105")


@pytest.mark.parametrize(
    ("volume", "maker", "taker"),
    [("0", "0.005", "0.009"), ("9999.99", "0.005", "0.009"), ("10000", "0.0025", "0.004"), ("5e8", "0", "0.0004")],
)
def test_the_tier_follows_the_trailing_volume(volume, maker, taker) -> None:
    tier = FeeSchedule().tier(d(volume))
    assert (tier.maker, tier.taker) == (d(maker), d(taker))


def test_a_cheap_entry_rate_is_never_undercut_upwards() -> None:
    schedule = FeeSchedule.entering_at(Percent(d("0.09")), Percent(d("0.10")))
    assert [tier.taker for tier in schedule.tiers] == sorted((tier.taker for tier in schedule.tiers), reverse=True)
    assert schedule.tier(d("0")).taker == d("0.001")


@pytest.mark.parametrize("tiers", [(), (LADDER[1],), (LADDER[0], LADDER[2], LADDER[1]), (LADDER[0], LADDER[0])])
def test_a_ladder_that_does_not_start_at_zero_and_ascend_is_refused(tiers) -> None:
    with pytest.raises(UnitError):
        FeeSchedule(tiers)


def test_volume_counts_from_the_next_full_hour_for_thirty_days() -> None:
    meter = VolumeMeter()
    meter.add(START + timedelta(minutes=10), d("100"))
    assert meter.total(START + timedelta(minutes=59)) == 0
    assert meter.total(START + timedelta(hours=1)) == d("100")
    assert meter.total(START + timedelta(days=30)) == d("100")
    assert meter.total(START + timedelta(days=30, hours=1)) == 0


def test_an_order_pays_the_tier_in_force_when_it_was_placed() -> None:
    fees = FeeSchedule((Tier("A", d("0"), d("0.005"), d("0.009")), Tier("B", d("100"), d("0.001"), d("0.002"))))
    world = World(ticks(fees=fees))
    world.tick("100")
    old = world.placed(BUY, LimitGtc(d("1"), d("99"), True))
    world.placed(BUY, MarketIoc(d("5")))
    world.venue.advance(world.now + timedelta(hours=1), {})
    assert world.venue.fee_tier().name == "B"
    new = world.placed(BUY, LimitGtc(d("1"), d("99"), True))
    world.tick("98")
    assert [world.order(each).fees for each in (old, new)] == [d("99") * d("0.005"), d("99") * d("0.001")]


def test_volume_in_another_quote_currency_counts_at_its_dollar_price_when_there_is_one() -> None:
    fees = FeeSchedule((Tier("A", d("0"), d("0"), d("0")), Tier("B", d("500"), d("0"), d("0"))))
    market = ProductId("ETH-BTC")
    listed = [product(), replace(product("ETH-BTC"), quote_min=d("0.01"))]
    for priced, tier in ((True, "B"), (False, "A")):
        world = World(ticks(fees=fees), listed, BTC="10")
        if priced:
            world.tick("1000")
        world.tick("0.50", market=market)
        world.placed(BUY, MarketIoc(d("1")), product=market)
        world.venue.advance(world.now + timedelta(hours=1), {})
        assert world.venue.fee_tier().name == tier


def test_deposits_and_withdrawals_move_the_wallet_and_stay_explained() -> None:
    world = World(ticks(), USD="100")
    world.venue.transfer("EUR", d("50"), world.now)
    world.venue.transfer("USD", d("-40"), world.now)
    assert (world.wallet("EUR"), world.wallet("USD")) == ((d("50"), d("0")), (d("60"), d("0")))
    assert set(world.venue.residuals().values()) == {0}
    with pytest.raises(UnitError):
        world.venue.transfer("USD", d("-60.01"), world.now)


def test_an_account_never_holds_or_opens_with_money_it_does_not_have() -> None:
    with pytest.raises(UnitError):
        Account({"USD": d("-1")})
    account = Account({"USD": d("10")})
    with pytest.raises(UnitError):
        account.reserve("USD", d("10.01"))
    account.reserve("USD", d("10"))
    with pytest.raises(UnitError):
        account.release("USD", d("10.01"))


def test_the_policys_fill_model_becomes_rules_for_bars_and_for_ticks() -> None:
    policy = FillModelPolicy(fill_model="touch", latency_bars=3, fees="fixed", maker_pct=Percent(d("0.1")))
    for_bars = FillRules.for_bars(policy)
    assert (for_bars.model, for_bars.latency_bars, for_bars.by_bars) == ("touch", 3, True)
    assert (for_bars.fees.tier(d("1e9")).maker, for_bars.fees.tier(d("0")).taker) == (d("0.001"), d("0.009"))
    for_ticks = FillRules.for_ticks(FillModelPolicy(), 2 * SECOND)
    assert (for_ticks.by_bars, for_ticks.latency, for_ticks.pessimistic) == (False, 2 * SECOND, True)
    assert for_ticks.fees.tier(d("10000")).taker == d("0.004")


@given(st.sampled_from(["-0.01", "100.01"]))
def test_a_share_of_the_volume_is_between_nothing_and_all_of_it(text: str) -> None:
    with pytest.raises(UnitError):
        bars(participation_pct=Percent(d(text)))


def test_quote_and_book_show_the_market_under_the_id_asked_for() -> None:
    listed = [product(), product("BTC-USDC", alias="BTC-USD")]
    world = World(ticks(half_spread_bps=d("10")), listed, USD="1")
    alias = ProductId("BTC-USDC")
    assert world.venue.quote(alias) is None
    world.tick("100")
    quote, shown = world.venue.quote(alias), world.venue.book(alias, 2)
    assert quote is not None
    assert shown is not None
    assert (quote.product, quote.bid.value, quote.ask.value) == (alias, d("99.90"), d("100.10"))
    assert [level.price.value for level in shown.asks] == [d("100.10"), d("100.21")]
    assert quote.bid_size == shown.bids[0].size
    assert quote.at == world.now
