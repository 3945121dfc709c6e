"""Class data: quotes that stop, cross and jump, a real crash, candles with holes, coins without a price."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from bot.domain.money import EXACT, Price, Size
from bot.domain.product import ProductId, Side
from bot.errors import UnitError
from simulator.faults import Rewrite, Rule
from simulator.markets.script import BookIs, Print
from simulator.server import START
from tests.faults.candles import holes
from tests.faults.trial import Fault, Trial
from tests.faults.venues import BUY, HELD, NO_BREAKERS, SELL
from tests.loop.markets import RISE, calm, then
from tests.loop.stage import BTC, config_of, down, steady

BY_BOT = {"exits": {"resting_on_exchange": False}}


def quotes_stop(trial: Trial) -> None:
    stage = trial.stage([*RISE, *steady(62, 900, "65500", 20)])
    stage.idle(62)
    stage.window.aged = timedelta(seconds=30)
    with stage.oracle.closed("quotes are 30 s old", "I12", BUY):
        stage.run_for(300)
    trial.stimulus("quote times stop while everything answers", stage.window.aged)
    trial.require(
        "I12 refused as stale, and told",
        stage.last.reason in {"too_many_stale", "circuit_breaker"} and stage.told("halt.breaker.stale_data"),
    )
    stage.window.aged = timedelta(0)
    stage.heals()


def broken_books(trial: Trial) -> None:
    sides = {
        "crossed": ([("65510", "5")], [("65500", "5")]), "locked": ([("65500", "5")], [("65500", "5")]),
        "without bids": ([], [("65500", "5")]), "without asks": ([("65500", "5")], []), "empty": ([], []),
    }  # fmt: skip
    for name, (bids, asks) in sides.items():
        book = BookIs(20, BTC, *[[(Decimal(p), Decimal(s)) for p, s in side] for side in (bids, asks)])
        stage = trial.stage([*RISE, *steady(62, 400, "65500", 20), book])
        with stage.oracle.closed(f"the book is {name}", "I38/I12", BUY):
            stage.run_for(240)
        trial.require(f"I38 {name}: nothing is decided on it", not stage.wire.placed)
    trial.stimulus("books that are no books", len(sides) == 5)


def one_wrong_print(trial: Trial) -> None:
    """Ten times and a tenth of the price, shown once to everybody, while a position is held."""
    for factor in (10.0, 0.1):
        stage = trial.stage(then(*calm(90, 900)), config_of({}, **BY_BOT))
        stage.run_until(lambda: BTC in stage.state.positions, 200)  # noqa: B023 - runs within this turn
        held = stage.held("BTC")
        stage.world.conditions.feed.spikes = {"BTC-USD": factor}
        with stage.oracle.closed(f"one snapshot at {factor} times the price", "I38"):
            stage.cycle(service=True)
        trial.stimulus(f"a quote at {factor} times the price", stage.world.conditions.feed.spikes)
        stage.world.conditions.feed.spikes = {}
        stage.run_for(300)
        trial.require("I38 not sold, not bought", stage.held("BTC") == held)
        trial.require("I17/I9 no loss stop for a wrong price", not stage.state.latches)
        trial.require("counted", sum(stage.loop.bad_ticks().values()) > 0)
    fresh = trial.stage(
        [*calm(10, 120), Print(130, BTC, Decimal(650000), Decimal("0.0001"), Side.BUY), *calm(140, 600)]
    )
    with fresh.oracle.closed("one print at ten times the price", "I38/I20", BUY):
        fresh.run_for(400)


def crash(trial: Trial) -> None:
    """-30 % within a second, prints to three hundredths of a percent, no book for a minute, back within minutes."""
    for latency_s in (0, 2):
        for hole_s in (311, 301):
            _crash(trial, latency_s, hole_s)


def _crash(trial: Trial, latency_s: int, hole_s: int) -> None:
    """hole_s: when the book empties; the second after the fall, before anybody could sell, or eleven later."""
    print_at = hole_s + 20
    fall = [down(300, "45500"), *steady(301, hole_s - 3, "45500", 1), BookIs(hole_s, BTC, [], []),
            Print(print_at, BTC, Decimal("19.5"), Decimal("0.01"), Side.SELL), BookIs(print_at + 1, BTC, [], []),
            BookIs(hole_s + 60, BTC, [(Decimal(45000), Decimal(5))], [(Decimal(45010), Decimal(5))]),
            *steady(hole_s + 61, 600, "45000", 5), *steady(600, 1200, "55000", 5),
            *steady(1200, 2000, "63000", 5)]  # fmt: skip
    losing = config_of({"cooldown_minutes": 1}, **BY_BOT, risk={"daily_stop_pct": "0.5", "weekly_stop_pct": 6})
    stage = trial.stage(then(*calm(90, 299), *fall), losing)
    stage.run_until(lambda: BTC in stage.state.positions, 200)
    waited: list[str] = []

    def slow(call: str) -> None:
        if latency_s and stage.clock.now() >= START + timedelta(seconds=295):
            waited.append(call)
            stage.idle(latency_s)

    stage.wire.on_call = slow
    with stage.oracle.closed("a crash", "I38", BUY):
        stage.run_until(lambda: not stage.held("BTC"), 900)
    sold = [event for event in stage.oracle.fills if event.fill.side is Side.SELL]
    trial.require("I21 the stop was taken", sold)
    worst = min((event.fill.price for event in sold), default=Decimal(0))
    trial.require(f"I20 and not at any price: {worst}", worst > 44000)
    in_hole = [e for e in sold if at(hole_s) <= e.at < at(hole_s + 60)]
    trial.require("I20/I38 nothing was sold into the empty book", not in_hole)
    stage.run_until(lambda: "daily_stop" in stage.state.latches, 300)
    with stage.oracle.closed("the day is lost", "I38", BUY):
        stage.run_for(1500)
    trial.require(
        "I38 nothing bought in the fall or after", not [o for o in stage.wire.placed[1:] if o.side is Side.BUY]
    )
    trial.stimulus(f"-30 % in a second, then an empty book from {hole_s} s", stage.world.now > at(hole_s))
    trial.stimulus(f"every call takes {latency_s} s: {len(waited)} of them", len(waited) > 5 or not latency_s)
    late = [c for c in stage.cycles if c.outcome == "ERROR"]
    trial.require("I21 no cycle failed", not late)


def at(seconds: int) -> datetime:
    return START + timedelta(seconds=seconds)


def units(trial: Trial) -> None:
    """The same number as base and as quote volume differs by the price: the universe must know which is which."""
    poor = {"tiers": {1: {"products": ["BTC-USD"], "min_volume_24h": 100_000_000, "min_depth": 1000}}}
    stage = trial.stage([*RISE, *steady(62, 600, "65500", 20)], config_of({}, poor))
    stage.idle(62)
    with stage.oracle.closed("traded volume is too low in dollars", "I12", BUY):
        stage.run_for(120)
    product = next(p for p in stage.wire.products() if p.id == BTC)
    tape = stage.world.tape(BTC)
    assert tape is not None
    base = EXACT.multiply(Decimal(tape.day().volume), tape.listing.scale.lot)
    volume = product.quote_volume_24h or Decimal(0)
    trial.stimulus(f"{base:.0f} BTC a day are {volume:.0f} USD", base < volume)
    trial.require(
        "I12 excluded for its volume in dollars", stage.events("decision.made")[-1]["excluded"].get("volume_low")
    )
    for text in ("BTC", "USD", ""):
        try:
            ProductId.parse(text)
            refused = False
        except UnitError:
            refused = True
        trial.require(f"I30 {text!r} is no product", refused)
    try:
        Price(Decimal(1)) < Size(Decimal(1))  # type: ignore[operator]  # noqa: B015 - that it cannot be asked is the point
        mixed = True
    except TypeError:
        mixed = False
    trial.require("I30 a price cannot be compared with a size", not mixed)


def unpriced(trial: Trial) -> None:
    stage = trial.stage([*RISE, *steady(62, 2000, "65500", 20)], opening={"USD": "10000", "ETH": "0.5"})
    stage.cycle()
    before = dict(stage.state.positions)
    stage.world.conditions.feed.empty.add("ETH-USD")
    stage.run_for(500)
    trial.stimulus("a held coin has no price for minutes", stage.world.conditions.feed.empty)
    trial.require("I12 equity unknown: nothing is sized", stage.last.reason == "nlv_unknown")
    trial.require(
        "I17 no false drawdown", not stage.state.latches and stage.published[0]["drawdown_pct"] in {"0", None}
    )
    trial.require("I40 nothing was forgotten", dict(stage.state.positions) == before)
    stage.world.conditions.feed.empty.clear()
    stage.heals()
    with trial.wired(HELD, policy=NO_BREAKERS) as bot:
        bot.run_until(lambda: bot.state.positions, 200)
        for text in ("[]", '[{"product_id": "BTC-USD"}]'):
            bot.fault(Rule(Rewrite("products", text), "GET", "/products", times=None))
            with bot.oracle.closed("the product list is empty or broken", "I12", (*BUY, *SELL)):
                bot.run_for(1900)
            refused = bot.last.reason in {"data_unavailable", "too_few_eligible"}
            trial.require(f"I12 {text[:4]} is refused: no hard-coded list", refused)
            bot.heal()
            bot.run_for(120)
        trial.require("I40 the position is kept", bot.state.positions)


ROWS: Sequence[Fault] = (
    Fault("F070", "quote times stop while everything answers 200", "no entries, STALE told", "I12", quotes_stop,
          quick=True),
    Fault("F072", "crossed, locked, one-sided and empty books", "no decision on them", "I38", broken_books, quick=True),
    Fault("F073", "one snapshot at ten times and at a tenth of the price", "no entry and no stop-out", "I20 I38",
          one_wrong_print, quick=True),
    Fault("F074", "-30 % in a second, a print at -99.97 %, an empty book for a minute; also with a slow API",
          "sold within slippage, not into the hole; no buys; the day's stop still falls",
          "I20 I21 I38", crash, quick=True),
    Fault("F075", "candles empty once or one time in five, twice, in any order, one of 300 missing; quiet minutes",
          "every bar believed is the market's own; quiet is carried, unfetched refuses", "I12 I38", holes),
    Fault("F077", "volume in coins against volume in dollars", "typed units; the universe does not flip", "I12 I30",
          units, quick=True),
    Fault("F079", "a held coin without a price; a product list that is empty or broken",
          "equity unknown, nothing sized, nothing forgotten", "I12 I17 I40", unpriced),
)  # fmt: skip
