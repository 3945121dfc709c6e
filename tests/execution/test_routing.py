"""What comes next for an intent, as a function of its orders, the quote and the time."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.order import OrderKind, OrderState, OrderType
from bot.domain.product import Side, TradingMode
from bot.domain.value import replace
from bot.execution.routing import Cancel, Close, Place, Target, Wait, next_command, next_time, remaining, stale_at
from tests.builders import NOW, d, intent, order, policy, price, product, quote, size

S = OrderState
ENTRY = intent(amount=1, limit="100.50")
EXIT = replace(intent(amount=1, limit=95), side=Side.SELL, kind=OrderKind.EXIT)
TARGET = Target(product(), quote())
POLICY = policy()
LATER = NOW + timedelta(minutes=2)


def attempt(number=1, state=S.CANCELED, **changes):
    return replace(order(cid=f"a{number}", state=state), attempt=number, **changes)


def after(*orders, wish=ENTRY, target=TARGET, now=LATER, chosen=POLICY):
    return next_command(wish, orders, target, now, chosen)


@pytest.mark.parametrize("wish", [ENTRY, EXIT], ids=["entry", "exit"])
def test_nothing_is_sent_while_the_fate_of_an_order_is_unknown(wish):
    assert isinstance(after(attempt(state=S.UNKNOWN), wish=wish), Wait)
    assert isinstance(after(attempt(1), attempt(2, S.UNKNOWN), wish=wish), Wait)


def test_a_resting_order_is_left_alone_until_its_time_is_over():
    resting = attempt(state=S.OPEN)
    assert isinstance(after(resting, now=NOW + timedelta(seconds=44)), Wait)
    assert isinstance(after(resting, now=NOW + timedelta(seconds=45)), Cancel)


def test_working_orders_are_tended_without_market_data_and_nothing_new_is_sent():
    assert isinstance(after(attempt(state=S.OPEN), target=None), Cancel)
    assert isinstance(after(attempt(), target=None), Wait)


def test_an_order_that_could_fill_beyond_the_intent_is_cancelled():
    late = attempt(1, filled=size("0.2"))
    assert isinstance(after(late, attempt(2, S.OPEN), now=NOW), Cancel)


def test_a_new_quote_waits_for_late_fills():
    assert after(attempt(), now=NOW + timedelta(seconds=0.5)) == Wait(
        NOW + timedelta(seconds=1), "late fills may still come"
    )
    assert isinstance(after(attempt(), now=NOW + timedelta(seconds=1)), Place)


def test_a_filled_intent_is_closed_at_once():
    assert isinstance(after(attempt(state=S.FILLED, filled=size(1)), now=NOW), Close)


def test_a_requote_is_marked_so_and_a_first_order_is_not():
    first, second = after(now=NOW), after(attempt())
    assert isinstance(first, Place)
    assert isinstance(second, Place)
    assert (first.again, second.again) == (False, True)


def test_a_signal_that_is_older_than_all_its_attempts_is_not_followed_any_further():
    last = stale_at(ENTRY, POLICY) - timedelta(seconds=1)
    assert last - NOW == timedelta(seconds=263), "four attempts of 45 s, each with 21 s to be sent, ended and settled"
    assert isinstance(after(now=last), Place)
    assert isinstance(after(now=last + timedelta(seconds=1)), Close)


def test_entries_stop_when_the_market_is_not_normal_or_not_quoted():
    limited = Target(product(mode=TradingMode.LIMIT_ONLY), quote())
    assert isinstance(after(target=limited), Close)
    assert isinstance(after(target=Target(product(), None)), Close)


def test_an_order_proven_never_placed_is_not_followed_by_another():
    gone = attempt(state=S.REJECTED, why="not placed: absent from 3 complete listings")
    assert isinstance(after(gone), Close)


@pytest.mark.parametrize("mode", [TradingMode.AUCTION, TradingMode.POST_ONLY])
def test_an_exit_rests_where_nothing_may_cross(mode):
    command = after(wish=EXIT, target=Target(product(mode=mode), quote()))
    assert isinstance(command, Place)
    assert (command.type, command.price) == (OrderType.LIMIT_POST_ONLY, price("100.02"))


def test_an_exit_never_sells_below_its_approved_price():
    floor = replace(EXIT, worst_price=price("99.9"))
    command = after(wish=floor)
    assert isinstance(command, Place)
    assert command.price == price("99.9")
    assert isinstance(after(wish=floor, target=Target(product(), quote(bid="99.8", ask="99.9"))), Close)


@pytest.mark.parametrize(
    "why", ["INSUFFICIENT_FUND: no", "PREVIEW_ORDER_SIZE_EXCEEDS_BRACKETED_POSITION", "HOLD_FAILURE"]
)
def test_an_exit_without_coins_waits_two_seconds_and_gives_up_after_three_orders(why):
    short = attempt(state=S.REJECTED, why=why)
    assert after(short, wish=EXIT, now=NOW) == Wait(NOW + timedelta(seconds=2), "the hold is not released yet")
    assert isinstance(after(short, wish=EXIT), Place)
    assert isinstance(after(short, short, short, wish=EXIT), Close)
    assert isinstance(after(attempt(state=S.REJECTED, why="TRADING_DISABLED"), wish=EXIT), Close)


def test_timers_name_the_time_at_which_there_is_something_to_do():
    assert next_time(ENTRY, [attempt(state=S.OPEN)], POLICY) == NOW + timedelta(seconds=45)
    assert next_time(ENTRY, [attempt(state=S.SUBMITTED)], POLICY) == NOW + timedelta(seconds=10)
    pending = attempt(state=S.CANCEL_PENDING, cancel_asked_at=NOW + timedelta(seconds=5))
    assert next_time(ENTRY, [pending], POLICY) == NOW + timedelta(seconds=15)
    assert next_time(ENTRY, [attempt()], POLICY) == NOW + timedelta(seconds=1)
    assert next_time(ENTRY, [attempt(state=S.UNKNOWN)], POLICY) is None
    assert next_time(replace(ENTRY, closed=True), [attempt()], POLICY) is None


shares = st.decimals("0", "0.4", places=3)


@given(
    st.lists(st.tuples(st.sampled_from([S.CANCELED, S.EXPIRED, S.FILLED, S.REJECTED]), shares, shares), max_size=3),
    st.sampled_from([ENTRY, EXIT]), st.sampled_from(list(TradingMode)), st.integers(0, 3), st.booleans(),
    st.decimals("90", "110", places=2),
)  # fmt: skip
def test_no_order_is_larger_than_what_is_left_or_worse_than_what_was_approved(
    past, wish, mode, reprices, fallback, bid
):
    orders = [attempt(n, s, filled=size(f), booked=size(b)) for n, (s, f, b) in enumerate(past)]
    target = Target(product(mode=mode), quote(bid=bid, ask=bid + d("0.02")))
    chosen = policy(execution={"maker_max_reprices": reprices, "taker_fallback": fallback})
    command = next_command(wish, orders, target, LATER, chosen)
    if isinstance(command, Place):
        taken = sum((max(f, b) for _, f, b in past), d(0))
        assert command.size == remaining(wish, orders)
        assert command.size.value + taken <= wish.size.value
        if wish.side is Side.BUY:
            assert command.price <= wish.worst_price
        else:
            assert command.price >= wish.worst_price
