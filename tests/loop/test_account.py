"""Money and coins the bot did not move: what was there before it, what people do, what comes and goes."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bot.domain.order import OrderState
from bot.domain.position import Origin
from bot.domain.product import Side, TradingMode
from bot.venue.orders import LimitGtc, MarketIoc, OrderRequest
from tests.loop.markets import RISE, calm, then
from tests.loop.stage import BTC, ETH, Stage, config_of, steady

OWNER = "owner"


def trade(stage: Stage, side: Side, size: str, client_order_id: str = "by-hand") -> None:
    """Somebody with the same account trades at the market."""
    stage.world.place(OrderRequest(client_order_id, BTC, side, MarketIoc(Decimal(size)), owner=OWNER))


def bid(stage: Stage, client_order_id: str) -> None:
    """Somebody with the same account leaves a buy order far below the market."""
    config = LimitGtc(Decimal("0.01"), Decimal(60000))
    stage.world.place(OrderRequest(client_order_id, BTC, Side.BUY, config, owner=OWNER))


def deposit(stage: Stage, currency: str, amount: str) -> None:
    stage.world.transfer(currency, Decimal(amount))


def test_coins_from_before_are_counted_and_never_sold():
    """A hundred dollars of ether rise into a target, fall through a stop: they are not the bot's to sell."""
    stage = Stage([*calm(10, 100)], opening={"USD": "10000", "ETH": "0.05", "BTC": "0.002"})
    stage.run_for(300)
    positions = stage.state.positions
    assert {name: position.managed for name, position in positions.items()} == {BTC: False, ETH: False}
    assert {lot.origin for position in positions.values() for lot in position.lots} == {Origin.ADOPTED}
    report, _, _ = stage.published
    assert Decimal(report["equity"]) > Decimal(10_000)
    assert stage.wire.placed == []
    stage.check()


def test_coins_whose_purchase_shows_in_the_fills_get_its_cost():
    stage = Stage([*calm(10, 400)])
    trade(stage, Side.BUY, "0.01")
    stage.idle(60)
    stage.cycle()
    (lot,) = stage.state.positions[BTC].lots
    assert lot.origin is Origin.REBUILT
    (fill,) = stage.world.venue.fills()
    assert lot.cost == fill.price * fill.size + fill.fee
    assert not stage.state.positions[BTC].managed
    assert stage.state.quarantined == {}
    stage.check()


def test_adopted_coins_are_the_bots_from_then_on():
    stage = Stage([*calm(10, 4000)], config_of({"max_hold_minutes": 10}), {"USD": "10000", "BTC": "0.002"})
    stage.cycle()
    answer = stage.inbox.drop("adopt", BTC)
    stage.cycle()
    assert "managed by the bot" in stage.inbox.answers[answer]
    assert stage.state.positions[BTC].managed


def test_a_foreign_trade_quarantines_its_product_and_nothing_else():
    """Somebody buys by hand: the coins are booked, the product waits, other money goes on."""
    stage = Stage([*RISE, *steady(62, 900, "65500", 20)])
    stage.cycle()
    trade(stage, Side.BUY, "0.004")
    stage.run_for(200)
    assert BTC in stage.state.quarantined
    assert stage.wire.placed == []
    assert stage.state.positions[BTC].size.value == stage.held("BTC") == Decimal("0.004")
    assert not stage.state.positions[BTC].managed
    assert f"quarantine.{BTC}" in stage.alerts()
    assert stage.state.realised_total == 0
    stage.check()


@pytest.mark.parametrize(("verb", "managed"), [("adopt", True), ("ignore", False)])
def test_a_quarantine_ends_by_an_operators_word(verb, managed):
    stage = Stage([*RISE, *steady(62, 900, "65500", 20)])
    stage.cycle()
    trade(stage, Side.BUY, "0.004")
    stage.cycle()
    assert BTC in stage.state.quarantined
    answer = stage.inbox.drop(verb, BTC)
    stage.cycle()
    assert "refused" not in stage.inbox.answers[answer]
    assert stage.state.quarantined == {}
    assert stage.state.positions[BTC].managed is managed
    stage.check()


def test_a_command_is_carried_out_once_though_it_is_dropped_twice():
    stage = Stage([*calm(10, 400)])
    stage.cycle()
    stage.inbox.drop("flag", BTC, "team_rug")
    (command,) = stage.inbox.waiting
    stage.cycle()
    stage.inbox.waiting.append(command)
    stage.cycle()
    assert stage.inbox.answers[command.id] == "already applied"
    assert len(stage.events("ban.began")) == 1


def test_a_flagged_product_is_sold_and_not_entered_again():
    """A red flag bans entries and never exits."""
    stage = Stage(then(*calm(90, 600)))
    stage.run_until(lambda: stage.working(Side.SELL), 200)
    stage.inbox.drop("flag", BTC, "recent_exploit")
    stage.run_for(300)
    assert BTC in stage.state.bans
    assert stage.held("BTC") == 0
    assert stage.working() == []
    stage.check()


def test_a_persons_order_is_counted_and_never_touched():
    stage = Stage([*calm(10, 400)])
    stage.cycle()
    bid(stage, "by-hand")
    stage.run_for(70)
    assert len(stage.state.foreign_orders) == 1
    assert stage.published[0]["external_orders"] == 1
    stage.throw_the_switch()
    stage.run_for(60)
    assert [order.client_order_id for order in stage.working()] == ["by-hand"], "not even by the kill switch"


