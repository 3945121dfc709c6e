"""Checks of the venue's work: prices a bar really traded at, its volume, its latency, fees of the right tier, steps."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from backtest.audit.books import ZERO, Books, Fill, Order
from backtest.audit.tape import BPS, Bar, to_step
from bot.settings.policy import FillModelPolicy

CENT_OF_A_CENT = Decimal("0.000001")
MONTH_S, HOUR_S = 30 * 86_400, 3600
TIERS = (
    (0, None, None), (10_000, "0.25", "0.40"), (50_000, "0.15", "0.25"), (100_000, "0.10", "0.20"),
    (1_000_000, "0.08", "0.18"), (15_000_000, "0.06", "0.16"), (75_000_000, "0.03", "0.10"),
    (250_000_000, "0", "0.06"), (400_000_000, "0", "0.04"),
)  # fmt: skip
"""Dollars of 30 days, maker and taker percent; the first tier pays what the policy says."""


def prices(books: Books, rules: FillModelPolicy) -> Iterator[str]:
    """Makers trade at their limit, in a bar that traded through it; takers no better than touch and slippage."""
    for fill in books.fills:
        order, bar = books.orders[fill.order], books.tape.closing_at(fill.product, fill.at)
        if bar is None:
            yield f"{_name(fill)} in a minute of which nothing was recorded"
        elif fill.maker:
            yield from _maker(fill, order, bar, rules)
            yield from _newborn(books, fill, order, bar, rules)
        else:
            yield from _taker(books, fill, order, bar, rules)


def latency(books: Books, rules: FillModelPolicy) -> Iterator[str]:
    """No order meets a bar that began before it was sent; an attached bracket is born of a fill of its entry."""
    least = max(1, rules.latency_bars) * books.tape.length
    for order in books.orders.values():
        if order.parent and books.parent(order) is None:
            yield f"bracket {order.id} was born at {order.created}, its entry filled nothing then"
    for fill in books.fills:
        order = books.orders[fill.order]
        if not order.parent and fill.at - order.created < least:
            yield f"{_name(fill)} {fill.at - order.created} s after its order was made, {least} s is the least"


def volume(books: Books, rules: FillModelPolicy) -> Iterator[str]:
    """All fills of a bar together take at most a share of what traded in it."""
    taken: dict[tuple[str, int], Decimal] = {}
    for fill in books.fills:
        taken[fill.product, fill.at] = taken.get((fill.product, fill.at), ZERO) + fill.size
    for (product, at), size in taken.items():
        bar = books.tape.closing_at(product, at)
        most = rules.participation_pct.fraction * (bar.volume if bar is not None else ZERO)
        if rules.fill_model == "pessimistic" and size > most * (1 + CENT_OF_A_CENT):
            yield f"{size} {product} filled in the bar that closed at {at}, {most} is its share"


def fees(books: Books, rules: FillModelPolicy) -> Iterator[str]:
    """Every fee is its fill's value times the rate of the tier at which the order was placed."""
    for fill in books.fills:
        maker, taker = _rates(books, books.orders[fill.order].created, rules)
        due = fill.value * (maker if fill.maker else taker) / 100
        if abs(fill.fee - due) > CENT_OF_A_CENT or abs(fill.value - fill.price * fill.size) > CENT_OF_A_CENT:
            yield f"{_name(fill)} cost a fee of {fill.fee} on {fill.value}, {due:f} is due"


def steps(books: Books, _rules: FillModelPolicy) -> Iterator[str]:
    """Sizes and prices are whole steps of the product, buys reach its minimum, nothing fills beyond its size."""
    for order in books.orders.values():
        listing = books.tape.listing(order.product, order.created)
        if order.filled > order.size:
            yield f"order {order.id} filled {order.filled} of {order.size}"
        if listing is None:
            continue
        if order.size % listing.size_step:
            yield f"order {order.id}: size {order.size} is no multiple of {listing.size_step}"
        for price in (order.limit, order.stop):
            if price is not None and price % listing.price_step:
                yield f"order {order.id}: price {price} is no multiple of {listing.price_step}"
        if order.kind == "entry" and order.limit is not None and order.size * order.limit < listing.least:
            yield f"order {order.id} is worth {order.size * order.limit}, the venue takes no less than {listing.least}"


def _maker(fill: Fill, order: Order, bar: Bar, rules: FillModelPolicy) -> Iterator[str]:
    if fill.side == "BUY":
        beyond = bar.low < fill.price or (rules.fill_model == "touch" and bar.low == fill.price)
        better = order.limit is not None and fill.price > order.limit
    else:
        beyond = bar.high > fill.price or (rules.fill_model == "touch" and bar.high == fill.price)
        better = order.limit is not None and fill.price < order.limit
    if not beyond:
        yield f"{_name(fill)} as maker in a bar of {bar.low} to {bar.high}"
    if better:
        yield f"{_name(fill)} beyond its limit {order.limit}"


def _newborn(books: Books, fill: Fill, order: Order, bar: Bar, rules: FillModelPolicy) -> Iterator[str]:
    """A bracket born inside a bar takes its target there only when the close proves it (R10)."""
    entry = books.parent(order)
    if entry is None or not entry.maker or fill.at != order.created or order.limit is None:
        return
    proven = bar.close > order.limit or (rules.fill_model == "touch" and bar.close == order.limit)
    if not proven:
        yield f"{_name(fill)} at a target reached before or after its entry; the bar closed at {bar.close}"


def _taker(books: Books, fill: Fill, order: Order, bar: Bar, rules: FillModelPolicy) -> Iterator[str]:
    listing, slip = books.tape.listing(fill.product, fill.at), rules.slippage_bps / BPS
    step = listing.price_step if listing is not None else CENT_OF_A_CENT
    half = bar.open * rules.half_spread_bps / BPS
    if fill.side == "BUY":
        best = to_step(bar.open + half, step, ROUND_CEILING) * (1 + slip)
        if fill.price < best and fill.price != order.limit:
            yield f"{_name(fill)} as taker, {best:f} is the best to be had"
        return
    # Once triggered, what a bar's volume left over goes on at the next bar's touch.
    trigger = order.stop if fill.at == books.first_fill_at(order) else None
    start = bar.open - half if trigger is None else min(books.began(fill, order, bar), trigger)
    best = to_step(start, step, ROUND_FLOOR) * (1 - slip)
    if fill.price > best and fill.price != order.limit:
        yield f"{_name(fill)} as taker, {best:f} is the best to be had"
    if trigger is not None and bar.low > trigger:
        yield f"{_name(fill)} by a stop at {trigger} in a bar that fell to {bar.low} only"


def _rates(books: Books, at: int, rules: FillModelPolicy) -> tuple[Decimal, Decimal]:
    """Maker and taker percent for an order placed at `at`: volume counts up to the last full hour."""
    entry = (rules.maker_pct.value, rules.taker_pct.value)
    if rules.fees == "fixed":
        return entry
    hour = at // HOUR_S * HOUR_S
    traded = sum((f.value for f in books.fills_before(hour) if f.at >= hour - MONTH_S), ZERO)
    _, maker, taker = [tier for tier in TIERS if tier[0] <= traded][-1]
    if maker is None or taker is None:
        return entry
    return min(entry[0], Decimal(maker)), min(entry[1], Decimal(taker))


def _name(fill: Fill) -> str:
    return f"{fill.side} {fill.size} {fill.product} at {fill.price} (time {fill.at})"
