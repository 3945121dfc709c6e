"""Class recorded: a fall that happened, a wrong price inside it, a day of requests, and one run twice."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import yaml

from bot.adapters.coinbase.budget import Budget
from bot.domain.order import PlannedOrder
from bot.domain.product import Side
from bot.ports import WakeReason
from simulator.markets.generator import GeneratedMarket
from simulator.markets.listing import Listing, default_listings, plain_listing
from simulator.markets.market import Market
from simulator.markets.script import Print, Step
from simulator.server import START
from tests.configs import LOCAL_VENUE
from tests.configs import SHIPPED as CONFIG
from tests.faults.trial import Fault, JudgedStage, Trial
from tests.faults.wired import Wired
from tests.loop.stage import BTC, config_of, down, steady, up

FALL: Sequence[str] = (
    "43156.21 43159.56 43061.46 43097.57 75.83",
    "43097.56 43111.62 43000.00 43036.16 92.75",
    "43038.12 43072.78 42951.88 42960.99 58.05",
    "42951.05 42951.05 42385.14 42661.08 464.26",
    "42666.75 42769.87 42623.63 42760.44 75.11",
    "42762.44 42788.45 42682.95 42734.98 52.93",
    "42728.67 42737.74 42553.21 42656.08 41.66",
    "42655.73 42670.17 42300.88 42303.42 68.32",
    "42315.00 42325.05 41012.02 41038.39 419.10",
    "41051.95 41447.98 40300.00 41378.41 472.29",
    "41371.05 41741.19 41304.97 41731.11 128.31",
    "41741.38 42086.59 41684.26 42006.57 162.20",
)
"""BTC-USD at Coinbase on 2023-12-11 from 02:04 UTC on: open, high, low, close, volume of each minute."""
BEGINS_S, WORST = 300, 8
"""The recording begins so many seconds after the start; its ninth minute, 02:12, is the fall."""
STEP_S = 5
SHIPPED: Mapping[str, Any] = {"rate_limits": yaml.safe_load((CONFIG / "policy.yaml").read_text())["rate_limits"]}
GUARDED: dict[str, Any] = {"data": {"max_price_deviation_pct": 2}, "exits": {"resting_on_exchange": False}}
"""A guard that the worst minute exceeds, and a bot that has to sell by itself."""


def _prints() -> Iterator[Step]:
    """Each minute from its open over high and low to its close, its volume spread evenly."""
    for number, row in enumerate(FALL):
        opened, high, low, close, volume = map(Decimal, row.split())
        stops = (opened, high, low, close)
        count = 60 // STEP_S
        for index in range(count):
            leg, share = divmod(index * 3, count)
            price = stops[leg] + (stops[leg + 1] - stops[leg]) * share / count
            at = BEGINS_S + 60 * number + STEP_S * index
            size = (volume / count).quantize(Decimal("0.00000001"))
            yield Print(at, BTC, price.quantize(Decimal("0.01")), size, Side.SELL if index % 2 else Side.BUY)


def _listings() -> list[Listing]:
    step = Decimal("0.00000001")
    return [plain_listing(BTC, Decimal("0.01"), step, Decimal("42800")), *default_listings(2)[1:]]


def _held_before(trial: Trial) -> JudgedStage:
    """The bot has bought at 43 150, minutes before the recording begins."""
    bought = (up(30, "43150"), *steady(31, 62, "43150", 5), down(80, "43020"), *steady(90, BEGINS_S, "43150", 20))
    stage = trial.stage([*bought, *_prints()], config_of({}, **GUARDED), None, _listings())
    stage.run_until(lambda: BTC in stage.state.positions, 200)
    return stage


def the_fall(trial: Trial) -> None:
    stage = _held_before(trial)
    stop = Decimal(43150) * Decimal("0.96")
    stage.run_until(lambda: not stage.held("BTC"), 900)
    sold = [event for event in stage.oracle.fills if event.fill.side is Side.SELL]
    minute = (sold[0].at - START - timedelta(seconds=BEGINS_S)) / timedelta(minutes=1)
    low = min(Decimal(row.split()[2]) for row in FALL)
    trial.stimulus(f"the recorded minutes from 43 156 to {low}", stage.world.now > START + timedelta(seconds=BEGINS_S))
    trial.require(
        f"I38 more than the guard allows in a minute, and believed: sold in minute {minute:.1f}", minute >= WORST
    )
    trial.require("I21 within the fall, not after it", minute < WORST + 2)
    worst = min(event.fill.price for event in sold)
    trial.require(f"I20 at {worst}, the stop was {stop:.0f}", low <= worst <= stop * Decimal("1.001"))


def a_wrong_price_in_the_fall(trial: Trial) -> None:
    """Ten times the price for ten seconds in the very minute of the fall: never acted on; the fall still is."""
    stage = _held_before(trial)
    from_s = BEGINS_S + 60 * WORST + 10
    stage.run_until(lambda: stage.clock.now() >= START + timedelta(seconds=from_s - 70), 900)
    stage.at(from_s, lambda: stage.world.conditions.feed.spikes.update({"BTC-USD": 10.0}))
    stage.at(from_s + 10, stage.world.conditions.feed.spikes.clear)
    shown: list[Decimal] = []
    placed: list[Decimal] = []

    def look(order: PlannedOrder) -> None:
        if stage.world.conditions.feed.spikes:
            placed.append(Decimal(order.size.value))

    stage.wire.before_place = look
    for moment in range(from_s + 1, from_s + 10, 2):
        stage.at(moment, lambda: shown.append(_bid(stage)))
        stage.at(moment, lambda: stage.clock.wake(WakeReason.PRICE))
    stage.run_until(lambda: not stage.held("BTC"), 900)
    trial.stimulus(f"a bid of {max(shown, default=Decimal(0)):.0f} was shown", max(shown, default=Decimal(0)) > 300_000)
    trial.require("I38 no order while it stood", not placed)
    trial.require("I38 it was held back or rejected, and counted", sum(stage.loop.bad_ticks().values()) > 0)
    sold = [event.fill.price for event in stage.oracle.fills if event.fill.side is Side.SELL]
    trial.require(f"I20/I21 the fall was acted on all the same, at {min(sold)}", 40_000 < min(sold) < 42_000)


def _bid(stage: JudgedStage) -> Decimal:
    quote = stage.window.facts(BTC).quote
    return quote.bid.value if quote is not None else Decimal(0)


class Pace:
    """Seconds in which a bot and a venue count requests: trading time, and what the bot waits within a cycle.

    A cycle's waits would else take no time at all, since a stepped venue stands still in it.
    """

    def __init__(self) -> None:
        self.trading: Callable[[], datetime] = lambda: START
        self._now = 0.0
        self._lock = threading.Lock()

    def now(self) -> float:
        with self._lock:
            self._now = max(self._now, (self.trading() - START).total_seconds())
            return self._now

    def sleep(self, wait_s: float) -> None:
        with self._lock:
            self._now += wait_s


def a_day_of_requests(trial: Trial) -> None:
    """A whole day on sixteen products at a venue with Coinbase's limits; then a bot without budgets at the same one."""
    market = GeneratedMarket(default_listings(16), START, seed=3)
    with _limited(trial, market, SHIPPED) as (bot, pace):
        limits = bot.config.policy.rate_limits
        client = bot.app.loop._world.exchange.client  # type: ignore[attr-defined]
        client.budget = Budget(limits, pace.sleep, lambda low, _high: low, pace.now)
        pace.sleep(2)  # what the start asked for was counted by the budget it was born with
        day = min(1.0, trial.effort)
        bot.run_for(24 * 3600 * day)
        asked = bot.requests()
        kinds = Counter(f"{e.method} {e.path.split('?')[0].rpartition('brokerage')[2]}" for e in asked)
        refused = [e for e in asked if e.status == 429]
        seen = bot.sim.limits
        told = f"{len(bot.cycles)} cycles, {len(asked)} requests of {len(kinds)} kinds, {len(bot.posts())} orders"
        trial.stimulus(told, len(bot.cycles) >= 1440 * day and bot.posts())
        trial.require("I18 none of them was refused for haste", not refused)
        trial.require(f"I18 at most {seen.hour.most} in any hour", seen.hour.most <= limits.hourly)
        trial.require(f"I18 at most {seen.seconds[True].most} public ones in any second",
                      seen.seconds[True].most <= limits.public_per_second)  # fmt: skip
        trial.require(f"I18 at most {seen.seconds[False].most} private ones in any second",
                      seen.seconds[False].most <= limits.private_per_second)  # fmt: skip
    with _limited(trial, market, LOCAL_VENUE) as (hasty, _):
        hasty.run_for(600)
        refused = [e for e in hasty.requests() if e.status == 429]
        trial.stimulus(f"the same venue refuses {len(refused)} requests of a bot without budgets", refused)


