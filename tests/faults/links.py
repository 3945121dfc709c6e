"""Class network: links that do not come up or die quietly: names, certificates, proxies, feeds, tokens."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

import requests

from bot.app import NoVenueYet
from bot.domain.product import Side
from bot.domain.value import Value
from bot.errors import Transient
from simulator.auth import Refused
from simulator.control import Controls
from simulator.keys import ApiKey
from simulator.markets.script import Step
from simulator.session import Session
from simulator.tls import Flaw
from tests.faults import six
from tests.faults.old_tls import old_server
from tests.faults.relay import Line, Relay
from tests.faults.trial import Fault, JudgedStage, Trial
from tests.faults.venues import BUY, NO_BREAKERS, PATIENT, QUOTING, states
from tests.faults.wired import Wired, wired_venue
from tests.loop.markets import RISE
from tests.loop.stage import BTC, steady
from tests.process.bots import at_speed

# ---------------------------------------------------------------------------------------- names and certificates


class NameServer:
    """What look-ups of this machine's name in this process meet: nothing, a failure, or a wait of half a minute."""

    def __init__(self) -> None:
        self.mood = ""
        self.asked: list[str] = []
        self.over = threading.Event()
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event != "socket.getaddrinfo" or not self.mood or arguments[0] != "localhost":
            return
        self.asked.append(threading.current_thread().name)
        if self.mood == "hangs":
            self.over.wait(30)
        raise socket.gaierror(socket.EAI_AGAIN if self.mood == "servfail" else socket.EAI_NONAME, self.mood)


def names_do_not_resolve(trial: Trial) -> None:
    """Six orders rest: 20 minutes of each failure and a hang on the wire, 20 minutes of hangs in process."""
    names = NameServer()
    for mood in ("nxdomain", "servfail"):
        _without_names(trial, names, mood, cycles=20, impatient=True)
    _without_names(trial, names, "hangs", cycles=2, impatient=False)
    _twenty_minutes_of_hangs(trial)


def _without_names(trial: Trial, names: NameServer, mood: str, *, cycles: int, impatient: bool) -> None:
    policy = {**six.POLICY, **({"transport": {"read_attempts": 1}} if impatient else {})}
    with trial.wired(
        six.rising(3600, 60), listings=six.LISTINGS, universe=six.UNIVERSE, policy=policy, heard=False
    ) as bot:
        own = ("COINBASE_REST_URL", "COINBASE_WS_URL", "COINBASE_WS_USER_URL", "COINBASE_STATUS_URL")
        named = {name: bot.environ[name].replace("//127.0.0.1:", "//localhost:") for name in own}
        with Relay(urlsplit(bot.sim.rest_url).port or 0) as relay:
            bot.environ = {**bot.environ, **named, "COINBASE_REST_URL": f"https://localhost:{relay.port}"}
            bot.boot()
            bot.run_until(lambda: len(bot.working()) == 6, 120)
            mark, first = bot.mark(), len(bot.cycles)
            names.mood, names.asked = mood, []
            names.over.clear()
            relay.become(Line.RESET)
            relay.become(Line.THROUGH)
            bot.sim.do(lambda c: c.sockets.abort_all())
            with bot.oracle.closed("nothing can be read", "I12"):
                bot.run_for(60 * cycles)
            blind, longest = bot.cycles[first:], _longest(bot, first)
            fired = cycles <= len(blind) <= 3 * cycles and names.asked and not bot.requests(since=mark)
            trial.stimulus(f"{mood} for {len(blind)} cycles: {len(names.asked)} look-ups, and no request came", fired)
            trial.require(f"I27 with {mood} every cycle ends within its budget ({longest:.1f} s)", longest < 20)
            trial.require(
                f"I27 looked up by helpers alone: {sorted(set(names.asked))}", "MainThread" not in names.asked
            )
            helpers = [t for t in threading.enumerate() if t.name.startswith("coinbase-")]
            trial.require(f"I35 {len(helpers)} of them at most", len(helpers) <= 8)
            trial.require("I12 NO_TRADE in each", {c.outcome for c in blind} == {"NO_TRADE"})
            _still_there(trial, bot, len(bot.working()))
            trial.require("the operator is told of the feeds too", impatient or bot.feed.complaints() or not _up(bot))
            names.mood = ""
            names.over.set()
            bot.heals()


