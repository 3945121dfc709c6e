"""Ours against theirs: read the account completely, and say what differs. The exchange is the truth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime

from bot.domain.event import ForeignOrderGone, ForeignOrderSeen, Payload
from bot.domain.money import ZERO
from bot.domain.order import Fill, OrderReport
from bot.domain.product import BUY
from bot.domain.snapshot import Balance
from bot.domain.state import State
from bot.domain.value import Value
from bot.errors import CriticalDataUnavailable, NotFound
from bot.ports import AccountReader


class Truth(Value):
    """One complete read of the account.

    reports: every working order, every order of ours that we believed alive and that is no longer listed, and every
        order whose report is needed to book a fill.
    missing: client ids of our orders that have an order id but that the venue does not show at this moment.
    """

    balances: Mapping[str, Balance]
    reports: tuple[OrderReport, ...]
    working_ids: frozenset[str]
    fills: tuple[Fill, ...]
    missing: tuple[str, ...]
    began_at: datetime
    at: datetime


def read_account(
    reader: AccountReader, state: State, now: Callable[[], datetime], known: Mapping[str, Balance] | None = None
) -> Truth:
    """Read balances, working orders, the orders of ours that are not listed any more, and fills since the cursor.

    A fill given in quote currency says nothing of its size: the order behind it is read too, whoever placed it. So is
    the order behind a sale that may be of an attached bracket: one that began and ended between two readings is never
    listed, and only its own report names the entry it belongs to.

    Fills are read last: a fill between the reads then shows in the fills and not yet in the balances, which is a
    difference that the next cycle explains, never a fill that is lost.

    known: the wallets as read before; as long as they read the same they are answered as the same object.

    Raises: CriticalDataUnavailable for implausible content; ExchangeError of the reader.
    """
    began = now()
    balances = _wallets(reader.balances(), known)
    refuse_implausible(balances, state)
    working = reader.working_orders()
    listed = frozenset([report.order_id for report in working])
    gone, missing = _vanished(reader, state, listed)
    cursor = state.fill_cursor
    fills = tuple(reader.fills_since(cursor.at - cursor.overlap)) if cursor is not None else ()
    read = (*working, *gone)
    return Truth(balances, (*read, *_behind(reader, state, fills, read)), listed, fills, missing, began, now())


def refuse_implausible(balances: Mapping[str, Balance], state: State) -> None:
    """An account that was worth something cannot read all zero: no fill and no transfer empties every wallet at once.

    Raises: CriticalDataUnavailable.
    """
    for balance in balances.values():
        if balance.available or balance.hold:
            return
    if any(ledger.expected > ZERO for ledger in state.ledgers.values()):
        raise CriticalDataUnavailable("balances", "every wallet reads zero although the books hold money")


def foreign_orders(state: State, others: Iterable[OrderReport]) -> Iterator[Payload]:
    """Working orders that are not ours: seen first, or gone. They are counted, never touched."""
    working = {report.order_id: report for report in others}
    for order_id, report in working.items():
        if order_id not in state.foreign_orders:
            size = report.size if report.size is not None else report.quote_size
            detail = f"{report.side.value} {size} at {report.limit_price}, placed {report.created_at:%Y-%m-%d %H:%M:%S}"
            yield ForeignOrderSeen(order_id, report.product, detail)
    for order_id in state.foreign_orders:
        if order_id not in working:
            yield ForeignOrderGone(order_id)


def _wallets(balances: Sequence[Balance], known: Mapping[str, Balance] | None) -> Mapping[str, Balance]:
    """The wallets by currency; those that are `known` were looked through when they were read first."""
    found = {balance.currency: balance for balance in balances}
    if len(found) < len(balances):
        twice, _ = Counter([balance.currency for balance in balances]).most_common(1)[0]
        raise CriticalDataUnavailable("balances", f"two wallets of {twice} on one portfolio")
    if found == known:
        return known
    for balance in balances:
        if balance.available < ZERO or balance.hold < ZERO:
            raise CriticalDataUnavailable("balances", f"{balance.currency} reads negative: {balance}")
    return found


def _vanished(
    reader: AccountReader, state: State, listed: Collection[str]
) -> tuple[list[OrderReport], tuple[str, ...]]:
    reports, missing = [], []
    for order in state.unsettled:
        if order.order_id not in listed:
            try:
                reports.append(reader.order(order.order_id))
            except NotFound:
                missing.append(order.client_order_id)
    return reports, tuple(missing)


def _behind(
    reader: AccountReader, state: State, fills: Sequence[Fill], read: Sequence[OrderReport]
) -> list[OrderReport]:
    """The orders that tell what fills not booked yet are: their size in base, or whose they are; those not shown are
    left out."""
    telling = [fill for fill in fills if (fill.size is None or _of_a_child(fill, state)) and not _booked(fill, state)]
    if not telling:
        return []
    found = []
    for order_id in sorted({fill.order_id for fill in telling} - {report.order_id for report in read}):
        with suppress(NotFound):
            found.append(reader.order(order_id))
    return found


def _of_a_child(fill: Fill, state: State) -> bool:
    """Whether a sale of an unknown order may be of a bracket attached to an entry that was working."""
    if fill.side is BUY or fill.order_id in state.foreign_orders or state.order_of(fill.order_id) is not None:
        return False
    return any(order.attached is not None and order.product.base == fill.product.base for order in state.unsettled)


def _booked(fill: Fill, state: State) -> bool:
    return state.has_fill(fill.entry_id, fill.order_id, fill.trade_id, fill.adjustment)
