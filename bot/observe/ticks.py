"""Bad ticks: what a market shows is accepted, held back until it is confirmed, or rejected outright.

A price further than `max_price_deviation_pct` from the last accepted one is held back. It is confirmed
- by quotes: volume of at least min_volume_ratio x average, and the mid agreeing on confirm_updates updates that span
  at least confirm_window_ms;
- by bars: confirm_bars bars in a row that close there, or one bar with that volume whose close the quotes agree on.
More than FOLD times off, only bars in a row confirm it, however often quotes repeat it.
Nonsense (crossed, zero, not finite, high below low, from the future, older than what is known) is rejected.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Final

from bot.domain.bars import Windows
from bot.domain.market import Quote
from bot.domain.money import EXACT, HUNDRED, ONE, ZERO, Percent, decimal_text, quantised
from bot.domain.value import Value, field, replace
from bot.settings.policy import DataPolicy

FOLD: Final = 4
"""Beyond this multiple, or part, of the last accepted price: a market hardly moves so far between two bars, but a
slipped decimal point does."""

SUSPECTS_KEPT: Final = 8


class Fault(Enum):
    """Why a tick was held back or rejected; also the name of its counter."""

    NOT_FINITE = "not_finite"
    NOT_POSITIVE = "not_positive"
    CROSSED = "crossed"
    HIGH_BELOW_LOW = "high_below_low"
    FROM_FUTURE = "from_future"
    OUT_OF_ORDER = "out_of_order"
    DEVIATION = "deviation"


class QuoteTick(Value):
    """Best bid and ask as they came. volume_ratio: this minute's volume over its average; None: not known."""

    bid: Decimal
    ask: Decimal
    at: datetime
    volume_ratio: Decimal | None = None

    @property
    def mid(self) -> Decimal:
        return EXACT.divide(EXACT.add(self.bid, self.ask), Decimal(2))


class BarTick(Value):
    """A closed bar as it came. at: when it closed; volume_ratio as in QuoteTick."""

    high: Decimal
    low: Decimal
    close: Decimal
    at: datetime
    volume_ratio: Decimal | None = None


class Accept(Value):
    """May be acted on. confirmed: it had deviated and was confirmed."""

    confirmed: bool = False


class HoldBack(Value):
    """May not be acted on until it is confirmed."""

    fault: Fault
    detail: str


class Reject(Value):
    """Is nonsense; nothing is learnt from it."""

    fault: Fault
    detail: str


Verdict = Accept | HoldBack | Reject

ORDINARY: Final = Accept()


class Seen(Value):
    """A price and its time."""

    price: Decimal
    at: datetime


class Doubt(Value):
    """A level seen but not believed yet: since when, last when, and in how many agreeing ticks."""

    price: Decimal
    since: datetime
    last: datetime
    ticks: int = 1


class TickState(Value):
    """What one market's guard remembers. quote, bar: last accepted mid and close; the doubts: levels held back.

    suspects: ends of bars that were held back and then refuted, newest last: fetch the bars from there on again, for
        what they show may be false.
    counts: fault -> how many ticks were held back or rejected for it.
    """

    quote: Seen | None = None
    bar: Seen | None = None
    quote_doubt: Doubt | None = None
    bar_doubt: Doubt | None = None
    suspects: tuple[datetime, ...] = ()
    counts: Mapping[Fault, int] = field(default_factory=dict)

    @property
    def newest(self) -> Seen | None:
        """The newest accepted price, of a quote or a bar."""
        if self.quote is None or self.bar is None:
            return self.bar if self.quote is None else self.quote
        return self.bar if self.bar.at > self.quote.at else self.quote

    def counted(self, fault: Fault) -> TickState:
        return replace(self, counts={**self.counts, fault: self.counts.get(fault, 0) + 1})


def quote_tick(quote: Quote, volume_ratio: Decimal | None = None) -> QuoteTick:
    """A quote that was already parsed."""
    return QuoteTick(quote.bid.value, quote.ask.value, quote.at, volume_ratio)


def bar_tick(windows: Windows) -> BarTick | None:
    """The newest closed bar, its volume not yet compared. None: there is no bar."""
    high, low, close = windows.high(), windows.low(), windows.close()
    if high is None or low is None or close is None:
        return None
    value, end = windows.scale.value, datetime.fromtimestamp(windows.end, UTC)
    return BarTick(value(high), value(low), value(close), end)


def volume_ratio(windows: Windows, average_bars: int) -> Decimal | None:
    """Volume of the newest closed bar over the average of the `average_bars` bars before it.

    None when those bars are not all known or had no volume.
    """
    own, all_of_them = windows.volume_sum(1), windows.volume_sum(average_bars + 1)
    before = all_of_them - own if own is not None and all_of_them is not None else 0
    return EXACT.divide(Decimal(own * average_bars), Decimal(before)) if own is not None and before else None


