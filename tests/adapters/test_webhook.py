"""Delivery of alerts: everything arrives once it can, nothing dangerous is called, a dead receiver delays nobody."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from bot.adapters.memory import MemoryStorage
from bot.adapters.webhook import UnsafeAddress, WebhookCourier, checked_target


class Receiver(HTTPServer):
    """A webhook receiver on loopback; `status` is what it answers, `hang_s` how long it takes."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bodies: list[bytes] = []
        self.status, self.hang_s = 204, 0.0
        self.location = ""
        self.thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hook"

    def close(self) -> None:
        self.shutdown()
        self.server_close()
        self.thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(self.server.hang_s)
        self.server.bodies.append(body)
        self.send_response(self.server.status)
        if self.server.location:
            self.send_header("Location", self.server.location)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    running = Receiver()
    yield running
    running.close()


def outbox(*names: str) -> MemoryStorage:
    storage = MemoryStorage()
    for name in names:
        storage.write(f"outbox/{name}.json", name.encode())
    return storage


def courier(storage: MemoryStorage, *urls: str, local: bool = True, **options: object) -> WebhookCourier:
    return WebhookCourier(storage, urls, timeout_s=1.0, allow_test_venue=local, **options)  # type: ignore[arg-type]


def test_messages_leave_in_order_and_are_gone_once_taken(receiver):
    storage = outbox("a", "b", "c")
    assert courier(storage, receiver.url).deliver()
    assert receiver.bodies == [b"a", b"b", b"c"]
    assert storage.names("outbox") == []


def test_a_receiver_that_fails_keeps_the_message_waiting(receiver):
    storage = outbox("a")
    failures: list[str] = []
    receiver.status = 500
    post = courier(storage, receiver.url, on_failure=failures.append)
    assert not post.deliver()
    assert failures == ["HTTP_500"]
    assert list(storage.names("outbox")) == ["a.json"]
    receiver.status = 200
    assert post.deliver()
    assert receiver.bodies == [b"a", b"a"]


def test_every_address_gets_every_message_once(receiver):
    other = Receiver()
    storage = outbox("a")
    other.status = 503
    post = courier(storage, receiver.url, other.url)
    assert not post.deliver()
    other.status = 200
    assert post.deliver()
    other.close()
    assert (receiver.bodies, other.bodies) == ([b"a"], [b"a", b"a"])


def test_redirects_are_not_followed(receiver):
    other = Receiver()
    receiver.status, receiver.location = 307, other.url
    assert not courier(outbox("a"), receiver.url).deliver()
    other.close()
    assert other.bodies == []


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "ftp://127.0.0.1/x", "http://127.0.0.1:9/x", "https://127.0.0.1:9/x",
     "https://169.254.169.254/latest/meta-data", "https://[::1]:9/x", "https://10.0.0.1/x"],
)  # fmt: skip
def test_dangerous_addresses_are_never_called(url):
    failures: list[str] = []
    assert not courier(outbox("a"), url, local=False, on_failure=failures.append).deliver()
    assert failures == ["UnsafeAddress"]


def test_only_allowed_hosts_are_called():
    failures: list[str] = []
    post = courier(outbox("a"), "https://hooks.example/x", local=False, allowed_hosts=("alerts.example",),
                   on_failure=failures.append)  # fmt: skip
    assert not post.deliver()
    assert failures == ["UnsafeAddress"]


def test_a_hanging_receiver_never_delays_the_caller(receiver):
    receiver.hang_s = 0.5
    storage = outbox("a")
    post = courier(storage, receiver.url)
    post.start()
    before = time.monotonic()
    for _ in range(100):
        post.nudge()
    assert time.monotonic() - before < 0.4
    post.stop(grace_s=3)
    assert storage.names("outbox") == []


def test_the_address_that_was_checked_is_the_one_that_is_called():
    """A name that answers a public address first and a private one a moment later must not lead inside."""
    answers = iter([["93.184.215.14"], ["10.0.0.1"]])
    target = checked_target("https://hooks.example:8443/a?b=c", lambda _host, _port: next(answers))
    assert str(target.url) == "https://93.184.215.14:8443/a?b=c"
    assert (target.host, target.tls) == ("hooks.example:8443", {"sni_hostname": "hooks.example"})


@pytest.mark.parametrize("found", [[], ["93.184.215.14", "10.0.0.1"], ["fe80::1"], ["100.64.0.1"]])
def test_a_name_with_any_private_address_is_not_called(found):
    with pytest.raises(UnsafeAddress):
        checked_target("https://hooks.example/a", lambda _host, _port: found)
