"""Checks of what risk allowed: sizes, caps, places, cash, cooldowns, pacing and loss stops, from the records alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal

from backtest.audit.books import ZERO, Books, Order, Wish
from bot.domain.money import Percent
from bot.settings.config import Config

SLACK = Decimal("1.000001")
STOP_SLACK = Decimal("1.02")
"""A loss stop is measured by the loop with its own rounding: only what is clearly beyond counts."""
HOUR_S, DAY_S = 3600, 86_400
STOPS = ("daily_stop", "weekly_stop", "drawdown_stop")


def approvals(books: Books, config: Config) -> Iterator[str]:
    """Every entry was approved, is no larger or dearer than approved, and no larger than was wanted."""
    known = {(wish.cycle, wish.product): wish for wish in books.approved_entries()}
    filled: dict[int | None, Decimal] = {}
    most = 1 + config.policy.execution.maker_max_reprices + int(config.policy.execution.taker_fallback)
    for order in sorted(_entries(books), key=lambda order: order.created):
        wish = known.get((order.cycle, order.product))
        if wish is None:
            yield f"entry {order.id} of {order.product} was never approved"
            continue
        before = filled.get(order.intent, ZERO)
        if before + order.size > wish.size:
            yield f"entry {order.id} offers {order.size} after {before} were filled, {wish.size} was approved"
        if order.limit is None or order.limit > wish.worst_price:
            yield f"entry {order.id} bids {order.limit}, {wish.worst_price} was approved"
        if order.attempt is None or order.attempt > most:
            yield f"entry {order.id} is attempt {order.attempt}, {most} are allowed"
        filled[order.intent] = before + order.filled
    for wish in known.values():
        if wish.size * wish.worst_price > wish.room * SLACK:
            cost = wish.size * wish.worst_price
            yield f"{_name(wish)}: {wish.size} at {wish.worst_price} is {cost}, {wish.room} was wanted"


def caps(books: Books, config: Config) -> Iterator[str]:
    """What is held, working and approved stays below every cap, and cash above its reserve."""
    for at, wishes in _by_time(books.approved_entries()).items():
        worth, equity, allowed = books.worth(at), books.equity(at), list[Wish]()
        cash, working = books.cash(at), [order for order in _entries(books) if order.working(at)]
        for wish in wishes:
            allowed.append(wish)
            used = _by_base(worth, working, allowed)
            yield from _capped(wish, used, equity, config)
            yield from _budget(books, wish, (worth, working, allowed), config)
            promised = sum((w.worst_quote for w in allowed), sum((_open(order) for order in working), ZERO))
            reserve = config.policy.risk.cash_reserve_pct.fraction * equity
            if cash - promised < reserve / SLACK:
                yield f"{_name(wish)}: leaves {cash - promised:.2f} of cash, {reserve:.2f} is the reserve"


def places(books: Books, config: Config) -> Iterator[str]:
    """No more positions and open entries than there are places."""
    most = config.policy.risk.max_open_positions
    for at, wishes in _by_time(books.approved_entries()).items():
        taken = {product.partition("-")[0] for product in books.held(at)}
        taken |= {order.base for order in _entries(books) if order.working(at)}
        for wish in wishes:
            taken.add(wish.base)
            if len(taken) > most:
                yield f"{_name(wish)}: takes place {len(taken)} of {most}"


def pauses(books: Books, config: Config) -> Iterator[str]:
    """Nothing is bought too soon after a fill of the coin, a stop-out, or the rule's last entry."""
    risk, rules = config.policy.risk, {rule.name: rule for rule in config.policy.rules}
    for wish in books.approved_entries():
        before = [fill for fill in books.fills_before(wish.at) if fill.base == wish.base]
        if before and wish.at - before[-1].at < float(risk.cooldown_minutes) * 60:
            yield f"{_name(wish)}: {wish.at - before[-1].at} s after a fill of it"
        stops = [t for t in books.trades if t["product"].partition("-")[0] == wish.base and _stopped(t, wish.at)]
        longest = float(risk.cooldown_after_stop_minutes) * 60
        if any(wish.at - _at(trade["closed_at"]) < longest for trade in stops):
            yield f"{_name(wish)}: within {longest:.0f} s of a stop-out"
        rule = rules[wish.rule]
        own = [f.at for f in before if f.side == "BUY" and f.reason == rule.name]
        if own and wish.at - own[-1] < float(rule.cooldown_minutes or 0) * 60 - books.tape.length:
            yield f"{_name(wish)}: rule {rule.name} bought it {wish.at - own[-1]} s before"


def pacing(books: Books, config: Config) -> Iterator[str]:
    """No more entries within an hour and a day than allowed."""
    risk = config.policy.risk
    times = [wish.at for wish in books.approved_entries()]
    for span, most in ((HOUR_S, risk.max_entries_per_hour), (DAY_S, risk.max_entries_per_day)):
        for index, at in enumerate(times):
            recent = sum(1 for before in times[: index + 1] if at - before < span)
            if most is not None and recent > most:
                yield f"entry {recent} within {span} s at {at}, {most} are allowed"


def liquidity(books: Books, config: Config) -> Iterator[str]:
    """Nothing is bought of which too little was traded in the day before; membership may be an hour older."""
    asked = {str(product): tier.min_volume_24h for tier in config.universe.tiers.values() for product in tier.products}
    for wish in books.approved_entries():
        recent = range(wish.at - HOUR_S, wish.at + 1, books.tape.length)
        most, least = max(books.tape.day_volume(wish.product, at) for at in recent), asked.get(wish.product, ZERO)
        if most < least:
            yield f"{_name(wish)}: {most:.0f} were traded in a day, {least} are asked for"


