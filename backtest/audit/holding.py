"""Checks of what is held and what comes of it: knowledge no newer than the moment, stops kept, books that add up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from backtest.audit.books import ZERO, Books, Fill, Order
from backtest.audit.tape import seconds
from bot.settings.config import Config
from bot.settings.rules import Rule

CENT = Decimal("0.01")
GRACE_BARS = 6
"""A stop waits for a confirming quote, a free hold, latency and volume; longer than this it was not kept."""
BRACKET_KINDS = ("trigger_bracket_gtc", "trigger_bracket_gtd")


def knowledge(books: Books, _config: Config) -> Iterator[str]:
    """Every wish reasons from the newest closed bar: entries from the mid made of its close, exits from the bid."""
    for wish in books.wishes:
        quote = books.tape.quote(wish.product, wish.at)
        if quote is None:
            yield f"{wish.side} {wish.product} at {wish.at}: nothing was recorded of the bar before"
        elif wish.reference != (known := quote.mid if wish.side == "BUY" else quote.bid):
            yield f"{wish.side} {wish.product} at {wish.at}: reasons from {wish.reference}, {known} was known"


def ownership(books: Books, _config: Config) -> Iterator[str]:
    """Nothing is sold that is not held, nothing is bought without money."""
    held: dict[str, Decimal] = {}
    cash = books.opening
    for fill in books.fills:
        held[fill.product] = held.get(fill.product, ZERO) + fill.signed
        cash += fill.cash
        if held[fill.product] < 0:
            yield f"{held[fill.product]} {fill.product} is held at {fill.at}"
        if cash < 0:
            yield f"cash is {cash} at {fill.at}"


def exits(books: Books, config: Config) -> Iterator[str]:
    """Every sale has a reason that held: its stop was reached, its target, its time."""
    rules = {rule.name: rule for rule in config.policy.rules}
    for trade in books.trades:
        yield from _kept(books, trade, rules[trade["rule"]])


def brackets(books: Books, config: Config) -> Iterator[str]:
    """Protective orders lie where the rule says: the stop below the entry, the target above it."""
    rules = {rule.name: rule for rule in config.policy.rules}
    for order in books.orders.values():
        entry = books.parent(order)
        rule = rules.get(order.rule if entry is None else entry.reason)
        if order.kind != "protective" or order.stop is None or rule is None:
            continue
        bought = _bought(books, order) if entry is None else entry.price
        if bought is not None:
            yield from _bracket(books, order, bought, rule)


def money(books: Books, _config: Config) -> Iterator[str]:
    """Equity is cash and holdings at the bid at every row, and the sum of all trades explains its change."""
    for row in books.equity_rows:
        mine = books.path[seconds(row["time"])]
        if abs(mine - Decimal(row["equity"])) > CENT / 100:
            yield f"equity at {row['time']} is {row['equity']}, cash and holdings are worth {mine:.6f}"
    final = Decimal(books.summary["equity"]["final"])
    left = books.worth(books.end)
    made = sum((Decimal(t["proceeds"]) - Decimal(t["cost"]) for t in books.trades), ZERO) + sum(left.values(), ZERO)
    if abs(final - books.opening - made) > CENT:
        yield f"equity went from {books.opening} to {final}, trades and holdings explain {made:.6f}"
    if abs(final - books.path[books.end]) > CENT:
        yield f"the last equity is {final}, cash and holdings are worth {books.path[books.end]:.6f}"


def _kept(books: Books, trade: Mapping[str, Any], rule: Rule) -> Iterator[str]:
    opened, product = seconds(trade["opened_at"]), trade["product"]
    closed = seconds(trade["closed_at"]) if trade["closed_at"] is not None else books.end
    grace = GRACE_BARS * books.tape.length
    entry, name = Decimal(trade["entry"]), f"trade in {product} from {trade['opened_at']}"
    if rule.stop_loss_pct is not None:
        level = entry * (1 - rule.stop_loss_pct.fraction)
        below = next(
            (at for at in _open_bars(books, product, opened, closed) if _low(books, product, at) < level), None
        )
        if below is not None and closed - below > grace:
            yield f"{name}: fell below its stop {level:f} at {below}, was held until {closed}"
    limit = rule.max_hold_minutes
    if limit is not None and closed - opened > float(limit) * 60 + grace and _tradable(books, product, opened, closed):
        yield f"{name}: was held for {closed - opened} s, {limit} minutes are allowed"
    reason = trade["exit_reason"]
    if reason == "take_profit" and Decimal(trade["exit"]) <= entry:
        yield f"{name}: took a profit at {trade['exit']} after buying at {entry}"
    if reason == "stop_loss" and Decimal(trade["exit"]) >= entry:
        yield f"{name}: stopped out at {trade['exit']} after buying at {entry}"


def _open_bars(books: Books, product: str, opened: int, closed: int) -> Iterator[int]:
    """Closes of the bars of a trade, but for its first, in which the market took orders."""
    for at in range(opened + books.tape.length, closed + 1, books.tape.length):
        if books.tape.closing_at(product, at) is not None and _tradable(books, product, at, at + GRACE_BARS * 300):
            yield at


def _low(books: Books, product: str, at: int) -> Decimal:
    bar = books.tape.closing_at(product, at)
    return Decimal("Infinity") if bar is None else bar.low


def _tradable(books: Books, product: str, first: int, last: int) -> bool:
    """Whether the market was open and recorded all the way."""
    at = range(first, min(last, books.end) + 1, books.tape.length)
    shut = (books.tape.listing(product, moment) for moment in at)
    return not any(row is not None and row.shut for row in shut) and all(
        books.tape.closing_at(product, moment) is not None for moment in at
    )


def _bought(books: Books, order: Order) -> Decimal | None:
    """Average price of the position an order protects; None when nothing is held."""
    trip: list[Fill] = []
    for fill in books.fills_until(order.created):
        if fill.product == order.product:
            trip.append(fill)
            if sum((f.signed for f in trip), ZERO) <= 0:
                trip = []
    buys = [fill for fill in trip if fill.side == "BUY"]
    size = sum((fill.size for fill in buys), ZERO)
    return sum((fill.value for fill in buys), ZERO) / size if size else None


def _bracket(books: Books, order: Order, bought: Decimal, rule: Rule) -> Iterator[str]:
    listing, name = books.tape.listing(order.product, order.created), f"protective order {order.id} of {order.product}"
    near = 2 * (listing.price_step if listing is not None else CENT)
    stop, limit = order.stop or ZERO, order.limit or ZERO
    if rule.stop_loss_pct is not None:
        level = bought * (1 - rule.stop_loss_pct.fraction)
        exact = rule.trailing_stop_pct is None
        if stop < level - near or (exact and stop > level + near):
            yield f"{name}: its stop is {stop}, {level:f} is {rule.stop_loss_pct} below {bought:f}"
    if order.type in BRACKET_KINDS and rule.take_profit_pct is not None:
        level = bought * (1 + rule.take_profit_pct.fraction)
        if abs(limit - level) > near:
            yield f"{name}: its target is {limit}, {level:f} is {rule.take_profit_pct} above {bought:f}"
