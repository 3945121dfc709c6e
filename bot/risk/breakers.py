"""Circuit breakers as pure folds: count hits in a window, trip, cool off or latch.

A breaker's name is a field of `BreakersPolicy`, alone for the whole account (`api_errors`) or followed by the product
it is about (`volatility:SOL-USD`). Times are trading time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Final

from bot.domain.bars import Windows
from bot.domain.money import EXACT, HUNDRED, decimal_text, quantised
from bot.domain.product import ProductId, TradingMode
from bot.domain.snapshot import Snapshot, StatusLevel
from bot.domain.state import BreakerState, is_open
from bot.domain.value import replace
from bot.settings.policy import BreakerPolicy, BreakersPolicy, Policy

NAMES: Final = tuple(BreakersPolicy.model_fields)
STATUS: Final = {level: level.value for level in StatusLevel}
"""What the policy calls the levels of the status page."""


def breaker_name(kind: str, product: ProductId | None = None) -> str:
    """Key of a breaker in `State.breakers`."""
    return kind if product is None else f"{kind}:{product}"


def breaker_kind(name: str) -> str:
    """The field of `BreakersPolicy` that governs this breaker."""
    return name.partition(":")[0]


def scope_of(name: str) -> ProductId | None:
    """The product a breaker is about; None for the whole account."""
    _, _, product = name.partition(":")
    return ProductId(product) if product else None


def breaker_policy(policies: BreakersPolicy, name: str) -> BreakerPolicy:
    """The policy of a breaker. Raises AttributeError for a kind that does not exist: our bug, not the operator's."""
    found: BreakerPolicy = getattr(policies, breaker_kind(name))
    return found


def closed(name: str) -> BreakerState:
    """A breaker that has seen nothing."""
    return BreakerState(name, open=False)


def hit(state: BreakerState, now: datetime, policy: BreakerPolicy, detail: str = "") -> BreakerState:
    """The breaker after one more counted event at `now`; trips when `threshold` of them lie inside the window.

    A hit while open keeps it open for at least the cool-off from here: the condition has not gone.
    """
    if not policy.enabled:
        return state
    if is_open(state, now):
        return _held_open(state, now, policy)
    kept = (*_inside(state.hits, now, policy), now)[-_counted(policy) :]
    seen = BreakerState(state.name, open=False, hits=kept)
    if len(kept) < policy.threshold:
        return seen
    window = decimal_text(policy.window_seconds)
    return _tripped(seen, now, policy, f"{len(kept)} hits in {window} s" + (f": {detail}" if detail else ""))


def measured(state: BreakerState, now: datetime, policy: BreakerPolicy, value: Decimal, detail: str) -> BreakerState:
    """The breaker of a measured quantity: trips when `value` reaches `threshold`, otherwise as `tick`."""
    if not policy.enabled or value < policy.threshold:
        return tick(state, now, policy)
    if is_open(state, now):
        return _held_open(state, now, policy)
    return _tripped(BreakerState(state.name, open=False, hits=(now,)), now, policy, detail)


def tick(state: BreakerState, now: datetime, policy: BreakerPolicy) -> BreakerState:
    """The breaker with time passed: closed once its cool-off is over. Old hits are forgotten at the next one."""
    if state.open and not is_open(state, now):
        return BreakerState(state.name, open=False, hits=_inside(state.hits, now, policy))
    return state


def reset(state: BreakerState) -> BreakerState:
    """Closed by an operator, memory cleared."""
    return closed(state.name)


def observed(snap: Snapshot, policy: Policy) -> tuple[BreakerState, ...]:
    """Every breaker that a snapshot changes: time passed on all of them, and the four that are read from it.

    exchange_status, product_status, volatility and stale_data are judged here; the others are hit where their events
    happen (API errors, refusals, exceptions, slippage, reconcile, fees).
    """
    before, declared = snap.state.breakers, policy.risk.breakers
    after: dict[str, BreakerState] = {}
    for open_ in snap.state.open_breakers:
        after[open_.name] = tick(open_, snap.now, breaker_policy(declared, open_.name))
    for name, value, told in _measurements(snap, policy):
        state, limits = after.get(name) or before.get(name), breaker_policy(declared, name)
        if state is not None or (limits.enabled and value >= limits.threshold):
            after[name] = measured(state or closed(name), snap.now, limits, value, told())
    for name, detail in _conditions(snap, policy):
        state = after.get(name) or before.get(name) or closed(name)
        after[name] = hit(state, snap.now, breaker_policy(declared, name), detail)
    if not after:
        return ()
    oldest_first = [after[name] for name in {**before, **after} if name in after]
    return tuple(state for state in oldest_first if state != before.get(state.name, closed(state.name)))