def _longest(bot: Wired, first: int) -> float:
    """Real seconds of the longest cycle from number `first` on."""
    return max(float(sum(row["stage_ms"].values())) for row in bot.logged("cycle.completed")[first:]) / 1000


def _still_there(trial: Trial, bot: Wired | JudgedStage, working: int) -> None:
    believed = [order.state.value for order in bot.state.orders.values() if order.side is Side.BUY]
    trial.require("I40 all six still rest at the venue", working == 6)
    trial.require("I11/I40 all six stay tracked, none is taken for gone",
                  len(believed) == 6 and set(believed) <= {"OPEN", "CANCEL_PENDING", "UNKNOWN"})  # fmt: skip
    trial.require("the operator is told", bot.told("halt.breaker.api_errors"))


def _twenty_minutes_of_hangs(trial: Trial) -> None:
    """A call costs its whole deadline and leaves a helper stuck for half a minute; while three are, the next one fails
    at once: as the adapter does it."""
    stage = trial.stage(six.rising(3600, 60), six.config(), listings=six.LISTINGS)
    stage.run_until(lambda: len(stage.working(Side.BUY)) == 6, 120)
    first, stuck, calls = len(stage.cycles), list[datetime](), list[str]()

    def hang(name: str) -> None:
        calls.append(name)
        now = stage.clock.now()
        stuck[:] = [until for until in stuck if until > now]
        if len(stuck) < 3:
            stuck.append(now + timedelta(seconds=30))
            stage.idle(10)

    stage.wire.on_call = hang
    lost = Transient("not sent: no complete answer before the deadline")
    stage.wire.broken = dict.fromkeys(six.CALLS, lost)
    with stage.oracle.closed("nothing can be read", "I12"):
        stage.run_for(1200)
    blind = stage.cycles[first:]
    trial.stimulus(f"{len(calls)} calls in {len(blind)} cycles of 20 minutes", len(calls) >= 40)
    longest = max((c.finished_at - c.started_at).total_seconds() for c in blind)
    trial.require(f"I27 each cycle ends before the next is due ({longest:.0f} s)", longest <= 45)
    _still_there(trial, stage, len(stage.working(Side.BUY)))
    stage.wire.on_call = lambda _name: None
    stage.wire.broken = {}
    stage.heals()


def _let_in(bot: Wired) -> bool:
    """Whether the bot found a venue it trusts; else it has tried at least once and says so."""
    end = time.monotonic() + 60
    try:
        bot.boot(lambda: "venue.unreachable" in bot.log.getvalue() or time.monotonic() > end)
    except NoVenueYet:
        return False
    return True


class Impostor(Value):
    """Somebody who answers in the venue's place. wrong: what the bot must say of them; heard: what reached them."""

    name: str
    wrong: str
    rest_port: int
    feed_port: int
    ca_file: Path
    heard: Callable[[], object]


FLAWS: Mapping[Flaw, str] = {
    Flaw.EXPIRED: "certificate has expired",
    Flaw.WRONG_HOST: "not valid for",
    Flaw.UNTRUSTED: "unable to get local issuer",
    Flaw.SELF_SIGNED: "self-signed certificate",
}


def impostors(trial: Trial) -> None:
    for flaw, wrong in FLAWS.items():
        with wired_venue(QUOTING, flaw=flaw) as sim:
            rest, feed = (urlsplit(url).port or 0 for url in (sim.rest_url, sim.ws_url))
            record = partial(sim.do, lambda c: c.world.record.entries())
            bad = Impostor(flaw.value, wrong, rest, feed, Path(sim.ca_file), record)
            _impersonate(trial, bad, in_full=flaw is Flaw.EXPIRED)
    with old_server(trial.new_folder()) as old:
        trial.stimulus("who takes any version is given TLS 1.1", old.offered() == "TLSv1.1")
        bad = Impostor("TLS 1.1", "protocol version", old.port, old.port, old.ca_file, lambda: old.versions)
        _impersonate(trial, bad, in_full=True)