def caught_up(state: TickState, windows: Windows, policy: DataPolicy) -> TickState:
    """The memory after the bars that closed since the last one judged, when nobody looked and each was an ordinary one.

    Unchanged when one of them moved too far, when something is in doubt, or when the bars were mended meanwhile: then
    the newest bar is measured against what was accepted last.
    """
    if state.bar is None or state.bar_doubt is not None or state.quote_doubt is not None:
        return state
    step = windows.granularity
    missed = (windows.end - int(state.bar.at.timestamp())) // step - 1
    if missed < 1:
        return state
    start, last = windows.close(missed + 1), windows.close(1)
    if start is None or last is None or windows.scale.value(start) != state.bar.price:
        return state
    if not windows.steady_before(missed, policy.max_price_deviation_pct.value):
        return state
    bar = Seen(windows.scale.value(last), datetime.fromtimestamp(windows.end - step, UTC))
    return TickState(state.quote, bar, None, None, state.suspects, state.counts)


def judge(state: TickState, tick: QuoteTick | BarTick, now: datetime, policy: DataPolicy) -> tuple[TickState, Verdict]:
    """The memory after this tick, and what may be done with it. A tick judged again changes nothing.

    Judge a market's newest bar before its first quote: the very first price has nothing to be measured against.
    """
    return _judge_quote(state, tick, policy) if isinstance(tick, QuoteTick) else _judge_bar(state, tick, now, policy)


def _judge_quote(state: TickState, tick: QuoteTick, policy: DataPolicy) -> tuple[TickState, Verdict]:
    """Measured against the newest accepted price alone."""
    nonsense = _nonsense_quote(tick) or _late(tick.at, state.quote, state.quote_doubt)
    if nonsense is not None:
        return state.counted(nonsense.fault), nonsense
    mid, known, limit = tick.mid, state.newest, policy.max_price_deviation_pct
    accepted = TickState(Seen(mid, tick.at), state.bar, None, state.bar_doubt, state.suspects, state.counts)
    if known is None or _near(mid, known.price, known.price, limit):
        return accepted, ORDINARY
    doubt = _doubted(state.quote_doubt, mid, tick.at, limit)
    traded = _traded(tick.volume_ratio, policy) and not _folded(mid, mid, known.price, known.price)
    if traded and _lasting(doubt, policy):
        return accepted, Accept(confirmed=True)
    held = replace(state, quote_doubt=doubt)
    return _counted_once(state, held), _hold(mid, known.price, limit)


def _judge_bar(state: TickState, tick: BarTick, now: datetime, policy: DataPolicy) -> tuple[TickState, Verdict]:
    """High and low are measured against the last accepted close and, when newer, the last accepted mid: the bar of a
    confirmed fall reaches from the one to the other."""
    nonsense = _nonsense_bar(tick, now) or _late(tick.at, state.bar, state.bar_doubt)
    if nonsense is not None:
        return state.counted(nonsense.fault), nonsense
    newest = Seen(tick.close, tick.at)
    if state.bar == newest:
        return state, ORDINARY
    limit, known = policy.max_price_deviation_pct, _known(state)
    accepted = TickState(state.quote, newest, state.quote_doubt, None, _suspects(state, tick), state.counts)
    if known is None:
        return accepted, ORDINARY
    low, high = known
    if _near(tick.low, low, high, limit) and _near(tick.high, low, high, limit):
        return accepted, ORDINARY
    far = tick.high if _near(tick.low, low, high, limit) else tick.low
    if wick := _near(
        tick.close, low, high, limit
    ):  # no closes beyond that could be counted; an ordinary bar refutes it
        doubt = Doubt(far, tick.at, tick.at, ticks=0)
    else:
        doubt = _doubted(state.bar_doubt, tick.close, tick.at, limit)
    traded = _traded(tick.volume_ratio, policy) and not _folded(tick.low, tick.high, low, high)
    if doubt.ticks >= policy.confirm_bars or (traded and _quotes_agree(state, tick, policy)):
        return replace(accepted, quote_doubt=None, suspects=state.suspects), Accept(confirmed=True)
    held = replace(state, bar_doubt=doubt, suspects=accepted.suspects if wick else state.suspects)
    return _counted_once(state, held), _hold(far, min(max(far, low), high), limit)


def _nonsense_quote(tick: QuoteTick) -> Reject | None:
    bid, ask = tick.bid, tick.ask
    if not (bid.is_finite() and ask.is_finite() and bid > ZERO and ask > ZERO):
        return _no_price({"bid": bid, "ask": ask})
    return None if bid < ask else Reject(Fault.CROSSED, f"bid {bid} is not below ask {ask}")


