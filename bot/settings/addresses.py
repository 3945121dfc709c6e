"""Addresses from the environment: public and encrypted, or on this machine when a test venue is allowed."""

from __future__ import annotations

import ipaddress
import re
from typing import Final
from urllib.parse import SplitResult, urlsplit

from bot.domain.value import Value

_NAME: Final = re.compile(
    r"(?=.{1,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
)
_NUMERIC: Final = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)\Z")
_PRIVATE_ENDINGS: Final = (
    "localhost",
    "local",
    "internal",
    "intranet",
    "lan",
    "home",
    "corp",
    "arpa",
    "invalid",
    "test",
)

HTTP: Final = frozenset({"http", "https"})
WEBSOCKET: Final = frozenset({"ws", "wss"})
ENCRYPTED: Final = frozenset({"https", "wss"})


class Address(Value):
    """An address that may be called. loopback: it is on this machine."""

    url: str
    scheme: str
    host: str
    loopback: bool


def parse_address(text: str, schemes: frozenset[str], *, allow_loopback: bool) -> Address | str:
    """The address, or why it is refused; the reason never repeats the address, which may hold a token.

    Public addresses must be https or wss with a public host. Addresses on this machine need `allow_loopback`, and may
    then be unencrypted. The caller still checks what a name resolves to when it connects.
    """
    if not text.isascii() or re.search(r"[\s\x00-\x1f\x7f\\]", text):
        return "must be plain ASCII without spaces"
    try:
        parts = urlsplit(text)
        host, _port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        return "is not an address: host or port cannot be read"
    if parts.scheme not in schemes:
        return f"must begin with {' or '.join(f'{scheme}://' for scheme in sorted(schemes & ENCRYPTED))}"
    if (wrong := _malformed(parts, host)) is not None:
        return wrong
    loopback = is_loopback(host)
    if loopback and not allow_loopback:
        return "is on this machine, which only BOT_ALLOW_TEST_VENUE=1 permits"
    if not loopback and parts.scheme not in ENCRYPTED:
        return f"must be encrypted: {' or '.join(sorted(schemes & ENCRYPTED))}"
    if not loopback and not is_public(host):
        return "must name a public host"
    return Address(text, parts.scheme, host, loopback)


def is_loopback(host: str) -> bool:
    """Whether a host is this machine: `localhost`, 127.0.0.0/8 or ::1 in their usual spelling."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_public(host: str) -> bool:
    """Whether a host may be on the open internet: a global IP address, or a name with a public ending."""
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        ending = host.rpartition(".")[2]
        return "." in host and ending not in _PRIVATE_ENDINGS and not _NUMERIC.match(ending)


def _malformed(parts: SplitResult, host: str) -> str | None:
    if parts.username is not None or parts.password is not None:
        return "must not hold a user name or password"
    if parts.fragment:
        return "must not hold a fragment (#)"
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return None if _NAME.fullmatch(host) else "must name a host"
    return None