def _impersonate(trial: Trial, bad: Impostor, *, in_full: bool) -> None:
    _at_the_start(trial, bad)
    _as_feeds(trial, bad, in_full=in_full)
    if in_full:
        _in_the_middle(trial, bad)


def _trusting_both(bot: Wired, bad: Impostor) -> dict[str, str]:
    """The authority of the impostor is trusted as well: only what is wrong with it is left to refuse it by."""
    bundle = bot.folder / "ca.pem"
    bundle.write_text(bad.ca_file.read_text() + Path(bot.sim.ca_file).read_text())
    return {"COINBASE_CA_FILE": str(bundle)}


def _at_the_start(trial: Trial, bad: Impostor) -> None:
    with trial.wired(QUOTING, heard=False, audited=False) as bot:
        address = {"COINBASE_REST_URL": f"https://127.0.0.1:{bad.rest_port}"}
        bot.environ = {**bot.environ, **address, **_trusting_both(bot, bad)}
        let_in = _let_in(bot)
        trial.stimulus(f"REST from the start: {bad.name}", bad.wrong in _plain(bot.log.getvalue()))
        trial.require(f"I36/I12 {bad.name}: refused, not one request was sent", not let_in and not bad.heard())
        waiting = [file.read_text() for file in (bot.state_dir / "outbox").glob("*.json")]
        delivered = bot.sim.do(lambda c: [str(body) for _, body in c.alerts.received])
        told = [text for text in (*waiting, *delivered) if "venue.unreachable" in text]
        trial.require("the operator is told why", any(bad.wrong in _plain(text) for text in told))


def _as_feeds(trial: Trial, bad: Impostor, *, in_full: bool) -> None:
    with trial.wired(QUOTING, heard=False) as bot:
        address = f"wss://127.0.0.1:{bad.feed_port}"
        feeds = {"COINBASE_WS_URL": address, "COINBASE_WS_USER_URL": address}
        bot.environ = {**bot.environ, **feeds, **_trusting_both(bot, bad)}
        bot.boot()
        bot.run_until(bot.working, 200)
        fired = _until(lambda: all(bad.wrong in _plain(state.why_down) for state in bot.feed.states().values()), 30)
        trial.stimulus(f"both feeds: {bad.name}", fired)
        trial.require(f"I36 no feed is opened to a host that is {bad.name}", not bad.heard() and not _up(bot))
        trial.require("I12 traded on REST books", bot.requests("GET", "product_book"))
        if in_full:
            _until(lambda: len(bot.feed.complaints()) == 2, 30)
            bot.cycle()
            trial.require("the operator is told of both", bot.told("feed.market") and bot.told("feed.user"))
            trial.require("I36 nor later", not bad.heard())


def _in_the_middle(trial: Trial, bad: Impostor) -> None:
    """Somebody takes the place of the venue while an order rests, and goes away again."""
    with (
        trial.wired(QUOTING, policy=PATIENT, heard=False) as bot,
        Relay(urlsplit(bot.sim.rest_url).port or 0) as relay,
    ):
        address = {"COINBASE_REST_URL": f"https://127.0.0.1:{relay.port}"}
        bot.environ = {**bot.environ, **address, **_trusting_both(bot, bad)}
        bot.boot()
        bot.run_until(bot.working, 120)
        mark = bot.mark()
        relay.lead_to(bad.rest_port)
        with bot.oracle.closed("somebody else answers", "I12", BUY):
            bot.run_until(lambda: bot.told("halt.breaker.api_errors"), 900)
        refused = bad.wrong in _plain(bot.log.getvalue())
        trial.stimulus(f"REST from the middle: {bad.name}", refused and not bot.requests(since=mark))
        trial.require(f"I36 {bad.name}: not one request was sent", not bad.heard())
        trial.require("I12 NO_TRADE", bot.last.outcome == "NO_TRADE" and bot.last.reason == "data_unavailable")
        trial.require("the order stays tracked", states(bot)[0] in {"OPEN", "CANCEL_PENDING"})
        trial.require("the operator is told", bot.told("halt.breaker.api_errors"))
        relay.lead_to(urlsplit(bot.sim.rest_url).port or 0)
        bot.heals()


