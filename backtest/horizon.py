"""The next bar at which anything can happen: until then every cycle would find what the one before it found.

After a cycle the loop is either restless, and the next bar is run, or at rest: then the next bar is the soonest of
- a landmark (landmarks.py) or a bar at which a rule may hold in a market that is not in hand (signals.py);
- a bar whose range reaches a working order, a stop or target of a position, or a new high of one that trails;
- a bar at which equity may reach a loss stop, or a position its cap;
- a moment at which something ends by itself: a latch, a breaker, a ban, an approval, the time to hold a position.
Each is found with a margin, so that a bar too many is run rather than one too few. What happens there is the loop's.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

import numpy as np

from backtest.dataset import Dataset, Track
from backtest.equity import CHUNK, Limits, Line, Worth
from backtest.landmarks import days, landmarks
from backtest.recorder import FAILED
from backtest.signals import signals
from bot.domain.bars import BarSeries
from bot.domain.decision import Reason, Regime, TriggerKind
from bot.domain.money import EXACT, ONE, total
from bot.domain.order import PROTECTIVE, OrderState
from bot.domain.position import Position
from bot.domain.product import SELL, ProductId
from bot.domain.snapshot import MarketView
from bot.domain.state import State
from bot.domain.value import Value
from bot.loop.finished import Finished
from bot.risk.breakers import breaker_policy, cooloff
from bot.risk.cooldowns import blocking
from bot.settings.config import Config
from bot.venue.books import DOLLARS
from bot.venue.orders import OrderRecord

_OPEN: Final = OrderState.OPEN
_NEVER_DOWN: Final = -1
_NEVER_UP: Final = 2**62
"""Levels in ticks that no bar reaches."""


class Look(Value):
    """What is known after a cycle. k: its bar. before, state: the durable state as the cycle found and left it.

    restless: something asks for a cycle soon by itself. orders: working at the venue. pauses: base -> end of the pause
    under which a refused wish of it was told already.
    """

    k: int
    cycle: Finished
    before: State
    state: State
    restless: bool
    orders: Sequence[OrderRecord]
    pauses: Mapping[str, datetime]


class Next(Value):
    """The bar to run next. about: the markets it is about; None: all of them. peak: highest equity on the way there, if
    it is a new one."""

    k: int
    about: frozenset[ProductId] | None
    peak: Decimal | None = None


class _Held(Value):
    """What is held and on order in one market, as the scan sees it: levels in ticks.

    low: a bar whose low is at or below it matters; high: one whose high is at or above; rise: one that closes above,
    None where that cannot matter.
    """

    low: int
    high: int
    rise: int | None


@dataclass(slots=True, eq=False)
class _Watch:
    """How far ahead one market has been looked at. sources: what its levels were taken of: orders, a position.

    hit: the first bar that reaches a level, 0 as long as none is known; clear: bars before it reach none.
    """

    market: ProductId
    sources: list[OrderRecord | Position]
    held: _Held
    hit: int = 0
    clear: int = 0


class Horizon:
    """Looks ahead over the data of one run."""

    def __init__(self, data: Dataset, config: Config) -> None:
        self._data = data
        self._config = config
        self._resting = config.policy.exits.resting_on_exchange
        self._limits = Limits.of(config)
        everywhere = landmarks(data, config)
        self._landmark = frozenset(everywhere.tolist())
        self._landmarks = sorted(self._landmark.union(days(data).tolist()))
        self._signals: defaultdict[int, list[ProductId]] = defaultdict(list)
        for market, bars in signals(data, config).items():
            for bar in bars.tolist():
                self._signals[bar].append(market)
        self._signalled = sorted(self._signals)
        self._watches: dict[ProductId, _Watch] = {}
        self._worths: dict[ProductId, Worth] = {}
        self._silent = _silent(data)
        self._partial = _may_be_partial(data, config)
        rates = {config.policy.portfolio.quote_currency: ONE, **config.policy.portfolio.stable_values}
        self._rates = tuple(rates.items())

    def next(self, look: Look) -> Next:
        """The bar to run after `look.k`; the number of bars when there is none."""
        k, end = look.k, self._data.count
        if k + 1 >= end or self._unsettled(look):
            return Next(k + 1, None)
        if self._restless(look):
            return Next(k + 1, self._about(k + 1))
        worths = [self._worth(market, position) for market, position in look.state.positions.items()]
        stop = min(_after(self._landmarks, k, end), self._moments(look, worths))
        stop = self._asking(look, stop)
        for watch in self._watched(look):
            if watch.hit > k:
                stop = min(stop, watch.hit)
            elif watch.clear < stop:
                stop = self._reached(watch, k, stop)
        stop, peak = self._equity(look, worths, stop)
        return Next(stop, self._about(stop), peak)

    def _about(self, k: int) -> frozenset[ProductId] | None:
        """The markets that the cycle at bar `k` is about besides those held."""
        # Where some market shows nothing all are asked, since the share of silent ones counts.
        if not self._partial or k in self._landmark or k >= self._data.count or self._silent[k]:
            return None
        return frozenset(self._signals.get(k, ()))

    def _asking(self, look: Look, stop: int) -> int:
        """The first bar before `stop` at which a rule may hold in a market where that asks for something new."""
        covered = {order.product.base for order in look.state.working if order.kind is PROTECTIVE}
        at = bisect_right(self._signalled, look.k)
        while at < len(self._signalled) and (bar := self._signalled[at]) < stop:
            for market in self._signals[bar]:
                # Where an order protects a position, nothing new is asked for.
                if market.base not in covered and bar > self._paused(look, market.base):
                    return bar
            at += 1
        return stop

    def _paused(self, look: Look, base: str) -> int:
        """The last bar at which a wish for `base` is known to be refused and told already; at least `look.k`."""
        told = look.pauses.get(base)
        if told is None:
            return look.k
        soonest = self._data.closed(look.k + 1)
        pause = blocking(look.state.cooldowns, base, soonest) if told > soonest else None
        if pause is None or pause.until != told:
            return look.k
        return max(look.k, self._data.knowing(pause.until) - 1)

    # --------------------------------------------------------------------------------------------------- at rest or not

    def _unsettled(self, look: Look) -> bool:
        """Whether the next cycle may differ in any market."""
        cycle, state, before = look.cycle, look.state, look.before
        if cycle.decision is None or cycle.snapshot is None or cycle.record.outcome == FAILED:
            return True
        if state.halts != before.halts or state.latches != before.latches:
            return True
        if state.breakers is not before.breakers and _trips(state) != _trips(before):
            return True
        for count in state.hysteresis.values():
            if count.streak:
                return True
        return any(map(_held_back, cycle.snapshot.markets.values()))

    def _restless(self, look: Look) -> bool:
        """Whether something held or on order asks for a look at the next bar."""
        decision, state = look.cycle.decision, look.state
        if look.restless or decision is None or any(item.proposal.side is SELL for item in decision.evaluated):
            return True
        if look.cycle.report.refused:
            return True  # what was not sent is wanted again, as the raised stop that a governor keeps back
        if len({market.base for market in state.positions}) < len(state.positions):
            return True
        return not all(self._calm(market, position, state, look.k) for market, position in state.positions.items())

    def _calm(self, market: ProductId, position: Position, state: State, k: int) -> bool:
        """A position that nothing is due for: priced, fully covered by one order at rest, or with nothing to cover."""
        track = self._data.tracks[market]
        dark = track.at(k) is None
        over = dark and self._data.over(track, k)
        if dark is not over or market in state.quarantined:
            return False
        working = [order for order in state.of_base.get(position.product.base, ()) if order.state.is_working]
        if over or not position.managed:
            return not working
        if not self._resting or position.exit_levels.highest_stop is None:
            return not working
        if len(working) != 1 or working[0].kind is not PROTECTIVE or working[0].state is not _OPEN:
            return False
        return working[0].remaining == position.size

    # --------------------------------------------------------------------------------------------------------- in time

    def _moments(self, look: Look, worths: Iterable[Worth]) -> int:
        """The soonest cycle at or after a moment at which something ends by itself."""
        ends = [self._data.knowing(at) for at in _ends(look.state, self._config)]
        ends += [worth.due for worth in worths if worth.due is not None]
        return min((bar for bar in ends if bar > look.k), default=self._data.count)

    # --------------------------------------------------------------------------------------------------- in the markets

    def _watched(self, look: Look) -> Iterable[_Watch]:
        """The levels of each market's working orders and position, taken again only when these are not the same any
        more; where their levels are, what was seen of them stays true."""
        sources: dict[ProductId, list[OrderRecord | Position]] = {}
        for order in look.orders:
            sources.setdefault(order.market, []).append(order)
        for market, position in look.state.positions.items():
            if not self._data.over(self._data.tracks[market], look.k):  # else no level of it can be reached any more
                sources.setdefault(market, []).append(position)
        known, self._watches = self._watches, {}
        for market, found in sources.items():
            watch = known.get(market)
            if watch is None or watch.sources != found:
                held = _held(found, self._data.tracks[market])
                if watch is None or watch.held != held:
                    watch = _Watch(market, found, held)
                watch.sources = found
            self._watches[market] = watch
        return self._watches.values()

    def _reached(self, watch: _Watch, k: int, stop: int) -> int:
        """The first bar in (k, stop) whose range reaches a level; `stop` when there is none. A gap is a landmark."""
        segment = self._data.tracks[watch.market].at(k + 1)
        if segment is None:
            return k + 1
        first, size = max(k + 1, watch.clear), CHUNK
        while first < min(stop, segment.stop):
            cut = slice(first - segment.first, min(segment.stop, first + size) - segment.first)
            hit = _first_hit(watch.held, segment.columns.series, cut)
            if hit is not None:
                watch.hit = first + hit
                return min(watch.hit, stop)
            first, size = segment.first + cut.stop, size * 2
            watch.clear = first
        return stop

    # ----------------------------------------------------------------------------------------------------------- equity

    def _equity(self, look: Look, worths: Sequence[Worth], stop: int) -> tuple[int, Decimal | None]:
        """The first bar before `stop` at which a loss stop or cap may be reached, and the new peak on the way."""
        first = look.k + 1
        if not worths or first >= stop:
            return stop, None
        line = Line(self._limits, look.state, look.cycle.record.started_at, worths, self._cash(look.state), first, stop)
        alarm = line.alarm()
        if alarm is not None:
            stop = first + alarm
        return stop, line.new_peak(stop)

    def _worth(self, market: ProductId, position: Position) -> Worth:
        """What a position is worth, taken again only when it is not the same object any more."""
        worth = self._worths.get(market)
        if worth is None or worth.position is not position:
            worth = self._worths[market] = Worth(self._data, self._data.tracks[market], position)
        return worth

    def _cash(self, state: State) -> Decimal:
        """Equity apart from positions: the wallets of the equity currency and of coins at a fixed rate."""
        ledgers = state.ledgers
        return total([EXACT.multiply(ledgers[name].expected, rate) for name, rate in self._rates if name in ledgers])


def _ends(state: State, config: Config) -> Iterator[datetime]:
    """Moments at which something in the durable state ends by itself, but for the time to hold a position."""
    for latch in state.latches.values():
        if latch.ends_at is not None:
            yield latch.ends_at
    for ban in state.bans.values():
        yield ban.until
    for approval in state.approvals.values():
        yield approval.expires_at
    for breaker in state.open_breakers:
        if breaker.until is not None:
            yield breaker.until
            yield breaker.until - cooloff(breaker_policy(config.policy.risk.breakers, breaker.name))


def _held(sources: Iterable[OrderRecord | Position], track: Track) -> _Held:
    """The levels of one market: of several that matter alike, the one that is reached first."""
    each = [
        _of_position(source, track) if isinstance(source, Position) else _of_order(source, track) for source in sources
    ]
    rises = [held.rise for held in each if held.rise is not None]
    return _Held(max(held.low for held in each), min(held.high for held in each), min(rises, default=None))


def _of_order(order: OrderRecord, track: Track) -> _Held:
    """The levels of a working order: its stop, and the limit at which it rests."""
    stop, limit = order.terms.stop_price, order.live_limit
    down, up = (stop, limit) if order.side is SELL else (limit, stop)
    low = _NEVER_DOWN if down is None else track.scale_floor(down)
    return _Held(low, _NEVER_UP if up is None else track.scale_ceil(up), None)


def _of_position(position: Position, track: Track) -> _Held:
    """The levels at which the bot itself would sell, judged by the bid, and above which a trailing stop follows."""
    levels, trails = position.exit_levels, position.exits.trailing_stop_pct is not None
    stop, target = levels.highest_stop, levels.target
    rise = None
    if trails:
        rise = -1 if position.high_mark is None else track.scale_floor(position.high_mark.value)
    return _Held(
        _NEVER_DOWN if stop is None else track.quoting.close_above(track.scale_floor(stop.value)),
        _NEVER_UP if target is None else track.scale_ceil(target.value),
        rise,
    )


def _first_hit(held: _Held, series: BarSeries, cut: slice) -> int | None:
    """Offset into `cut` of the first bar that reaches a level."""
    reached = series.low[cut] <= held.low
    reached |= series.high[cut] >= held.high
    if held.rise is not None:
        reached |= series.close[cut] > held.rise
    hit = int(reached.argmax())
    return hit if reached[hit] else None


def _trips(state: State) -> dict[str, datetime | None]:
    """The breakers that are open, and until when; what a closed one has counted asks for nothing."""
    return {breaker.name: breaker.until for breaker in state.open_breakers}


def _held_back(view: MarketView) -> bool:
    """Whether a tick waits for its confirmation."""
    quote, bars = view.quote_problem, view.bars_problem
    if quote is None and bars is None:
        return False
    return any(problem is not None and problem.reason is Reason.QUOTE_HELD_BACK for problem in (quote, bars))


def _after(bars: list[int], k: int, stop: int) -> int:
    """The first of ascending `bars` beyond `k`; `stop` when that is not before it."""
    at = bisect_right(bars, k)
    return bars[at] if at < len(bars) and bars[at] < stop else stop


def _silent(data: Dataset) -> bytes:
    """One byte a bar, not 0 where some listed market shows nothing."""
    changes = np.zeros(data.count + 1, np.int64)
    for track in data.tracks.values():
        spans = [(0, data.index(track.since)), (data.index(track.last) + 1, data.count)]
        for first, stop in (*spans, *((segment.first, segment.stop) for segment in track.segments)):
            changes[min(max(0, first), data.count)] += 1
            changes[min(max(0, stop), data.count)] -= 1
    return (np.cumsum(changes[:-1]) < len(data.tracks)).tobytes()


def _may_be_partial(data: Dataset, config: Config) -> bool:
    """Whether a cycle may look at some markets only: when nothing compares or counts markets with each other.

    Ranked triggers must all fit, the least number of eligible markets must be one, and no coin may have two books.
    """
    triggers, universe = config.policy.triggers, config.universe
    enabled = 0
    for kind in TriggerKind:
        section = triggers.section(kind)
        enabled += any(section.in_regime(regime).enabled for regime in Regime)
    ranked = enabled * len(data.tracks) < triggers.max_triggers_per_cycle
    listed = {product for listing in data.listings.products for product in listing.values()}
    alone = len({market.base for market in data.tracks}) == len(data.tracks)
    dollars = all(product.quote in DOLLARS for product in listed)
    return ranked and alone and dollars and universe.min_eligible_assets == 1 and not universe.discovery.enabled
