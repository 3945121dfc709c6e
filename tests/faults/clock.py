"""Class clock: two clocks that differ, and periods whose ends nobody was awake for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta

from simulator.server import START
from tests.faults.trial import Fault, Trial
from tests.faults.venues import QUOTING
from tests.loop.markets import calm
from tests.loop.stage import config_of, steady, up
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


def period_over_while_away(trial: Trial) -> None:
    near = int((MIDNIGHT - START).total_seconds())
    rise = [*calm(3600, near - 1800, "62000"), up(near - 30, "62600"), *steady(near - 25, near + 400, "62600", 5)]
    stage = trial.stage(fallen_at_a_loss(rise), config_of(RULE, risk=TIGHT))
    stage.run_until(lambda: "daily_stop" in stage.state.latches, 700)
    trial.stimulus("the day's loss stop trips", stage.events("latch.set"))
    orders = len(stage.orders())
    for moment in (-3 * 3600, -60):
        stage.idle((MIDNIGHT - stage.clock.now()).total_seconds() + moment)
        stage.boot()
        stage.cycle()
        trial.require("I9 no restart inside the period forgets it", stage.last.reason == "daily_stop")
    stage.idle((MIDNIGHT - stage.clock.now()).total_seconds() + 1)
    trial.stimulus("down over the boundary, then started again", stage.clock.now() >= MIDNIGHT)
    stage.boot()
    stage.run_until(lambda: len(stage.orders()) > orders, 300)
    trial.require("I9/I26 released at the boundary and not before", stage.orders()[-1].created_at >= MIDNIGHT)
    day = stage.state.day
    trial.require("I26 the period is the UTC day", day is not None and day.id == f"{MIDNIGHT:%Y-%m-%d}")
    stage.run_for(timedelta(minutes=5).total_seconds())


def set_over_the_boundary(trial: Trial) -> None:
    """Somebody sets our clock two hours on, over midnight, and back: the day whose stop tripped has not ended."""
    near = int((MIDNIGHT - START).total_seconds())
    rise = [*calm(3600, near - 1800, "62000"), up(near - 30, "62600"), *steady(near - 25, near + 400, "62600", 5)]
    stage = trial.stage(fallen_at_a_loss(rise), config_of(RULE, risk=TIGHT))
    stage.run_until(lambda: "daily_stop" in stage.state.latches, 700)
    stage.idle((MIDNIGHT - stage.clock.now()).total_seconds() - 20)
    stage.cycle()
    with stage.oracle.closed("the day has not ended", "I9/I26"):
        stage.clock.set_wrong(AHEAD)
        stage.wire.venue_clock_ahead = -AHEAD
        stage.cycle()
        trial.stimulus("our clock set two hours on, to tomorrow", stage.clock.now() > MIDNIGHT)
        trial.require("I26 the alarm names the clock, in the first cycle", stage.last.reason.startswith("clock_"))
        stage.boot()
        stage.cycle()
        trial.require("I9 the stop stands, also over a restart", "daily_stop" in stage.state.latches)
        stage.clock.set_wrong(timedelta(milliseconds=100) - AHEAD)
        stage.cycles.clear()  # by a clock that was set back they would overlap
        stage.wire.venue_clock_ahead = timedelta(0)
        stage.cycle()
        trial.require("I9 and once the clock is right it is in force", stage.last.reason == "daily_stop")
    stage.run_until(lambda: "daily_stop" not in stage.state.latches, 120)
    trial.require("I26 and ends at midnight", timedelta(0) <= stage.clock.now() - MIDNIGHT < timedelta(seconds=5))


def boundaries(trial: Trial) -> None:
    period_over_while_away(trial)
    set_over_the_boundary(trial)


AHEAD = timedelta(hours=2)
ROWS: Sequence[Fault] = (
    Fault("F104", "our clock and the venue's drift apart by 0.4 s, 1.5 s, 30 s and 200 s",
          "told when small, no entries when large, and the alarm names the clock and not the key", "I26 I22",
          clocks_apart),
    Fault("F105", "restarts around the end of a day whose loss stop tripped, and our clock set over it and back",
          "the stop holds inside its UTC day whatever restarts, and ends exactly with it", "I9 I26",
          boundaries, quick=True),
)  # fmt: skip
