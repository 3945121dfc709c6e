"""Class network: connections that tear, hang and lie, floods of refusals."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from bot.domain.product import Side
from bot.errors import Transient
from bot.ops.status import CycleRecord
from simulator.faults import Answer, Damage, Drop, Garble, Hang, Rule, When
from simulator.markets.script import Step
from tests.faults import six
from tests.faults.relay import Line, Relay
from tests.faults.trial import Fault, JudgedStage, Trial
from tests.faults.venues import (
    ACCOUNTS,
    BUY,
    CANCELS,
    FILLS,
    HELD,
    LISTING,
    NO_BREAKERS,
    ORDERS,
    PATIENT,
    QUOTING,
    buys,
    one_buy,
    seconds_of,
    states,
)
from tests.faults.wired import Wired
from tests.loop.markets import BOUGHT, calm, slide

# ------------------------------------------------------------------------------------------------ orders and answers


def answer_lost_resting(trial: Trial) -> None:
    with trial.wired(QUOTING) as bot:
        bot.fault(Rule(Drop(When.AFTER), "POST", ORDERS))
        bot.run_until(bot.working, 120)
        trial.stimulus("connection closed after the order was booked", bot.struck("Drop"))
        trial.require("I11 it counts as UNKNOWN at once", bot.told("unknown.") == "CRITICAL")
        bot.run_until(lambda: states(bot) == ["OPEN"], 30)
        one_buy(trial, bot)


def answer_lost_filled(trial: Trial) -> None:
    taking = {"default_order_type": "limit_ioc"}
    with trial.wired(HELD, policy={"execution": taking}) as bot:
        bot.fault(Rule(Drop(When.AFTER), "POST", ORDERS))
        bot.run_until(lambda: bot.held("BTC"), 120)
        trial.stimulus("connection closed after the IOC order was filled", bot.struck("Drop"))
        bot.run_until(lambda: bot.state.positions, 70)
        one_buy(trial, bot)
        position = next(iter(bot.state.positions.values()))
        trial.require("I4 the position is what the venue holds", position.size.value == bot.held("BTC"))
        trial.require("I14 each fill booked once", len(bot.events("fill.booked")) == len(bot.oracle.fills))


def torn_or_refused(trial: Trial) -> None:
    for reset in (False, True):
        _torn_after_sending(trial, reset)
    for line in (Line.REFUSED, Line.RESET):
        _refused_before_a_byte(trial, line)
    _exit_refused_before_a_byte(trial)


def _torn_after_sending(trial: Trial, reset: bool) -> None:
    with trial.wired(QUOTING) as bot:
        bot.cycle()
        bot.fault(Rule(Drop(When.BEFORE, reset), "POST", ORDERS))
        bot.run_until(lambda: bot.struck("Drop"), 120)
        kind = "reset" if reset else "close"
        trial.stimulus(f"a kept connection answers the POST with a {kind} before booking", bot.struck("Drop"))
        trial.require("I2 the HTTP library did not send it again by itself", len(bot.posts()) == 1)
        trial.require("I11 no evidence either way: UNKNOWN", bot.told("unknown.") == "CRITICAL")
        bot.run_until(lambda: "REJECTED" in states(bot), 300)
        lost = bot.events("intent.recorded")[0]["client_order_id"]
        trial.require("I2 given up only after 60 s", seconds_of(bot, lost) >= 60)
        why = bot.events("order.changed")[-1]["why"]
        trial.require("I11 and three complete listings without it", "3 complete listings" in why)


def _refused_before_a_byte(trial: Trial, line: Line) -> None:
    """The line is gone between the durable intent and the POST, kept connections with it, and back after the cycle."""
    with wired_relay(trial, QUOTING) as (bot, relay):
        bot.cycle()
        bot.when_written("intent.recorded", lambda: relay.become(line))
        began = bot.mark()
        bot.run_until(lambda: bot.events("intent.recorded"), 120)
        met = relay.refuses() if line is Line.REFUSED else relay.reset
        trial.stimulus(f"the POST finds the line {line.value}", met and "not sent" in bot.log.getvalue())
        trial.require("I2 the venue saw no order", not bot.posts())
        trial.require("I11 not one byte left, so it is over at once", states(bot) == ["REJECTED"])
        why = bot.events("order.changed")[-1]["why"]
        trial.require("I11 by that evidence and no other", "not sent" in why and not bot.told("unknown."))
        trial.require("I2 nothing of it counts any more", not list(bot.state.working))
        relay.become(Line.THROUGH)
        bot.run_until(bot.working, 90)
        sizes = {event["size"] for event in bot.events("intent.recorded")}
        trial.require(
            "I28 the next cycle decides anew, at the same size", states(bot) == ["REJECTED", "OPEN"] and len(sizes) == 1
        )
        trial.require("I2 under a name of its own, asked for once", len(bot.posts(began)) == 1 and len(buys(bot)) == 1)


def _exit_refused_before_a_byte(trial: Trial) -> None:
    """A stop is due and its sale finds nobody: it is no doubt that blocks the product, and goes with the next cycle."""
    fall = [*BOUGHT, *calm(90, 300), *slide(300, ["62000"], 1500)]
    with wired_relay(trial, fall, {"exits": {"resting_on_exchange": False}}) as (bot, relay):
        bot.run_until(lambda: bot.state.positions, 200)
        bot.when_written('"side":"SELL"', lambda: relay.become(Line.REFUSED))
        bot.run_until(lambda: states(bot, Side.SELL), 600)
        trial.stimulus(
            "the sale finds nobody listening", relay.refuses() and not [p for p in bot.posts() if '"SELL"' in p.body]
        )
        trial.require("I11 not sent, so it is over", states(bot, Side.SELL) == ["REJECTED"])
        relay.become(Line.THROUGH)
        bot.run_until(lambda: not bot.held("BTC"), 90)
        trial.require("I21 sold by the next cycle", not bot.held("BTC"))


@contextmanager
def wired_relay(
    trial: Trial, steps: Sequence[Step], policy: Mapping[str, Any] | None = None
) -> Iterator[tuple[Wired, Relay]]:
    """A bot whose requests reach the venue through a line that can be cut."""
    with trial.wired(steps, policy={**NO_BREAKERS, **(policy or {})}, heard=False) as bot:
        port = urlsplit(bot.environ["COINBASE_REST_URL"]).port
        with Relay(port or 0) as relay:
            bot.environ = {**bot.environ, "COINBASE_REST_URL": f"https://127.0.0.1:{relay.port}"}
            bot.boot()
            yield bot, relay
            bot.run_for(120)


def known_id_again(trial: Trial) -> None:
    """A restart between request and answer, on venues with three habits: none of them ever sees a second POST."""
    for habit in ("old_order", "refused", "booked"):
        with trial.wired(QUOTING) as bot:
            bot.sim.conditions(duplicates=habit)
            bot.fault(Rule(Drop(When.AFTER), "POST", ORDERS))
            bot.run_until(bot.working, 120)
            trial.stimulus(f"answer lost at a venue where duplicates are {habit}", bot.struck("Drop"))
            bot.crash()
            bot.boot()
            bot.cycle()
            trial.require("I2 the order is adopted after the restart", states(bot) == ["OPEN"])
            one_buy(trial, bot)


def server_error_after_booking(trial: Trial) -> None:
    for status in (502, 503, 504):
        with trial.wired(QUOTING) as bot:
            bot.fault(Rule(Answer(status, "html", When.AFTER), "POST", ORDERS))
            bot.run_until(bot.working, 120)
            trial.stimulus(f"{status} after booking", bot.struck("Answer"))
            trial.require("I11 UNKNOWN, whatever the status", bot.told("unknown.") == "CRITICAL")
            bot.run_until(lambda: states(bot) == ["OPEN"], 60)
            one_buy(trial, bot)
    for when in When:
        with trial.wired(QUOTING) as bot:
            bot.run_until(bot.working, 120)
            bot.fault(Rule(Answer(503, "text", when), "POST", CANCELS, times=3))
            since = bot.mark()
            code = bot.leave()
            trial.stimulus(f"503 {when.value} the cancel took effect", bot.struck("Answer"))
            trial.require("I3 asked again until the order was gone", not bot.working() and code == 0)
            trial.require("I3 by further cancels", len(bot.requests("POST", "batch_cancel", since)) >= 1)


def post_hangs(trial: Trial) -> None:
    with trial.wired(QUOTING) as bot:
        bot.fault(Rule(Hang(When.BEFORE), "GET", ACCOUNTS, times=4))
        began = time.monotonic()
        bot.cycle()
        took = time.monotonic() - began
        trial.stimulus("the venue takes the request and never answers", bot.struck("Hang"))
        trial.require("I27 the call ended by its deadline, the cycle by its budget", took < 10)
        trial.require(
            "I12 NO_TRADE with a reason", (bot.last.outcome, bot.last.reason) == ("NO_TRADE", "data_unavailable")
        )
        bot.heal()
        bot.run_until(bot.working, 300)
        bot.fault(Rule(Hang(When.AFTER), "POST", CANCELS, times=1))
        began = time.monotonic()
        code = bot.leave()
        trial.require("I27 a cancel that hangs is asked again", code == 0 and time.monotonic() - began < 20)


# ------------------------------------------------------------------------------------------------ refusals and nonsense


def throttled(trial: Trial) -> None:
    """A storm on every read; meanwhile the kill switch must still get its cancels through."""
    for asked in ("10", "", "86400", "Wed, 21 Oct 2037 07:28:00 GMT"):
        soon = asked in {"10", ""}
        with trial.wired(QUOTING, policy={**PATIENT, **NO_BREAKERS}, audited=soon) as bot:
            bot.run_until(bot.working, 120)
            bot.fault(Rule(Answer(429, "html", retry_after=asked), "GET", times=None))
            since, longest = bot.mark(), 0.0
            with bot.oracle.closed("throttled", "I12", BUY):
                for _ in range(4):
                    bot.wait(60)
                    began = time.monotonic()
                    bot.cycle()
                    longest = max(longest, time.monotonic() - began)
            reads = list(bot.requests("GET", "/accounts", since))
            trial.stimulus(f"429 with Retry-After {asked!r} on every read", bot.struck("Answer"))
            trial.require(f"I18 {len(reads)} private reads of that kind in four cycles", len(reads) <= 2)
            trial.require("NO_TRADE for want of budget", bot.last.reason == "rate_budget")
            trial.require(f"I18 the wait is capped ({_longest_wait(bot):.0f} s)", _longest_wait(bot) <= 75)
            (bot.data_dir / "KILL_SWITCH").write_text("drill")
            began = time.monotonic()
            bot.sim.do(bot.oracle_killed)
            bot.run_until(lambda: not bot.working(), 60)
            trial.require("I21/I3 cancels use the reserve", time.monotonic() - began < 10)
            (bot.data_dir / "KILL_SWITCH").unlink()
            bot.heal()
            end = time.monotonic() + 30
            while soon and time.monotonic() < end and bot.cycle().reason in {"kill_switch", "rate_budget"}:
                bot.wait(5)
                time.sleep(0.2)
            trial.require("I28 normal again once the wait is over", not soon or bot.last.outcome == "NO_TRADE")
            widest = max(len(line) for line in bot.log.getvalue().splitlines())
            trial.require(f"I35 the page is cut in logs (longest line {widest} bytes)", widest < 4000)
            trial.require("I35 not twice the same sentence of it", _SENTENCE * 3 not in bot.log.getvalue())


_SENTENCE = "The service is busy. Please try again in a moment."


def _longest_wait(bot: Wired) -> float:
    found = re.findall(r"for ([0-9.]+) s", "\n".join(row["detail"] for row in bot.logged("cycle.completed")))
    return max(map(float, found), default=0.0)


def throttling_says_401(trial: Trial) -> None:
    with trial.wired(QUOTING, policy=NO_BREAKERS) as bot:
        bot.cycle()
        bot.fault(Rule(Answer(401, "text"), "GET", ACCOUNTS, times=1))
        bot.cycle()
        trial.stimulus("one 401 on a good token", bot.struck("401"))
        trial.require("I18 signed anew once and gone on", bot.last.reason not in {"exit_only", "data_unavailable"})
        bot.fault(Rule(Answer(401, "text"), "GET", "/[ao]*", times=None))
        with bot.oracle.closed("auth degraded", "I22", BUY):
            bot.run_for(120)
        trial.require("I22 exits only, and CRITICAL", bot.told("halt.auth_degraded") == "CRITICAL")
        trial.require("not called revoked", "revoked" not in bot.log.getvalue())
        bot.heal()
        bot.run_until(bot.working, 600)
        trial.require("goes on by itself", "auth_degraded" in {h["cause"] for h in bot.events("halt.ended")})


READS = (ACCOUNTS, LISTING, FILLS, "/products", "/transaction_summary", "/time", "/market/*", "/key_permissions")


def reads_fail(trial: Trial) -> None:
    """Every read in turn, every status, both kinds of page."""
    with trial.wired(HELD, policy=NO_BREAKERS) as bot:
        bot.run_until(lambda: bot.state.positions, 200)
        for status in (500, 502, 503, 504):
            for path in READS:
                bot.fault(Rule(Answer(status, "html" if status % 2 else "text"), "GET", path, times=None))
                since = bot.mark()
                bot.wait(60)
                with bot.oracle.closed("a read fails", "I12", BUY):
                    bot.cycle()
                asked = len(bot.requests("GET", path.strip("*"), since))
                trial.require(f"I27 {path} {status}: bounded retries", asked <= 24)
                trial.require("I12 no crash", bot.last.outcome in {"NO_TRADE", "TRADED"})
                bot.heal()
        trial.stimulus("each read answered 500, 502, 503, 504", bot.struck("Answer") >= 20)
        trial.require("I40 the position is kept", bot.state.positions)
        bot.heals()


def nonsense(trial: Trial) -> None:
    spoilt = (Damage.HTML, Damage.EMPTY, Damage.NO_CONTENT, Damage.LATIN, Damage.BOM, Damage.NAN, Damage.HUGE)
    spoil(trial, spoilt)


def truncated(trial: Trial) -> None:
    spoil(trial, (Damage.TORN, Damage.SHORT))


def spoil(trial: Trial, kinds: Sequence[Damage]) -> None:
    """Each kind of damage on each read that an order hangs on."""
    small = {"max_body_bytes": 4_000_000}
    with trial.wired(HELD, policy={**NO_BREAKERS, "transport": small}) as bot:
        bot.run_until(lambda: bot.state.positions and bot.working("SELL"), 200)
        before = (dict(bot.state.positions), states(bot, Side.SELL))
        for kind in kinds:
            for path in (ACCOUNTS, LISTING, FILLS):
                bot.fault(Rule(Garble(kind), "GET", path, times=None))
                bot.wait(60)
                with bot.oracle.closed(f"{path} is {kind.value}", "I12", BUY):
                    bot.cycle()
                refused = (bot.last.outcome, bot.last.reason) == ("NO_TRADE", "data_unavailable")
                harmless = kind is Damage.NAN and path == LISTING
                trial.require(f"I12 {path} {kind.value}: NO_TRADE", refused or harmless)
                bot.heal()
        trial.stimulus(f"{', '.join(kind.value for kind in kinds)} on every critical read", bot.struck("Garble"))
        trial.require("I40 nothing was forgotten", (dict(bot.state.positions), states(bot, Side.SELL)) == before)
        bot.heals()


# ------------------------------------------------------------------------------------------------ partitions


def partition(trial: Trial) -> None:
    """An hour by the bot's own schedule that begins while six buys rest: nobody answers, then nobody is even there."""
    _nobody_answers(trial)
    _nobody_is_there(trial)