def _plain(text: str) -> str:
    """Reasons are written in several ways."""
    return text.lower().replace("_", " ").replace("self signed", "self-signed")


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
            at_speed(bot.sim, 1.0)
            bot.wait(2.5)
            trial.require("both feeds were up before", _up(bot) == 2)
            bot.sim.conditions(feed={what: True})
            mark, beats, data = bot.mark(), witness.beats, witness.data
            _watch_feeds_die(trial, bot, mark)
            heard = (witness.beats - beats, witness.data - data)
            trial.stimulus(f"{what} for 15 s: {heard[0]} heartbeats and {heard[1]} frames of data were sent",
                           beats and not heard[0] and bool(heard[1]) == (what == "no_heartbeats"))  # fmt: skip
            at_speed(bot.sim, 0.0)
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
    _until(bot.feed.complaints, 30, bot)
    bot.cycle()
    trial.require("the operator is told", bot.told("feed.") == "WARNING")
    bot.sim.conditions(feed={what: False})
    _until(lambda: _up(bot) == 2 and not bot.feed.complaints(), 40, bot)
    bot.cycle()
    over = {a["fingerprint"] for a in bot.events("alert.raised") if a["state"] == "resolved"}
    trial.require("I28 both come back by themselves, and that is told", _up(bot) == 2 and "feed.market" in over)


def tokens(trial: Trial) -> None:
    """The venue's clock runs ahead and lags behind; a token is refused at subscribe; a subscribe comes too late."""
    for skew_s, why in ((130.0, "expired"), (-130.0, "not valid for another")):
        _refused_by_the_clock(trial, skew_s, why)
    _refused_at_subscribe(trial)
    _subscribed_too_late(trial)


def _refused_by_the_clock(trial: Trial, skew_s: float, why: str) -> None:
    with trial.wired(QUOTING, policy=NO_BREAKERS) as bot:
        bot.run_until(bot.working, 120)
        judged = Judged(bot)
        bot.sim.conditions(skew_s=skew_s)
        bot.sim.do(lambda c: c.sockets.abort_all())
        with bot.oracle.closed("every token is refused", "I22", BUY):
            bot.run_for(20)
            _until(lambda: "refused" in bot.feed.states()["user"].why_down)
        rest, feed = (sum(why in found for found in kind) for kind in (judged.rest, judged.feed))
        trial.stimulus(f"{rest} requests and {feed} subscriptions with a token that is {why}", rest and feed)
        trial.require("I22 degraded and CRITICAL", bot.told("halt.auth_degraded") == "CRITICAL")
        detail = " ".join(a["detail"] for a in bot.events("alert.raised")).lower()
        trial.require("I26 the alarm names the clock", "clock" in detail)
        trial.require("I22 the user feed is known to be down", not bot.feed.states()["user"].up)
        trial.require("the order that rests stays tracked", states(bot) == ["OPEN"])
        bot.sim.conditions(skew_s=0.0)
        bot.heals()


def _refused_at_subscribe(trial: Trial) -> None:
    with trial.wired(QUOTING) as bot:
        bot.cycle()
        judged = Judged(bot)
        bot.run_for(120)
        used = judged.tokens
        trial.require(f"I22 none of {len(used)} private requests carried a token a second time",
                      len(used) > 5 and len(set(used)) == len(used))  # fmt: skip
        bot.sim.conditions(gate="unauthorized")
        bot.sim.do(lambda c: c.sockets.abort_all())
        refused = _until(lambda: "authentication failure" in bot.feed.states()["user"].why_down)
        trial.stimulus("subscribe answered authentication failure", refused)
        trial.require("I22 not a silent feed: it is known to be down", not bot.feed.states()["user"].up)
        trial.require("not asked again at once", len(bot.happened("opened")) <= 6)
        bot.sim.conditions(gate="open")
        bot.run_until(bot.working, 300)
        trial.require("I12 it goes on by reading", bot.working())
        trial.require("the operator is told", bot.told("feed.user") == "WARNING")
        trial.require("I22 subscribed anew with a new token", _until(lambda: bot.feed.states()["user"].up, 40, bot))
        bot.heals()


