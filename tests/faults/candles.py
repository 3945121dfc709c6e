"""F075: candles with holes, twice, in either order, not at all; every bar the bot believes is the market's own."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

from simulator.faults import Answer, Rewrite, Rule
from simulator.markets.rows import Rows
from simulator.server import START
from tests.faults.trial import Trial
from tests.faults.venues import BUY, NO_BREAKERS
from tests.faults.wired import Wired
from tests.loop.markets import RISE
from tests.loop.stage import BTC, steady, up

CANDLES = "/market/products/*/candles"
TRADING = [*steady(5, 3600, "65000", 30)]
"""Flat: whoever sees it rise has been shown something else."""


def holes(trial: Trial) -> None:
    for name, first in (("the newest page", 0), ("the second page", 1), ("the third", 2)):
        one_empty_page(trial, name, first)
    often_empty(trial)
    for name, spoil in SPOILT.items():
        spoilt(trial, name, spoil)
    quiet_and_lost(trial)


def one_empty_page(trial: Trial, name: str, skip: int) -> None:
    """One answer of the warm-up is empty, and what it left out is not taken for silence of the market."""
    with trial.wired(TRADING, policy=NO_BREAKERS) as bot:
        bot.fault(Rule(Rewrite("candles", "[]"), "GET", CANDLES, skip=skip))
        for _ in range(8):
            bot.wait(60)
            bot.cycle()
            _as_the_market(trial, bot, f"{name} empty")
        trial.stimulus(f"{name} of candles came empty", bot.struck("Rewrite") == 1)
        trial.require(f"I12 {name} empty: the bars are whole a few cycles later", _rows(bot) >= _needed(bot))


def often_empty(trial: Trial) -> None:
    with trial.wired(TRADING, policy=NO_BREAKERS) as bot:
        bot.fault(Rule(Rewrite("candles", "[]"), "GET", CANDLES, times=None, probability=0.2))
        with bot.oracle.closed("a flat market whose candles come and go", "I38", BUY):
            for _ in range(40):
                bot.wait(60)
                bot.cycle()
                _as_the_market(trial, bot, "one in five empty")
        trial.stimulus("one answer in five was an empty list", bot.struck("Rewrite") >= 4)
        trial.require("I12 no crash, and bars in spite of it", "ERROR" not in {c.outcome for c in bot.cycles})
        trial.require("I12 whole", _rows(bot) >= _needed(bot))


def _twice(rows: list[Any]) -> list[Any]:
    return [row for row in rows for _ in (0, 1)]


def _contradicting(rows: list[Any]) -> list[Any]:
    return [*rows, {**rows[3], "close": rows[3]["high"], "high": str(Decimal(rows[3]["high"]) + 1)}]


SPOILT: Mapping[str, Callable[[list[Any]], list[Any]]] = {
    "newest first": lambda rows: rows,
    "oldest first": lambda rows: rows[::-1],
    "each bar twice": _twice,
    "in no order": lambda rows: rows[::2] + rows[1::2],
}
"""Of the same bars, given newest first: what makes them no others."""


def spoilt(trial: Trial, name: str, spoil: Callable[[list[Any]], list[Any]]) -> None:
    with trial.wired(TRADING, policy=NO_BREAKERS) as bot:
        for _ in range(3):
            bot.wait(60)
            bot.fault(Rule(Rewrite("candles", json.dumps(spoil(_candles(bot)))), "GET", CANDLES, times=None))
            bot.cycle()
            bot.heal()
            _as_the_market(trial, bot, name)
        trial.stimulus(f"candles {name}", bot.struck("Rewrite") >= 3)
        trial.require(f"I12 {name}: they are used", _rows(bot) >= _needed(bot))
        missing = _candles(bot)
        del missing[4 : len(missing) : 300]
        bot.wait(60)
        bot.fault(Rule(Rewrite("candles", json.dumps(spoil(missing))), "GET", CANDLES, times=None))
        bot.cycle()
        bot.heal()
        _as_the_market(trial, bot, f"{name}, one of 300 missing that were there before")
        bot.wait(60)
        bot.fault(Rule(Rewrite("candles", json.dumps(_contradicting(_candles(bot)))), "GET", CANDLES, times=None))
        bot.cycle()
        bot.heal()
        _as_the_market(trial, bot, f"{name}, one bar twice with two values")


def quiet_and_lost(trial: Trial) -> None:
    """Minutes without a trade are quiet, close carried and flagged; a time nobody could fetch is no quiet time."""
    with trial.wired([*steady(5, 200, "65000", 30), *steady(1400, 3600, "65000", 30)], policy=NO_BREAKERS) as bot:
        bot.run_for(1300)
        series = bot.app.loop._world.market._markets[BTC].tape.series  # type: ignore[attr-defined]
        silent = [n for n in range(len(series.close)) if series.quiet[n]][-10:]
        trial.stimulus("twenty minutes without a trade", len(silent) == 10)
        carried = all(series.close[n] == series.close[n - 1] and not series.volume[n] for n in silent)
        trial.require("I38 quiet minutes carry the close, with volume 0 and a flag", carried)
        _as_the_market(trial, bot, "quiet")
    with trial.wired([*RISE, *steady(62, 3600, "65500", 20)], policy=NO_BREAKERS) as bot:
        bot.fault(Rule(Answer(500, "json"), "GET", CANDLES, times=None))
        with bot.oracle.closed("no candle could be fetched", "I12/I38", BUY):
            bot.run_for(600)
        trial.stimulus("candles answer 500", bot.struck("500"))
    lost = trial.stage([*RISE, *steady(62, 900, "65500", 20), up(905)])
    lost.idle(62)
    lost.window.without_bars = True
    with lost.oracle.closed("no bars were fetched", "I12/I38", BUY):
        lost.run_for(300)


def _candles(bot: Wired) -> list[Any]:
    """The venue's closed and forming bars as its answers show them, newest first."""
    until = int(bot.sim.now().timestamp())
    answer = bot.sim.do(lambda c: _history(c, until - 60 * 1700, until))
    scale = bot.sim.do(lambda c: c.world.listing(BTC).scale)
    return [
        {
            "start": str(int(answer.start[n])),
            **{
                name: str(scale.price(int(getattr(answer, name)[n])).value) for name in ("open", "high", "low", "close")
            },
            "volume": str(scale.lot * int(answer.volume[n])),
        }
        for n in reversed(range(len(answer)))
    ]


