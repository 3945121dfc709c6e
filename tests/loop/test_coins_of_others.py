"""Coins of the same market that are not the bot's: they count, they quarantine, and they are never sold by it."""

from __future__ import annotations

from decimal import Decimal

from bot.domain.position import Origin
from bot.domain.product import Side
from bot.domain.state import State
from bot.venue.orders import MarketIoc, OrderRequest
from tests.loop.markets import RISE, calm, slide, then
from tests.loop.stage import BTC, Stage, config_of, down, steady, up

BY_HAND = Decimal("0.004")


def by_hand(stage: Stage, side: Side, size: Decimal = BY_HAND) -> None:
    """Somebody with the same account trades at the market."""
    stage.world.place(OrderRequest(f"by-hand-{side.value}", BTC, side, MarketIoc(size), owner="owner"))


def protected(stage: Stage) -> Stage:
    """Up to the moment at which the bot holds its coins and their stop rests at the venue."""
    stage.run_until(lambda: stage.working(Side.SELL), 200)
    return stage


def offered(stage: Stage) -> Decimal:
    return sum((order.terms.base_size or Decimal(0) for order in stage.working(Side.SELL)), Decimal(0))


def beside(state: State) -> Decimal:
    return sum((lot.size.value for lot in state.positions[BTC].others), Decimal(0))


def test_dust_of_somebody_else_does_not_swallow_what_the_bot_buys():
    stage = Stage(then(*calm(90, 900)), opening={"USD": "10000", "BTC": "0.00000100"})
    stage.run_until(lambda: stage.held("BTC") > Decimal("0.001"), 200)
    stage.run_for(5)
    position = stage.state.positions[BTC]
    assert position.managed
    assert {lot.origin for lot in position.lots} == {Origin.BOUGHT}
    assert offered(stage) == position.size.value
    stage.check()


def test_a_foreign_purchase_is_not_sold_by_our_stop():
    stage = protected(Stage(then(*calm(90, 600), *slide(600, ["62000"], 300))))
    ours = stage.held("BTC")
    by_hand(stage, Side.BUY)
    stage.run_for(70)
    assert offered(stage) == ours
    assert (stage.state.positions[BTC].size.value, beside(stage.state)) == (ours, BY_HAND)
    assert BTC in stage.state.quarantined
    stage.check()
    stage.run_for(700)
    assert stage.held("BTC") == BY_HAND
    assert not stage.state.positions[BTC].managed
    stage.check()


def test_a_foreign_purchase_is_not_sold_by_an_exit_of_the_bot():
    config = config_of({"max_hold_minutes": 10}, exits={"resting_on_exchange": False})
    stage = Stage(then(*calm(90, 1500)), config)
    stage.run_until(lambda: stage.held("BTC"), 200)
    by_hand(stage, Side.BUY)
    stage.run_for(900)
    assert stage.held("BTC") == BY_HAND
    assert not stage.state.positions[BTC].managed
    stage.check()


def test_ignoring_a_foreign_purchase_keeps_our_stop_and_lets_the_product_trade():
    stage = protected(Stage(then(*calm(90, 900))))
    ours = offered(stage)
    by_hand(stage, Side.BUY)
    stage.run_for(70)
    stage.inbox.drop("ignore", BTC)
    stage.run_for(130)
    assert offered(stage) == ours
    assert stage.state.quarantined == {}
    assert stage.state.positions[BTC].managed
    stage.check()


def test_adopting_a_foreign_purchase_makes_all_of_it_the_bots():
    stage = protected(Stage(then(*calm(90, 900))))
    by_hand(stage, Side.BUY)
    stage.run_for(70)
    stage.inbox.drop("adopt", BTC)
    stage.run_for(130)
    assert offered(stage) == stage.state.positions[BTC].size.value == stage.held("BTC")
    assert beside(stage.state) == 0
    stage.check()


def test_a_foreign_sale_takes_the_coins_of_others_first():
    stage = protected(Stage(then(*calm(90, 900))))
    ours = stage.held("BTC")
    by_hand(stage, Side.BUY)
    stage.run_for(70)
    by_hand(stage, Side.SELL)
    stage.run_for(70)
    assert stage.state.positions[BTC].size.value == offered(stage) == ours == stage.held("BTC")
    assert beside(stage.state) == 0
    stage.check()


