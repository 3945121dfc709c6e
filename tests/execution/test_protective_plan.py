"""The protective plan: at most one resting sell, never for more than is held, never one the venue would refuse."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.order import OrderKind, OrderState, OrderType
from bot.domain.position import Exits
from bot.domain.product import Side
from bot.domain.value import replace
from bot.execution.protective import (
    CancelFirst,
    ExitNow,
    Keep,
    Place,
    Replace,
    Scene,
    bracket_legs,
    protective_plan,
    wanted_cover,
)  # fmt: skip
from bot.settings.policy import ExitsPolicy
from tests.builders import d, order, position, price, product, quote, size

POLICY = ExitsPolicy()
HELD = position(amount=1, at=100, stop_loss_pct=5, take_profit_pct=10)
SCENE = Scene(product(), quote(), price(100), size(1))


def stop(amount="1", state=OrderState.OPEN, cid="stop", **changes):
    made = order(side=Side.SELL, amount=amount, limit=110, state=state, kind=OrderKind.PROTECTIVE, cid=cid)
    return replace(made, type=OrderType.BRACKET, stop_price=price(95), **changes)


def plan(held=HELD, working=(), scene=SCENE, policy=POLICY):
    return protective_plan(held, working, scene, policy)


def test_a_naked_position_gets_its_order():
    made = plan()
    assert isinstance(made, Place)
    assert (made.cover.size, made.cover.stop_price, made.cover.limit_price) == (size(1), price(95), price(110))


def test_an_order_in_step_stays():
    assert isinstance(plan(working=[stop()]), Keep)


@pytest.mark.parametrize("amount", ["0.5", "2"])
def test_an_order_of_another_size_is_replaced(amount):
    assert isinstance(plan(working=[stop(amount)]), Replace)


def test_a_growing_position_is_resized_when_its_entry_is_done():
    assert isinstance(plan(working=[stop("0.5")], scene=replace(SCENE, buying=True)), Keep)


def test_more_on_offer_than_held_is_mended_at_once():
    scene = replace(SCENE, sellable=size("0.5"), buying=True)
    made = plan(position(amount="0.5", at=100, stop_loss_pct=5), [stop("1")], scene)
    assert isinstance(made, Replace)
    assert made.cover.size == size("0.5")


@pytest.mark.parametrize("state", [OrderState.SUBMITTED, OrderState.UNKNOWN, OrderState.CANCEL_PENDING])
def test_nothing_is_done_while_the_fate_of_an_order_is_open(state):
    assert isinstance(plan(working=[stop("0.5", state)]), Keep)


def test_of_two_orders_one_goes():
    made = plan(working=[stop(), stop(cid="second")])
    assert isinstance(made, CancelFirst)
    assert [o.client_order_id for o in made.orders] == ["second"]


def test_an_exit_owns_the_sell_side():
    assert isinstance(plan(scene=replace(SCENE, selling=True)), Keep)


def test_holdings_of_people_get_no_order_and_lose_one():
    foreign = replace(HELD, managed=False)
    assert isinstance(plan(foreign), Keep)
    assert isinstance(plan(foreign, [stop()]), CancelFirst)


def test_a_policy_without_resting_stops_takes_them_back():
    off = ExitsPolicy(resting_on_exchange=False)
    assert isinstance(plan(working=[stop()], policy=off), CancelFirst)


@pytest.mark.parametrize("bid", ["95", "94"])
def test_a_market_at_or_below_the_stop_asks_for_an_exit(bid):
    scene = replace(SCENE, quote=quote(bid=bid, ask="99"), last_trade=None)
    assert isinstance(plan(scene=scene), ExitNow)


def test_the_last_trade_triggers_stops_so_it_must_lie_above_too():
    assert isinstance(plan(scene=replace(SCENE, last_trade=price("94.99"))), ExitNow)


def test_a_market_above_the_target_asks_for_an_exit():
    assert isinstance(plan(scene=replace(SCENE, quote=quote(bid="110", ask="110.02"))), ExitNow)


def test_a_replacement_the_venue_would_refuse_is_not_begun():
    scene = replace(SCENE, quote=quote(bid="94", ask="94.02"))
    assert isinstance(plan(working=[stop("0.5")], scene=scene), Keep)


def test_dust_gets_no_order():
    assert wanted_cover(position(amount="0.001", at=100, stop_loss_pct=5), SCENE, POLICY) is None


def test_without_a_stop_there_is_nothing_to_rest():
    assert isinstance(plan(position(amount=1, at=100, take_profit_pct=10)), Keep)


def test_legs_of_an_attached_bracket():
    legs = bracket_legs(price(100), Exits(stop_loss_pct=d(5)), POLICY)
    assert legs is not None
    assert (legs.stop_trigger_price, legs.limit_price) == (price(95), price(150))
    assert bracket_legs(price(100), Exits(take_profit_pct=d(5)), POLICY) is None


@given(
    st.decimals("0.0001", "5", places=4), st.decimals("0.0001", "5", places=4),
    st.decimals("1", "99", places=1), st.decimals("50", "200", places=2), st.booleans(),
)  # fmt: skip
def test_no_plan_offers_more_than_is_held_or_a_stop_above_the_market(amount, free, pct, bid, is_stop_limit):
    policy = ExitsPolicy.model_validate({"style": "stop_limit" if is_stop_limit else "bracket"})
    held = position(amount=amount, at=100, stop_loss_pct=pct)
    scene = replace(SCENE, sellable=size(free), quote=quote(bid=bid, ask=bid + 1), last_trade=price(bid))
    made = plan(held, scene=scene, policy=policy)
    if isinstance(made, Place):
        assert made.cover.size.value <= min(amount, free)
        assert made.cover.stop_price.value < bid
        assert SCENE.product.illegal(made.cover.limit_price, made.cover.size) is None
