"""What an order would cost or bring now, without placing it."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from bot.domain.money import ONE, ZERO
from bot.domain.product import BUY
from bot.venue.checks import Situation
from bot.venue.exact import add, div, mul, sub
from bot.venue.market import Offer
from bot.venue.matching import Bounds, Take, Want, reaches, sweep
from bot.venue.orders import PreviewResult


def estimate(situation: Situation, offers: Iterable[Offer]) -> PreviewResult:
    """Every reason against the order, and its likely value, fee and average price by walking `offers`."""
    errors = tuple([refused.preview_failure_reason for refused in situation.refused])
    takes = _takes(situation, offers)
    value, base = _amounts(situation, takes)
    fee = mul(value, situation.rates.taker if takes else situation.rates.maker)
    touch = situation.touch
    average = div(value, base) if base > 0 else None
    return PreviewResult(
        errors, (), (add if situation.side is BUY else sub)(value, fee), fee, base, value,
        touch.bid if touch else None, touch.ask if touch else None, average if takes else situation.terms.limit_price,
        _slippage(situation, average) if takes else ZERO,
        situation.available > 0 and not errors and situation.need.wanted >= situation.available,
    )  # fmt: skip


def _takes(s: Situation, offers: Iterable[Offer]) -> tuple[Take, ...]:
    base, quote = _sizes(s)
    if s.terms.stop_price is not None or (base is None and quote is None):
        return ()
    if s.touch is None or not reaches(s.side, s.terms.limit_price, s.touch.cross(s.side)):
        return ()
    factor = add(ONE, s.rates.taker) if s.terms.is_market else ONE
    step = None if base is None else s.product.size_step
    return sweep(s.side, Want(base, quote, factor, step), offers, Bounds(s.terms.limit_price)).takes


def _sizes(s: Situation) -> tuple[Decimal | None, Decimal | None]:
    """Base and quote size where they are usable numbers."""
    base, quote = s.terms.base_size, s.terms.quote_size
    return (
        base if base is not None and base.is_finite() and base > 0 else None,
        quote if quote is not None and quote.is_finite() and quote > 0 else None,
    )


def _amounts(s: Situation, takes: tuple[Take, ...]) -> tuple[Decimal, Decimal]:
    """(value, base) of what would match at once, or of the whole order at its limit when it would rest."""
    value = base = ZERO
    for take in takes:
        value, base = add(value, mul(take.price, take.size)), add(base, take.size)
    if takes or s.terms.limit_price is None or not s.terms.limit_price.is_finite() or s.terms.limit_price <= 0:
        return value, base
    size, quote = _sizes(s)
    if size is not None:
        return mul(s.terms.limit_price, size), size
    return (quote, div(quote, s.terms.limit_price)) if quote is not None else (ZERO, ZERO)


def _slippage(s: Situation, average: Decimal | None) -> Decimal:
    """Distance of the average price from the touch, as a fraction, never negative."""
    if average is None or s.touch is None:
        return ZERO
    first = s.touch.cross(s.side)
    return max(ZERO, div(sub(average, first) if s.side is BUY else sub(first, average), first))
