"""Exits: due at their levels, judged by the bid, sold once, and only what the bot may sell."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.decision import ExitReason, TradeProposal
from bot.domain.order import OrderKind, OrderState, OrderType
from bot.domain.product import Side, TradingMode
from bot.domain.snapshot import Valuation
from bot.domain.state import Ban
from bot.domain.value import replace
from bot.rules.exits import proposals
from tests.builders import (
    NOW,
    balance,
    d,
    market,
    minutes,
    order,
    pid,
    policy,
    position,
    price,
    report,
    size,
    snapshot,
    state,
)

CALM = policy(exits={"trim_to_cap": False})


def leaving(held: Any, bid: Any = 100, rules: Any = CALM, flatten: bool = False, **changes: Any) -> list[TradeProposal]:
    """What is proposed for one position while its market bids `bid`; the ask is far above and must not matter."""
    product = changes.pop("product", {})
    orders, bans, kept = changes.pop("orders", ()), changes.pop("bans", {}), changes.pop("balances", ())
    view = market(held.product, bid=bid, ask=None if bid is None else d(bid) * 2, **product)
    account = state([held], orders, bans=bans)
    snap = snapshot([view], account=account, balances=kept, **changes)
    return list(proposals(snap, rules, flatten))


def why(*args: Any, **kwargs: Any) -> ExitReason | None:
    wished = leaving(*args, **kwargs)
    return wished[0].exit_reason if wished else None


@pytest.mark.parametrize(
    ("asked", "bid", "reason"),
    [
        ({"stop_loss_pct": 5}, "95", ExitReason.STOP_LOSS),
        ({"stop_loss_pct": 5}, "95.01", None),
        ({"take_profit_pct": 10}, "110", ExitReason.TAKE_PROFIT),
        ({"take_profit_pct": 10}, "109.99", None),
        ({"trailing_stop_pct": 10, "high_mark": price(130)}, "117", ExitReason.TRAILING_STOP),
        ({"trailing_stop_pct": 10, "high_mark": price(130)}, "117.01", None),
        ({"max_hold_minutes": 60, "opened": NOW - minutes(60)}, "100", ExitReason.MAX_HOLD),
        ({"max_hold_minutes": 60, "opened": NOW - minutes(59)}, "100", None),
        ({}, "0.05", None),
    ],
)
def test_each_exit_is_due_at_its_level_by_the_bid(asked, bid, reason):
    assert why(position(at=100, **asked), bid) is reason


def test_fees_paid_do_not_move_the_stop():
    assert why(position(at=100, fees=3, stop_loss_pct=5), "95.5") is None


def test_an_exit_sells_all_of_it_with_the_bid_as_reference():
    (wish,) = leaving(position(amount=2, at=100, stop_loss_pct=5, rule="dip"), "90")
    assert (wish.side, wish.kind, wish.size_base, wish.reference) == (Side.SELL, OrderKind.EXIT, size(2), price(90))
    assert (wish.rule, wish.conviction) == ("dip", d(1))


def test_the_first_reason_is_told_when_several_hold():
    held = position(at=100, stop_loss_pct=5, max_hold_minutes=1, opened=NOW - minutes(9))
    assert why(held, "90") is ExitReason.STOP_LOSS


def test_a_banned_coin_is_left_while_the_ban_runs():
    ban = Ban(pid("BTC-USDC"), "recent_exploit", "flag", NOW, NOW + minutes(1))
    assert why(position(), bans={ban.product: ban}) is ExitReason.BANNED
    over = Ban(pid("BTC-USD"), "recent_exploit", "flag", NOW, NOW)
    assert why(position(), bans={over.product: over}) is None


@pytest.mark.parametrize(
    ("product", "reason"),
    [
        ({"mode": TradingMode.CLOSED, "mode_reason": "trading_disabled"}, ExitReason.DELISTING),
        ({"mode": TradingMode.LIMIT_ONLY, "mode_reason": "status delisted"}, ExitReason.DELISTING),
        ({"mode": TradingMode.LIMIT_ONLY, "mode_reason": "limit_only"}, None),
        ({"mode": TradingMode.CANCEL_ONLY, "mode_reason": "cancel_only"}, None),
    ],
)
def test_a_coin_that_is_leaving_the_venue_is_left_and_a_passing_restriction_is_not(product, reason):
    assert why(position(), product=product) is reason


def test_flatten_sells_everything_managed():
    assert why(position(), flatten=True) is ExitReason.FLATTEN
    assert why(position(managed=False), flatten=True) is None


def test_coins_the_bot_does_not_manage_are_never_sold():
    assert why(position(at=100, stop_loss_pct=5, managed=False), "1") is None


def test_without_a_bid_nothing_is_judged():
    assert why(position(stop_loss_pct=5), None) is None


def test_a_resting_stop_does_not_keep_the_bot_from_selling():
    stop = order(side=Side.SELL, kind=OrderKind.PROTECTIVE)
    due = position(at=100, stop_loss_pct=5)
    (wish,) = leaving(due, "90", orders=[stop], balances=[balance("BTC", 0, 1)])
    assert wish.size_base == size(1)


@pytest.mark.parametrize("status", [OrderState.OPEN, OrderState.UNKNOWN, OrderState.SUBMITTED])
def test_what_is_on_offer_already_is_not_offered_again(status):
    due = position(amount=1, at=100, stop_loss_pct=5)
    assert leaving(due, "90", orders=[order(side=Side.SELL, amount=1, state=status)]) == []
    (wish,) = leaving(due, "90", orders=[order(side=Side.SELL, amount="0.4", state=status)])
    assert wish.size_base == size("0.6")


def test_a_sale_of_somebody_else_is_not_raced():
    others = (report(side=Side.SELL, amount=1),)
    assert leaving(position(at=100, stop_loss_pct=5), "90", external_orders=others) == []


def test_dust_is_left_alone():
    assert leaving(position(amount="0.009", at=100, stop_loss_pct=5), "90") == []


TRIM = policy(risk={"max_per_asset_pct": 5}, exits={"trim_tolerance_pct": 10})


def trimmed(amount: Any, **changes: Any) -> list[TradeProposal]:
    return leaving(position(amount=amount), rules=TRIM, cash=10_000 - 100 * d(amount), **changes)


def test_a_position_above_cap_and_tolerance_is_trimmed_to_just_below_the_cap():
    (wish,) = trimmed(6)
    assert wish.exit_reason is ExitReason.TRIM_TO_CAP
    assert wish.size_base == size("1.00000001")


def test_within_the_tolerance_nothing_is_trimmed():
    assert trimmed("5.5") == []
    assert trimmed("5.51") != []


def test_nothing_is_trimmed_on_unknown_equity_or_when_it_is_off():
    assert leaving(position(amount=6), rules=CALM, cash=9400) == []
    assert trimmed(6, valuation=Valuation(None, (), "?")) == []


def test_a_trim_below_the_venues_minimum_waits():
    assert trimmed("5.6", product={"quote_min": d(100)}) == []


def test_exits_come_in_the_order_of_product_ids():
    views = [market("ETH-USD", bid=1), market("BTC-USD", bid=1)]
    held = [position(name, at=100, stop_loss_pct=5) for name in ("ETH-USD", "BTC-USD")]
    assert [w.product for w in proposals(snapshot(views, account=state(held)), CALM)] == ["BTC-USD", "ETH-USD"]


@given(
    bid=st.decimals("0.01", "1000", places=2), stop=st.integers(1, 99), target=st.integers(1, 99),
    trail=st.integers(1, 99), high=st.decimals("50", "500", places=2),
)  # fmt: skip
def test_a_price_exit_is_due_exactly_when_the_bid_is_at_or_beyond_a_level(bid, stop, target, trail, high):
    held = position(
        at=100, amount=1000, stop_loss_pct=stop, take_profit_pct=target, trailing_stop_pct=trail, high_mark=price(high)
    )
    below = bid <= 100 - stop or bid <= max(high, d(100)) * (100 - trail) / 100
    assert bool(leaving(held, bid)) is (below or bid >= 100 + target)


def test_one_odd_print_below_the_stop_sells_nothing() -> None:
    """A stop needs as many quotes in a row beyond it as the policy asks for."""
    held = position(at=100, stop_loss_pct=d(5))
    for bids, sold in ((("90",), False), (("96", "90"), False), (("90", "96"), False), (("90", "91"), True)):
        view = replace(market(held.product, bid=90, ask=200), bids=tuple(price(bid) for bid in bids))
        snap = snapshot([view], account=state([held]))
        assert bool(proposals(snap, CALM)) is sold, bids


def test_a_resting_take_profit_at_the_bid_is_left_to_the_venue() -> None:
    """The venue is filling it: cancelling it and crossing the spread would only cost."""
    held = position(at=100, take_profit_pct=d(10))
    resting = order(side=Side.SELL, kind=OrderKind.PROTECTIVE, type=OrderType.BRACKET, limit=110)
    assert why(held, bid=111, orders=[resting]) is None
    assert why(held, bid=111) is ExitReason.TAKE_PROFIT