def _subscribed_too_late(trial: Trial) -> None:
    """What the bot says on a new connection is longer under way than the venue waits for a first word."""
    with (
        trial.wired(QUOTING, subscribe_within_s=0.5, heard=False) as bot,
        Relay(urlsplit(bot.sim.ws_url).port or 0) as market,
        Relay(urlsplit(bot.sim.ws_user_url).port or 0) as user,
    ):
        market.lag_s = user.lag_s = 0.8
        feeds = {"COINBASE_WS_URL": market, "COINBASE_WS_USER_URL": user}
        bot.environ = {**bot.environ, **{name: f"wss://127.0.0.1:{relay.port}" for name, relay in feeds.items()}}
        bot.boot()
        bot.cycle()
        late = _until(lambda: all("no subscription" in s.why_down for s in bot.feed.states().values()), 15)
        trial.stimulus("the venue closes both feeds: no subscription within its time", late)
        trial.require("I22 they are known to be down", _until(lambda: _up(bot) == 0))
        bot.run_until(bot.working, 200)
        trial.require("I12 traded on REST books", bot.requests("GET", "product_book"))
        market.lag_s = user.lag_s = 0.0
        trial.require("I28 both come up by themselves", _until(lambda: _up(bot) == 2, 40, bot))
        bot.heals()


class Judged:
    """What the venue made of each token from now on. rest, feed: why it refused one; tokens: of requests, in order."""

    def __init__(self, bot: Wired) -> None:
        self.rest: list[str] = []
        self.feed: list[str] = []
        self.tokens: list[str] = []
        bot.sim.do(self._listen)

    def _listen(self, controls: Controls) -> None:
        rest, feed = controls.auth.rest, controls.auth.websocket

        def judge_rest(authorization: str, method: str, host: str, path: str) -> ApiKey:
            self.tokens.append(authorization)
            with self._noting(self.rest):
                return rest(authorization, method, host, path)

        def judge_feed(token: str) -> ApiKey:
            with self._noting(self.feed):
                return feed(token)

        controls.auth.rest = judge_rest  # type: ignore[method-assign]  # the venue keeps no reasons in its record
        controls.auth.websocket = judge_feed  # type: ignore[method-assign]

    @contextmanager
    def _noting(self, reasons: list[str]) -> Iterator[None]:
        try:
            yield
        except Refused as refused:
            reasons.append(refused.why)
            raise


def _until(true: Callable[[], object], within_s: float = 10, bot: Wired | None = None) -> bool:
    """Whether it became true within real seconds. bot: trading time passes meanwhile."""
    end = time.monotonic() + within_s
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
        if bot is not None:
            bot.wait(1)
    return True


ROWS: Sequence[Fault] = (
    Fault("F008", "names do not resolve (NXDOMAIN, SERVFAIL) or the resolver hangs, for 20 minutes; six orders rest",
          "looked up by helpers within bounds; every order stays tracked and none is taken for gone; alert",
          "I11 I12 I27 I35 I40", names_do_not_resolve),
    Fault("F010", "whoever answers has a certificate that is expired, for another host, of a stranger or its own, or "
          "speaks TLS 1.1 at most; at the start, on the feeds, and on REST in the middle of a run",
          "refused, never retried unverified, alert", "I12 I36", impostors),
    Fault("F011", "proxy variables, CA bundle and netrc for the API host in the environment", "ignored", "I36",
          proxies_and_netrc),
    Fault("F023", "the feed is silent, or has no heartbeats",
          "dead within 5 s and not believed before the next heartbeat, REST instead, reconnects with patience, alert",
          "I12 I28", feed_dies),
    Fault("F025", "tokens refused as expired or not yet valid, or at subscribe; a first subscribe that comes too late",
          "a fresh token each time; degraded mode that names the clock; no silent feed, alert, REST instead",
          "I12 I22 I26 I28", tokens),
)  # fmt: skip
