"""Checks of summary.json: every figure is worked out again, from the records and the candles."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from statistics import fmean, median
from typing import Any, NamedTuple

from backtest.audit.books import ZERO, Books, Order
from backtest.audit.curves import Facts, benchmarks, differences, in_theme, invested, largest, peaks, themes
from backtest.audit.trips import Trip, trips
from bot.settings.config import Config

DAY_S, WORST = 86_400, 5
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def figures(books: Books, config: Config) -> Iterator[str]:
    """summary.json says what orders, fills, decisions and candles say, and nothing impossible."""
    ended = [trip for trip in trips(books, config) if trip.closed]
    bought = {name: _beside(books, line) for name, line in benchmarks(books).items()}
    if "BTC-USD" in books.tape.bars and "btc" not in bought:
        bought["btc"] = {"return_pct": None}
    mine: dict[str, Facts] = {
        "equity": {"opening": books.opening, "final": books.path[books.end],
                   "lowest": min(books.path.values()), "highest": max(books.path.values())},
        "returns": _returns(books),
        "drawdowns": _drawdowns(books),
        "benchmark": bought,
        "trades": {**_trades(ended), "open": len(books.trades) - len(ended), "by": _groups(books, ended)},
        "costs": {**_costs(books.fills), "closed": _closed_costs(ended)},
        "execution": _execution(books),
        "exposure": _exposure(books, config),
        "coverage": _coverage(books),
    }  # fmt: skip
    yield from differences(books.summary, mine, "")
    yield from _impossible(books.summary)


def _returns(books: Books) -> Facts:
    final, months, days = books.path[books.end], dict[str, Decimal](), dict[str, Decimal]()
    for at, equity in books.path.items():
        days[f"{datetime.fromtimestamp(at - 1, UTC):%Y-%m-%d}"] = equity
        months[f"{datetime.fromtimestamp(at - 1, UTC):%Y-%m}"] = equity
    before = [books.opening, *months.values()]
    monthly = {name: (end / start - 1) * 100 for (name, end), start in zip(months.items(), before, strict=False)}
    return {"total_pct": (final / books.opening - 1) * 100, "days": len(days), "monthly_pct": monthly}


class Fall(NamedTuple):
    """A stay below a former height. depth: percent, negative; end: None while it lasts."""

    begin: int
    bottom: int
    depth: float
    end: int | None

    def days(self, last: int) -> float:
        return ((self.end or last) - self.begin) / DAY_S


def _falls(start: Any, path: Mapping[int, Any]) -> Sequence[Fall]:
    found: list[Fall] = []
    highest, height_at, falling = start, next(iter(path)), False
    for at, value in path.items():
        depth = float(value / highest - 1) * 100
        if value >= highest:
            if falling:
                found[-1] = found[-1]._replace(end=at)
            highest, height_at, falling = value, at, False
        elif not falling:
            found.append(Fall(height_at, at, depth, None))
            falling = True
        elif depth < found[-1].depth:
            found[-1] = found[-1]._replace(bottom=at, depth=depth)
    return found


def _drawdowns(books: Books) -> Facts:
    heights, falls = peaks(books), _falls(books.opening, books.path)
    return {
        "max_pct": min((fall.depth for fall in falls), default=0.0),
        "underwater_pct_of_time": fmean(equity < heights[at] for at, equity in books.path.items()) * 100,
        "longest_days": max((fall.days(books.end) for fall in falls), default=0.0),
        "worst": [
            {"depth_pct": fall.depth, "peak_at": _text(fall.begin), "bottom_at": _text(fall.bottom),
             "recovered_at": None if fall.end is None else _text(fall.end), "days": fall.days(books.end)}
            for fall in sorted(falls, key=lambda fall: fall.depth)[:WORST]
        ],
    }  # fmt: skip


def _beside(books: Books, line: Mapping[int, float]) -> Facts:
    first, last = next(iter(line.values())), line[books.end]
    deepest = min((fall.depth for fall in _falls(first, line)), default=0.0)
    own = float(books.path[books.end] / books.opening)
    return {
        "return_pct": (last / first - 1) * 100,
        "max_drawdown_pct": deepest,
        "excess_pct": (own - last / first) * 100,
    }


def _trades(ended: Sequence[Trip]) -> Facts:
    if not ended:
        return {"closed": 0}
    gains = [float(trip.pnl) for trip in ended]
    won, lost = [gain for gain in gains if gain > 0], [-gain for gain in gains if gain <= 0]
    minutes, multiples = (
        [trip.minutes for trip in ended],
        [float(m) for trip in ended if (m := trip.multiple) is not None],
    )
    worst, best = [float(trip.adverse) for trip in ended], [float(trip.favourable) for trip in ended]
    found = {
        "closed": len(ended), "hit_rate_pct": len(won) / len(ended) * 100, "expectancy": fmean(gains),
        "expectancy_bps": fmean(float(trip.bps) for trip in ended), "won": sum(won), "lost": sum(lost),
        "net": sum(gains), "best": max(gains), "worst": min(gains),
        "longest_losing_streak": max(map(len, "".join("w" if gain > 0 else "l" for gain in gains).split("w"))),
        "holding_minutes": {"mean": fmean(minutes), "median": median(minutes), "max": max(minutes)},
        "adverse_excursion_pct": {"mean": fmean(worst), "worst": min(worst)},
        "favourable_excursion_pct": {"mean": fmean(best), "best": max(best)},
    }  # fmt: skip
    if multiples:
        found["expectancy_r"] = fmean(multiples)
    if won:
        found["average_win"] = fmean(won)
    if lost and sum(lost) > 0:
        found |= {"average_loss": -fmean(lost), "profit_factor": sum(won) / sum(lost)}
        found |= {"payoff": fmean(won) / fmean(lost)} if won else {}
    return found


def _groups(books: Books, ended: Sequence[Trip]) -> Facts:
    """Where a trade came from is what its row says; what it made is what its fills say."""
    if not ended:
        return {}
    pairs = list(zip(books.trades, ended, strict=False))
    keys: dict[str, Callable[[Any, Trip], Sequence[str]]] = {
        "rule": lambda _, trip: (trip.fills[0].reason,), "product": lambda _, trip: (trip.fills[0].product,),
        "exit_reason": lambda _, trip: (trip.sales[-1].reason,), "trigger": lambda row, _: row["triggers"],
        "theme": lambda row, _: row["themes"], "tier": lambda row, _: (str(row["tier"]),),
        "regime": lambda row, _: (row["regime"],),
        "hour": lambda _, trip: (f"{datetime.fromtimestamp(trip.fills[0].at, UTC):%H}",),
        "weekday": lambda _, trip: (WEEKDAYS[datetime.fromtimestamp(trip.fills[0].at, UTC).weekday()],),
    }  # fmt: skip
    found: dict[str, dict[str, Any]] = {}
    for name, key in keys.items():
        buckets: dict[str, list[float]] = {}
        for row, trip in pairs:
            for one in key(row, trip):
                buckets.setdefault(one, []).append(float(trip.pnl))
        found[name] = {
            one: {"trades": len(gains), "net": sum(gains), "expectancy": fmean(gains),
                  "hit_rate_pct": fmean(gain > 0 for gain in gains) * 100}
            for one, gains in buckets.items()
        }  # fmt: skip
    return found


def _costs(fills: Sequence[Any]) -> Facts:
    sums = {name: float(sum((getattr(fill, name) for fill in fills), ZERO)) for name in ("spread", "slippage")}
    fees, traded = (float(sum((getattr(fill, name) for fill in fills), ZERO)) for name in ("fee", "value"))
    every = fees + sum(sums.values())
    found = {**sums, "fees": fees, "traded": traded, "total": every}
    return found | ({"total_bps_of_traded": every / traded * 10_000} if traded else {})


def _closed_costs(ended: Sequence[Trip]) -> Facts:
    found = dict(_costs([fill for trip in ended for fill in trip.fills]))
    net = float(sum((trip.pnl for trip in ended), ZERO))
    found |= {"net": net, "gross": net + found["total"]}
    return found | ({"share_of_gross_pct": found["total"] / found["gross"] * 100} if found["gross"] > 0 else {})


def _execution(books: Books) -> Facts:
    orders = list(books.orders.values())
    kinds = {kind: _fate(books, [o for o in orders if o.kind == kind]) for kind in {order.kind for order in orders}}
    return {
        **_fate(books, orders), "fills": len(books.fills), "by_kind": kinds,
        "expired": sum(order.status == "EXPIRED" for order in orders),
        "rejected": sum(order.status == "FAILED" for order in orders),
        "requotes": sum((order.attempt or 1) > 1 for order in orders),
    }  # fmt: skip


def _fate(books: Books, orders: Sequence[Order]) -> Facts:
    last = {fill.order: fill.at for fill in books.fills}
    filled = [order for order in orders if order.status == "FILLED"]
    minutes = [(last[order.id] - order.created) / 60 for order in filled if order.id in last]
    found: dict[str, Any] = {
        "orders": len(orders),
        "by_status": {status: sum(o.status == status for o in orders) for status in {o.status for o in orders}},
        "partial": sum(order.filled > 0 and order.status != "FILLED" for order in orders),
    }
    if orders:
        found["fill_ratio_pct"] = len(filled) / len(orders) * 100
    if minutes:
        found["minutes_to_fill"] = {"mean": fmean(minutes), "median": median(minutes), "max": max(minutes)}
    return found


def _exposure(books: Books, config: Config) -> Facts:
    every = list(books.standings.values())
    most = {name: max(in_theme(one, bases) for one in every) for name, bases in themes(config).items()}
    shares, risk = [invested(one) for one in every], config.policy.risk
    return {
        "time_in_market_pct": fmean(bool(one.worth) for one in every) * 100, "mean_pct": fmean(shares),
        "max_pct": max(shares), "max_asset_pct": max(largest(one) for one in every),
        "max_positions": max(len(one.worth) for one in every), "max_theme_pct": most,
        "cap_pct": risk.max_total_pct.value, "asset_cap_pct": risk.max_per_asset_pct.value,
        "theme_cap_pct": risk.max_per_theme_pct.value, "positions_cap": risk.max_open_positions,
    }  # fmt: skip


def _coverage(books: Books) -> Facts:
    wanted = [wish for wish in books.wishes if wish.side == "BUY"]
    return {
        "cycles": Counter(outcome for outcome, _ in books.cycles.values()),
        "rules": {rule: sum(w.rule == rule for w in wanted) for rule in {wish.rule for wish in wanted}},
    }


def _impossible(told: Facts) -> Iterator[str]:
    shares = {
        "drawdowns.max_pct": (-100, told["drawdowns"]["max_pct"], 0),
        "drawdowns.underwater_pct_of_time": (0, told["drawdowns"]["underwater_pct_of_time"], 100),
        "exposure.max_pct": (0, told["exposure"]["max_pct"], 100),
        "exposure.time_in_market_pct": (0, told["exposure"]["time_in_market_pct"], 100),
        "trades.hit_rate_pct": (0, told["trades"].get("hit_rate_pct", 0), 100),
    }
    for name, (low, value, high) in shares.items():
        if not low <= value <= high:
            yield f"{name} is {value}, it lies between {low} and {high}"
    for name, value in _leaves(told, ""):
        if isinstance(value, float) and not math.isfinite(value):
            yield f"{name} is {value}"


def _leaves(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, f"{name}.{key}" if name else key)
    else:
        yield name, value


def _text(at: int) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"
