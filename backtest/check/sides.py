"""What a run did, told alike whether it ran live or in the backtest: entries by intent, exits by round trip."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from backtest.check.deeds import LEVELS, Basis, Entry, Exit, Filled, Part, Sent
from backtest.dataset import Dataset
from backtest.recorder import Origin, Recorder
from backtest.trades import Ledger, Trade, trades
from bot.domain.decision import Clamp, Decision, Evaluated
from bot.domain.holdings import view_of
from bot.domain.money import EXACT, ZERO, total
from bot.domain.order import OrderKind
from bot.domain.product import ProductId
from bot.domain.product import Side as OrderSide
from bot.domain.snapshot import Snapshot
from bot.domain.state import State
from bot.domain.value import Value
from bot.settings.config import Config
from bot.venue.orders import OrderRecord, TriggerStatus, VenueFill

LIVE: Final = "live"
BACKTEST: Final = "backtest"
TRAILING: Final = timedelta(days=30)

Bases = Mapping[tuple[ProductId, str], Basis]
"""Of the entries a cycle approved, by product and rule."""


class Cycle(Value):
    """What is compared of a scheduled cycle."""

    at: datetime
    decision: Decision
    bases: Bases


class Side(Value):
    """One of the two runs. decisions: those of scheduled cycles, by bar. trips: round trips, open ones included.

    opening: what the account held at first, by currency. fills, orders: the bot's, as the venue kept them.
    """

    name: str
    entries: tuple[Entry, ...]
    exits: tuple[Exit, ...]
    trips: tuple[Trade, ...]
    decisions: Mapping[int, Decision]
    opening: Mapping[str, Decimal]
    fills: tuple[VenueFill, ...] = ()
    orders: tuple[OrderRecord, ...] = ()

    @property
    def recorded(self) -> bool:
        """Whether its fills are those of recorded bars."""
        return self.name == BACKTEST

    def busy(self, product: ProductId, bar: int, data: Dataset) -> bool:
        """Whether this side held the product, or had an order for it, at the close of a bar."""
        at = data.closed(bar)
        return any(
            trip.product == product and trip.opened_at <= at and (trip.closed_at is None or at <= trip.closed_at)
            for trip in self.trips
        )


class Records(Value):
    """What a venue and a bot's journal keep. origins: by client order id. last: what happened later is left out.

    opening: what the venue held for the account before the first cycle.
    """

    orders: Sequence[OrderRecord]
    fills: Sequence[VenueFill]
    origins: Mapping[str, Origin]
    cycles: Iterable[Cycle]
    last: datetime
    opening: Mapping[str, Decimal]


def cycle(at: datetime, decision: Decision, snapshot: Snapshot) -> Cycle:
    """What is compared of a cycle; the rest need not be kept."""
    bases, ahead = dict[tuple[ProductId, str], Basis](), ZERO
    for item in decision.evaluated:
        if item.approved is None or item.proposal.kind is not OrderKind.ENTRY:
            continue
        basis = _basis(at, item, snapshot, ahead)
        if basis is not None:
            bases[item.proposal.product, item.proposal.rule] = basis
        ahead = EXACT.add(ahead, item.approved.worst_quote.amount)
    return Cycle(at, decision, bases)


def side(name: str, records: Records, data: Dataset, config: Config) -> Side:
    """Raises UnitError when the records make no round trips."""
    recorder = Recorder(State)
    recorder.origins.update(records.origins)
    orders = {order.order_id: order for order in records.orders}
    fills = [fill for fill in records.fills if fill.booked_at <= records.last and orders[fill.order_id].owner == "bot"]
    trips = trades(Ledger(data, config, fills, orders, recorder))
    cycles = [item for item in records.cycles if item.at <= records.last]
    made = _Made(orders, fills)
    entries = sorted(_entries(records, made, cycles, data), key=lambda entry: (entry.bar, entry.product))
    exits = sorted(_exits(trips, made, data), key=lambda item: (item.begun, item.product))
    decisions = {data.newest(item.at): item.decision for item in cycles}
    ours = tuple(order for order in orders.values() if order.owner == "bot")
    return Side(name, tuple(entries), tuple(exits), trips, decisions, records.opening, tuple(fills), ours)


def decided_at(cycle_id: str) -> datetime:
    """The time in a cycle's name."""
    return datetime.strptime(cycle_id.partition(".")[0], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)


