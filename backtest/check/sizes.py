"""How large the same entry was on both sides: the share of equity must be the same, to the increment.

Sizing is a share of equity, rounded down to the quote increment, and to the size increment at the worst price allowed.
So an order tells within two bounds which share was meant, and the bounds of both sides must meet. What the share was
taken of is checked as well: the equity against the side's own opening account and fills, the price against its quote,
the quote against the bars.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Final

from backtest.check.bounds import BOOK_BPS, Band, band, bar, moved, near
from backtest.check.deeds import Basis, Entry, Told
from backtest.check.sides import Side
from backtest.dataset import Dataset
from bot.domain.money import BASIS_POINTS, EXACT, HUNDRED, ONE, ZERO, ceil_to, total
from bot.domain.product import ProductId
from bot.domain.product import Side as OrderSide
from bot.domain.value import Value
from bot.settings.config import Config

VOLATILITY_BPS: Final = Decimal(100)
"""How far volatility may scale two sizes apart that were decided one bar from each other."""


class Sizes(Value):
    """Judges the sizes of entries. data: the recorded bars that both sides traded on."""

    data: Dataset
    config: Config

    def faults(self, entry: Entry, side: Side) -> Iterator[Told]:
        """What is wrong with what one side sized from, whatever the other did."""
        basis = entry.basis
        found = [f"no cycle approved it: nobody knows what {entry.filled.asked} was sized from"]
        if basis is not None:
            found = [*self._equity(basis, side), *self._quote(basis, entry.product, side)]
        yield from (Told(f"{side.name}: {text}", False) for text in found)

    def apart(self, live: Entry, backtest: Entry, sides: tuple[Side, Side]) -> Iterator[Told]:
        """The difference between two sizes, with whether equity, limit and clamps account for it."""
        ours, theirs = live.basis, backtest.basis
        if ours is None or theirs is None:
            return
        one, other = self._shares(live, ours), self._shares(backtest, theirs)
        slack = self._slack(live, backtest, sides)
        text = f"size {live.filled.asked} for {backtest.filled.asked}"
        # What an order may have meant begins at the low end and ends before the high one.
        if EXACT.subtract(one.low, slack) >= other.high or EXACT.subtract(other.low, slack) >= one.high:
            yield Told(f"{text}: {_share(one)} of {_of(ours)} for {_share(other)} of {_of(theirs)}", False)
        elif live.filled.asked != backtest.filled.asked:
            yield Told(f"{text}: the same share of {_of(ours)} and of {_of(theirs)}")

    # ------------------------------------------------------------------------------------------------------- the share

    def _shares(self, entry: Entry, basis: Basis) -> Band:
        """Shares of equity that make an order of this size; of a rule that buys for a fixed sum, the sums."""
        product, rule = basis.product, self.config.policy.rule(entry.rule)
        size, fixed = entry.filled.asked, rule is not None and rule.size.usd is not None
        equity = ONE if fixed or not basis.equity else basis.equity
        low = ceil_to(EXACT.multiply(size, basis.limit), product.quote_step)
        high = ceil_to(EXACT.multiply(EXACT.add(size, product.size_step), basis.limit), product.quote_step)
        return Band(EXACT.divide(low, equity), EXACT.divide(high, equity))

    def _slack(self, live: Entry, backtest: Entry, sides: tuple[Side, Side]) -> Decimal:
        """Shares of equity by which the two may lie apart: where a cap bound, by what the accounts are committed to."""
        ours, theirs = live.basis, backtest.basis
        if ours is None or theirs is None or not ours.equity or not theirs.equity:
            return ZERO
        rule, slack = self.config.policy.rule(live.rule), ZERO
        if live.bar != backtest.bar and rule is not None and rule.scale_by_volatility:
            share = EXACT.divide(EXACT.multiply(live.filled.asked, ours.limit), ours.equity)
            slack = EXACT.divide(EXACT.multiply(share, VOLATILITY_BPS), BASIS_POINTS)
        if ours.clamped or theirs.clamped:
            one, other = (self._committed(side, basis) for side, basis in zip(sides, (ours, theirs), strict=True))
            names = one.keys() | other.keys()
            slack = EXACT.add(slack, total(abs(one.get(n, ZERO) - other.get(n, ZERO)) for n in names))
        return slack

    def _committed(self, side: Side, basis: Basis) -> dict[str, Decimal]:
        """Share of equity by what it is in: coins held, buys at work, and entries approved before in this cycle."""
        equity = basis.equity or ONE
        found = {"": EXACT.divide(basis.ahead, equity)}
        for product, size in _held(side, basis.at).items():
            now = bar(self.data, product, self.data.newest(basis.at))
            worth = EXACT.multiply(size, now.close) if now is not None else ZERO
            found[product.base] = EXACT.add(found.get(product.base, ZERO), EXACT.divide(worth, equity))
        for product, worth in _working(side, basis.at):
            found[product.base] = EXACT.add(found.get(product.base, ZERO), EXACT.divide(worth, equity))
        return found

    # ------------------------------------------------------------------------------------------------- what it is of

    def _equity(self, basis: Basis, side: Side) -> Iterator[str]:
        worth = self._worth(side, basis.at)
        if basis.equity is None or worth is None:
            yield "sized while its equity was not known"
        elif not worth.holds(basis.equity):
            yield f"sized from an equity of {basis.equity:f}, its opening account and its fills come to {worth}"

    def _worth(self, side: Side, at: datetime) -> Band | None:
        """What an account is worth by its opening and its fills, coins at any price of their bars; None: unpriced."""
        wallets = dict(side.opening)
        for fill in side.fills:
            if fill.booked_at <= at:
                sign = ONE if fill.side is OrderSide.BUY else -ONE
                spent = EXACT.add(EXACT.multiply(sign, fill.value), fill.fee)
                wallets[fill.product.quote] = EXACT.subtract(wallets.get(fill.product.quote, ZERO), spent)
                held = EXACT.multiply(sign, fill.size)
                wallets[fill.product.base] = EXACT.add(wallets.get(fill.product.base, ZERO), held)
        low = high = ZERO
        for currency, amount in wallets.items():
            prices = self._prices(currency, at) if amount else Band(ZERO, ZERO)
            if prices is None:
                return None
            low = EXACT.add(low, EXACT.multiply(amount, prices.low))
            high = EXACT.add(high, EXACT.multiply(amount, prices.high))
        return Band(low, high)

    def _prices(self, currency: str, at: datetime) -> Band | None:
        """What one unit may be worth in the currency that equity is counted in."""
        portfolio = self.config.policy.portfolio
        fixed = ONE if currency == portfolio.quote_currency else portfolio.stable_values.get(currency)
        if fixed is not None:
            return Band(fixed, fixed)
        product = next((market for market in self.data.tracks if market.base == currency), None)
        seen = band(self.data, product, self.data.newest(at) + 1) if product is not None else None
        return seen.widened(self._half + BOOK_BPS) if seen is not None else None

    def _quote(self, basis: Basis, product: ProductId, side: Side) -> Iterator[str]:
        step, k = basis.product.price_step, self.data.newest(basis.at)
        worst = moved(basis.ask, self.config.policy.execution.max_slippage_bps)
        if not near(basis.limit, worst, step):
            yield f"sized at {basis.limit}, an ask of {basis.ask} allows {worst:.8f}"
        if side.recorded:
            now = bar(self.data, product, k)
            made = (moved(now.close, -self._half), moved(now.close, self._half)) if now is not None else None
            if made is None or not all(near(a, b, step) for a, b in zip((basis.bid, basis.ask), made, strict=True)):
                yield f"quoted {basis.bid} to {basis.ask}, its bar closed at {now.close if now is not None else '-'}"
            return
        seen = band(self.data, product, k + 1)
        if seen is None or not all(seen.widened(self._half + BOOK_BPS).holds(p) for p in (basis.bid, basis.ask)):
            yield f"quoted {basis.bid} to {basis.ask} in a market of {seen}"

    @property
    def _half(self) -> Decimal:
        return self.config.policy.backtest.half_spread_bps


def _held(side: Side, at: datetime) -> dict[ProductId, Decimal]:
    found: dict[ProductId, Decimal] = {}
    for fill in side.fills:
        if fill.booked_at <= at:
            size = fill.size if fill.side is OrderSide.BUY else -fill.size
            found[fill.product] = EXACT.add(found.get(fill.product, ZERO), size)
    return found


def _working(side: Side, at: datetime) -> Iterator[tuple[ProductId, Decimal]]:
    """Buys that worked at a moment, with what the rest of each may cost."""
    for order in side.orders:
        over = order.created_at >= at or (order.ended_at is not None and order.ended_at <= at)
        if over or order.side is not OrderSide.BUY or order.terms.base_size is None or order.terms.limit_price is None:
            continue
        done = total(f.size for f in side.fills if f.order_id == order.order_id and f.booked_at <= at)
        yield order.product, EXACT.multiply(EXACT.subtract(order.terms.base_size, done), order.terms.limit_price)


def _share(shares: Band) -> str:
    return f"{shares.low * HUNDRED:.6f} to {shares.high * HUNDRED:.6f} %"


def _of(basis: Basis) -> str:
    narrowed = f", narrowed by {', '.join(basis.clamped)}" if basis.clamped else ""
    return f"{basis.equity or ZERO:.2f} at {basis.limit}{narrowed}"