def test_coins_of_others_count_towards_the_cap():
    """Two thousand dollars of bitcoin bought by hand leave no room under a cap of ten percent."""
    config = config_of(risk={"max_per_asset_pct": 10})
    stage = Stage([*calm(10, 30), *RISE, *steady(62, 900, "65500", 20)], config)
    stage.cycle()
    by_hand(stage, Side.BUY, Decimal("0.03"))
    stage.cycle()
    stage.inbox.drop("ignore", BTC)
    stage.run_for(300)
    assert stage.wire.placed == []
    reasons = {row.get("reason") for made in stage.events("decision.made") for row in made["verdicts"]}
    assert "per_asset_cap" in reasons


def test_coins_withdrawn_leave_the_books_and_no_profit_or_loss():
    stage = protected(Stage(then(*calm(90, 3000))))
    stage.loop.stop("a drill")
    for order in stage.working():
        stage.world.cancel([order.order_id])
    stage.world.transfer("BTC", -stage.held("BTC"))
    stage.boot()
    before = stage.state.realised_total
    stage.run_for(600)
    assert BTC not in stage.state.positions
    assert stage.state.realised_total == before
    assert abs(Decimal(stage.published[0]["daily_pnl_pct"])) < Decimal("0.05")
    assert stage.working() == []
    stage.check()


def test_deposited_coins_lie_beside_ours_until_somebody_adopts_them():
    stage = protected(Stage(then(*calm(90, 3000)), config_of(exits={"resting_on_exchange": True})))
    ours = offered(stage)
    stage.world.transfer("BTC", Decimal("0.05"))
    stage.run_for(100)
    assert stage.last.reason == "reconcile_pending", "nothing is entered while coins are not explained"
    stage.run_for(400)
    assert offered(stage) == stage.state.positions[BTC].size.value == ours
    assert beside(stage.state) == Decimal("0.05")
    assert BTC in stage.state.quarantined
    assert stage.last.reason != "reconcile_pending", "a stop that rests explains no coins that came"
    stage.check()


def test_money_that_comes_while_a_stop_rests_is_recognised():
    stage = protected(Stage(then(*calm(90, 3000))))
    stage.world.transfer("USD", Decimal(5000))
    stage.run_for(400)
    assert [Decimal(row["amount"]) for row in stage.events("transfer.recognised")] == [Decimal(5000)]
    assert stage.last.reason != "reconcile_pending"
    stage.check()


def test_deposited_coins_sold_by_hand_leave_our_position_alone():
    stage = protected(Stage(then(*calm(90, 3000))))
    ours, peak = stage.held("BTC"), stage.state.peak_equity
    stage.world.transfer("BTC", Decimal("0.05"))
    stage.run_for(100)
    by_hand(stage, Side.SELL, Decimal("0.05"))
    stage.run_for(130)
    assert stage.held("BTC") == ours == stage.state.positions[BTC].size.value == offered(stage)
    assert stage.state.positions[BTC].managed
    assert stage.state.realised_total == 0, "the worth of coins that came from outside is no profit"
    assert peak is not None
    assert stage.state.peak_equity is not None
    assert stage.state.peak_equity - peak > 3000, "and no distance to the drawdown stop either"
    stage.check()


def test_coins_that_came_and_were_sold_at_once_do_not_swallow_what_the_bot_buys():
    """Deposited and sold between two looks: the books know neither, and our own purchase later is whole."""
    rise = [up(330), *steady(331, 362, "65500", 5), down(390, "65300")]
    stage = Stage([*calm(10, 330, "65000"), *rise, *calm(400, 900)])
    stage.cycle()
    stage.world.transfer("BTC", BY_HAND)
    by_hand(stage, Side.SELL)
    stage.run_for(250)
    assert [Decimal(row["amount"]) for row in stage.events("transfer.recognised")] == [BY_HAND]
    stage.inbox.drop("ignore", BTC)
    stage.run_until(lambda: stage.held("BTC") > 0, 400)
    stage.run_for(5)
    assert stage.state.positions[BTC].size.value == stage.held("BTC")
    stage.check()