def _nonsense_bar(tick: BarTick, now: datetime) -> Reject | None:
    high, low, close = tick.high, tick.low, tick.close
    if not (high.is_finite() and low.is_finite() and close.is_finite() and high > ZERO and low > ZERO and close > ZERO):
        return _no_price({"high": high, "low": low, "close": close})
    if not low <= close <= high:
        return Reject(Fault.HIGH_BELOW_LOW, f"low {low} and high {high} do not contain the close {close}")
    if tick.at > now:
        return Reject(Fault.FROM_FUTURE, f"closes at {tick.at:%H:%M:%S}, it is {now:%H:%M:%S}")
    return None


def _no_price(prices: Mapping[str, Decimal]) -> Reject:
    """The first number that is no price."""
    name, value = next((n, v) for n, v in prices.items() if not (v.is_finite() and v > ZERO))
    return Reject(Fault.NOT_POSITIVE if value.is_finite() else Fault.NOT_FINITE, f"{name} is {value}")


def _late(at: datetime, seen: Seen | None, doubt: Doubt | None) -> Reject | None:
    """Older than something of its own kind that was already judged."""
    if (seen is None or at >= seen.at) and (doubt is None or at >= doubt.last):
        return None
    times = [seen.at] if seen is not None else []
    times += [doubt.last] if doubt is not None else []
    newest = max(times)
    return Reject(Fault.OUT_OF_ORDER, f"of {at:%H:%M:%S.%f}, {newest:%H:%M:%S.%f} was seen before")


def _known(state: TickState) -> tuple[Decimal, Decimal] | None:
    """Lowest and highest of the last accepted close and, when newer, the last accepted mid; None before the first."""
    bar, quote = state.bar, state.quote
    if bar is None:
        return None if quote is None else (quote.price, quote.price)
    if quote is None or quote.at < bar.at:
        return bar.price, bar.price
    return (bar.price, quote.price) if bar.price < quote.price else (quote.price, bar.price)


def _near(price: Decimal, low: Decimal, high: Decimal, limit: Percent) -> bool:
    """Whether `price` is at most `limit` below `low` or above `high`."""
    if price < low:
        return price >= EXACT.multiply(low, EXACT.subtract(ONE, limit.fraction))
    return price <= high or price <= EXACT.multiply(high, EXACT.add(ONE, limit.fraction))


def _folded(price_low: Decimal, price_high: Decimal, low: Decimal, high: Decimal) -> bool:
    return EXACT.multiply(price_low, FOLD) < low or price_high > EXACT.multiply(high, FOLD)


def _doubted(doubt: Doubt | None, price: Decimal, at: datetime, limit: Percent) -> Doubt:
    """The running doubt with one more agreeing tick, or a new one at another level."""
    if doubt is None or not _near(price, doubt.price, doubt.price, limit):
        return Doubt(price, at, at)
    return replace(doubt, last=at, ticks=doubt.ticks + 1) if at > doubt.last else doubt


def _lasting(doubt: Doubt, policy: DataPolicy) -> bool:
    span = timedelta(milliseconds=policy.confirm_window_ms)
    return doubt.ticks >= policy.confirm_updates and doubt.last - doubt.since >= span


def _traded(ratio: Decimal | None, policy: DataPolicy) -> bool:
    return ratio is not None and ratio >= policy.min_volume_ratio


def _quotes_agree(state: TickState, tick: BarTick, policy: DataPolicy) -> bool:
    """The accepted mid since the last accepted bar, or a lasting doubt, lies where the bar closed."""
    limit, doubt, quote = policy.max_price_deviation_pct, state.quote_doubt, state.quote
    if doubt is not None:
        return _lasting(doubt, policy) and _near(doubt.price, tick.close, tick.close, limit)
    if quote is None or (state.bar is not None and quote.at < state.bar.at):
        return False
    return _near(quote.price, tick.close, tick.close, limit)


def _suspects(state: TickState, tick: BarTick) -> tuple[datetime, ...]:
    """A later bar back where the market was refutes those held back before it; the same bar corrected does not."""
    doubt = state.bar_doubt
    if doubt is None or doubt.last >= tick.at:
        return state.suspects
    return (*state.suspects, doubt.since)[-SUSPECTS_KEPT:]


def _counted_once(before: TickState, held: TickState) -> TickState:
    """A tick that adds nothing to a doubt was judged before."""
    return held if held == before else held.counted(Fault.DEVIATION)


def _hold(price: Decimal, known: Decimal, limit: Percent) -> HoldBack:
    moved = EXACT.divide(EXACT.multiply(EXACT.subtract(price, known), HUNDRED), known)
    detail = f"{decimal_text(price)} is {quantised(moved, 2):+} % from {decimal_text(known)}"
    return HoldBack(Fault.DEVIATION, f"{detail}, limit {limit}")
