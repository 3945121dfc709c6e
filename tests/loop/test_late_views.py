"""An account that is shown late and piece by piece: fills after balances, balances after fills, a bot that was away."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from bot.domain.money import Price, Size
from bot.domain.order import Fill, Liquidity, OrderKind, OrderState
from bot.domain.product import Side
from bot.domain.snapshot import Balance
from bot.errors import Transient
from bot.settings.config import Config
from bot.venue.orders import MarketIoc, OrderRequest
from simulator.markets.script import Step
from simulator.server import START
from tests.loop.markets import RISE, calm, slide, then
from tests.loop.seams import Wire
from tests.loop.stage import BTC, Stage, config_of, down
from tests.loop.test_latches import MIDNIGHT


class Lagging(Wire):
    """hide_fills: so many next reads of fills show none. old: what every read of the wallets shows.

    late: a fill shown from now on.
    """

    hide_fills = 0
    old: Sequence[Balance] | None = None
    late: Fill | None = None

    def fills_since(self, since: datetime) -> Sequence[Fill]:
        if self.hide_fills:
            self.hide_fills -= 1
            return ()
        return [*super().fills_since(since), *([self.late] if self.late is not None else [])]

    def balances(self) -> Sequence[Balance]:
        return self.old if self.old is not None else super().balances()


def lagging(steps: Sequence[Step], config: Config | None = None) -> tuple[Stage, Lagging]:
    stage = Stage(steps, config)
    stage.wire = wire = Lagging(stage.world, stage.clock)
    stage.boot()
    return stage, wire


def test_a_foreign_fill_seen_by_the_second_look_quarantines():
    stage, wire = lagging([*calm(10, 900)])
    stage.cycle()
    stage.world.place(OrderRequest("by-hand", BTC, Side.BUY, MarketIoc(Decimal("0.004")), owner="owner"))
    wire.hide_fills = 1
    stage.cycle()
    assert BTC in stage.state.positions
    assert BTC in stage.state.quarantined


def test_a_stop_out_seen_by_the_second_look_pauses_the_product():
    stage, wire = lagging(then(*calm(90, 600), *slide(600, ["62000"], 300)))
    stage.run_until(lambda: stage.working(Side.SELL), 200)
    while stage.held("BTC"):
        stage.idle(1)
    wire.hide_fills = 1
    stage.cycle()
    assert not stage.state.positions
    assert "after_stop" in {pause.reason for pause in stage.state.cooldowns}


def test_a_fill_that_shows_a_day_after_its_order_was_over_is_ours_with_its_rule_and_its_stop():
    """The order leaves the books; whose it was does not."""
    stage, wire = lagging([*RISE, *calm(62, 120000, "65500")])
    stage.run_until(lambda: stage.orders(OrderState.CANCELED), 300)
    (order, *_) = stage.orders(OrderState.CANCELED)
    stage.run_for(120)
    stage.idle(25 * 3600)
    stage.run_for(200)
    assert order.client_order_id not in stage.state.orders
    wire.late = Fill(
        "late", "late", order.order_id, BTC, Side.BUY, Price(Decimal(65490)), Size(Decimal("0.002")),
        Decimal("130.98"), Decimal("0.65"), stage.clock.now(), Liquidity.MAKER,
    )  # fmt: skip
    stage.cycle()
    position = stage.state.positions[BTC]
    assert (position.managed, position.rule) == (True, "rise")
    assert position.exits.stop_loss_pct == 4
    assert stage.state.quarantined == {}
    assert stage.events("fill.booked")[-1]["client_order_id"] == order.client_order_id


def falling(at_s: int, trouble_at_s: int, call: str = "balances") -> Stage:
    """A position with its stop in the bot alone; from `trouble_at_s` the account cannot be read, then prices fall."""
    config = config_of(exits={"resting_on_exchange": False})
    stage = Stage(then(*calm(90, at_s), *slide(at_s, ["62000"], 600)), config)
    stage.run_until(lambda: stage.held("BTC"), 200)
    stage.at(trouble_at_s, lambda: stage.wire.broken.update({call: Transient("no complete answer")}))
    return stage


@pytest.mark.parametrize("call", ["balances", "working_orders", "fills_since"])
def test_a_due_exit_is_sold_by_a_reconcile_of_less_than_ninety_seconds(call):
    stage = falling(at_s=290, trouble_at_s=250, call=call)
    stage.run_until(lambda: not stage.held("BTC"), 300)
    assert stage.clock.now() - START < timedelta(seconds=300)
    sold = next(cycle for cycle in stage.cycles if "sent exit SELL" in cycle.detail)
    assert "the account was last read at 14:04:02" in sold.detail
    assert stage.published[1] is False, "not ready while the account cannot be read"
    assert [order.kind for order in stage.orders() if order.side is Side.BUY] == [OrderKind.ENTRY]
    stage.wire.broken.clear()
    stage.run_for(60)
    assert not stage.state.positions
    stage.check()


def test_nothing_is_sold_by_a_reconcile_older_than_ninety_seconds():
    """What is held may long be something else by then: the cycle refuses until the account can be read again."""
    stage = falling(at_s=400, trouble_at_s=250)
    stage.run_for(500)
    assert stage.held("BTC")
    assert stage.last.reason == "data_unavailable"
    assert [order.kind for order in stage.orders()] == [OrderKind.ENTRY]
    stage.wire.broken.clear()
    stage.run_until(lambda: not stage.held("BTC"), 400)
    stage.check()


def test_a_wallet_that_is_shown_late_does_not_leave_a_position_naked_for_a_minute():
    stage, wire = lagging(then(*calm(90, 900)))
    stage.run_until(lambda: stage.working(Side.BUY), 120)
    wire.old = list(wire.balances())
    stage.run_until(lambda: stage.state.positions, 60)
    stage.run_for(3)
    wire.old = None
    stage.run_for(5)
    assert stage.working(Side.SELL)


def test_a_wallet_that_reads_old_does_not_take_the_stop_away():
    stage, wire = lagging(then(*calm(90, 900)))
    stage.run_until(lambda: stage.working(Side.BUY), 120)
    old = list(wire.balances())
    stage.run_until(lambda: stage.working(Side.SELL), 60)
    wire.old = old
    stage.run_for(70)
    assert stage.working(Side.SELL)
    assert len(stage.wire.placed) == 2


def test_fills_of_today_count_today_though_the_bot_was_down_at_midnight():
    tight = {"daily_stop_pct": "0.05", "cooldown_minutes": 1, "cooldown_after_stop_minutes": 1}
    near = int((MIDNIGHT - START).total_seconds())
    fall = [*slide(near + 600, ["62000"], 600), *calm(near + 1200, near + 4000, "62000")]
    steps = [*RISE, down(80, "65300"), *calm(90, near + 600, "65300"), *fall]
    stage = Stage(steps, config_of({"cooldown_minutes": 1}, risk=tight))
    stage.run_until(lambda: stage.working(Side.SELL), 200)
    stage.idle(near + 1500)
    assert stage.held("BTC") == 0
    stage.boot()
    stage.cycle()
    assert stage.state.day is not None
    assert stage.state.day.id == "2026-11-03"
    assert stage.state.day.realised < 0
    assert "daily_stop" in stage.state.latches
