"""What may be sold: never more than books and venue both show, never what is already on offer."""

from __future__ import annotations

import pytest

from bot.domain.holdings import is_dust, sellable, view_of, working_entry
from bot.domain.order import OrderKind, OrderState
from bot.domain.product import Side
from tests.builders import balance, market, order, pid, position, report, size, snapshot, state


def test_all_of_a_free_position_may_be_sold():
    held = position(amount=2)
    assert sellable(snapshot([market()], account=state([held])), held) == size(2)


@pytest.mark.parametrize("status", [OrderState.NEW, OrderState.SUBMITTED, OrderState.OPEN, OrderState.UNKNOWN])
def test_what_our_exit_already_offers_is_not_offered_twice(status):
    held = position(amount=2)
    working = order(side=Side.SELL, amount="0.5", state=status)
    assert sellable(snapshot([market()], account=state([held], [working])), held) == size("1.5")


def test_a_finished_sell_claims_nothing():
    held = position(amount=2)
    done = order(side=Side.SELL, amount="0.5", state=OrderState.CANCELED)
    assert sellable(snapshot([market()], account=state([held], [done])), held) == size(2)


def test_our_protective_order_does_not_hinder_our_exit():
    held = position(amount=2)
    stop = order(side=Side.SELL, amount=2, kind=OrderKind.PROTECTIVE)
    snap = snapshot([market()], account=state([held], [stop]), balances=[balance("BTC", 0, 2)])
    assert sellable(snap, held) == size(2)


def test_a_sell_of_somebody_else_is_left_alone():
    held = position(amount=2)
    snap = snapshot([market()], account=state([held]), external_orders=(report(side=Side.SELL, amount="1.5"),))
    assert sellable(snap, held) == size("0.5")


def test_a_hidden_sell_shows_in_the_hold():
    held = position(amount=2)
    snap = snapshot([market()], account=state([held]), balances=[balance("BTC", "0.75", "1.25")])
    assert sellable(snap, held) == size("0.75")


def test_a_foreign_sell_of_unknown_size_claims_everything():
    held = position(amount=2)
    snap = snapshot([market()], account=state([held]), external_orders=(report(side=Side.SELL, amount=None),))
    assert sellable(snap, held).is_zero


def test_coins_that_left_the_account_cannot_be_sold():
    held = position(amount=2)
    assert sellable(snapshot([market()], account=state([held]), balances=[balance("BTC", "0.3")]), held) == size("0.3")


def test_coins_the_books_do_not_know_are_not_sold():
    held = position(amount=2)
    assert sellable(snapshot([market()], account=state([held]), balances=[balance("BTC", 9)]), held) == size(2)


def test_our_own_offer_is_taken_off_our_own_coins_however_many_others_lie_beside_them():
    account = state([position(amount=2)], [order(side=Side.SELL, amount="0.5")])
    snap = snapshot([market()], account=account, balances=[balance("BTC", 9)])
    assert sellable(snap, position(amount=2)) == size("1.5")


def test_a_wallet_that_is_missing_sells_nothing():
    held = position(amount=2)
    assert sellable(snapshot([market()]), held).is_zero


def test_an_alias_is_found_under_both_its_names():
    view = market("BTC-USD", listing="BTC-USDC")
    snap = snapshot([view])
    assert view_of(snap, pid("BTC-USD")) is view
    assert view_of(snap, pid("BTC-USDC")) is view
    assert view_of(snap, pid("ETH-USD")) is None


def test_dust_is_what_the_venue_would_not_take():
    snap = snapshot([market(quote_min=1)])
    assert is_dust(snap, position(amount="0.009"))
    assert not is_dust(snap, position(amount="0.011"))
    assert not is_dust(snapshot([market(bid=None)]), position(amount="0.009")), "without a price nothing is dust"


def test_an_unknown_buy_is_a_working_entry_of_its_coin_under_any_listing():
    unknown = order("BTC-USDC", state=OrderState.UNKNOWN)
    assert working_entry([unknown], "BTC") is unknown
    assert working_entry([unknown], "ETH") is None
    assert working_entry([order(state=OrderState.FILLED)], "BTC") is None
