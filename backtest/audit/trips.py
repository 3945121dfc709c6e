"""Round trips made anew from the fills, and checks of trades.json and of what taking cost against them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from functools import cached_property
from typing import Any

from backtest.audit.books import ZERO, Books, Fill
from backtest.audit.tape import BPS, to_step
from bot.domain.value import Value
from bot.settings.config import Config

EXACT_ENOUGH = 1e-9


class Trip(Value, dict=True):
    """The fills of one position from nothing to nothing, or to the end of the run. risk: fraction of the entry that
    its nearest stop puts at risk; lows, highs: of the bars from its first fill to its last."""

    fills: Sequence[Fill]
    risk: Decimal | None
    lows: Sequence[Decimal]
    highs: Sequence[Decimal]

    @cached_property
    def buys(self) -> Sequence[Fill]:
        return [fill for fill in self.fills if fill.side == "BUY"]

    @cached_property
    def sales(self) -> Sequence[Fill]:
        return [fill for fill in self.fills if fill.side != "BUY"]

    @property
    def closed(self) -> bool:
        return size_of(self.buys) == size_of(self.sales)

    @property
    def minutes(self) -> float:
        return (self.fills[-1].at - self.fills[0].at) / 60

    @property
    def entry(self) -> Decimal:
        return value_of(self.buys) / size_of(self.buys)

    @property
    def paid(self) -> Decimal:
        return value_of(self.buys) + fees_of(self.buys)

    @property
    def got(self) -> Decimal:
        return value_of(self.sales) - fees_of(self.sales)

    @property
    def pnl(self) -> Decimal:
        return self.got - self.paid

    @property
    def bps(self) -> Decimal:
        return self.pnl / self.paid * 10_000

    @property
    def multiple(self) -> Decimal | None:
        return None if self.risk is None else self.pnl / (value_of(self.buys) * self.risk)

    @property
    def adverse(self) -> Decimal:
        return min(ZERO, (min(self.lows) / self.entry - 1) * 100)

    @property
    def favourable(self) -> Decimal:
        return max(ZERO, (max(self.highs) / self.entry - 1) * 100)


def size_of(fills: Sequence[Fill]) -> Decimal:
    return sum((fill.size for fill in fills), ZERO)


def value_of(fills: Sequence[Fill]) -> Decimal:
    return sum((fill.value for fill in fills), ZERO)


def fees_of(fills: Sequence[Fill]) -> Decimal:
    return sum((fill.fee for fill in fills), ZERO)


def trips(books: Books, config: Config) -> Sequence[Trip]:
    """Every round trip in the order in which it ended, open ones last."""
    going: dict[str, list[Fill]] = {}
    done = []
    for fill in books.fills:
        own = going.setdefault(fill.product, [])
        own.append(fill)
        if sum((one.signed for one in own), ZERO) <= 0:
            done.append(_trip(books, config, going.pop(fill.product), own[-1].at))
    return [*done, *(_trip(books, config, own, books.end) for own in going.values())]


def _trip(books: Books, config: Config, fills: Sequence[Fill], last: int) -> Trip:
    rule = config.policy.rule(fills[0].reason)
    asked = (rule.stop_loss_pct, rule.trailing_stop_pct) if rule is not None else ()
    stops = [stop.fraction for stop in asked if stop is not None]
    span = range(fills[0].at, last + 1, books.tape.length)
    bars = [bar for at in span if (bar := books.tape.closing_at(fills[0].product, at)) is not None]
    return Trip(fills, min(stops, default=None), [bar.low for bar in bars], [bar.high for bar in bars])


def trades(books: Books, config: Config) -> Iterator[str]:
    """trades.json tells the round trips that the fills make, one by one."""
    mine = trips(books, config)
    if len(mine) != len(books.trades):
        yield f"{len(books.trades)} trades are told, the fills make {len(mine)}"
        return
    for told, trip in zip(books.trades, mine, strict=True):
        for name, value in _facts(trip).items():
            if not same(told[name], value):
                yield f"{name} of the trade in {told['product']} from {told['opened_at']} is {told[name]}, not {value}"


def _facts(trip: Trip) -> Mapping[str, Any]:
    ended = trip.closed
    return {
        "product": trip.fills[0].product, "rule": trip.fills[0].reason, "size": size_of(trip.buys), "entry": trip.entry,
        "exit": value_of(trip.sales) / size_of(trip.sales) if trip.sales else None, "cost": trip.paid,
        "proceeds": trip.got, "fees": fees_of(trip.fills), "pnl": trip.pnl if ended else None,
        "spread": sum((fill.spread for fill in trip.fills), ZERO),
        "slippage": sum((fill.slippage for fill in trip.fills), ZERO),
        "pnl_bps": trip.bps if ended else None, "pnl_r": trip.multiple if ended else None,
        "adverse_excursion_pct": trip.adverse, "favourable_excursion_pct": trip.favourable,
        "exit_reason": trip.sales[-1].reason if ended else "open",
    }  # fmt: skip


def same(told: Any, mine: Any) -> bool:
    """Texts alike, numbers as far as they are told."""
    if mine is None or told is None or not isinstance(mine, Decimal):
        return bool(told == mine)
    return math.isclose(float(told), float(mine), rel_tol=EXACT_ENOUGH, abs_tol=EXACT_ENOUGH)


def taking(books: Books, config: Config) -> Iterator[str]:
    """Spread and slippage of each fill are what lies between the price it met and the price it got."""
    for fill in books.fills:
        spread, slippage = _paid(books, fill, config.policy.backtest.half_spread_bps)
        if not (same(fill.spread, spread) and same(fill.slippage, slippage)):
            name = f"{fill.side} {fill.size} {fill.product} at {fill.price} (time {fill.at})"
            yield f"{name} tells {fill.spread} of spread and {fill.slippage} of slippage, not {spread:f}, {slippage:f}"


def _paid(books: Books, fill: Fill, half_spread_bps: Decimal) -> tuple[Decimal, Decimal]:
    bar, order = books.tape.closing_at(fill.product, fill.at), books.orders[fill.order]
    listing = books.tape.listing(fill.product, fill.at - books.tape.length)
    if fill.maker or bar is None or listing is None:
        return ZERO, ZERO
    side, half = (1 if fill.side == "BUY" else -1), bar.open * half_spread_bps / BPS
    touch = to_step(bar.open + side * half, listing.price_step, ROUND_CEILING if side > 0 else ROUND_FLOOR)
    if order.stop is not None and fill.at == books.first_fill_at(order):
        touch = min(books.began(fill, order, bar), order.stop)
        return ZERO, (touch - fill.price) * fill.size
    return abs(touch - bar.open) * fill.size, side * (fill.price - touch) * fill.size