def _basis(at: datetime, item: Evaluated, snapshot: Snapshot, ahead: Decimal) -> Basis | None:
    view = view_of(snapshot, item.proposal.product)
    if view is None or view.quote is None or item.approved is None:
        return None
    clamped = tuple(r.verdict.reason.value for r in item.results if isinstance(r.verdict, Clamp))
    limit, nlv = item.approved.worst_price, snapshot.valuation.nlv
    asks = view.book.asks if view.book is not None else ()
    return Basis(
        at, nlv.amount if nlv is not None else None, limit.value, view.quote.bid.value, view.quote.ask.value,
        view.product, clamped, ahead, total(level.size.value for level in asks if level.price <= limit),
    )  # fmt: skip


class _Made(Value):
    """The orders of one side and everything that filled of them."""

    orders: Mapping[str, OrderRecord]
    fills: Sequence[VenueFill]

    def sent(self, order: OrderRecord, fills: Sequence[VenueFill]) -> Sent:
        hour = order.created_at.replace(minute=0, second=0, microsecond=0)
        terms, triggered = order.terms, order.trigger is TriggerStatus.TRIGGERED
        return Sent(
            order.created_at, order.ended_at,
            terms.base_size if terms.base_size is not None else total(fill.size for fill in fills), order.live_limit,
            terms.stop_price if triggered else None, terms.rests,
            total(fill.value for fill in self.fills if hour - TRAILING <= fill.booked_at < hour),
            tuple(map(_part, fills)),
        )  # fmt: skip

    def filled(self, asked: Decimal, orders: Iterable[OrderRecord], mine: Sequence[VenueFill], waited: bool) -> Filled:
        sent = [self.sent(order, [fill for fill in mine if fill.order_id == order.order_id]) for order in orders]
        sent.sort(key=lambda order: order.at)
        return Filled(asked, tuple(sent), sent[0].at if waited else None)


def _part(fill: VenueFill) -> Part:
    return Part(fill.price, fill.size, fill.fee, fill.liquidity, fill.trade_time, fill.booked_at)


def _entries(records: Records, made: _Made, cycles: Iterable[Cycle], data: Dataset) -> Iterator[Entry]:
    bases = {item.decision.cycle_id: item.bases for item in cycles}
    attempts: dict[int, list[tuple[Origin, OrderRecord]]] = {}
    for order in made.orders.values():
        origin = records.origins.get(order.client_order_id)
        if origin is not None and origin.kind is OrderKind.ENTRY and order.created_at <= records.last:
            attempts.setdefault(origin.intent, []).append((origin, order))
    for tried in attempts.values():
        tried.sort(key=lambda pair: pair[0].attempt)
        origin, first = tried[0]
        orders = [order for _, order in tried]
        ids = {order.order_id for order in orders}
        mine = [fill for fill in made.fills if fill.order_id in ids]
        asked = first.terms.base_size if first.terms.base_size is not None else total(fill.size for fill in mine)
        basis = bases.get(origin.cycle_id, {}).get((first.product, origin.rule))
        bar = data.newest(decided_at(origin.cycle_id))
        yield Entry(bar, first.product, origin.rule, len(tried), made.filled(asked, orders, mine, True), basis)


def _exits(trips: Sequence[Trade], made: _Made, data: Dataset) -> Iterator[Exit]:
    for trip in trips:
        if trip.closed_at is None:
            continue
        during = [fill for fill in made.fills if trip.opened_at <= fill.booked_at <= trip.closed_at]
        sales = [fill for fill in during if fill.product == trip.product and fill.side is OrderSide.SELL]
        orders = [made.orders[number] for number in dict.fromkeys(fill.order_id for fill in sales)]
        filled = made.filled(trip.size, orders, sales, trip.exit_reason not in LEVELS)
        begun, ended = min(fill.trade_time for fill in sales), max(fill.booked_at for fill in sales)
        opened = data.newest(trip.opened_at)
        yield Exit(opened, begun, ended, trip.product, trip.rule, trip.exit_reason, trip.entry, filled)
