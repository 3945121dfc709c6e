"""Fills: once each, in any order, and the books balance to the last digit."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from bot.domain import event as ev
from bot.domain.event import FillBooked
from bot.domain.money import Size, total
from bot.domain.position import CostMethod
from bot.domain.product import Side
from bot.domain.state import Period, State
from bot.domain.value import replace
from bot.record.fold_books import profit_of
from tests.record.world import BTC, NOON, changed, fill, fold, holding, intent

ANCHORS = (ev.LedgerAnchored("USD", Decimal(10_000)), ev.LedgerAnchored("BTC", Decimal(0)))

amounts = st.decimals("0.00000001", "10", places=8)
prices = st.decimals("0.01", "100000", places=2)
fees = st.decimals("0", "50", places=8)


@st.composite
def fills(draw: st.DrawFn, most: int = 12) -> list[FillBooked]:
    sides = draw(st.lists(st.sampled_from(Side), max_size=most))
    return [fill(f"e{i}", side, str(draw(amounts)), str(draw(prices)), str(draw(fees))) for i, side in enumerate(sides)]


methods = st.sampled_from(CostMethod).map(lambda method: State(cost_method=method))


def imbalance(state: State, booked: list[FillBooked]) -> Decimal:
    """What the books have lost or invented: zero, exactly."""
    cash = total((f.value if f.side is Side.SELL else -f.value) - f.fee for f in booked)
    held = total(p.cost for p in state.positions.values())
    owed = total(o.proceeds for o in state.oversold.values())
    return cash - (state.realised_total + owed - held)


def held_less_owed(state: State) -> Decimal:
    position, owed = state.positions.get(BTC), state.oversold.get(BTC)
    return (position.size.value if position else Decimal(0)) - (owed.size.value if owed else Decimal(0))


@given(fills(), methods)
def test_the_books_balance_to_the_last_digit_after_every_fill(booked: list[FillBooked], start: State) -> None:
    state = start
    for count, one in enumerate(booked, 1):
        state = fold([one], state)
        assert imbalance(state, booked[:count]) == 0
        assert state.fees_total == total(f.fee for f in booked[:count])


@given(fills(), methods, st.randoms())
def test_the_order_in_which_fills_arrive_moves_no_coin_and_no_cash(booked, start, random) -> None:
    shuffled = random.sample(booked, len(booked))
    one, other = fold([*ANCHORS, *booked], start), fold([*ANCHORS, *shuffled], start)
    assert held_less_owed(one) == held_less_owed(other)
    assert {c: ledger.flows for c, ledger in one.ledgers.items()} == {c: x.flows for c, x in other.ledgers.items()}
    assert imbalance(other, booked) == 0
    assert not (other.positions.get(BTC) and other.oversold.get(BTC))


@given(fills())
def test_every_wallet_moves_by_what_its_fills_traded_and_cost(booked: list[FillBooked]) -> None:
    """The ledger equation's middle: the paying wallet by the value and the fee, the coin's by the size."""
    ledgers = fold([*ANCHORS, *booked]).ledgers
    cash = total((f.value if f.side is Side.SELL else -f.value) - f.fee for f in booked)
    coins = total(f.size.value if f.side is Side.BUY else -f.size.value for f in booked)
    assert {name: ledger.flows for name, ledger in ledgers.items()} == {"USD": cash, "BTC": coins}
    assert ledgers["USD"].expected == 10_000 + cash


@given(fills(), st.data())
def test_a_fill_seen_again_changes_nothing(booked: list[FillBooked], data: st.DataObject) -> None:
    """Once by its entry id, once as the same trade under another entry id."""
    doubled = list(booked)
    for one in booked:
        again = data.draw(st.sampled_from([one, replace(one, entry_id=f"{one.entry_id}-again")]))
        at = data.draw(st.integers(doubled.index(one) + 1, len(doubled)))
        doubled.insert(at, again)
    once, twice = fold(booked), fold(doubled)
    assert replace(twice, seq=once.seq, head=once.head) == once


def test_an_adjustment_that_repeats_a_trade_is_booked_beside_it() -> None:
    trade, adjustment = fill("e1"), fill("e2", trade_id="t-e1", adjustment="CORRECTION")
    for rows in ([trade, adjustment], [adjustment, trade]):
        assert fold(rows).positions[BTC].size == Size(Decimal(1))
    assert fold([adjustment, adjustment]).positions[BTC].size == Size(Decimal("0.5"))


def test_a_sale_realises_its_proceeds_less_the_cost_of_what_it_sold_fees_in() -> None:
    state = fold([fill("e1", size="1", price="100", fee="1"), fill("e2", Side.SELL, "0.5", "120", "0.6")])
    assert state.realised_total == Decimal("59.4") - Decimal("50.5")
    assert state.positions[BTC].cost == Decimal("50.5")


def test_the_profit_written_into_an_event_is_the_one_that_is_booked() -> None:
    bought = fold([fill("e1", size="1", price="100", fee="1")])
    sale = fill("e2", Side.SELL, "0.5", "120", "0.6")
    assert profit_of(bought, sale) == fold([sale], bought).realised_total
    assert profit_of(fold([sale], bought), sale) == 0


def test_fifo_and_average_cost_differ_only_in_when_a_profit_shows() -> None:
    rows = [
        fill("e1", size="1", price="100", fee="0"),
        fill("e2", size="1", price="200", fee="0"),
        fill("e3", Side.SELL, "1", "200", "0"),
    ]
    average, fifo = (fold(rows, State(cost_method=method)) for method in (CostMethod.AVERAGE, CostMethod.FIFO))
    assert (average.realised_total, fifo.realised_total) == (Decimal(50), Decimal(100))
    assert (average.positions[BTC].cost, fifo.positions[BTC].cost) == (Decimal(150), Decimal(200))


def test_a_sale_booked_before_its_purchase_claims_no_profit_until_the_cost_is_known() -> None:
    sale, purchase = fill("e2", Side.SELL, "0.5", "120", "0"), fill("e1", size="0.5", price="100", fee="0")
    early = fold([sale])
    assert (early.realised_total, early.positions) == (Decimal(0), {})
    assert early.oversold[BTC].proceeds == Decimal(60)
    after = fold([purchase], early)
    assert (after.realised_total, after.oversold, after.positions) == (Decimal(10), {}, {})


def test_profit_belongs_to_the_rule_that_opened_the_position() -> None:
    opened = [intent(rule="dip"), fill("e1", size="0.5", price="100", fee="0")]
    state = fold([*opened, fill("e2", Side.SELL, "0.5", "90", "0", client_order_id="exit")])
    assert state.rule_realised == {"dip": Decimal(-5)}
    assert fold(opened).positions[BTC].exits.stop_loss_pct == Decimal(3)


def test_losing_trades_in_a_row_are_counted_by_closed_positions() -> None:
    def trade(n: int, price: str) -> list[FillBooked]:
        return [fill(f"b{n}", fee="0"), fill(f"s{n}a", Side.SELL, "0.2", price, "0"),
                fill(f"s{n}b", Side.SELL, "0.3", price, "0")]  # fmt: skip

    losing = fold([*trade(1, "90"), *trade(2, "95")])
    assert losing.loss_streak == 2
    assert fold(trade(3, "100"), losing).loss_streak == 2
    assert fold(trade(4, "101"), losing).loss_streak == 0


def test_a_late_fill_of_yesterday_is_no_profit_of_today() -> None:
    """Its profit was in the opening figure as unrealised; the sum since midnight must not jump."""
    day = Period("2026-11-19", Decimal(1000), Decimal(30))
    state = fold([fill("e1", fee="0"), ev.PeriodBegan("day", day)])
    late = fold([fill("e2", Side.SELL, "0.5", "160", "0", at=NOON)], state, NOON + timedelta(hours=13))
    assert late.day == replace(day, start_unrealised=Decimal(0))
    on_time = fold([fill("e2", Side.SELL, "0.5", "160", "0", at=NOON + timedelta(days=1))], state)
    assert on_time.day == replace(day, realised=Decimal(30))


def test_an_order_counts_its_own_booked_base() -> None:
    filled = changed(filled=Size(Decimal("0.5")))
    state = fold([intent(), filled, fill("e1", size="0.2"), fill("e2", size="0.3"), fill("e2", size="0.3")])
    assert state.orders["c1.0"].booked == Size(Decimal("0.5"))


def test_coins_bought_by_a_person_are_counted_and_not_managed() -> None:
    state = fold([fill("e1", foreign=True, client_order_id="")])
    assert (state.positions[BTC].managed, state.positions[BTC].size) == (False, Size(Decimal("0.5")))
    ours = fold([intent(), fill("e2")])
    assert ours.positions[BTC].managed


def test_an_adopted_holding_replaces_what_the_books_said() -> None:
    state = fold([fill("e1", Side.SELL), ev.PositionAdopted(holding())])
    assert (state.positions[BTC].size, state.oversold) == (Size(Decimal(2)), {})
    assert fold([ev.PositionAdopted(holding("0", "0"))], state).positions == {}


def test_fill_ids_are_kept_while_a_row_can_come_again_and_not_longer() -> None:
    old = fill("old", order_id="gone", client_order_id="gone")
    state = fold([intent(), changed(), fill("of-kept-order"), old])
    moved = fold([ev.CursorMoved(NOON + timedelta(minutes=10))], state)
    assert set(moved.fill_ids) == {"of-kept-order", "old"}
    moved = fold([ev.CursorMoved(NOON + timedelta(minutes=11))], state)
    assert set(moved.fill_ids) == {"of-kept-order"}
