"""Live against backtest, deed by deed: the same entries and exits, and every difference with its reason.

Both sides saw the same recorded candles. The backtest knows nothing else; the daemon traded them on the simulated
exchange, where each minute is made of trades and each price of a book. So decisions must be the same wherever the two
accounts are, while fills may differ, and what follows from a fill too. A difference for which there is no such reason,
or for which the numbers do not account, turns the check red:

    entry on one side only  explained when the other, at that bar, held or had ordered the product, was refused for
                            its own account's sake (cooldown, places, budgets, cash), or saw a book no candle records
    exit at another time    explained when the level of the later one, which follows the price it paid, was not clearly
                            passed at the earlier exit; when it held as long from a later start; when one only bought
    price, fee, delay       fills.py: each side held to its bars and its tier, then the two to each other
    size                    sizes.py: the same share of equity, to the increment
    nothing filled, or less unfilled.py: only where price or volume lacked
    account                 both began with the same
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Final, TypeVar

from backtest.check.bounds import bps
from backtest.check.deeds import LEVELS, Entry, Exit, Told
from backtest.check.fills import TRAIL_BPS, Fills
from backtest.check.sides import Side
from backtest.check.sizes import Sizes
from backtest.check.unfilled import Unfilled
from backtest.dataset import Dataset
from bot.domain.decision import Decision, Reason
from bot.domain.money import BASIS_POINTS, EXACT, total
from bot.domain.order import OrderKind
from bot.domain.product import ProductId
from bot.domain.value import Value
from bot.settings.config import Config

T = TypeVar("T")

OWN_ACCOUNT: Final = frozenset(
    {
        Reason.COOLDOWN, Reason.TRADE_PACING, Reason.ALREADY_WORKING, Reason.ALREADY_HELD, Reason.RULE_BUDGET,
        Reason.POSITION_COUNT, Reason.PER_ASSET_CAP, Reason.THEME_CAP, Reason.TOTAL_CAP, Reason.CASH,
        Reason.MIN_NOTIONAL, Reason.DAILY_STOP, Reason.WEEKLY_STOP, Reason.DRAWDOWN_STOP, Reason.LATCHED,
        Reason.ORDER_UNRESOLVED, Reason.EXIT_GUARANTEE,
    }
)  # fmt: skip
"""Refusals that speak of what the account went through."""
BOOK: Final = frozenset(
    {
        Reason.SPREAD_WIDE, Reason.DEPTH_THIN, Reason.VOLUME_LOW, Reason.SLIPPAGE, Reason.HYSTERESIS,
        Reason.PRICE_COLLAR,
    }
)  # fmt: skip
"""Refusals that speak of books and of the volume of a day, which candles do not record or not in full."""
FEED: Final = frozenset({Reason.QUOTE_HELD_BACK, Reason.QUOTE_STALE, Reason.QUOTE_MISSING})
"""Refusals that speak of quotes: a reason live alone, since those of a backtest are made from the bars themselves."""
ENTRY_BARS: Final = 1
OPENED_BARS: Final = 5
"""How far apart the first purchases of one entry may lie: a quote waits, and is quoted again."""


class Row(Value):
    """One deed of either side or of both. same: product, side, reason and time, to a bar, agree, and so does whether it
    filled. why: every difference that is explained. unexplained: what has no reason, or numbers that do not account
    for it; empty when all has.
    """

    kind: str
    product: ProductId
    rule: str
    reason: str
    live: Entry | Exit | None
    backtest: Entry | Exit | None
    same: bool
    why: tuple[str, ...]
    unexplained: str = ""


class Comparison(Value):
    """Every deed of both sides. opening: how their accounts differed before the first of them; empty when they did not.

    bars: cycles that both ran and in which neither dropped a trigger for lack of room; alike: those in which the
    same triggers fired in the products that both might enter.
    """

    rows: tuple[Row, ...]
    bars: int
    alike: int
    opening: str = ""

    @property
    def unexplained(self) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if row.unexplained)

    @property
    def shared(self) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if row.live is not None and row.backtest is not None)


def compared(live: Side, backtest: Side, data: Dataset, config: Config) -> Comparison:
    """Both sides deed by deed."""
    judge = _Judge(live, backtest, data, config)
    both = live.decisions.keys() & backtest.decisions.keys()
    alike = [judge.alike(live.decisions[bar], backtest.decisions[bar]) for bar in sorted(both)]
    rows = (*judge.entries(), *judge.exits())
    return Comparison(rows, len(alike) - alike.count(None), alike.count(True), _openings(live, backtest))


class _Judge(Value):
    live: Side
    backtest: Side
    data: Dataset
    config: Config

    def entries(self) -> Iterator[Row]:
        pairs = _paired(
            self.live.entries, self.backtest.entries,
            lambda a, b: (a.product, a.rule) == (b.product, b.rule) and abs(a.bar - b.bar) <= ENTRY_BARS,
        )  # fmt: skip
        for one, other in pairs:
            known = one or other
            if known is None:
                continue
            own = [*self._entry_faults(one, self.live), *self._entry_faults(other, self.backtest)]
            if one is not None and other is not None:
                same, told = (one.filled.price is None) == (other.filled.price is None), [*self._both(one, other), *own]
            else:
                text, explained = self._alone(known, self.backtest if other is None else self.live)
                same, told = False, [Told(text, explained), *own]
            yield Row("entry", known.product, known.rule, known.rule, one, other, same, *_split(told))

    def exits(self) -> Iterator[Row]:
        pairs = _paired(
            self.live.exits, self.backtest.exits,
            lambda a, b: (a.product, a.rule) == (b.product, b.rule) and abs(a.opened - b.opened) <= OPENED_BARS,
        )  # fmt: skip
        for one, other in pairs:
            known = one or other
            if known is None:
                continue
            own = [*self._exit_faults(one, self.live), *self._exit_faults(other, self.backtest)]
            if one is not None and other is not None:
                found, explained = self._apart(one, other)
                same, told = not found, [*self._fills.apart(one, other, same=not found), *_sold(one, other)]
            else:
                found, explained = self._one_exit(known, self.backtest if other is None else self.live)
                same, told = False, []
            told = [*(Told(text, explained) for text in found), *told, *own]
            yield Row("exit", known.product, known.rule, known.reason, one, other, same, *_split(told))

    def alike(self, one: Decision, other: Decision) -> bool | None:
        """Whether the same triggers fired where both might enter; None when a side had no room for all of its own."""
        if self._full(one) or self._full(other):
            return None
        shared = frozenset(one.eligible) & frozenset(other.eligible)
        return _fired(one, shared) == _fired(other, shared)

    def _full(self, decision: Decision) -> bool:
        return len(decision.triggers) >= self.config.policy.triggers.max_triggers_per_cycle

    # ---------------------------------------------------------------------------------------------------- one side only

    def _alone(self, entry: Entry, other: Side) -> tuple[str, bool]:
        """Why the other side did not enter, and whether that is a reason."""
        if other.busy(entry.product, entry.bar, self.data):
            return f"{other.name} held it or had ordered it already", True
        decision = other.decisions.get(entry.bar)
        if decision is None:
            return f"{other.name} ran no scheduled cycle at this bar", False
        for item in decision.evaluated:
            if (item.proposal.product, item.proposal.rule, item.proposal.kind) == (
                entry.product, entry.rule, OrderKind.ENTRY,
            ):  # fmt: skip
                if item.approved is not None:
                    return f"{other.name} approved it too, and its book refused the order before it was sent", True
                refusal = item.refusal
                if refusal is not None:
                    known = refusal.reason in self._excuses(other)
                    return f"{other.name} refused it: {refusal.reason.value}, {refusal.detail}", known
        for excluded in decision.excluded:
            if excluded.product == entry.product:
                known = excluded.reason in self._excuses(other)
                return f"{other.name} left the product out: {excluded.reason.value}, {excluded.detail}", known
        if self._full(decision) and self._eligible_apart(entry.bar):
            return (
                f"{other.name} had no room for the trigger: other markets may be entered there, and it ranks them all",
                True,
            )
        return f"{other.name} decided {decision.outcome.value} here: {decision.detail}", False

    def _excuses(self, other: Side) -> frozenset[Reason]:
        return OWN_ACCOUNT | BOOK | (FEED if other is self.live else frozenset())

    def _eligible_apart(self, bar: int) -> bool:
        one, other = (side.decisions.get(bar) for side in (self.live, self.backtest))
        return one is not None and other is not None and set(one.eligible) != set(other.eligible)

    def _one_exit(self, item: Exit, other: Side) -> tuple[tuple[str, ...], bool]:
        near = [
            trip for trip in other.trips
            if trip.product == item.product and abs(self.data.newest(trip.opened_at) - item.opened) <= OPENED_BARS
        ]  # fmt: skip
        if not near:
            return (f"{other.name} had not bought: see its entry",), True
        return self._later(item, near[0].entry, f"{other.name} holds on")

    # -------------------------------------------------------------------------------------------------- at another time

    def _apart(self, one: Exit, other: Exit) -> tuple[tuple[str, ...], bool]:
        """What differs in reason and time, and whether it is explained."""
        away = _distance(one, other)
        if one.reason == other.reason and away <= self._bar:
            return (), True
        early, late = sorted((one, other), key=lambda item: item.begun)
        held = (early.reason, late.reason) == ("max_hold", "max_hold")
        if held and away <= (abs(one.opened - other.opened) + 1) * self._bar:
            return (f"both were held as long as the rule allows, from purchases {_bars(one, other)} apart",), True
        names = f"{_told(one)} live, {_told(other)} in the backtest"
        return self._later(early, late.entry, names)

    def _later(self, early: Exit, entry: Decimal, told: str) -> tuple[tuple[str, ...], bool]:
        """Whether a position bought at `entry` could outlive the exit of the one that ended first."""
        price = early.filled.price
        if price is None or early.reason not in LEVELS:
            return (f"{told}: nothing accounts for it",), False
        level = EXACT.divide(EXACT.multiply(price, entry), early.entry)
        passed = self._passed(early, level)
        limit = self._allowance(early)
        gap = f"its level lies {bps(entry, early.entry):+.1f} bps off with the price it paid"
        if passed <= limit:
            return (f"{told}: {gap}, and was passed by {passed:.1f} bps at most: within {limit:.0f}",), True
        return (f"{told}: {gap}, yet it was passed by {passed:.1f} bps",), False

    def _passed(self, early: Exit, level: Decimal) -> Decimal:
        """How far the market went beyond `level` while the early exit traded, in bps; negative when it stayed short."""
        track = self.data.tracks[early.product]
        first, last = self.data.newest(early.begun), self.data.newest(early.ended) + 1
        lows, highs = [], []
        for k in range(first, last + 1):
            segment = track.at(k)
            if segment is not None:
                series, t = segment.columns.series, k - segment.first
                lows.append(int(series.low[t]))
                highs.append(int(series.high[t]))
        if not lows:
            return BASIS_POINTS
        if early.reason == "take_profit":
            return bps(track.scale.price(max(highs)).value, level)
        return -bps(track.scale.price(min(lows)).value, level)

    def _allowance(self, early: Exit) -> Decimal:
        """Within what a level may be passed and not trade: a touch is no fill, and each side has quotes of its own."""
        model = self.config.policy.backtest
        own = 2 * (model.half_spread_bps + model.slippage_bps)
        return own + TRAIL_BPS if early.reason == "trailing_stop" else own

    @property
    def _bar(self) -> timedelta:
        return timedelta(seconds=self.data.length.value)

    # ------------------------------------------------------------------------------------------------------------ fills

    def _both(self, one: Entry, other: Entry) -> Iterator[Told]:
        yield from self._fills.apart(one, other, same=True)
        yield from self._sizes.apart(one, other, (self.live, self.backtest))

    def _entry_faults(self, entry: Entry | None, side: Side) -> Iterator[Told]:
        if entry is not None:
            yield from self._fills.faults(entry, side)
            yield from self._sizes.faults(entry, side)
            yield from Unfilled(self.data, self.config).told(entry, side)

    def _exit_faults(self, item: Exit | None, side: Side) -> Iterator[Told]:
        """An exit sells what entries bought, and those were judged."""
        if item is None:
            return
        yield from self._fills.faults(item, side)
        bought = total(
            part.size for entry in side.entries if entry.product == item.product for part in entry.filled.parts
            if item.opened <= self.data.newest(part.booked) and part.booked <= item.ended
        )  # fmt: skip
        if not item.filled.size == item.filled.asked == bought:
            yield Told(f"{side.name}: sold {item.filled.size} of {item.filled.asked}, entries bought {bought}", False)

    @property
    def _fills(self) -> Fills:
        return Fills(self.data, self.config)

    @property
    def _sizes(self) -> Sizes:
        return Sizes(self.data, self.config)


def _paired(
    ones: Sequence[T], others: Sequence[T], match: Callable[[T, T], bool]
) -> Iterator[tuple[T | None, T | None]]:
    """Each of both with its first match not taken yet, or alone."""
    left = list(others)
    for one in ones:
        found = next((other for other in left if match(one, other)), None)
        if found is not None:
            left.remove(found)
        yield one, found
    yield from ((None, other) for other in left)


def _fired(decision: Decision, products: frozenset[ProductId]) -> frozenset[tuple[str, str]]:
    return frozenset((found.product, found.kind.value) for found in decision.triggers if found.product in products)


def _distance(one: Exit, other: Exit) -> timedelta:
    """Time between the two spans in which they traded; zero when those meet."""
    return max(one.begun - other.ended, other.begun - one.ended, timedelta(0))


def _told(item: Exit) -> str:
    return f"{item.reason} at {item.begun:%H:%M}"


def _bars(one: Exit, other: Exit) -> str:
    return f"{abs(one.opened - other.opened)} bars"


def _sold(one: Exit, other: Exit) -> Iterator[Told]:
    if one.filled.asked != other.filled.asked:
        yield Told(f"size {one.filled.asked} for {other.filled.asked}: what the entry of each had bought")


def _split(told: Iterable[Told]) -> tuple[tuple[str, ...], str]:
    """What is explained, and what is not in one line."""
    found = tuple(told)
    return tuple(item.text for item in found if item.explained), "; ".join(i.text for i in found if not i.explained)


def _openings(live: Side, backtest: Side) -> str:
    ours, theirs = (_account(side) for side in (live, backtest))
    return "" if ours == theirs else f"the accounts began with {ours} live and {theirs} in the backtest"


def _account(side: Side) -> str:
    held = [f"{amount.normalize():f} {currency}" for currency, amount in sorted(side.opening.items()) if amount]
    return ", ".join(held) or "nothing"
