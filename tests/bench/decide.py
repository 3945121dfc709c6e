"""How long one decision takes: 50 products with quotes, books and eight days of bars, triggers, rules and risk."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Any, Final

from bot.decide import decide
from bot.domain.bars import BarSeries
from bot.domain.decision import Decision
from bot.domain.product import Side
from bot.domain.snapshot import MarketView, Snapshot
from bot.risk.engine import RiskEngine
from bot.settings.config import Config
from bot.triggers.indicators import LiveWindows
from tests.bench.result import Result, percentiles
from tests.builders import config, market, order, position, proposal, rule, series, snapshot, state

PRODUCTS: Final = 50
BARS: Final = 1440 + 61
"""Of each market: a day, and what the longest trigger looks back beyond it."""
LEADER_BARS: Final = 8 * 1440
LIMIT_MS: Final = 5.0
ROUNDS: Final = 300

RULES: Final[Sequence[dict[str, Any]]] = (
    rule("breakout_up", {"all": ["breakout", "volume_spike"], "none": [{"price_move": {"direction": "down"}}]}),
    rule("trend", {"all": ["momentum"], "any": ["breakout", "price_move"]}, regimes=["bull", "chop"]),
    rule("dip", {"any": ["mean_reversion", "reversal"]}, regimes=["chop", "bear"], scale_by_volatility=True),
    rule("fast", {"all": [{"breakout": {"lookback_minutes": 60}}, {"price_move": {"pct_15m": 1}}]}),
)


def names() -> list[str]:
    return ["BTC-USD", *(f"C{number:02}-USD" for number in range(PRODUCTS - 1))]


def walk(seed: int, name: str) -> BarSeries:
    """One minute bars, more of the regime's leader; every seventh market ends in a rise on volume: something fires."""
    chance = random.Random(seed)
    closes, price, length = [], 1_000_000, LEADER_BARS if seed == 0 else BARS
    for _ in range(length):
        price = max(1000, price + chance.randint(-700, 700))
        closes.append(price)
    volumes = [chance.randint(50, 150) for _ in range(length)]
    if seed % 7 == 0:
        for back in range(30, 0, -1):
            closes[-back] = max(closes[-1470:-30]) + (30 - back) * 900
            volumes[-back] = 5_000
    return series(closes, name, volumes)


def cycle_maker() -> Callable[[], Snapshot]:
    """Makes a snapshot with new windows each time: a cycle finds none of its statistics computed yet."""
    bars = {name: walk(seed, name) for seed, name in enumerate(names())}
    held = [position(name, "0.01", at=9_000, stop_loss_pct=5, rule="dip") for name in names()[1:4]]
    resting = [
        order(name, Side.BUY, "0.01", 9_000, cid=f"cid-{number}", intent=number)
        for number, name in enumerate(names()[4:6])
    ]
    bids = {name: str(Decimal(int(item.close[-1])) / 100) for name, item in bars.items()}
    ready = snapshot([market(name, bids[name]) for name in names()], cash=100_000, account=state(held, resting))

    def fresh() -> Snapshot:
        views: list[MarketView] = [market(name, bids[name], windows=LiveWindows(item)) for name, item in bars.items()]
        return snapshot(views, cash=100_000, account=ready.state)

    return fresh


def settings() -> Config:
    return config(tuple(names()), rules=list(RULES), conviction={"min_conviction": "0.1"})


def timed(make: Callable[[], Snapshot], rules: Config) -> tuple[float, float, Decision]:
    """Median, 99th percentile, and one of the decisions."""
    waiting = [make() for _ in range(ROUNDS + 20)]
    cycles = iter(waiting)
    median, worst = percentiles(lambda: decide(next(cycles), rules), ROUNDS)
    return median, worst, decide(make(), rules)


def run() -> Iterator[Result]:
    make, rules = cycle_maker(), settings()
    median, worst, decision = timed(make, rules)
    told = f"{PRODUCTS} products, {len(decision.triggers)} triggers, {len(decision.evaluated)} wishes"
    yield Result(f"decide, median ({told})", median, "ms")
    yield Result("decide, 99th percentile", worst, "ms", LIMIT_MS)
    engine, snap = RiskEngine(rules), make()
    wishes = [proposal(name, rule="dip") for name in names()[10:30]]
    median, worst = percentiles(lambda: engine.evaluate(wishes, snap), ROUNDS)
    yield Result(f"risk alone, {len(wishes)} proposals, median", median, "ms")
    yield Result(f"risk alone, {len(wishes)} proposals, 99th percentile", worst, "ms")