def moved_pct(windows: Windows, seconds: Decimal, least: int = 0) -> Decimal | None:
    """Highest high over lowest low of the closed bars inside the last `seconds`, less one, in percent.

    None when the history is shorter, or the move smaller than `least` percent. At least one bar is looked at.
    """
    count = max(1, int(seconds) // windows.granularity)
    lowest, newest = windows.lowest(count), windows.high()
    before = windows.highest_before(count - 1) if count > 1 else newest
    if lowest is None or newest is None or before is None or lowest <= 0:
        return None
    apart = max(newest, before) - lowest
    if apart * 100 < lowest * least:
        return None
    return quantised(EXACT.divide(EXACT.multiply(Decimal(apart), HUNDRED), Decimal(lowest)), 6)


def _tripped(state: BreakerState, now: datetime, policy: BreakerPolicy, detail: str) -> BreakerState:
    until = None if policy.reset == "latch" else now + cooloff(policy)
    return replace(state, open=True, since=now, until=until, detail=detail)


def _held_open(state: BreakerState, now: datetime, policy: BreakerPolicy) -> BreakerState:
    """Extended by a quarter more than the cool-off when less than it is left: a lasting condition writes few events."""
    if state.until is None or state.until - now >= cooloff(policy):
        return state
    return replace(state, until=now + cooloff(policy) * 5 / 4)


def cooloff(policy: BreakerPolicy) -> timedelta:
    return timedelta(seconds=whole_seconds(policy.cooloff_seconds))


def whole_seconds(seconds: Decimal) -> int:
    """Whole seconds, rounded up, for a timedelta."""
    return int(-(-seconds // 1))


def _inside(hits: tuple[datetime, ...], now: datetime, policy: BreakerPolicy) -> tuple[datetime, ...]:
    since = now - timedelta(seconds=whole_seconds(policy.window_seconds))
    return tuple(at for at in hits if since < at)


def _counted(policy: BreakerPolicy) -> int:
    """How many hits need remembering."""
    return max(1, int(-(-policy.threshold // 1)))


def _measurements(snap: Snapshot, policy: Policy) -> Iterator[tuple[str, Decimal, Callable[[], str]]]:
    """Name, value, and how to tell it, of what may trip, or has and may have to be held open."""
    judged = snap.judged
    if not judged:
        return
    volatility = policy.risk.breakers.volatility
    window, limit = volatility.window_seconds, volatility.threshold
    tripped = any(breaker_kind(name) == "volatility" for name in snap.state.breakers)
    # Below a whole percent short of the limit nothing trips, whatever is rounded.
    least = 0 if tripped else int(limit) - 1
    for market, view in judged:
        moved = None if view.windows is None else moved_pct(view.windows, window, least)
        if moved is None:
            continue
        detail = partial(_told, market, moved, window, limit)
        yield breaker_name("volatility", market), moved, detail
        if market == policy.regime.product:
            yield "volatility", moved, detail


def _told(market: ProductId, moved: Decimal, window: Decimal, limit: Decimal) -> str:
    return f"{market} moved {decimal_text(moved)} % within {decimal_text(window)} s, limit {decimal_text(limit)} %"


def _percent(share: Decimal) -> str:
    return decimal_text(quantised(EXACT.multiply(share, HUNDRED), 2))


def _conditions(snap: Snapshot, policy: Policy) -> Iterator[tuple[str, str]]:
    if STATUS[snap.exchange_status.level] in policy.exchange_status.levels:
        yield "exchange_status", snap.exchange_status.detail
    if snap.stale_fraction > policy.data.max_stale_fraction:
        stale, most = (_percent(share) for share in (snap.stale_fraction, policy.data.max_stale_fraction))
        yield "stale_data", f"{stale} % of the markets without a fresh quote, limit {most} %"
    normal = TradingMode.NORMAL
    for market, view in snap.markets.items():
        if view.product.mode is not normal:
            yield breaker_name("product_status", market), f"{view.product.mode.value}: {view.product.mode_reason}"