@contextmanager
def _limited(trial: Trial, market: Market, policy: Mapping[str, Any]) -> Iterator[tuple[Wired, Pace]]:
    pace = Pace()
    with trial.wired(
        market=market, universe={}, limits=True, limits_clock=pace.now, policy=policy, step=timedelta(seconds=60)
    ) as bot:
        world = bot.sim.do(lambda c: c.world)
        pace.trading = lambda: world.now
        yield bot, pace


def one_run_twice(trial: Trial) -> None:
    """The same market, the same faults, the same seed: the same journal and the same orders, to the byte."""
    found = []
    for _ in range(2):
        stage = trial.stage(
            [
                *(s for at in range(0, 3000, 600) for s in (up(at + 30, "65600"), down(at + 80, "65300"))),
                *steady(90, 3600, "65500", 40),
            ],
            config_of({"cooldown_minutes": 1}, risk={"cooldown_minutes": 1}),
        )
        stage.idle(40)
        stage.wire.lost_answers = 1
        stage.at(900, partial(stage.world.transfer, "USD", Decimal(500)))
        stage.run_for(3000)
        lines = b"".join(stage.disk.journal(day) for day in stage.disk.journal_days())
        trace = repr([(e.at, e.order) for e in stage.oracle.history]).encode()
        found.append((hashlib.sha256(lines).hexdigest(), hashlib.sha256(trace).hexdigest()))
    trial.stimulus("a lost answer and a transfer, twice", found)
    trial.require(f"I34 one journal: {found[0][0][:12]}", found[0][0] == found[1][0])
    trial.require(f"I34 one trace of orders: {found[0][1][:12]}", found[0][1] == found[1][1])


ROWS: Sequence[Fault] = (
    Fault("R01", "the fall of 2023-12-11 02:12 UTC as recorded, with a position held", "confirmed and acted on",
          "I20 I21 I38", the_fall, quick=True),
    Fault("R02", "ten times the price for ten seconds inside that minute", "never acted on; the fall is",
          "I20 I21 I38", a_wrong_price_in_the_fall, quick=True),
    Fault("R03", "a day of requests on sixteen products at a venue with Coinbase's limits a second and an hour",
          "not one request refused for haste", "I18", a_day_of_requests, longest_s=900),
    Fault("R04", "one market with a lost answer and a transfer, run twice", "the same bytes", "I34", one_run_twice,
          quick=True),
)  # fmt: skip
