"""Clocks: waits that end at once when they must, and trading time that only moves when it may."""

from __future__ import annotations

import json
import os
import resource
import signal
import ssl
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trustme

from bot.adapters.clock import ManualClock, SteppedClock, SystemClock
from bot.adapters.rng import SeededRng, SystemRng
from bot.errors import ConfigError, Transient
from bot.ports import WakeReason
from tests.record.world import NOON


@pytest.fixture
def clock() -> Iterator[SystemClock]:
    clock = SystemClock()
    yield clock
    clock.close()


def test_a_wait_ends_at_its_time_and_not_before(clock: SystemClock) -> None:
    until = clock.now() + timedelta(milliseconds=60)
    assert clock.wait_until(until) is None
    assert clock.now() >= until - timedelta(milliseconds=1)
    assert clock.now().tzinfo is UTC


def test_a_wait_for_the_past_returns_at_once(clock: SystemClock) -> None:
    assert clock.wait_until(NOON.replace(year=2000)) is None


def test_a_reason_from_another_thread_ends_a_wait_at_once(clock: SystemClock) -> None:
    timer = threading.Timer(0.05, clock.wake, [WakeReason.USER_EVENT])
    timer.start()
    assert clock.wait_until(clock.now() + timedelta(hours=1)) is WakeReason.USER_EVENT
    timer.join()


def test_a_wait_ends_whatever_else_the_process_has_open(tmp_path: Path) -> None:
    """select() would refuse a descriptor above 1023, and a daemon that can not wait is a daemon that died."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(2048, hard)), hard))
    first = os.open(tmp_path, os.O_RDONLY)
    filler = [os.dup(first) for _ in range(1030)]
    clock = SystemClock()
    for descriptor in (first, *filler):
        os.close(descriptor)
    clock.wake(WakeReason.PRICE)
    assert clock.wait_until(clock.now() + timedelta(hours=1)) is WakeReason.PRICE
    clock.close()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_signal_handler_may_end_a_wait(clock: SystemClock) -> None:
    previous = signal.signal(signal.SIGUSR1, lambda *_: clock.wake(WakeReason.SIGNAL))
    timer = threading.Timer(0.05, lambda: os.kill(os.getpid(), signal.SIGUSR1))
    timer.start()
    began = time.monotonic()
    try:
        assert clock.wait_until(clock.now() + timedelta(hours=1)) is WakeReason.SIGNAL
    finally:
        timer.join()
        signal.signal(signal.SIGUSR1, previous)
    assert time.monotonic() - began < 1


def test_a_reason_given_before_a_wait_ends_the_next_one_only(clock: SystemClock) -> None:
    clock.wake(WakeReason.PRICE)
    clock.wake(WakeReason.KILL_SWITCH)
    clock.wake(WakeReason.COMMAND)
    assert clock.wait_until(clock.now() + timedelta(hours=1)) is WakeReason.KILL_SWITCH
    assert clock.wait_until(clock.now() + timedelta(milliseconds=5)) is None


def test_a_flood_of_reasons_neither_blocks_nor_stays(clock: SystemClock) -> None:
    for _ in range(100_000):
        clock.wake(WakeReason.PRICE)
    assert clock.wait_until(clock.now() + timedelta(hours=1)) is WakeReason.PRICE
    deadline = time.monotonic() + 5
    while clock.wait_until(clock.now() + timedelta(milliseconds=1)) is not None:
        assert time.monotonic() < deadline


def test_a_manual_clock_jumps_to_the_end_of_a_wait_and_stays_there() -> None:
    clock = ManualClock(NOON)
    assert clock.wait_until(NOON + timedelta(minutes=1)) is None
    assert (clock.now(), clock.monotonic()) == (NOON + timedelta(minutes=1), 60.0)
    clock.wake(WakeReason.COMMAND)
    assert clock.wait_until(NOON + timedelta(hours=1)) is WakeReason.COMMAND
    assert clock.wait_until(NOON) is None
    assert clock.now() == NOON + timedelta(minutes=1)


class Venue(ThreadingHTTPServer):
    """A stepped test venue's clock: at most ten seconds a step, events at the given times."""

    def __init__(self, ca: trustme.CA) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ca.issue_cert("127.0.0.1").configure_cert(context)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.time = NOON
        self.events: list[datetime] = []
        self.asked: list[dict[str, object]] = []
        self.broken = 0

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.server_port}/clock"

    def step(self, asked: dict[str, object]) -> dict[str, object]:
        self.asked.append(asked)
        until = datetime.fromisoformat(str(asked["until"]))
        due = min([until, self.time + timedelta(seconds=10), *(at for at in self.events if at > self.time)])
        self.time = due
        return {"now": due.isoformat(), "event": due in self.events}


