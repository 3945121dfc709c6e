"""Delivers the alert outbox to webhooks on its own thread; trading never waits for it."""

from __future__ import annotations

import ipaddress
import random
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx

from bot.domain.value import Value
from bot.errors import StorageFailed
from bot.ops.alerts import OUTBOX
from bot.ports import Storage

CARRIED_MAX: Final = 200
"""Messages kept in memory while the disk takes none; the oldest give way."""
_BACKOFF_S: Final = (1.0, 2.0, 5.0, 15.0, 30.0, 60.0)


class UnsafeAddress(Exception):
    """A webhook address that must not be called: wrong scheme, host not allowed, or a private network."""


class Target(Value):
    """url: with the address to connect to. host: what the request names. tls: the name the certificate must carry."""

    url: httpx.URL
    host: str
    tls: Mapping[str, str]


def checked_target(
    url: str,
    look_up: Callable[[str, int], Sequence[str]],
    *,
    allowed_hosts: Collection[str] = (),
    allow_test_venue: bool = False,
) -> Target:
    """Where to send: for a public webhook the very address that was checked, so that no second look-up can differ.

    Raises: UnsafeAddress; OSError when the name has no address.
    """
    parts = urlsplit(url)
    host, named = parts.hostname or "", parts.netloc.rpartition("@")[2]
    if allow_test_venue and host in ("127.0.0.1", "localhost", "::1") and parts.scheme in ("https", "http"):
        return Target(httpx.URL(url), named, {})
    if parts.scheme != "https":
        raise UnsafeAddress("only https webhooks are called")
    if allowed_hosts and host not in allowed_hosts:
        raise UnsafeAddress("the webhook's host is not in alerts.allowed_hosts")
    found = look_up(host, parts.port or 443)
    if not found or not all(ipaddress.ip_address(address).is_global for address in found):
        raise UnsafeAddress("the webhook's host is or resolves to a private address")
    return Target(httpx.URL(url).copy_with(host=found[0]), named, {"sni_hostname": host})


def resolved(host: str, port: int) -> tuple[str, ...]:
    """Every address of a host; an address is its own."""
    try:
        return (str(ipaddress.ip_address(host)),)
    except ValueError:
        return tuple(str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))


class WebhookCourier:
    """Posts every message of the outbox to every address, oldest first; a message leaves when all have taken it.

    Only https to public hosts (loopback with `allow_test_venue`), no redirects, no proxies, answers are not read beyond
    their status, and the address a name resolves to is checked at every delivery.
    """

    def __init__(
        self,
        storage: Storage,
        urls: Sequence[str],
        *,
        timeout_s: float,
        allowed_hosts: Sequence[str] = (),
        allow_test_venue: bool = False,
        ca_file: Path | None = None,
        on_failure: Callable[[str], None] = lambda _: None,
        look_up: Callable[[str, int], Sequence[str]] = resolved,
    ) -> None:
        self._storage = storage
        self._urls = tuple(urls)
        self._timeout_s = timeout_s
        self._allowed_hosts = frozenset(allowed_hosts)
        self._allow_test_venue = allow_test_venue
        self._ca_file = ca_file
        self._on_failure = on_failure
        self._look_up = look_up
        self._taken: dict[str, set[str]] = {}
        self._carried: deque[tuple[str, bytes]] = deque(maxlen=CARRIED_MAX)
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="alerts", daemon=True)

    def configure(self, *, timeout_s: float, allowed_hosts: Sequence[str]) -> None:
        """Deliver by this from the next message on."""
        self._timeout_s, self._allowed_hosts = timeout_s, frozenset(allowed_hosts)

    def start(self) -> None:
        if self._urls:
            self._thread.start()

    def nudge(self) -> None:
        """New messages wait: look now."""
        self._wake.set()

    def carry(self, alert_id: str, body: bytes) -> None:
        """Deliver a message that the outbox could not take, from memory."""
        self._carried.append((alert_id, body))
        self._wake.set()

    def stop(self, grace_s: float) -> None:
        """Try once more to empty the outbox, at most `grace_s` seconds."""
        if not self._thread.is_alive():
            return
        deadline = time.monotonic() + grace_s
        self._wake.set()
        while (self._carried or self._storage.names(OUTBOX)) and time.monotonic() < deadline:
            time.sleep(0.05)
        self._stop.set()
        self._wake.set()
        self._thread.join(timeout=max(0.1, deadline - time.monotonic()))

    def _run(self) -> None:
        failures = 0
        while not self._stop.is_set():
            try:
                delivered = self.deliver()
            except (OSError, StorageFailed) as error:
                self._on_failure(type(error).__name__)
                delivered = False
            failures = 0 if delivered else failures + 1
            pause = 0.5 if delivered else _BACKOFF_S[min(failures, len(_BACKOFF_S)) - 1] * random.uniform(0.8, 1.2)  # noqa: S311
            self._wake.wait(pause)
            self._wake.clear()

    def deliver(self) -> bool:
        """One pass over what is carried and the outbox; False when something could not be delivered."""
        complete = True
        for message in tuple(self._carried):
            if self._everywhere(*message):
                self._carried.remove(message)
            else:
                complete = False
        for name in self._storage.names(OUTBOX):
            body = self._storage.read(f"{OUTBOX}/{name}")
            if body is None:
                continue
            if self._everywhere(name, body):
                self._storage.remove(f"{OUTBOX}/{name}")
            else:
                complete = False
        return complete

    def _everywhere(self, name: str, body: bytes) -> bool:
        """Post one message to every address that has not taken it yet; whether all have now."""
        taken = self._taken.setdefault(name, set())
        for url in self._urls:
            if url not in taken and self._post(url, body):
                taken.add(url)
        if len(taken) < len(self._urls):
            return False
        del self._taken[name]
        return True

    def _post(self, url: str, body: bytes) -> bool:
        try:
            target = checked_target(
                url, self._look_up, allowed_hosts=self._allowed_hosts, allow_test_venue=self._allow_test_venue
            )
            headers = {"Content-Type": "application/json", "Host": target.host}
            with (
                httpx.Client(
                    timeout=self._timeout_s, follow_redirects=False, trust_env=False, verify=self._trusted()
                ) as client,
                client.stream("POST", target.url, content=body, headers=headers, extensions=target.tls) as answer,
            ):
                taken = 200 <= answer.status_code < 300
        except (httpx.HTTPError, UnsafeAddress, OSError) as error:
            self._on_failure(type(error).__name__)
            return False
        if not taken:
            self._on_failure(f"HTTP_{answer.status_code}")
        return taken

    def _trusted(self) -> ssl.SSLContext:
        if self._ca_file is not None and self._allow_test_venue:
            return ssl.create_default_context(cafile=str(self._ca_file))
        return httpx.create_ssl_context()
