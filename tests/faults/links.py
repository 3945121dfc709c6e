"""Class network: links that do not come up or die quietly: names, certificates, proxies, feeds, tokens."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.request import getproxies

import requests

from bot.app import NoVenueYet
from simulator.control import Controls
from simulator.faults import Drop, Rule, When
from simulator.markets.script import Step
from simulator.session import Session
from simulator.tls import Flaw
from tests.faults.trial import Fault, Trial
from tests.faults.venues import BUY, NO_BREAKERS, QUOTING, states
from tests.faults.wired import Wired, wired_venue
from tests.loop.markets import RISE
from tests.loop.stage import BTC, steady

# ---------------------------------------------------------------------------------------- names and certificates


class NameServer:
    """What every name look-up of this process meets from now on: nothing, a refusal, or a long wait."""

    def __init__(self) -> None:
        self.mood = ""
        self.asked = 0
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event != "socket.getaddrinfo" or not self.mood or arguments[0] != "localhost":
            return
        self.asked += 1
        if self.mood == "hangs":
            time.sleep(30)
        raise socket.gaierror(socket.EAI_AGAIN if self.mood == "servfail" else socket.EAI_NONAME, self.mood)


def names_do_not_resolve(trial: Trial) -> None:
    names, patient = NameServer(), {"post_only_ttl_seconds": 3000, "maker_max_reprices": 0}
    with trial.wired(QUOTING, policy={"execution": patient}, heard=False) as bot:
        bot.environ = {name: _by_name(value) if name != "BOT_TEST_CLOCK_URL" else value
                       for name, value in bot.environ.items()}  # fmt: skip
        bot.boot()
        bot.run_until(bot.working, 120)
        for mood, cycles in (("nxdomain", 6), ("servfail", 2), ("hangs", 2)):
            names.mood = mood
            bot.sim.do(lambda c: c.sockets.abort_all())
            bot.sim.do(lambda c: c.rules.add(Rule(Drop(When.BEFORE), "GET", "*", times=8)))
            longest = 0.0
            with bot.oracle.closed("nothing can be read", "I12"):
                for _ in range(cycles):
                    bot.wait(59)
                    began = time.monotonic()
                    bot.cycle()
                    longest = max(longest, time.monotonic() - began)
            trial.stimulus(f"localhost: {mood} for {cycles} cycles", names.asked)
            trial.require(f"I27 with {mood} every cycle ends within its budget ({longest:.1f} s)", longest < 20)
            trial.require("I11/I40 the order stays tracked", states(bot)[0] in {"OPEN", "CANCEL_PENDING", "UNKNOWN"})
        names.mood = ""
        bot.heal()
        trial.require("the operator is told", bot.told("halt.breaker.api_errors"))
        bot.heals()


def _by_name(address: str) -> str:
    return address.replace("//127.0.0.1:", "//localhost:")


def _booted_within(bot: Wired, seconds: float) -> bool:
    started = time.monotonic()
    try:
        bot.boot(lambda: time.monotonic() - started > seconds)
    except NoVenueYet:
        return False
    return True


def certificates(trial: Trial) -> None:
    for flaw in (Flaw.EXPIRED, Flaw.WRONG_HOST, Flaw.UNTRUSTED):
        with wired_venue(QUOTING, flaw=flaw) as bad, trial.wired(QUOTING, heard=False, audited=False) as bot:
            bundle = bot.folder / "ca.pem"
            bundle.write_text(Path(bad.ca_file).read_text() + Path(bot.sim.ca_file).read_text())
            told = {**bad.env(), "BOT_TEST_CLOCK_URL": bot.sim.clock_url, "COINBASE_CA_FILE": str(bundle)}
            bot.environ = {**bot.environ, **told}
            booted = _booted_within(bot, 1.5)
            trial.stimulus(f"the venue's certificate is {flaw.value}", "certificate" in bot.log.getvalue().lower())
            asked = bad.do(lambda c: c.world.record.requests())
            trial.require(f"I36/I12 {flaw.value}: refused, not one request was sent", not booted and not asked)
    for flaw in (Flaw.EXPIRED, Flaw.UNTRUSTED):
        with wired_venue(QUOTING, flaw=flaw) as bad, trial.wired(QUOTING, heard=False) as bot:
            bundle = bot.folder / "ca.pem"
            bundle.write_text(Path(bad.ca_file).read_text() + Path(bot.sim.ca_file).read_text())
            feeds = {"COINBASE_WS_URL": bad.ws_url, "COINBASE_WS_USER_URL": bad.ws_user_url}
            bot.environ = {**bot.environ, **feeds, "COINBASE_CA_FILE": str(bundle)}
            bot.boot()
            bot.run_until(bot.working, 200)
            heard = bad.do(lambda c: c.world.record.entries("event"))
            trial.require(f"I36 no feed is opened to a host whose certificate is {flaw.value}", not heard)


def proxies_and_netrc(trial: Trial) -> None:
    """A proxy that counts its guests, a netrc with an entry for the host, a bundle that trusts nobody."""
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        proxy.setblocking(False)
        folder = trial.new_folder()
        netrc = folder / ".netrc"
        netrc.write_text("machine 127.0.0.1 login mallory password stolen\n")
        netrc.chmod(0o600)
        address = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        traps = dict.fromkeys(("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"), address)
        traps |= {"NETRC": str(netrc), "HOME": str(folder), "REQUESTS_CA_BUNDLE": "/nonexistent"}
        os.environ.update(traps)
        found = requests.utils.get_netrc_auth("https://127.0.0.1/")
        trial.stimulus("proxy, netrc and bundle stand in the environment", found and getproxies())
        with trial.wired(QUOTING, environ=traps) as bot:
            bot.run_until(bot.working, 120)
            refused = [e for e in bot.requests() if e.status == 401]
        try:
            guests = bool(proxy.accept())
        except BlockingIOError:
            guests = False
        trial.require("I36 nobody came through the proxy", not guests)
        trial.require("I36 every private request carried the bot's own token", not refused)


# ------------------------------------------------------------------------------------------------ feeds and tokens


class Witness:
    """Another client of the feeds, at the venue itself: counts the frames that anybody is sent."""

    def __init__(self, bot: Wired) -> None:
        self.beats = self.data = 0
        bot.sim.do(self._follow)

    def write(self, data: bytes) -> None:
        self.beats += data.count(b'"channel":"heartbeats"')
        self.data += data.count(b'"channel":"l2_data"') + data.count(b'"channel":"market_trades"')

    def is_closing(self) -> bool:
        return False

    def _follow(self, controls: Controls) -> None:
        session = Session(self, controls.conditions, controls.world.now)
        controls.feed.join(session)
        for channel in ("heartbeats", "level2", "market_trades"):
            controls.feed.subscribe(session, channel, [BTC])


MOVING: Sequence[Step] = (*steady(1, 30, "65010", 2), *RISE, *steady(62, 3600, "65500", 2))
"""Somebody trades every other second, so that a feed always has something to say."""


def feed_dies(trial: Trial) -> None:
    """No frame at all, then books and trades without a heartbeat."""
    for what in ("silent", "no_heartbeats"):
        with trial.wired(MOVING) as bot:
            bot.cycle()
            witness = Witness(bot)
            at_speed(bot, 1.0)
            bot.wait(2.5)
            trial.require("both feeds were up before", _up(bot) == 2)
            bot.sim.conditions(feed={what: True})
            mark, beats, data = bot.mark(), witness.beats, witness.data
            _watch_feeds_die(trial, bot, mark)
            heard = (witness.beats - beats, witness.data - data)
            trial.stimulus(f"{what} for 15 s: {heard[0]} heartbeats and {heard[1]} frames of data were sent",
                           beats and not heard[0] and bool(heard[1]) == (what == "no_heartbeats"))  # fmt: skip
            at_speed(bot, 0.0)
            bot.run_until(bot.working, 200)
            trial.require("I12 traded on REST books", bot.requests("GET", "product_book", mark))
            trial.require("I12 the feed's own quote is not there", bot.feed.quote(BTC) is None)
            _told_until_it_is_back(trial, bot, what)


def _up(bot: Wired) -> int:
    return sum(state.up for state in bot.feed.states().values())


def _watch_feeds_die(trial: Trial, bot: Wired, mark: int) -> None:
    """A quarter of a minute at the pace of real time."""
    began, died, again = time.monotonic(), dict[str, float](), set[str]()
    while time.monotonic() - began < 15:
        bot.wait(0.25)
        for name, state in bot.feed.states().items():
            if not state.up:
                died.setdefault(name, time.monotonic() - began)
            elif name in died:
                again.add(name)
    for name in ("market", "user"):
        took = died.get(name, 99.0)
        trial.require(f"I28 {name} feed dead {took:.1f} s after it fell silent", took <= 5)
    trial.require("I12 believed again on no connection without a heartbeat", not again)
    opened = [e.at for e in bot.happened("opened", mark)]
    most = max((sum(at <= other < at + timedelta(seconds=1) for other in opened) for at in opened), default=0)
    trial.require(f"I28 {len(opened)} new connections, {most} within a second", 2 <= len(opened) <= 10 and most <= 4)


def _told_until_it_is_back(trial: Trial, bot: Wired, what: str) -> None:
    end = time.monotonic() + 30
    while not bot.feed.complaints() and time.monotonic() < end:
        bot.wait(1)
        time.sleep(0.05)
    bot.cycle()
    trial.require("the operator is told", bot.told("feed.") == "WARNING")
    bot.sim.conditions(feed={what: False})
    while (_up(bot) < 2 or bot.feed.complaints()) and time.monotonic() < end + 30:
        bot.wait(1)
        time.sleep(0.05)
    bot.cycle()
    over = {a["fingerprint"] for a in bot.events("alert.raised") if a["state"] == "resolved"}
    trial.require("I28 both come back by themselves, and that is told", _up(bot) == 2 and "feed.market" in over)


def at_speed(bot: Wired, speed: float) -> None:
    def turn(controls: Controls) -> None:
        controls.clock.speed = speed

    bot.sim.do(turn)


def tokens(trial: Trial) -> None:
    """The venue's clock runs away, then the feed refuses the token once."""
    with trial.wired(QUOTING, policy=NO_BREAKERS) as bot:
        bot.run_until(bot.working, 120)
        bot.sim.conditions(skew_s=130.0)
        with bot.oracle.closed("every token is refused", "I22", BUY):
            bot.run_for(20)
        refused = bot.sim.do(lambda c: [e for e in c.world.record.entries("event") if "token refused" in e.note])
        trial.stimulus("tokens that the venue finds expired", refused)
        trial.require("I22 degraded and CRITICAL", bot.told("halt.auth_degraded") == "CRITICAL")
        detail = " ".join(a["detail"] for a in bot.events("alert.raised")).lower()
        trial.require("I26 the alarm names the clock", "clock" in detail)
        bot.sim.conditions(skew_s=0.0)
        bot.heals()
    with trial.wired(QUOTING) as bot:
        bot.cycle()
        bot.sim.conditions(gate="unauthorized")
        bot.sim.do(lambda c: c.sockets.abort_all())
        feed, end = bot.feed, time.monotonic() + 10
        while "refused" not in feed.states()["user"].why_down and time.monotonic() < end:
            time.sleep(0.05)
        trial.stimulus("subscribe answered authentication failure", "refused" in feed.states()["user"].why_down)
        trial.require("I22 not a silent feed: it is known to be down", not feed.states()["user"].up)
        bot.sim.conditions(gate="open")
        bot.run_until(bot.working, 300)
        trial.require("I12 it goes on by reading", bot.working())


ROWS: Sequence[Fault] = (
    Fault("F008", "names do not resolve or the resolver hangs, for 20 minutes with a resting order",
          "bounded look-up; orders stay tracked; alert", "I11 I27 I40", names_do_not_resolve),
    Fault("F010", "TLS certificate expired, for another host, or of a stranger; on REST and on the feed",
          "refused, never retried unverified", "I12 I36", certificates),
    Fault("F011", "proxy variables, CA bundle and netrc for the API host in the environment", "ignored", "I36",
          proxies_and_netrc),
    Fault("F023", "the feed is silent, or has no heartbeats",
          "dead within 5 s and not believed before the next heartbeat, REST instead, reconnects with patience, alert",
          "I12 I28", feed_dies),
    Fault("F025", "tokens refused as expired, and at subscribe", "degraded mode that names the clock; no silent feed",
          "I12 I22", tokens),
)  # fmt: skip
