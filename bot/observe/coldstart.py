"""A first start on an account with a past: what is held is taken into the books as it stands, and labelled so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from bot.domain.event import CursorMoved, FillsKnown, Payload, PositionAdopted
from bot.domain.money import EXACT, ZERO, Size
from bot.domain.order import Fill
from bot.domain.position import CostMethod, Lot, Origin, Position, bought, sold
from bot.domain.product import BUY, ProductId
from bot.domain.snapshot import Balance
from bot.domain.state import State
from bot.observe.valuation import Mark


def opening(
    fills: Sequence[Fill],
    balances: Mapping[str, Balance],
    markets: Mapping[str, ProductId],
    marks: Mapping[ProductId, Mark],
    began_at: datetime,
) -> Iterator[Payload]:
    """Events that open the books of an account: its past fills as known, its holdings as positions nobody manages.

    fills: of the last `rebuild_days`. markets: base currency -> market. A holding whose fills add up to exactly what
    is held gets their lots (REBUILT); any other is adopted at its first mark (ADOPTED), and not at all without one:
    it is adopted by a later cycle, once it has a price.
    """
    yield FillsKnown(
        {fill.entry_id: (fill.order_id, "" if fill.adjustment else fill.trade_id, fill.at) for fill in fills}
    )
    yield CursorMoved(began_at)
    yield from holdings(fills, balances, markets, marks, began_at)


def holdings(
    fills: Sequence[Fill],
    balances: Mapping[str, Balance],
    markets: Mapping[str, ProductId],
    marks: Mapping[ProductId, Mark],
    at: datetime,
) -> Iterator[PositionAdopted]:
    """One unmanaged position for every base currency held that has a mark."""
    for currency, market in sorted(markets.items()):
        balance = balances.get(currency)
        mark = marks.get(market)
        if balance is None or balance.total <= 0 or mark is None:
            continue
        mine = [fill for fill in fills if fill.product.base == currency and fill.product.quote == market.quote]
        lots = _rebuilt(market, mine, Size(balance.total), at)
        if lots is None:
            cost = EXACT.multiply(balance.total, mark.price.value)
            lots = (Lot(Size(balance.total), cost, at, Origin.ADOPTED),)
        yield PositionAdopted(Position(market, lots, lots[0].at, managed=False, high_mark=mark.price))


def unopened(state: State, markets: Mapping[str, ProductId]) -> Mapping[str, ProductId]:
    """Base currency -> market of what was held at the opening, had no price then, and has not moved since."""
    return {
        currency: market
        for currency, market in markets.items()
        if currency in state.unmoved
        and market not in state.positions
        and market not in state.quarantined
        and market not in state.ignored
    }


def _rebuilt(market: ProductId, fills: Sequence[Fill], held: Size, at: datetime) -> tuple[Lot, ...] | None:
    """First-in first-out lots of the fills, oldest first; None when they do not explain exactly what is held."""
    position = Position(market, (), at)
    for fill in sorted(fills, key=lambda item: (item.at, item.entry_id)):
        if fill.size is None or fill.adjustment:
            return None
        if fill.side is BUY:
            cost = EXACT.add(fill.value, fill.fee)
            position = bought(position, Lot(fill.size, cost, fill.at, Origin.REBUILT, fill.order_id), ZERO)
        elif fill.size > position.size:
            return None
        else:
            position, _ = sold(position, fill.size, ZERO, CostMethod.FIFO)
    return position.lots if position.size == held and position.lots else None