def _history(controls: Any, first: int, until: int) -> Rows:
    rows: Rows = controls.world.market.history(BTC, first, until // 60 * 60)
    return rows


def _rows(bot: Wired) -> int:
    market: Any = bot.app.loop._world.market
    tape = market._markets[BTC].tape
    return 0 if tape is None else len(tape.rows)


def _needed(bot: Wired) -> int:
    """How many bars it watches this market with."""
    market: Any = bot.app.loop._world.market
    return int(market._markets[BTC].needed)


def _as_the_market(trial: Trial, bot: Wired, when: str) -> None:
    """Every bar the bot would decide on against the market's own: same minute, same numbers, quiet where it was."""
    market: Any = bot.app.loop._world.market
    held = market._markets.get(BTC)
    if held is None or held.tape is None or held.tape.series is None:
        return
    series = held.tape.series
    truth = bot.sim.do(lambda c: _history(c, series.start, series.start + 60 * len(series.close)))
    known = {int(truth.start[n]): n for n in range(len(truth))}
    scale = bot.sim.do(lambda c: c.world.listing(BTC).scale)
    wrong = []
    for n in range(len(series.close)):
        opened = series.start + 60 * n
        at = known.get(opened)
        if at is None or series.quiet[n]:
            same = at is None and bool(series.quiet[n])
        else:
            same = series.scale.price(int(series.close[n])) == scale.price(int(truth.close[at]))
        if not same:
            wrong.append((START + timedelta(seconds=opened - int(START.timestamp()))).strftime("%d %H:%M"))
    trial.require(
        f"I38 {when}: every bar is the market's ({len(wrong)} are not: {wrong[:2]} to {wrong[-1:]})", not wrong
    )