def _nobody_answers(trial: Trial) -> None:
    """In process: every call costs its whole deadline of ten seconds."""
    stage = trial.stage(six.rising(4500, 60), six.config(), listings=six.LISTINGS)
    stage.run_until(lambda: len(stage.working(Side.BUY)) == 6, 120)
    first, calls = len(stage.cycles), list[str]()

    def wait_in_vain(name: str) -> None:
        calls.append(name)
        stage.idle(10)

    stage.wire.on_call = wait_in_vain
    stage.wire.broken = dict.fromkeys(six.CALLS, Transient("no complete answer before the deadline"))
    stage.window.aged = timedelta(hours=1)
    with stage.oracle.closed("cut off", "I22/I12"):
        stage.run_for(3600)
    blind = stage.cycles[first:]
    trial.stimulus(f"no packet for an hour: {len(calls)} calls in {len(blind)} cycles", len(calls) >= 2 * len(blind))
    ended = [order.status.value for order in stage.world.venue.orders()]
    _cut_off(trial, stage, blind, ended)
    stage.wire.on_call = lambda _name: None
    stage.wire.broken = {}
    stage.window.aged = timedelta(0)
    stage.run_until(lambda: set(states(stage)) == {"EXPIRED"}, 120)
    stage.heals()


def _nobody_is_there(trial: Trial) -> None:
    """Over the wire."""
    policy = {**six.POLICY, "transport": {"read_attempts": 1}}
    with (
        trial.wired(
            six.rising(4500, 60), listings=six.LISTINGS, universe=six.UNIVERSE, policy=policy, heard=False
        ) as bot,
        Relay(urlsplit(bot.sim.rest_url).port or 0) as relay,
    ):
        bot.environ = {**bot.environ, "COINBASE_REST_URL": f"https://127.0.0.1:{relay.port}"}
        bot.boot()
        bot.run_until(lambda: len(bot.working()) == 6, 120)
        relay.become(Line.REFUSED)
        bot.sim.conditions(outage=True)
        bot.sim.do(lambda c: c.sockets.abort_all())
        mark, first = bot.mark(), len(bot.cycles)
        with bot.oracle.closed("cut off", "I22/I12"):
            bot.run_for(3600)
        blind = bot.cycles[first:]
        cut = relay.refuses() and not bot.requests(since=mark)
        trial.stimulus(f"nobody there for an hour: {len(blind)} cycles, no request came", cut)
        _cut_off(trial, bot, blind, bot.sim.do(lambda c: [o.status.value for o in c.world.venue.orders()]))
        healed = bot.mark()
        bot.sim.conditions(outage=False)
        relay.become(Line.THROUGH)
        bot.run_until(lambda: set(states(bot)) == {"EXPIRED"}, 120)
        reads = [e.seq for e in bot.requests("GET", "/orders/historical", healed) if e.status == 200]
        sent = [e.seq for e in bot.posts(healed)]
        trial.require("I22 reconciled before it sent anything", reads and (not sent or min(reads) < min(sent)))
        bot.heals()


