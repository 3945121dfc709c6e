"""Looks at the book before an order leaves: spread, depth and expected slippage, as functions of values."""

from __future__ import annotations

from decimal import Decimal

from bot.domain.decision import Reason, Reject
from bot.domain.market import Book, Quote, walk_levels
from bot.domain.money import Price
from bot.domain.order import OrderType, PlannedOrder
from bot.domain.product import BUY, SELL, Product, Side
from bot.domain.snapshot import MarketView
from bot.ports import Preview
from bot.settings.policy import ExecutionPolicy


def check_entry(
    order: PlannedOrder, view: MarketView, spread_limit: Decimal | None, policy: ExecutionPolicy
) -> Reject | None:
    """Refuse an entry into a market that is too wide, too thin to get out of, or too dear to cross."""
    quote, book = view.quote, view.book
    if quote is None:
        return Reject(Reason.QUOTE_MISSING, f"{order.product}: no usable quote")
    if spread_limit is not None and quote.spread_bps > spread_limit:
        return Reject(Reason.SPREAD_WIDE, f"{order.product}: spread {quote.spread_bps:.1f} bps, allowed {spread_limit}")
    if book is None:
        return Reject(Reason.DEPTH_THIN, f"{order.product}: no order book to measure depth in")
    thin = _thin(order, view.product, book, policy)
    crossing = order.type is not OrderType.LIMIT_POST_ONLY
    return thin or (_dear(order, quote, book, policy.max_slippage_bps) if crossing else None)


def check_exit(order: PlannedOrder, view: MarketView, policy: ExecutionPolicy, slippage_bps: Decimal) -> Reject | None:
    """Hold back a sale only when it cannot trade: no quote, or nobody bids at its limit or better."""
    if view.quote is None:
        return Reject(Reason.QUOTE_MISSING, f"{order.product}: no usable quote")
    if view.book is None or order.type is OrderType.LIMIT_POST_ONLY:
        return None
    if order.type is OrderType.MARKET:
        refusal = None if policy.allow_market_orders else "market orders are not allowed by the policy"
        if refusal is not None:
            return Reject(Reason.ILLEGAL_ORDER, f"{order.product}: {refusal}")
        return _dear(order, view.quote, view.book, slippage_bps)
    bids = [level for level in view.book.bids if order.limit_price is None or level.price >= order.limit_price]
    if walk_levels(bids, order.size).filled.is_zero:
        return Reject(Reason.DEPTH_THIN, f"{order.product}: nobody bids {order.limit_price} or better")
    return None


def check_preview(order: PlannedOrder, preview: Preview) -> Reject | None:
    """The venue's own opinion."""
    if not preview.errors:
        return None
    return Reject(Reason.PREVIEW_REFUSED, f"{order.product}: {', '.join(preview.errors)}")


def expected_slippage_bps(side: Side, mid: Price, average: Price) -> Decimal:
    """Basis points of the mid by which an average price is worse than it; negative when better."""
    moved = mid.distance_bps(average)
    return moved if side is BUY else -moved


def _thin(order: PlannedOrder, product: Product, book: Book, policy: ExecutionPolicy) -> Reject | None:
    """An entry must be small against both sides near the mid: the one it takes from, and the one it will leave by."""
    within = policy.depth_within_bps
    depth = min(book.depth(side, within, product.quote).amount for side in (BUY, SELL))
    room = policy.max_depth_share_pct.fraction * depth
    price = order.limit_price if order.limit_price is not None else book.side(order.side)[0].price
    value = product.notional(price, order.size).amount
    if value <= room:
        return None
    detail = (
        f"{order.product}: {value:.2f} {product.quote} is more than {policy.max_depth_share_pct} of the "
        f"{depth:.2f} within {within} bps"
    )
    return Reject(Reason.DEPTH_THIN, detail)


def _dear(order: PlannedOrder, quote: Quote, book: Book, allowed_bps: Decimal) -> Reject | None:
    walk = book.walk(order.side, order.size)
    if walk.average is None or walk.filled < order.size:
        return Reject(Reason.DEPTH_THIN, f"{order.product}: the book holds {walk.filled} of {order.size}")
    slippage = expected_slippage_bps(order.side, quote.mid, walk.average)
    if slippage <= allowed_bps:
        return None
    return Reject(Reason.SLIPPAGE, f"{order.product}: {slippage:.1f} bps expected, allowed {allowed_bps}")
