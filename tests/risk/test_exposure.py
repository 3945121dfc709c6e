"""Worst-case exposure counts everything that is or may become ours, each coin once."""

from __future__ import annotations

import pytest

from bot.domain.order import OrderState, OrderType, VenueStatus
from bot.domain.product import Side
from bot.risk.exposure import exposure
from tests.builders import (
    NOW,
    balance,
    d,
    intent,
    market,
    minutes,
    order,
    pid,
    position,
    price,
    report,
    size,
    snapshot,
    state,
)

FEE = d("0.01")
WORKING = [s for s in OrderState if s.is_working]


def book(account=None, fee=FEE, **changes):
    return exposure(snapshot([market(), market("ETH-USD", bid=10)], account=account, **changes), fee)


def test_what_is_held_counts_at_the_bid():
    assert book(state([position(amount=3)])).assets == {"BTC": d(300)}


def test_coins_on_the_account_count_even_when_the_books_do_not_know_them():
    assert book(balances=[balance("BTC", 1, 2)]).asset("BTC") == d(300)


def test_books_count_even_when_the_account_does_not_show_them_yet():
    held = state([position(amount=3)])
    assert book(held, balances=[balance("BTC", 1)]).asset("BTC") == d(300)


@pytest.mark.parametrize("status", WORKING)
def test_a_buy_that_may_still_fill_counts_at_its_limit_with_its_fee(status):
    seen = book(state(orders=[order(amount=2, limit=90, state=status)]))
    assert seen.asset("BTC") == d("181.8")
    assert seen.working == {"BTC": status}
    assert "BTC" in seen.positions


def test_the_filled_part_of_a_buy_counts_once():
    half = order(amount=2, limit=90, state=OrderState.PARTIAL, filled=size(1), booked=size(1))
    assert book(state([position(amount=1)], [half])).asset("BTC") == d("190.9")


def test_a_fill_the_books_have_not_booked_yet_is_not_lost():
    filled = order(amount=2, state=OrderState.FILLED, filled=size(2), booked=size("0.5"))
    held = state([position(amount="0.5")], [filled])
    assert book(held, balances=[balance("BTC", "0.5")]).asset("BTC") == d(200)


def test_a_finished_buy_counts_no_more():
    assert book(state(orders=[order(state=OrderState.CANCELED)])).total == 0


def test_a_market_buy_of_ours_counts_at_its_intents_worst_price():
    naked = order(limit=None, type=OrderType.MARKET)
    assert book(state(orders=[naked], intents=[intent(limit=120)])).asset("BTC") == d("121.2")
    assert book(state(orders=[naked])).asset("BTC") == d(101), "without its intent at what was expected"


@pytest.mark.parametrize(
    ("other", "worth"),
    [
        (report(amount=2, limit=80), "161.6"),
        (report(amount=2, limit=80, filled=size(1)), "80.8"),
        (report(amount=None, limit=None, quote_size=d(50)), "50.5"),
        (report(amount=None, limit=None, quote_size=d(50), filled_value=d(20)), "30.3"),
        (report(amount=1, limit=None, stop_price=price(110)), "111.1"),
        (report(amount=1, limit=None, hold=d(70)), "70"),
    ],
)
def test_a_buy_of_somebody_else_counts_at_its_worst(other, worth):
    seen = book(external_orders=(other,))
    assert seen.asset("BTC") == d(worth)
    assert seen.positions == frozenset(), "it takes none of our places"


def test_a_foreign_buy_that_cannot_be_valued_makes_the_whole_unknown():
    assert book(external_orders=(report(amount=1, limit=None),)).unknown


def test_foreign_sells_and_finished_orders_are_no_exposure():
    gone = report(status=VenueStatus.CANCELLED)
    assert book(external_orders=(report(side=Side.SELL), gone)).total == 0


def test_an_alias_pair_is_one_coin():
    usdc = order("BTC-USDC", amount=1, limit=100, cid="b")
    seen = book(state([position(amount=1)], [usdc]), balances=[balance("USDC", 500)])
    assert seen.assets == {"BTC": d(201)}


def test_a_quote_currency_without_a_value_makes_the_whole_unknown():
    assert book(state(orders=[order("BTC-EUR")])).unknown == ("no value of EUR is known",)


def test_cash_is_no_exposure():
    assert book(balances=[balance("USDC", 500)]).total == 0


def test_a_holding_without_a_price_makes_the_whole_unknown_and_a_coin_without_a_market_does_not():
    unpriced = exposure(snapshot([market(bid=None)], balances=[balance("BTC", 1)]), FEE)
    assert unpriced.unknown == ("1 BTC held without a price",)
    assert exposure(snapshot([market()], balances=[balance("AIRDROP", 1)]), FEE).unknown == ()
    booked = state([position("OLD-USD")])
    assert exposure(snapshot([market()], account=booked), FEE).unknown == ("1 OLD held without a price",)


def test_rules_answer_for_their_positions_and_their_open_buys():
    held = position(amount=1, rule="dip")
    account = state([held], [order("ETH-USD", amount=10, limit=9)], [intent(1, "ETH-USD", rule="dip")])
    assert book(account).rule("dip") == d("190.9")


def test_dust_and_unmanaged_coins_take_no_place():
    account = state([position(amount="0.001"), position("ETH-USD", amount=50, managed=False)])
    assert book(account).positions == frozenset()
    assert book(account).asset("ETH") == d(500), "but they count"


@pytest.mark.parametrize("status", WORKING)
def test_money_the_venue_does_not_hold_yet_is_promised(status):
    promised = book(state(orders=[order(amount=2, limit=90, state=status)])).promised
    expected = {"USD": d("181.8")} if status in (OrderState.NEW, OrderState.SUBMITTED, OrderState.UNKNOWN) else {}
    assert promised == expected


def test_money_of_an_order_younger_than_the_balances_is_promised_too():
    young = order(amount=2, limit=90, created_at=NOW + minutes(1))
    assert book(state(orders=[young])).promised == {"USD": d("181.8")}


def test_an_approved_buy_counts_for_the_rest_of_the_cycle():
    after = book().with_buy("BTC", "dip", d(101), "USD", d(101))
    assert (after.asset("BTC"), after.total, after.rule("dip")) == (d(101), d(101), d(101))
    assert after.promised == {"USD": d(101)}
    assert after.entries_approved == 1
    assert after.group(["BTC", "BTC", "ETH"]) == d(101)
    assert pid("BTC-USD").base in after.positions