def _cut_off(trial: Trial, bot: Wired | JudgedStage, blind: Sequence[CycleRecord], ended: Sequence[str]) -> None:
    trial.require(f"I28 it kept its schedule: {len(blind)} cycles", 58 <= len(blind) <= 150)
    told = {(cycle.outcome, cycle.reason) for cycle in blind}
    trial.require("I12 no cycle decided anything", told == {("NO_TRADE", "data_unavailable")})
    trial.require("the operator is told", bot.told("halt.breaker.api_errors"))
    trial.require("I1 the exchange let all six expire by their end time", ended == ["EXPIRED"] * 6)
    trial.require("I11 the bot believed none of it before it could read",
                  len(states(bot)) == 6 and set(states(bot)) <= {"OPEN", "CANCEL_PENDING"})  # fmt: skip


def posts_fail(trial: Trial) -> None:
    """A stop is due and nothing can be sent; then nothing can be read."""
    fall = [*BOUGHT, *calm(90, 300), *slide(300, ["62000"], 1500)]
    with trial.wired(fall, policy={"exits": {"resting_on_exchange": False}}) as bot:
        bot.run_until(lambda: bot.state.positions, 200)
        bot.fault(Rule(Answer(503, "text"), "POST", "*", times=None))
        bot.run_for(600)
        trial.stimulus("every POST is answered 503 while a stop is due", bot.struck("503"))
        told = (bot.told("exit.blocked"), bot.told("unknown."))
        trial.require("I29 CRITICAL: it cannot sell", "CRITICAL" in told)
        trial.require("I21 it keeps trying", len(bot.requests("POST", "/orders")) > 2)
        bot.heal()
        bot.run_until(lambda: not bot.held("BTC"), 300)
        trial.require("I21 sold as soon as orders are taken", not bot.held("BTC"))
    with trial.wired(QUOTING, audited=False) as bot:
        bot.fault(Rule(Answer(503, "text"), "GET", "*", times=None))
        with bot.oracle.closed("nothing can be read", "I12"):
            bot.run_for(300)
        trial.require("I12 no entry without a snapshot", not bot.posts())


