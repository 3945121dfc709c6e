"""Reading the account: complete or refused, and a vanished order is read, never assumed gone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from bot.domain.event import ForeignOrderGone, ForeignOrderSeen
from bot.domain.money import Price, Size
from bot.domain.order import (
    Bracket,
    Fill,
    Liquidity,
    OrderKind,
    OrderReport,
    OrderState,
    OrderType,
    VenueStatus,
)
from bot.domain.product import ProductId, Side
from bot.domain.snapshot import Balance
from bot.domain.state import FillCursor, Ledger, Order, State
from bot.domain.value import replace
from bot.errors import CriticalDataUnavailable, NotFound, Transient
from bot.observe.reconcile import foreign_orders, read_account

T0 = datetime(2026, 1, 1, tzinfo=UTC)
BTC = ProductId("BTC-USD")


def report(order_id: str, status: VenueStatus = VenueStatus.OPEN) -> OrderReport:
    one = Size(Decimal(1))
    return OrderReport(
        order_id, f"c-{order_id}", BTC, Side.BUY, OrderType.LIMIT_GTC, status, one, Price(Decimal(100)), None,
        Size.zero(), Decimal(0), Decimal(0), None, T0,
    )  # fmt: skip


def order(order_id: str, state: OrderState = OrderState.OPEN) -> Order:
    price = Price(Decimal(100))
    return Order(
        f"c-{order_id}", 1, 1, BTC, Side.BUY, OrderKind.ENTRY, OrderType.LIMIT_POST_ONLY, Size(Decimal(1)), price,
        state, T0, T0, price, Decimal("0.006"), order_id=order_id,
    )  # fmt: skip


@dataclass
class Account:
    """A reader with fixed answers; `single` are the orders that a read by id finds."""

    wallets: Sequence[Balance] = (Balance("USD", Decimal(100), Decimal(0)),)
    working: Sequence[OrderReport] = ()
    single: dict[str, OrderReport] = field(default_factory=dict)
    asked_since: datetime | None = None
    broken: bool = False
    fills: Sequence[Fill] = ()

    def balances(self) -> Sequence[Balance]:
        return self.wallets

    def working_orders(self) -> Sequence[OrderReport]:
        if self.broken:
            raise Transient("page 2 answered 500")
        return self.working

    def order(self, order_id: str) -> OrderReport:
        if order_id not in self.single:
            raise NotFound(order_id)
        return self.single[order_id]

    def fills_since(self, since: datetime) -> Sequence[Fill]:
        self.asked_since = since
        return self.fills


def read(account: Account, state: State):
    return read_account(account, state, lambda: T0)  # type: ignore[arg-type]


def test_an_order_no_longer_listed_is_read_by_its_id():
    filled = report("a", VenueStatus.FILLED)
    truth = read(Account(single={"a": filled}), State(orders={"c-a": order("a")}))
    assert truth.reports == (filled,)
    assert truth.missing == ()


def test_an_order_the_venue_does_not_show_is_missing_not_cancelled():
    truth = read(Account(), State(orders={"c-a": order("a")}))
    assert truth.reports == ()
    assert truth.missing == ("c-a",)


def test_terminal_orders_are_read_until_their_fills_are_booked():
    done = replace(order("a", OrderState.FILLED), filled=Size(Decimal(1)))
    assert read(Account(single={"a": report("a", VenueStatus.FILLED)}), State(orders={"c-a": done})).reports
    booked = replace(done, booked=Size(Decimal(1)))
    assert not read(Account(), State(orders={"c-a": booked})).missing


def test_a_failed_page_voids_the_whole_read():
    with pytest.raises(Transient):
        read(Account(broken=True), State())


def test_an_account_that_suddenly_reads_all_zero_is_refused():
    state = State(ledgers={"USD": Ledger(Decimal(100), T0)})
    with pytest.raises(CriticalDataUnavailable, match="every wallet reads zero"):
        read(Account(wallets=(Balance("USD", Decimal(0), Decimal(0)),)), state)


def test_wallets_that_read_the_same_are_the_same_object_until_one_moves():
    account = Account()
    first = read_account(account, State(), lambda: T0).balances  # type: ignore[arg-type]
    account.wallets = (Balance("USD", Decimal(100), Decimal(0)),)
    assert read_account(account, State(), lambda: T0, first).balances is first  # type: ignore[arg-type]
    account.wallets = (Balance("USD", Decimal(99), Decimal(1)),)
    moved = read_account(account, State(), lambda: T0, first).balances  # type: ignore[arg-type]
    assert moved["USD"].hold == Decimal(1)


def test_two_wallets_of_one_currency_or_a_negative_one_are_refused():
    usd = Balance("USD", Decimal(1), Decimal(0))
    with pytest.raises(CriticalDataUnavailable, match="two wallets"):
        read(Account(wallets=(usd, usd)), State())
    with pytest.raises(CriticalDataUnavailable, match="negative"):
        read(Account(wallets=(Balance("USD", Decimal(-1), Decimal(0)),)), State())


def test_fills_are_read_with_an_overlap_before_the_cursor():
    account = Account()
    read(account, State(fill_cursor=FillCursor(T0, timedelta(minutes=10))))
    assert account.asked_since == T0 - timedelta(minutes=10)


@pytest.mark.parametrize(("attached", "read_too"), [(True, True), (False, False)])
def test_the_order_behind_a_sale_nobody_knows_is_read_while_an_entry_carries_a_bracket(attached, read_too):
    """A bracket that began and ended between two readings is never listed."""
    bracket = Bracket(Price(Decimal(110)), Price(Decimal(95))) if attached else None
    child = replace(report("b", VenueStatus.FILLED), side=Side.SELL, parent_id="a")
    sale = Fill("1", "t", "b", BTC, Side.SELL, Price(Decimal(95)), Size(Decimal(1)), Decimal(95), Decimal(0), T0,
                Liquidity.TAKER)  # fmt: skip
    account = Account(working=(report("a"),), single={"b": child}, fills=(sale,))
    state = State(orders={"c-a": replace(order("a"), attached=bracket)}, fill_cursor=FillCursor(T0, timedelta(0)))
    assert (child in read(account, state).reports) is read_too


def test_foreign_orders_are_reported_once_and_again_when_gone():
    seen = list(foreign_orders(State(), [report("x")]))
    assert [type(event) for event in seen] == [ForeignOrderSeen]
    known = State(foreign_orders={"x": "BUY 1"})
    assert list(foreign_orders(known, [report("x")])) == []
    assert list(foreign_orders(known, [])) == [ForeignOrderGone("x")]
