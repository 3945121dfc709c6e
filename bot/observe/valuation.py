"""Net liquidation value with the provenance of every part; unknown rather than defaulted."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Final

from bot.domain.money import EXACT, ZERO, Money, Price
from bot.domain.product import Product, ProductId
from bot.domain.snapshot import Balance, Valuation, ValuePart
from bot.domain.value import Value
from bot.settings.policy import PortfolioPolicy

_BY_CURRENCY: Final = attrgetter("currency")


class Mark(Value):
    """The price a holding is valued at (best bid), and when the venue last vouched for it."""

    price: Price
    at: datetime


def value(
    balances: Mapping[str, Balance],
    marks: Mapping[ProductId, Mark],
    markets: Mapping[str, ProductId],
    portfolio: PortfolioPolicy,
    now: datetime,
    unpriced_after: timedelta,
) -> Valuation:
    """Value every wallet in the portfolio's quote currency.

    marks: keyed by market, fresh or last good. markets: currency -> the market that prices it, of `pricing`. A holding
    whose mark is missing or older than `unpriced_after` makes the whole value unknown; a currency that no product
    prices is listed as unpriced and left out (it could not be sold).
    """
    parts, problems, worth = [], [], ZERO
    for balance in balances.values():
        if not balance.total:
            continue
        part, problem = _part(balance, marks, markets, portfolio, now, unpriced_after)
        parts.append(part)
        worth = EXACT.add(worth, part.value)
        if problem:
            problems.append(problem)
    ordered = tuple(sorted(parts, key=_BY_CURRENCY))
    if problems:
        return Valuation(None, ordered, "; ".join(problems))
    return Valuation(Money(worth, portfolio.quote_currency), ordered)


def pricing(products: Collection[Product], portfolio: PortfolioPolicy) -> Mapping[str, ProductId]:
    """Currency -> the market that prices it in the portfolio's quote currency, or where none does in a stable one."""
    found: dict[str, ProductId] = {}
    for quote in (portfolio.quote_currency, *portfolio.stable_values):
        for product in products:
            if product.id.quote == quote:
                found.setdefault(product.id.base, product.market)
    return found


def _part(
    balance: Balance,
    marks: Mapping[ProductId, Mark],
    markets: Mapping[str, ProductId],
    portfolio: PortfolioPolicy,
    now: datetime,
    unpriced_after: timedelta,
) -> tuple[ValuePart, str]:
    currency, amount = balance.currency, balance.total
    if currency == portfolio.quote_currency:
        return ValuePart(currency, amount, None, amount, "cash", now), ""
    if currency in portfolio.stable_values:
        rate = portfolio.stable_values[currency]
        return ValuePart(currency, amount, Price(rate), EXACT.multiply(amount, rate), "stable", now), ""
    market = markets.get(currency)
    if market is None:
        return ValuePart(currency, amount, None, ZERO, "unpriced", now), ""
    mark = marks.get(market)
    if mark is None:
        return ValuePart(currency, amount, None, ZERO, "unpriced", now), f"{currency}: no price of {market} seen yet"
    worth, age = EXACT.multiply(amount, mark.price.value), now - mark.at
    if age < unpriced_after:
        return ValuePart(currency, amount, mark.price, worth, "quote", mark.at), ""
    limit = int(unpriced_after.total_seconds())
    problem = f"{currency}: last price of {market} is {age.total_seconds():.0f} s old, limit {limit} s"
    return ValuePart(currency, amount, mark.price, worth, "last_good", mark.at), problem