ROWS: Sequence[Fault] = (
    Fault("F001", "POST /orders booked, then the connection closes without an answer (resting limit)",
          "UNKNOWN at full exposure, adopted on the first read that shows it, one order", "I1 I2 I11",
          answer_lost_resting, quick=True),
    Fault("F002", "the same with an IOC order that was filled before the drop",
          "fill booked once from the fills endpoint, no second buy", "I2 I4 I14", answer_lost_filled),
    Fault("F004", "closed or reset keep-alive connection exactly on the POST, before booking; nobody listens any more, "
          "or the line is torn before a byte was sent, on an entry and on an exit",
          "reset after sending is UNKNOWN and never sent again; unsent is not placed, the next cycle decides anew",
          "I2 I11 I21 I28", torn_or_refused),
    Fault("F005", "a known client_order_id at venues that answer the old order, refuse, or book a second one",
          "adopted by reading; never POSTed again", "I2", known_id_again),
    Fault("F006", "the venue accepts the connection and never answers", "total deadline a call; the loop goes on",
          "I27", post_hangs),
    Fault("F013", "429 storm with Retry-After 10, none, 86400, a date; the body a page of HTML",
          "nothing of that class before the capped wait; cancels use the reserve; body cut in logs", "I18 I21 I35",
          throttled),
    Fault("F014", "throttling answered 401", "signed anew once, then exits only until it works again", "I18 I22",
          throttling_says_401),
    Fault("F015", "500/502/503/504 on every read, HTML and text", "bounded retries, NO_TRADE, no crash", "I12 I27",
          reads_fail),
    Fault("F016", "502/503/504 on POST /orders after booking, on batch_cancel before or after it took effect",
          "UNKNOWN rule; cancels are sent again until proof", "I2 I3 I11", server_error_after_booking),
    Fault("F017", "200 with HTML, nothing, a wrong charset, a BOM, NaN, 12 MB; 204", "not JSON: NO_TRADE", "I12",
          nonsense),
    Fault("F018", "truncated JSON, with and without an announced length", "never believed", "I12 I40", truncated),
    Fault("F021", "no packet for a whole hour of cycles with six resting buys",
          "the exchange lets them expire; nothing is believed unread; reconcile before deciding", "I1 I11 I12 I22 I28",
          partition),
    Fault("F022", "reads work and orders do not while a stop is due; then the reverse",
          "CRITICAL, exits tried again; no entry without a snapshot", "I12 I21 I29", posts_fail),
)  # fmt: skip
