"""Class clock: two clocks that differ, and periods whose ends nobody was awake for."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from bot.domain.order import OrderKind
from bot.domain.product import Side
from bot.domain.state import Intent
from bot.domain.value import Value
from simulator.server import START
from tests.faults.trial import Fault, JudgedStage, Trial
from tests.faults.venues import QUOTING
from tests.loop.markets import RISE, calm, slide
from tests.loop.stage import config_of, down, steady, up
from tests.loop.test_latches import MIDNIGHT, RULE, TIGHT, fallen_at_a_loss


def clocks_apart(trial: Trial) -> None:
    for seconds in (0.4, 1.5, 30.0):
        with trial.wired(QUOTING, policy={"execution": {"use_preview": False}}) as bot:
            bot.sim.conditions(skew_s=seconds)
            bot.run_for(80)
            trial.stimulus(f"the venue's clock {seconds:g} s ahead", bot.requests("GET", "/time"))
            if seconds < 1:
                trial.require("I26 a small drift is told and trading goes on", bot.told("clock.drift") == "WARNING")
                trial.require("I21 and the entry was sent", len(bot.posts()) == 1)
                continue
            trial.require("I22 no entry on a clock that may not be trusted", bot.posts() == [])
            trial.require("I26 the alarm names the clock", bot.told("halt.clock_") == "CRITICAL")
            named = [a for a in bot.events("alert.raised") if a["fingerprint"].startswith("halt.clock_")]
            told = re.search(r"(-?\d+) ms", named[0]["detail"])
            near = told is not None and abs(abs(int(told[1])) / 1000 - seconds) < 0.5
            trial.require("I26 and by how much it is wrong", near)
    with trial.wired(QUOTING, heard=False, audited=False) as bot:
        bot.sim.conditions(skew_s=200.0)
        said = ""
        try:
            bot.boot()
            bot.cycle()
            said = bot.last.reason + " ".join(a["detail"] for a in bot.events("alert.raised"))
        except Exception as error:  # whatever it is called, it has to name the clock
            said = str(error)
        trial.stimulus("tokens made 200 s before the venue's time", bot.requests(path="/time") or said)
        trial.require("I26 a key refused for the time is told as a clock, not as a key", "clock" in said.lower())
        trial.require("I22 and nothing is sent", bot.posts() == [])


class Stop(Value):
    """A loss stop that one stop-out trips. away_s: seconds before the end of its period at which the bot restarts."""

    name: str
    ends: datetime
    risk: Mapping[str, object]
    away_s: Sequence[int] = (3 * 3600, 60)


def period_over_while_away(trial: Trial, stop: Stop) -> None:
    stage = _tripped(trial, stop)
    orders = len(stage.orders())
    for seconds in stop.away_s:
        stage.idle((stop.ends - stage.clock.now()).total_seconds() - seconds)
        stage.boot()
        stage.cycle()
        trial.require(f"I9 no restart inside the period forgets it: {stop.name}", stage.last.reason == stop.name)
    stage.idle((stop.ends - stage.clock.now()).total_seconds() + 1)
    trial.stimulus(f"down over the end of the {stop.name}, then started again", stage.clock.now() >= stop.ends)
    stage.boot()
    stage.run_until(lambda: len(stage.orders()) > orders, 300)
    trial.require(
        f"I9/I26 released at the boundary and not before: {stop.name}", stage.orders()[-1].created_at >= stop.ends
    )
    day, week = stage.state.day, stage.state.week
    trial.require("I26 the period is the UTC day", day is not None and day.id == f"{stop.ends:%Y-%m-%d}")
    trial.require("I26 the week is the ISO week", week is not None and week.id == f"{stop.ends:%G-W%V}")
    stage.run_for(timedelta(minutes=5).total_seconds())


def _tripped(trial: Trial, stop: Stop) -> JudgedStage:
    near = int((stop.ends - START).total_seconds())
    quiet = [*steady(3600, near - 7200, "62000", 1800), *calm(near - 7200, near - 1800, "62000")]
    rise = [*quiet, up(near - 30, "62600"), *steady(near - 25, near + 400, "62600", 5)]
    stage = trial.stage(fallen_at_a_loss(rise), config_of(RULE, risk=stop.risk))
    stage.run_until(lambda: stop.name in stage.state.latches, 700)
    trial.stimulus(f"the {stop.name} trips", stage.events("latch.set"))
    return stage


def set_over_the_boundary(trial: Trial, stop: Stop) -> None:
    """Somebody sets our clock two hours on, over the end of the period, and back: it has not ended."""
    stage = _tripped(trial, stop)
    stage.idle((stop.ends - stage.clock.now()).total_seconds() - 20)
    stage.cycle()
    with stage.oracle.closed(f"the period of the {stop.name} has not ended", "I9/I26"):
        _set_on(stage)
        stage.cycle()
        trial.stimulus(f"our clock set two hours on, beyond the end of the {stop.name}", stage.clock.now() > stop.ends)
        trial.require("I26 the alarm names the clock, in the first cycle", stage.last.reason.startswith("clock_"))
        stage.boot()
        stage.cycle()
        trial.require(f"I9 the {stop.name} stands, also over a restart", stop.name in stage.state.latches)
        _set_back(stage)
        stage.cycle()
        trial.require("I9 and once the clock is right it is in force", stage.last.reason == stop.name)
    stage.run_until(lambda: stop.name not in stage.state.latches, 120)
    late = stage.clock.now() - stop.ends
    trial.require(f"I26 the {stop.name} ends with its period", timedelta(0) <= late < timedelta(seconds=5))


def _set_on(stage: JudgedStage) -> None:
    stage.clock.set_wrong(AHEAD)
    stage.wire.venue_clock_ahead = -AHEAD


def _set_back(stage: JudgedStage) -> None:
    stage.clock.set_wrong(timedelta(milliseconds=100) - AHEAD)
    stage.cycles.clear()  # by a clock that was set back they would overlap
    stage.wire.venue_clock_ahead = timedelta(0)


def hour_of_entries(trial: Trial) -> None:
    """One entry an hour: asked for again within it, after restarts, beyond a gap, on a clock that was set."""
    stage = trial.stage(TWO_RISES, config_of(RULE, risk=ONE_AN_HOUR))
    stage.run_until(lambda: stage.state.realised_total < 0, 700)
    (entry,) = [intent for intent in stage.state.intents.values() if intent.kind is OrderKind.ENTRY]
    ends = entry.at + timedelta(hours=1)
    with stage.oracle.closed("an entry was made within the hour", "I9/I26", [Side.BUY]):
        for seconds in (AGAIN_S, 3600 - 20):
            stage.idle((entry.at - stage.clock.now()).total_seconds() + seconds)
            stage.boot()
            stage.cycle()
            trial.stimulus(f"the rule wants to buy again {seconds} s after the entry", _paced(stage))
        _set_on(stage)
        stage.cycle()
        stage.boot()
        stage.cycle()
        trial.stimulus("our clock set two hours on, beyond the hour", stage.clock.now() > ends)
        trial.require("I26 the alarm names the clock", stage.last.reason.startswith("clock_"))
        _set_back(stage)
        stage.boot()
        stage.cycle()
        trial.require("I9 the entry still counts on the right clock, over a restart", _paced(stage))
    stage.run_until(lambda: stage.working(Side.BUY) or stage.held("BTC"), 120)
    trial.require("I26 the next entry comes when the hour is over", _newest_entry(stage).at >= ends)
    away = trial.stage(TWO_RISES, config_of(RULE, risk=ONE_AN_HOUR))
    away.run_until(lambda: away.state.realised_total < 0, 700)
    away.idle((ends - away.clock.now()).total_seconds() + 1)
    away.boot()
    away.cycle()
    trial.stimulus("down over the end of the hour", away.clock.now() >= ends)
    trial.require("I26 and so does that of a bot that was away at its end", _newest_entry(away).at >= ends)


def _paced(stage: JudgedStage) -> bool:
    """Whether the newest decision turned the wish down for the number of entries."""
    return "trade_pacing" in json.dumps(stage.events("decision.made")[-1])


def _newest_entry(stage: JudgedStage) -> Intent:
    return max(
        (intent for intent in stage.state.intents.values() if intent.kind is OrderKind.ENTRY), key=lambda i: i.at
    )


def boundaries(trial: Trial) -> None:
    for stop in (OF_THE_DAY, OF_THE_WEEK):
        period_over_while_away(trial, stop)
        set_over_the_boundary(trial, stop)
    hour_of_entries(trial)


AHEAD = timedelta(hours=2)
OF_THE_DAY = Stop("daily_stop", MIDNIGHT, TIGHT)
OF_THE_WEEK = Stop(
    "weekly_stop", datetime(2026, 11, 9, tzinfo=UTC), {**TIGHT, "daily_stop_pct": None, "weekly_stop_pct": "0.05"},
    (3 * 86_400, 3600, 60),
)  # fmt: skip
ONE_AN_HOUR = {
    **TIGHT, "daily_stop_pct": None, "weekly_stop_pct": None, "loss_streak": None, "max_entries_per_hour": 1,
}  # fmt: skip
AGAIN_S = 1600
TWO_RISES = [
    *RISE, down(80, "65300"), *calm(90, 300), *slide(300, ["62000"], 120), *calm(420, 1500, "62000"),
    *steady(1500, 2000, "62600", 5), *calm(2000, 3560, "62000"), *steady(3560, 4300, "62600", 5),
]  # fmt: skip
"""Bought and stopped out within the first minutes; worth buying again in the middle and at the end of the hour."""
ROWS: Sequence[Fault] = (
    Fault("F104", "our clock and the venue's drift apart by 0.4 s, 1.5 s, 30 s and 200 s",
          "told when small, no entries when large, and the alarm names the clock and not the key", "I26 I22",
          clocks_apart),
    Fault("F105", "restarts and an absence around the end of a day, of a week and of an hour whose limit was reached, "
          "and our clock set over it and back",
          "each limit holds inside its period whatever restarts, and ends exactly with it", "I9 I26",
          boundaries, quick=True),
)  # fmt: skip