def halts(books: Books, config: Config) -> Iterator[str]:
    """From the bar at which a loss stop is reached until its period ends no cycle is free, and none is halted by it
    before."""
    lost = _Lost(books)
    for at, (outcome, reason) in books.cycles.items():
        for name, figure, limit in zip(STOPS, lost.at(at), _limits(config), strict=True):
            if limit is not None and figure <= -limit.value * STOP_SLACK and outcome == "NO_TRADE":
                yield f"the cycle of {at} is free after {figure:.4f} %, {name} is -{limit}"
            if outcome == "EXIT_ONLY" and reason == name and (limit is None or figure > -limit.value / STOP_SLACK):
                yield f"the cycle of {at} is halted by {name} after {figure:.4f} %, the limit is -{limit}"


def _limits(config: Config) -> tuple[Percent | None, ...]:
    risk = config.policy.risk
    return risk.daily_stop_pct, risk.weekly_stop_pct, risk.max_drawdown_pct


def loss_stops(books: Books, config: Config) -> Iterator[str]:
    """Nothing is bought on a day, or in a week, that has lost its limit, nor at a full drawdown."""
    lost = _Lost(books)
    for wish in books.approved_entries():
        for name, figure, limit in zip(STOPS, lost.at(wish.at), _limits(config), strict=True):
            if limit is not None and figure <= -limit.value * STOP_SLACK:
                yield f"{_name(wish)}: after {figure:.4f} %, {name} is -{limit}"


class _Lost:
    """Deepest percent of day and week so far, and of the fall from the peak, at every bar's close."""

    def __init__(self, books: Books) -> None:
        self._found: dict[int, tuple[Decimal, Decimal, Decimal]] = {}
        before = peak = books.opening
        marks, day, week, names = [ZERO] * 3, before, before, ("", "")
        for at, equity in books.path.items():
            now = datetime.fromtimestamp(at, UTC)
            fresh = (f"{now:%Y-%m-%d}", f"{now:%G-W%V}")
            if fresh[0] != names[0]:
                day, marks[0] = equity, ZERO
            if fresh[1] != names[1]:
                week, marks[1] = equity, ZERO
            names, peak = fresh, max(peak, equity)
            marks[0] = min(marks[0], (equity / day - 1) * 100)
            marks[1] = min(marks[1], (equity / week - 1) * 100)
            marks[2] = min(marks[2], (equity / peak - 1) * 100)
            self._found[at] = (marks[0], marks[1], marks[2])

    def at(self, at: int) -> tuple[Decimal, Decimal, Decimal]:
        return self._found[at]


def _capped(wish: Wish, used: Mapping[str, Decimal], equity: Decimal, config: Config) -> Iterator[str]:
    risk, total = config.policy.risk, sum(used.values(), ZERO)
    groups = {f"theme {n}": {m.base for m in members} for n, members in config.universe.themes.items()}
    rows = [
        (f"coin {wish.base}", used[wish.base], risk.max_per_asset_pct),
        ("everything", total, risk.max_total_pct),
        *((name, sum((used.get(base, ZERO) for base in bases), ZERO), risk.max_per_theme_pct)
          for name, bases in groups.items() if wish.base in bases),
    ]  # fmt: skip
    for name, value, cap in rows:
        if value > cap.fraction * equity * SLACK:
            yield f"{_name(wish)}: {value:.4f} in {name}, {cap} of {equity:.2f} is the cap"


def _budget(
    books: Books, wish: Wish, now: tuple[Mapping[str, Decimal], list[Order], list[Wish]], config: Config
) -> Iterator[str]:
    worth, working, allowed = now
    rule = next(rule for rule in config.policy.rules if rule.name == wish.rule)
    owner = {fill.product: fill.reason for fill in books.fills_until(wish.at) if fill.side == "BUY"}
    used = sum((value for product, value in worth.items() if owner[product] == rule.name), ZERO)
    used += sum((_open(order) for order in working if order.rule == rule.name), ZERO)
    used += sum((other.worst_quote for other in allowed if other.rule == rule.name), ZERO)
    equity = books.equity(wish.at)
    if rule.budget_pct is not None and used > rule.budget_pct.fraction * equity * SLACK:
        yield f"{_name(wish)}: {used:.4f} by rule {rule.name}, {rule.budget_pct} of {equity:.2f} is its budget"


def _entries(books: Books) -> Iterator[Order]:
    return (order for order in books.orders.values() if order.kind == "entry")


def _open(order: Order) -> Decimal:
    return (order.limit or ZERO) * (order.size - order.filled)


def _by_base(worth: Mapping[str, Decimal], working: Iterable[Order], allowed: Iterable[Wish]) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    parts = [(product.partition("-")[0], value) for product, value in worth.items()]
    parts += [(order.base, _open(order)) for order in working]
    parts += [(wish.base, wish.worst_quote) for wish in allowed]
    for base, value in parts:
        found[base] = found.get(base, ZERO) + value
    return found


def _by_time(wishes: Iterable[Wish]) -> Mapping[int, list[Wish]]:
    found: dict[int, list[Wish]] = {}
    for wish in wishes:
        found.setdefault(wish.at, []).append(wish)
    return found


def _stopped(trade: Mapping[str, object], before: int) -> bool:
    closed = trade["closed_at"]
    lost = closed is not None and str(trade["pnl"]).startswith("-")
    return lost and "stop" in str(trade["exit_reason"]) and _at(closed) < before


def _at(text: object) -> int:
    return int(datetime.fromisoformat(str(text)).timestamp())


def _name(wish: Wish) -> str:
    return f"entry of {wish.product} by {wish.rule} at {wish.at}"