def test_foreign_orders_are_counted_after_an_order_of_ours_was_refused():
    """A refused order has no id at the venue, and neither has the parent of most others: that makes no kinship."""
    stage = Stage([*RISE, *steady(62, 900, "65500", 20)])
    stage.idle(62)
    stage.wire.before_place = lambda _o: stage.world.set_mode(BTC, TradingMode.CANCEL_ONLY)
    stage.cycle()
    assert stage.orders(OrderState.REJECTED)
    stage.world.set_mode(BTC, TradingMode.NORMAL)
    stage.wire.before_place = lambda _o: None
    bid(stage, "by-hand")
    stage.cycle()
    assert len(stage.state.foreign_orders) == 1


def test_an_order_of_another_instance_halts_until_an_operator_says_otherwise():
    """Our prefix, not in our journal: whoever placed it trades this account as well."""
    stage = Stage([*RISE, *steady(62, 300, "65500", 10)])
    stage.run_until(lambda: stage.working(Side.BUY), 120)
    ours = stage.orders()[0].client_order_id
    strange = f"{ours[:14]}4fff-8fff-ffffffffffff"
    bid(stage, strange)
    stage.run_for(70)
    assert stage.last.outcome == "HALTED"
    assert stage.alerts()["halt.foreign_instance"] == "CRITICAL"
    assert stage.wire.placed[1:] == []
    assert stage.orders()[0].state is OrderState.CANCELED, "our own entries are taken back"
    stage.boot()
    assert stage.cycle().outcome == "HALTED", "a restart forgets nothing"


def test_missing_books_while_the_venue_shows_orders_with_our_prefix_start_halted():
    stage = Stage([*RISE, *steady(62, 300, "65500", 10)])
    stage.run_until(lambda: stage.working(Side.BUY), 120)
    stage.disk.days.clear()
    stage.disk.snapshots.clear()
    stage.boot()
    assert stage.cycle().outcome == "HALTED"
    assert stage.alerts()["halt.foreign_instance"] == "CRITICAL"


@pytest.mark.parametrize("amount", ["90000", "-9700"])
def test_a_deposit_or_withdrawal_moves_neither_profit_nor_drawdown(amount):
    stage = Stage([*calm(10, 2000)])
    stage.run_for(60)
    deposit(stage, "USD", amount)
    stage.run_for(61)
    assert stage.state.ledgers["USD"].pending == Decimal(amount)
    assert stage.last.reason == "reconcile_pending"
    stage.run_for(300)
    assert [row["amount"] for row in stage.events("transfer.recognised")] == [amount]
    report, _, _ = stage.published
    assert Decimal(report["equity"]) == Decimal(10_000) + Decimal(amount)
    assert (report["daily_pnl_pct"], report["drawdown_pct"]) == ("0", "0")
    assert stage.state.latches == {}
    assert stage.last.reason != "reconcile_pending"
    stage.check()


def test_a_drawdown_stays_the_same_over_a_deposit():
    """4 % down, then ten times the money: still 4 % down, not 0.4 %."""
    stage = Stage([*calm(10, 3000)])
    stage.run_for(60)
    deposit(stage, "USD", "-400")
    stage.run_for(400)
    before = stage.published[0]["drawdown_pct"]
    deposit(stage, "USD", "90000")
    stage.run_for(400)
    assert stage.published[0]["drawdown_pct"] == before
    assert stage.state.peak_equity == Decimal(99_600)


def test_an_unexplained_difference_keeps_entries_out_and_restates_nothing():
    stage = Stage([*RISE, *steady(62, 300, "65500", 20)])
    stage.cycle()
    stage.wire.wallets["USD"] = Decimal("-30")
    stage.run_for(60)
    assert stage.wire.placed == []
    assert stage.last.outcome == "EXIT_ONLY"
    assert stage.last.reason == "reconcile_pending"
    assert stage.events("transfer.recognised") == []
    assert stage.published[0]["ledger_residual"]["USD"] == "-30"
    stage.wire.wallets.clear()
    stage.run_until(lambda: stage.wire.placed, 120)
    stage.check()


def test_a_base_coin_nobody_explains_quarantines_its_product():
    stage = Stage([*calm(10, 2000)])
    stage.run_for(60)
    deposit(stage, "BTC", "0.01")
    stage.run_for(500)
    assert BTC in stage.state.quarantined
    assert len(stage.events("transfer.recognised")) == 1
    assert stage.state.realised_total == 0


def test_wallets_that_all_read_zero_are_refused():
    """Twenty minutes of zeros: nothing is closed, nothing tripped, nothing bought."""
    stage = Stage(then(*calm(90, 4000)))
    stage.run_until(lambda: BTC in stage.state.positions, 200)
    stage.wire.empty_wallets = True
    before = stage.state.positions
    stage.run_for(1200)
    assert {cycle.outcome for cycle in stage.cycles[-15:]} == {"NO_TRADE"}
    assert stage.last.reason == "data_unavailable"
    assert stage.state.positions == before
    assert not [name for name in stage.state.latches if "stop" in name]
    assert stage.published[1] is False, "not ready"
    stage.wire.empty_wallets = False
    stage.run_until(lambda: stage.last.reason not in {"data_unavailable", "circuit_breaker"}, 900)
    stage.check()


def test_a_holding_without_a_price_makes_equity_unknown_and_nothing_is_sized():
    stage = Stage([*RISE, *steady(62, 900, "65500", 20)], opening={"USD": "10000", "ETH": "0.05"})
    stage.world.conditions.feed.empty.add("ETH-USD")
    stage.run_for(120)
    assert stage.wire.placed == []
    assert stage.last.reason == "nlv_unknown"
    stage.world.conditions.feed.empty.clear()
    stage.run_until(lambda: stage.wire.placed, 120)
    assert stage.state.positions[ETH].lots[0].origin is Origin.ADOPTED
    assert not stage.state.positions[ETH].managed
