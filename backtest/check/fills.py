"""The fills of one side against what its market allowed, and those of both sides against each other.

Each side first on its own, whatever the other did:

    fee       price x size x the rate of the tier that the account's own volume had reached
    maker     at the limit of its order; in the backtest in a bar that traded through it
    taker     backtest: the opening or the stop, with the half spread and the slippage of the policy, to the tick
              live: within what the minute traded, widened by both and by BOOK_BPS; never beyond its limit
    quote     an order that rests stands at the touch it was quoted from
    number    no fill without a cause of its own: backtest: one a bar; live, at one moment: one at a price for a taker,
              who walks the levels of a book, and MAKER_AT_ONCE for a maker

Then together: limits and stops may lie apart by no more than the quotes, or the prices paid, they were made from.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Final

from backtest.check.bounds import BOOK_BPS, QUOTED_BPS, TICKS, Band, band, bar, bps, moved, near
from backtest.check.deeds import Entry, Exit, Filled, Part, Sent, Told
from backtest.check.sides import Side
from backtest.dataset import Dataset
from bot.domain.money import BASIS_POINTS, EXACT, HUNDRED, ceil_to, floor_to
from bot.domain.order import Liquidity
from bot.domain.product import ProductId
from bot.domain.value import Value
from bot.execution.protective import RATCHET_SHARE
from bot.settings.config import Config
from bot.venue.fees import FeeSchedule, Tier

TRAIL_BPS: Final = Decimal(30)
"""How far apart two trailing stops may lie that follow the bids of their own cycles."""
MAKER_AT_ONCE: Final = 2
"""Fills of one maker at one moment: by what traded through its limit, and by a book that stands beyond it."""


class Fills(Value):
    """Judges fills. data: the recorded bars that both sides traded on."""

    data: Dataset
    config: Config

    def faults(self, deed: Entry | Exit, side: Side) -> Iterator[Told]:
        """What is wrong with the fills of one side, whatever the other did."""
        for order in deed.filled.orders:
            found = [text for part in order.parts for text in self._part(deed, order, part, side)]
            if isinstance(deed, Entry) and order.rests:
                found += self._quoted(deed, order, side)
            found += self._too_often(order, side)
            if order.filled > order.size:
                found.append(f"{order.filled} of {order.size} filled")
            yield from (Told(f"{side.name}: {text}", False) for text in found)

    def apart(self, live: Entry | Exit, backtest: Entry | Exit, *, same: bool) -> Iterator[Told]:
        """Every difference of price, fee and delay. same: exits for the same reason at the same time."""
        ours, theirs = live.filled, backtest.filled
        if ours.price is None or theirs.price is None:
            return
        if ours.price != theirs.price:
            yield Told(f"price {bps(ours.price, theirs.price):+.1f} bps: {self._origins(live, backtest)}")
        if isinstance(live, Exit) and isinstance(backtest, Exit) and same:
            yield from self._levels(live, backtest)
        if ours.rate != theirs.rate:
            yield Told(f"fee {_percent(ours.rate)} for {_percent(theirs.rate)}: {self._fees(ours, theirs)}")
        if ours.wait != theirs.wait:
            yield self._delay(live, backtest)
        if len(ours.parts) != len(theirs.parts):
            yield Told(f"{len(ours.parts)} fills for {len(theirs.parts)}: levels and moments of a book, and bars")

    # ------------------------------------------------------------------------------------------------------- one side

    def _part(self, deed: Entry | Exit, order: Sent, part: Part, side: Side) -> Iterator[str]:
        tier, maker = self._tier(order), part.liquidity is Liquidity.MAKER
        due = EXACT.multiply(part.value, tier.maker if maker else tier.taker)
        if part.fee != due:
            yield f"a fee of {part.fee:f} on {part.value:f}, {due:f} is due ({_named(tier, order)})"
        buys = isinstance(deed, Entry)
        if order.limit is not None and (part.price > order.limit if buys else part.price < order.limit):
            yield f"{part.price} is beyond the limit {order.limit}"
        look = self._maker if maker else self._recorded_taker if side.recorded else self._live_taker
        yield from look(deed, order, part, side)

    def _too_often(self, order: Sent, side: Side) -> Iterator[str]:
        """Fills that one bar, or one level at one moment, does not account for."""
        if side.recorded:
            bars = Counter(self.data.newest(part.booked) for part in order.parts)
            yield from (f"{count} fills in one bar, which has one price" for count in bars.values() if count > 1)
            return
        for (at, price, liquidity), count in Counter((p.traded, p.price, p.liquidity) for p in order.parts).items():
            most = MAKER_AT_ONCE if liquidity is Liquidity.MAKER else 1
            if count > most:
                yield f"{count} {liquidity.value} fills at {price} at {at:%H:%M:%S}, {most} at most at once"

    def _tier(self, order: Sent) -> Tier:
        policy = self.config.policy.backtest
        made = FeeSchedule.fixed if policy.fees == "fixed" else FeeSchedule.entering_at
        return made(policy.maker_pct, policy.taker_pct).tier(order.volume)

    def _maker(self, deed: Entry | Exit, order: Sent, part: Part, side: Side) -> Iterator[str]:
        touch = self.config.policy.backtest.fill_model == "touch"
        if part.price != order.limit and not touch:
            yield f"MAKER at {part.price}, its limit is {order.limit}"
        if not side.recorded:
            yield from self._live_taker(deed, order, part, side)
            return
        now = bar(self.data, deed.product, self.data.newest(part.booked))
        if now is None:
            yield _unrecorded(part)
        elif not ((now.low < part.price if isinstance(deed, Entry) else now.high > part.price) or touch):
            yield f"MAKER at {part.price} in a bar of {now.low} to {now.high}, which did not trade through it"

    def _live_taker(self, deed: Entry | Exit, _order: Sent, part: Part, _side: Side) -> Iterator[str]:
        traded = self._minute(deed.product, part)
        if traded is None:
            yield _unrecorded(part)
        elif not traded.widened(self._own + BOOK_BPS).holds(part.price):
            yield (
                f"{part.liquidity.value} at {part.price} in a minute of {traded}, beyond that by more than the "
                f"{self._own + BOOK_BPS} bps of spread, slippage and book"
            )

    def _recorded_taker(self, deed: Entry | Exit, order: Sent, part: Part, _side: Side) -> Iterator[str]:
        expected = self._expected(deed, order, part)
        if not expected:
            yield _unrecorded(part)
        elif not any(near(part.price, price, self._step(deed.product)) for price in expected):
            prices = " or ".join(f"{price:f}" for price in dict.fromkeys(expected))
            yield f"TAKER at {part.price}, opening and stop of its bar make {prices}"

    def _expected(self, deed: Entry | Exit, order: Sent, part: Part) -> list[Decimal]:
        """What a bar makes of an order that takes: R2 and R8 of the fill rules."""
        k = self.data.newest(part.booked)
        now, model, step = bar(self.data, deed.product, k), self.config.policy.backtest, self._step(deed.product)
        if now is None:
            return []
        if isinstance(deed, Entry):
            touch = ceil_to(moved(now.open, model.half_spread_bps), step)
            return [_least(ceil_to(moved(touch, model.slippage_bps), step), order.limit)]
        starts = [floor_to(moved(now.open, -model.half_spread_bps), step)]
        if order.stop is not None and part is order.parts[0]:
            starts.append(min(now.open, order.stop))
            # Born inside the bar, it knows nothing of its opening.
            starts += [order.stop] if order.at > self.data.opened(k) else []
        return [_most(floor_to(moved(start, -model.slippage_bps), step), order.limit) for start in starts]

    def _quoted(self, entry: Entry, order: Sent, side: Side) -> Iterator[str]:
        """Whether a limit that rests stands at the touch: of the decision's quote at first, later of its own time."""
        if order.limit is None:
            return
        if order is entry.filled.orders[0] and entry.basis is not None:
            touch = min(entry.basis.bid, entry.basis.limit)
            if abs(bps(order.limit, touch)) > QUOTED_BPS and not near(order.limit, touch, self._step(entry.product)):
                yield f"limit {order.limit}, {QUOTED_BPS} bps and more off the touch of {touch} it was decided at"
            return
        k = self.data.newest(order.at)
        seen = band(self.data, entry.product, k if side.recorded else k + 1)
        if seen is None or not seen.widened(self._own + BOOK_BPS).holds(order.limit):
            yield f"limit {order.limit} in a market of {seen}"

    # ----------------------------------------------------------------------------------------------------- both sides

    def _levels(self, live: Exit, backtest: Exit) -> Iterator[Told]:
        """Stops and targets follow the price that was paid; a trailing stop moves in steps of its own."""
        for name, ours, theirs in (
            ("target", _target(live), _target(backtest)), ("stop", _stop(live), _stop(backtest)),
        ):  # fmt: skip
            if ours is None or theirs is None:
                continue
            gap = EXACT.subtract(bps(ours, live.entry), bps(theirs, backtest.entry))
            limit = self._level_bps(live, min(ours, theirs))
            text = f"{name} {ours} for {theirs}, {gap:+.1f} bps apart from the prices paid: within {limit:.1f}"
            if abs(gap) > limit:
                yield Told(text.replace("within", "more than"), False)
            elif ours != theirs:
                yield Told(text)

    def _level_bps(self, deed: Exit, level: Decimal) -> Decimal:
        ticks = EXACT.divide(EXACT.multiply(2 * TICKS * self._step(deed.product), BASIS_POINTS), level)
        rule = self.config.policy.rule(deed.rule)
        if deed.reason != "trailing_stop" or rule is None or rule.trailing_stop_pct is None:
            return ticks
        return ticks + TRAIL_BPS + rule.trailing_stop_pct.value * HUNDRED * RATCHET_SHARE

    def _origins(self, live: Entry | Exit, backtest: Entry | Exit) -> str:
        return f"{self._origin(live, recorded=False)} for {self._origin(backtest, recorded=True)}"

    def _origin(self, deed: Entry | Exit, *, recorded: bool) -> str:
        order = next(order for order in deed.filled.orders if order.parts)
        part = order.parts[0]
        if part.liquidity is Liquidity.MAKER:
            return f"MAKER at its limit {order.limit}"
        if not recorded:
            return f"{part.liquidity.value} in a minute of {self._minute(deed.product, part)}"
        now = bar(self.data, deed.product, self.data.newest(part.booked))
        start = f"a stop at {order.stop}" if order.stop is not None else f"an opening at {now.open if now else '-'}"
        model = self.config.policy.backtest
        return f"TAKER from {start}, {model.half_spread_bps} bps of half spread and {model.slippage_bps} of slippage"

    def _fees(self, live: Filled, backtest: Filled) -> str:
        ours, theirs = (_at_first(filled) for filled in (live, backtest))
        if self._tier(ours).name == self._tier(theirs).name:
            return f"{live.liquidity} for {backtest.liquidity}"
        return (
            f"{live.liquidity} in {_named(self._tier(ours), ours)} for {backtest.liquidity} in "
            f"{_named(self._tier(theirs), theirs)}"
        )

    def _delay(self, live: Entry | Exit, backtest: Entry | Exit) -> Told:
        """Orders of a bar are booked at its close; a wish is pursued no longer than its attempts take."""
        ours, theirs = live.filled.wait, backtest.filled.wait
        late = (self.config.policy.backtest.latency_bars + 1) * timedelta(seconds=self.data.length.value)
        longest = late + (self._patience if isinstance(live, Entry) else timedelta(0))
        text = f"after {_seconds(ours)} for {_seconds(theirs)}"
        if ours is None or theirs is None or max(ours, theirs) > longest:
            return Told(f"{text}: {_seconds(longest)} is the longest", False)
        bars = f"{self.config.policy.backtest.latency_bars} bar later and books at a bar's close"
        return Told(f"{text}: the backtest sends {bars}, and both are within {_seconds(longest)}")

    # --------------------------------------------------------------------------------------------------------- numbers

    def _minute(self, product: ProductId, part: Part) -> Band | None:
        return band(self.data, product, self.data.newest(part.traded) + 1)

    def _step(self, product: ProductId) -> Decimal:
        return max(self.data.listings.steps(product))

    @property
    def _own(self) -> Decimal:
        model = self.config.policy.backtest
        return model.half_spread_bps + model.slippage_bps

    @property
    def _patience(self) -> timedelta:
        execution = self.config.policy.execution
        each = execution.post_only_ttl_seconds + execution.cancel_timeout_seconds + execution.submitted_timeout_seconds
        attempts = execution.maker_max_reprices + 2
        return timedelta(seconds=float((each + execution.post_trade_reconcile_wait_seconds) * attempts))


def _target(deed: Exit) -> Decimal | None:
    if deed.reason != "take_profit":
        return None
    return next((order.limit for order in deed.filled.orders if order.rests and order.stop is None), None)


def _stop(deed: Exit) -> Decimal | None:
    return next((order.stop for order in deed.filled.orders if order.stop is not None), None)


def _at_first(filled: Filled) -> Sent:
    return next(order for order in filled.orders if order.parts)


def _least(price: Decimal, limit: Decimal | None) -> Decimal:
    return price if limit is None else min(price, limit)


def _most(price: Decimal, limit: Decimal | None) -> Decimal:
    return price if limit is None else max(price, limit)


def _named(tier: Tier, order: Sent) -> str:
    return f"{tier.name} after {order.volume:.2f} in 30 days"


def _unrecorded(part: Part) -> str:
    return f"{part.liquidity.value} at {part.price}, {part.traded:%m-%d %H:%M}, in a minute that nobody recorded"


def _percent(rate: Decimal | None) -> str:
    return "-" if rate is None else f"{rate * 100:.3f} %"


def _seconds(wait: timedelta | None) -> str:
    return "-" if wait is None else f"{wait.total_seconds():.0f} s"
