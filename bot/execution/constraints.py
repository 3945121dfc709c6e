"""What the venue accepts: prices and sizes made legal, or refused; never made larger than they were approved."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from bot.domain.decision import Reason, Reject
from bot.domain.money import EXACT, ONE, Price, Size
from bot.domain.order import OrderType
from bot.domain.product import BUY, Product, Side, TradingMode
from bot.domain.value import Value

_LIMITS: Final = frozenset({OrderType.LIMIT_POST_ONLY, OrderType.LIMIT_GTC, OrderType.LIMIT_IOC, OrderType.LIMIT_FOK})
_RESTING: Final = frozenset({OrderType.STOP_LIMIT, OrderType.BRACKET})

ALLOWED_TYPES: Final[Mapping[TradingMode, frozenset[OrderType]]] = {
    TradingMode.NORMAL: _LIMITS | _RESTING | {OrderType.MARKET},
    TradingMode.LIMIT_ONLY: _LIMITS | _RESTING,
    TradingMode.AUCTION: frozenset({OrderType.LIMIT_POST_ONLY, OrderType.LIMIT_GTC}),
    TradingMode.POST_ONLY: frozenset({OrderType.LIMIT_POST_ONLY}),
    TradingMode.CANCEL_ONLY: frozenset(),
    TradingMode.CLOSED: frozenset(),
}
"""Order types the venue takes for new orders in each mode; nothing matches during an auction, so nothing crosses."""


class Legal(Value):
    """Numbers the venue accepts, rounded so that they cost no more and sell no more than was asked."""

    price: Price
    size: Size


class Metadata(Value):
    """How old product metadata may be. max_age None: any age, for the last way out only."""

    now: datetime
    max_age: timedelta | None


def enforce_product_constraints(
    product: Product, side: Side, kind: OrderType, price: Price, size: Size, fee_rate: Decimal, metadata: Metadata
) -> Legal | Reject:
    """Round price passively and size down, then check mode, bounds and minimums.

    price: the limit, or the worst price assumed of an order without one. fee_rate: fraction of the notional; what a buy
    is worth after it must still meet the minimum. A sale is held to the venue's own rule, its notional: a stricter one
    would strand coins that can be sold.
    """
    refusal = _stale(product, metadata) or _forbidden(product, kind)
    if refusal is not None:
        return refusal
    if price.value < product.price_step and side is BUY:
        return Reject(Reason.ILLEGAL_ORDER, f"{product.id}: price {price} is below one step of {product.price_step}")
    legal = Legal(product.passive(price, side), _sized(product, size))
    kept = EXACT.subtract(ONE, fee_rate) if side is BUY else ONE
    return _below_minimum(product, legal, kept) or _illegal(product, legal) or legal


def _stale(product: Product, metadata: Metadata) -> Reject | None:
    age = metadata.now - product.as_of
    if metadata.max_age is None or age <= metadata.max_age:
        return None
    detail = (
        f"{product.id}: metadata is {age.total_seconds():.0f} s old, allowed {metadata.max_age.total_seconds():.0f}"
    )
    return Reject(Reason.METADATA_STALE, detail)


def _forbidden(product: Product, kind: OrderType) -> Reject | None:
    if kind in ALLOWED_TYPES[product.mode]:
        return None
    detail = f"{product.id} is {product.mode.value} ({product.mode_reason}): no {kind.value} orders"
    return Reject(Reason.PRODUCT_STATUS, detail)


def _sized(product: Product, size: Size) -> Size:
    return product.floor_size(Size(min(size.value, product.base_max)))


def _below_minimum(product: Product, legal: Legal, kept: Decimal) -> Reject | None:
    if legal.size.is_zero or legal.size.value < product.base_min:
        detail = f"{product.id}: size {legal.size} is below the minimum {product.base_min} {product.base}"
        return Reject(Reason.MIN_NOTIONAL, detail)
    net = product.notional(legal.price, legal.size).times(kept)
    if net.amount < product.quote_min:
        detail = f"{product.id}: {net} is below the minimum {product.quote_min} {product.quote}"
        return Reject(Reason.MIN_NOTIONAL, detail)
    return None


def _illegal(product: Product, legal: Legal) -> Reject | None:
    why = product.illegal(legal.price, legal.size)
    return None if why is None else Reject(Reason.ILLEGAL_ORDER, f"{product.id}: {why}")