class Handler(BaseHTTPRequestHandler):
    server: Venue

    def do_GET(self) -> None:
        self._answer({"now": self.server.time.isoformat(), "speed": 1})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.server.broken:
            self.server.broken -= 1
            self.send_error(500)
            return
        self._answer(self.server.step(asked))

    def _answer(self, body: dict[str, object]) -> None:
        content = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name the base class gives
        return


@pytest.fixture
def ca_file(tmp_path: Path) -> tuple[trustme.CA, str]:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return ca, str(tmp_path / "ca.pem")


@pytest.fixture
def venue(ca_file: tuple[trustme.CA, str]) -> Iterator[Venue]:
    venue = Venue(ca_file[0])
    thread = threading.Thread(target=venue.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield venue
    venue.shutdown()
    thread.join()
    venue.server_close()


@pytest.fixture
def stepped(venue: Venue, ca_file: tuple[trustme.CA, str]) -> Iterator[SteppedClock]:
    clock = SteppedClock(venue.url, ca_file[1], lambda: None)
    yield clock
    clock.close()


def test_the_venues_time_moves_only_while_the_bot_waits(venue: Venue, stepped: SteppedClock) -> None:
    assert stepped.now() == NOON
    venue.time += timedelta(seconds=3)
    assert stepped.now() == NOON
    assert stepped.wait_until(NOON + timedelta(seconds=25)) is None
    assert (stepped.now(), stepped.monotonic()) == (NOON + timedelta(seconds=25), 25.0)
    assert [asked["max_wall_ms"] for asked in venue.asked] == [250, 250, 250]
    assert {asked["until"] for asked in venue.asked} == {"2026-11-18T12:00:25.000000Z"}
    assert stepped.wait_until(NOON) is None
    assert len(venue.asked) == 3


def test_something_that_happens_on_the_account_ends_the_wait_at_its_time(venue: Venue, stepped: SteppedClock) -> None:
    venue.events = [NOON + timedelta(seconds=12)]
    assert stepped.wait_until(NOON + timedelta(minutes=1)) is WakeReason.USER_EVENT
    assert stepped.now() == NOON + timedelta(seconds=12)
    assert stepped.wait_until(NOON + timedelta(minutes=1)) is None


def test_the_feed_has_caught_up_after_every_step_before_anyone_decides(venue: Venue, ca_file) -> None:
    seen: list[datetime] = []
    watching = SteppedClock(venue.url, ca_file[1], lambda: seen.append(watching.now()))
    watching.wait_until(NOON + timedelta(seconds=25))
    assert seen == [NOON + timedelta(seconds=s) for s in (10, 20, 25)]
    watching.close()


def test_a_reason_to_stop_waiting_stops_a_stepped_wait(venue: Venue, stepped: SteppedClock) -> None:
    stepped.wake(WakeReason.SIGNAL)
    assert stepped.wait_until(NOON + timedelta(hours=1)) is WakeReason.SIGNAL
    assert (stepped.now(), venue.asked) == (NOON, [])


def test_a_venue_that_stumbles_is_asked_again(venue: Venue, stepped: SteppedClock) -> None:
    venue.broken = 1
    assert stepped.wait_until(NOON + timedelta(seconds=5)) is None
    assert stepped.now() == NOON + timedelta(seconds=5)


def test_a_clock_with_an_unknown_certificate_is_not_believed(venue: Venue) -> None:
    with pytest.raises(Transient, match="does not answer"):
        SteppedClock(venue.url, None, lambda: None, patience_s=0)


@pytest.mark.parametrize("url", ["ftp://127.0.0.1:1/clock", "https://192.0.2.1/clock", "http://venue.example/clock"])
def test_only_this_machine_may_set_the_time(url: str) -> None:
    with pytest.raises(ConfigError, match="must be https on 127"):
        SteppedClock(url, None, lambda: None)


def test_a_ca_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    for name in ("ca.pem", "missing.pem"):
        with pytest.raises(ConfigError, match=name):
            SteppedClock("https://127.0.0.1:1/clock", str(tmp_path / name), lambda: None)


def test_the_same_seed_gives_the_same_jitter() -> None:
    first, second = SeededRng(7), SeededRng(7)
    drawn = [first.uniform(-1, 1) for _ in range(20)]
    assert drawn == [second.uniform(-1, 1) for _ in range(20)]
    assert len(set(drawn)) == 20
    assert all(-1 <= SystemRng().uniform(-1, 1) <= 1 for _ in range(20))
