"""What an order puts on hold, what is left of it after a fill, and what the rest of the order may still take."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from bot.domain.money import ONE, ceil_to
from bot.domain.product import BUY, SELL, Product, Side
from bot.domain.value import Value
from bot.venue.exact import SIZE_PLACES, add, div, mul, sub
from bot.venue.market import Touch
from bot.venue.matching import Want, bracket_stop_limit, protection_bound
from bot.venue.orders import OrderRecord, Terms
from bot.venue.rules import FillRules

EVERYTHING: Final = Decimal("Infinity")
"""Wanted by an order whose cost has no bound: it holds all there is."""

_SMALLEST: Final = ONE.scaleb(-SIZE_PLACES)


class Rates(Value):
    """Fee fractions in force when an order is placed."""

    maker: Decimal
    taker: Decimal

    def worst(self, terms: Terms) -> Decimal:
        """The rate a hold is made with: the maker's only where the order can never take."""
        return self.maker if terms.post_only else max(self.maker, self.taker)


class Need(Value):
    """Money an order needs. minimum: with less it is refused; wanted: what it holds when there is that much."""

    currency: str
    minimum: Decimal
    wanted: Decimal


def need_of(terms: Terms, side: Side, product: Product, touch: Touch | None, rates: Rates, rules: FillRules) -> Need:
    """The hold of a new order.

    A market buy sized in base wants its cost at the protection distance (all there is without protection), and needs
    at least its cost at the ask made worse by the slippage; without a touch it needs nothing, and is refused elsewhere.
    """
    if side is SELL:
        size = terms.base_size if terms.base_size is not None else _base_for(terms)
        return Need(product.base, size, size)
    factor = add(ONE, rates.worst(terms))
    if terms.is_market:
        return _market_buy(terms, product, touch, factor, rules)
    if terms.quote_size is not None:
        cost = mul(terms.quote_size, factor)
    else:
        cost = mul(mul(_worst_limit(terms, product, rules), terms.base_size or Decimal(0)), factor)
    return Need(product.quote, cost, cost)


def hold_left(before: OrderRecord, after: OrderRecord, cost: Decimal, product: Product, rules: FillRules) -> Decimal:
    """Hold that remains when fills costing `cost` (value and fee) turned `before` into `after`."""
    terms = after.terms
    if after.side is SELL:
        left = sub(before.hold, sub(after.filled_size, before.filled_size))
        return min(left, _base_left(after)) if after.size_in_quote else left
    if terms.is_market:
        return sub(before.hold, cost)
    return limit_hold(after, product, rules)


def limit_hold(record: OrderRecord, product: Product, rules: FillRules) -> Decimal:
    """What the unfilled part of a limit, stop-limit or bracket order sized in base, or a quote-sized buy, holds."""
    if record.side is SELL:
        return record.unfilled
    factor = add(ONE, Rates(record.maker_rate, record.taker_rate).worst(record.terms))
    if record.size_in_quote:
        return mul(record.unfilled, factor)
    return mul(mul(_worst_limit(record.terms, product, rules), record.unfilled), factor)


def want_of(record: OrderRecord, product: Product) -> Want:
    """What the order may still take."""
    if record.terms.is_market and record.side is BUY:
        factor = add(ONE, record.taker_rate)
        if record.size_in_quote:
            return Want(None, record.hold, factor, None)
        return Want(record.unfilled, record.hold, factor, product.size_step)
    if not record.size_in_quote:
        return Want(record.unfilled, None, ONE, product.size_step)
    base = record.hold if record.side is SELL else None
    return Want(base, record.unfilled, ONE, None)


def is_complete(record: OrderRecord, product: Product) -> bool:
    """Whether nothing but dust is left: no base, or less than one quote step of a quote-sized order."""
    return record.unfilled < product.quote_step if record.size_in_quote else record.unfilled <= 0


def _market_buy(terms: Terms, product: Product, touch: Touch | None, factor: Decimal, rules: FillRules) -> Need:
    if terms.quote_size is not None:
        return Need(product.quote, terms.quote_size, terms.quote_size)
    if touch is None:
        return Need(product.quote, Decimal(0), Decimal(0))
    size = mul(terms.base_size or Decimal(0), factor)
    likely = mul(touch.ask, rules.slippage.buy)
    bound = protection_bound(BUY, touch, product, rules)
    wanted = EVERYTHING if bound is None else mul(max(bound, likely), size)
    return Need(product.quote, mul(likely, size), wanted)


def _worst_limit(terms: Terms, product: Product, rules: FillRules) -> Decimal:
    """Highest price a buy can come to pay: a bracket that buys pays its stop's limit."""
    if terms.is_bracket and terms.stop_price is not None:
        return bracket_stop_limit(BUY, terms.stop_price, product, rules)
    return terms.limit_price or Decimal(0)


def _base_for(terms: Terms) -> Decimal:
    """Base that brings a quote-sized sell its amount at its limit, rounded up; a market sell has no such size."""
    if terms.quote_size is None or not terms.limit_price:
        return Decimal(0)
    return ceil_to(div(terms.quote_size, terms.limit_price), _SMALLEST)


def _base_left(record: OrderRecord) -> Decimal:
    return ceil_to(div(record.unfilled, record.live_limit or ONE), _SMALLEST)
