"""What a market must show to be entered, one function a condition, cheapest first; each says number and limit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from bot.domain.decision import Reason
from bot.domain.market import Level
from bot.domain.money import BASIS_POINTS, EXACT, ZERO, decimal_text, quantised
from bot.domain.product import ProductId, TradingMode
from bot.domain.snapshot import MarketView
from bot.domain.state import Ban
from bot.domain.value import Value
from bot.settings.universe import Tier, Universe

Refusal = tuple[Reason, str]

_DAY: Final = timedelta(days=1)
_TWICE_BPS: Final = BASIS_POINTS * 2


class Grounds(Value):
    """What one market is judged by. tier: None when no tier and no discovery takes it. bans: in force, by base."""

    market: ProductId
    view: MarketView
    tier: Tier | None
    universe: Universe
    never: frozenset[str]
    bans: Mapping[str, Ban]
    now: datetime
    within_bps: Decimal


def refusal(grounds: Grounds) -> Refusal | None:
    """The first condition the market does not meet, and how; None when it meets all."""
    for condition in FOR_ANY:
        if (found := condition(grounds)) is not None:
            return found
    if grounds.tier is None:
        return Reason.NOT_IN_TIER, "listed in no tier and not discovered"
    for demand in FOR_MEMBERS:
        if (found := demand(grounds, grounds.tier)) is not None:
            return found
    return None


def _never_trade(grounds: Grounds) -> Refusal | None:
    if grounds.market.base in grounds.never:
        return Reason.NEVER_TRADE, f"{grounds.market.base} is in exclusions.never_trade"
    return None


def _banned(grounds: Grounds) -> Refusal | None:
    ban = grounds.bans.get(grounds.market.base)
    if ban is not None:
        return Reason.BANNED, f"{ban.kind} ({ban.source}), until {ban.until:%Y-%m-%d %H:%M:%S} UTC"
    return None


def _quote_currency(grounds: Grounds, _tier: Tier) -> Refusal | None:
    quote, wanted = grounds.view.product.quote, grounds.universe.quote_currencies
    if quote not in wanted:
        return Reason.WRONG_QUOTE_CURRENCY, f"quoted in {quote}, traded are {', '.join(wanted)}"
    return None


def _open(grounds: Grounds, _tier: Tier) -> Refusal | None:
    """Any flag of the venue refuses entries, limit_only and post_only too; exits have their own rules."""
    product = grounds.view.product
    if product.mode is TradingMode.NORMAL:
        return None
    reason = Reason.NOT_ONLINE if product.mode is TradingMode.CLOSED else Reason.PRODUCT_MODE
    return reason, f"mode {product.mode.value}" + (f": {product.mode_reason}" if product.mode_reason else "")


def _listed_long_enough(grounds: Grounds, tier: Tier) -> Refusal | None:
    needed, listed = tier.min_listed_days, grounds.view.product.listed_at
    if not needed:
        return None
    if listed is None:
        return Reason.TOO_NEW, f"listing date unknown, {decimal_text(needed)} days are needed"
    age = Decimal((grounds.now - listed) // timedelta(seconds=1))
    if age < needed * 86400:
        return Reason.TOO_NEW, f"listed {age / 86400:.1f} days ago, {decimal_text(needed)} are needed"
    return None


def _volume(grounds: Grounds, tier: Tier) -> Refusal | None:
    volume, needed = grounds.view.product.quote_volume_24h, tier.min_volume_24h
    if volume is None:
        return Reason.VOLUME_UNKNOWN, "the venue gave no 24 h volume"
    if volume < needed:
        return Reason.VOLUME_LOW, f"24 h volume {volume:.0f}, at least {decimal_text(needed)} is needed"
    return None


def _quote(grounds: Grounds, _tier: Tier) -> Refusal | None:
    problem = grounds.view.quote_problem
    if problem is not None:
        return problem.reason, problem.detail
    return (Reason.QUOTE_MISSING, "no quote") if grounds.view.quote is None else None


def _bars(grounds: Grounds, _tier: Tier) -> Refusal | None:
    problem = grounds.view.bars_problem
    if problem is not None:
        return problem.reason, problem.detail
    return (Reason.BARS_MISSING, "no bars") if grounds.view.windows is None else None


def _spread(grounds: Grounds, tier: Tier) -> Refusal | None:
    """(ask - bid) / mid in basis points, compared without division."""
    quote, limit = grounds.view.quote, tier.max_spread_bps
    if quote is None:
        return Reason.QUOTE_MISSING, "no quote"
    bid, ask = quote.bid.value, quote.ask.value
    if EXACT.multiply(EXACT.subtract(ask, bid), _TWICE_BPS) <= EXACT.multiply(limit, EXACT.add(ask, bid)):
        return None
    return Reason.SPREAD_WIDE, f"spread {quantised(quote.spread_bps, 2)} bps, at most {decimal_text(limit)}"


def _depth(grounds: Grounds, tier: Tier) -> Refusal | None:
    """Quote value of the levels within `within_bps` of the book's own mid, on each side."""
    needed, book = tier.min_depth, grounds.view.book
    if not needed:
        return None
    if book is None or not book.bids or not book.asks:
        return Reason.DEPTH_THIN, f"no book, at least {decimal_text(needed)} is needed on each side"
    middle = EXACT.add(book.bids[0].price.value, book.asks[0].price.value)
    for name, levels, sign in (("bids", book.bids, -1), ("asks", book.asks, 1)):
        limit = EXACT.divide(EXACT.multiply(middle, EXACT.add(BASIS_POINTS, sign * grounds.within_bps)), _TWICE_BPS)
        depth = _value_within(levels, limit, sign, needed)
        if depth < needed:
            detail = f"{name} within {decimal_text(grounds.within_bps)} bps hold {depth:.0f}"
            return Reason.DEPTH_THIN, f"{detail}, at least {decimal_text(needed)} is needed"
    return None


def _value_within(levels: Sequence[Level], limit: Decimal, sign: int, enough: Decimal) -> Decimal:
    """Quote value resting no further out than `limit`, counted no further than `enough`."""
    add, multiply, value = EXACT.add, EXACT.multiply, ZERO
    for level in levels:
        price = level.price.value
        if price > limit if sign > 0 else price < limit:
            break
        value = add(value, multiply(price, level.size.value))
        if value >= enough:
            break
    return value


FOR_ANY: Final[tuple[Callable[[Grounds], Refusal | None], ...]] = (_never_trade, _banned)
"""Asked of every market, first."""

FOR_MEMBERS: Final[tuple[Callable[[Grounds, Tier], Refusal | None], ...]] = (
    _quote_currency,
    _open,
    _listed_long_enough,
    _volume,
    _quote,
    _bars,
    _spread,
    _depth,
)
"""Asked of members of a tier, in this order."""
