"""What a run did, told alike whether it ran live or in the backtest: entries by intent, exits by round trip."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from backtest.dataset import Dataset
from backtest.recorder import Origin, Recorder
from backtest.trades import Ledger, Trade, trades
from bot.domain.decision import Decision
from bot.domain.money import EXACT, total
from bot.domain.order import Liquidity, OrderKind
from bot.domain.product import ProductId
from bot.domain.product import Side as OrderSide
from bot.domain.state import State
from bot.domain.value import Value
from bot.settings.config import Config
from bot.venue.orders import OrderRecord, VenueFill


class Filled(Value):
    """How something traded. price: average without fees; None when nothing filled. rate: fee over value.

    wait: from the (first) order to the first fill. liquidity: as the venue says, "MAKER, TAKER" when both.
    """

    asked: Decimal
    size: Decimal
    price: Decimal | None
    fee: Decimal
    rate: Decimal | None
    fills: int
    liquidity: str
    wait: timedelta | None

    @property
    def whole(self) -> bool:
        return self.size >= self.asked


class Entry(Value):
    """One intent to buy. bar: index of the bar whose close it was decided at. attempts: quotes sent for it."""

    bar: int
    product: ProductId
    rule: str
    attempts: int
    filled: Filled


class Exit(Value):
    """The end of a round trip. opened: bar of its first purchase; entry: average price paid.

    begun, ended: between these its sales traded: in a backtest the opening and the close of the bars they fell into.
    """

    opened: int
    begun: datetime
    ended: datetime
    product: ProductId
    rule: str
    reason: str
    entry: Decimal
    filled: Filled


class Side(Value):
    """One of the two runs. decisions: those of scheduled cycles, by bar. trips: round trips, open ones included."""

    name: str
    entries: tuple[Entry, ...]
    exits: tuple[Exit, ...]
    trips: tuple[Trade, ...]
    decisions: Mapping[int, Decision]

    def busy(self, product: ProductId, bar: int, data: Dataset) -> bool:
        """Whether this side held the product, or had an order for it, at the close of a bar."""
        at = data.closed(bar)
        return any(
            trip.product == product and trip.opened_at <= at and (trip.closed_at is None or at <= trip.closed_at)
            for trip in self.trips
        )


class Records(Value):
    """What a venue and a bot's journal keep. origins: by client order id. last: what happened later is left out."""

    orders: Sequence[OrderRecord]
    fills: Sequence[VenueFill]
    origins: Mapping[str, Origin]
    decisions: Iterable[tuple[datetime, Decision]]
    last: datetime


def side(name: str, records: Records, data: Dataset, config: Config) -> Side:
    """Raises UnitError when the records make no round trips."""
    recorder = Recorder(State)
    recorder.origins.update(records.origins)
    orders = {order.order_id: order for order in records.orders}
    fills = [fill for fill in records.fills if fill.booked_at <= records.last and orders[fill.order_id].owner == "bot"]
    trips = trades(Ledger(data, config, fills, orders, recorder))
    by_order: dict[str, list[VenueFill]] = {}
    for fill in fills:
        by_order.setdefault(fill.order_id, []).append(fill)
    entries = sorted(_entries(records, orders, by_order, data), key=lambda entry: (entry.bar, entry.product))
    exits = sorted(_exits(trips, fills, orders, data), key=lambda item: (item.begun, item.product))
    decisions = {data.newest(at): decision for at, decision in records.decisions if at <= records.last}
    return Side(name, tuple(entries), tuple(exits), trips, decisions)


def decided_at(cycle_id: str) -> datetime:
    """The time in a cycle's name."""
    return datetime.strptime(cycle_id.partition(".")[0], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)


def _entries(
    records: Records, orders: Mapping[str, OrderRecord], fills: Mapping[str, list[VenueFill]], data: Dataset
) -> Iterator[Entry]:
    attempts: dict[int, list[tuple[Origin, OrderRecord]]] = {}
    for order in orders.values():
        origin = records.origins.get(order.client_order_id)
        if origin is not None and origin.kind is OrderKind.ENTRY and order.created_at <= records.last:
            attempts.setdefault(origin.intent, []).append((origin, order))
    for tried in attempts.values():
        tried.sort(key=lambda pair: pair[0].attempt)
        origin, first = tried[0]
        mine = [fill for _, order in tried for fill in fills.get(order.order_id, ())]
        bar = data.newest(decided_at(origin.cycle_id))
        asked = first.terms.base_size if first.terms.base_size is not None else _size(mine)
        yield Entry(bar, first.product, origin.rule, len(tried), _filled(asked, mine, first.created_at))


def _exits(
    trips: Sequence[Trade], fills: Sequence[VenueFill], orders: Mapping[str, OrderRecord], data: Dataset
) -> Iterator[Exit]:
    for trip in trips:
        if trip.closed_at is None:
            continue
        during = [fill for fill in fills if trip.opened_at <= fill.booked_at <= trip.closed_at]
        sales = [fill for fill in during if fill.product == trip.product and fill.side is OrderSide.SELL]
        filled = _filled(trip.size, sales, orders[sales[-1].order_id].created_at)
        begun, ended = min(fill.trade_time for fill in sales), max(fill.booked_at for fill in sales)
        opened = data.newest(trip.opened_at)
        yield Exit(opened, begun, ended, trip.product, trip.rule, trip.exit_reason, trip.entry, filled)


def _filled(asked: Decimal, fills: Sequence[VenueFill], sent: datetime) -> Filled:
    size, value, fee = _size(fills), total(fill.value for fill in fills), total(fill.fee for fill in fills)
    kinds = sorted({fill.liquidity for fill in fills}, key=lambda kind: kind.value)
    return Filled(
        asked, size, EXACT.divide(value, size) if size else None, fee, EXACT.divide(fee, value) if value else None,
        len(fills), ", ".join(kind.value for kind in kinds) or Liquidity.UNKNOWN.value,
        min(fill.booked_at for fill in fills) - sent if fills else None,
    )  # fmt: skip


def _size(fills: Sequence[VenueFill]) -> Decimal:
    return total(fill.size for fill in fills)
