"""What holds for every test: Hypothesis watches no clock, Ctrl-C is heard, and no packet leaves this machine."""

from __future__ import annotations

import ipaddress
import signal
import sys
from typing import Any

from hypothesis import settings

# Cores are shared, so a slow example is no failure; pytest-timeout catches a stuck one.
settings.register_profile("bulwark", deadline=None, print_blob=True)
settings.load_profile("bulwark")

# A shell without job control starts what it puts into the background deaf to Ctrl-C, and its children inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _is_loopback(host: str | bytes | None) -> bool:
    name = host.decode() if isinstance(host, bytes) else host or "localhost"
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


def _refuse_other_hosts(event: str, arguments: tuple[Any, ...]) -> None:
    """Audit hook. An address is (host, port, ...) for IP, plain text for a local socket, None for a connected one."""
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event in {"socket.connect", "socket.sendto", "socket.sendmsg"} and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    else:
        return
    if not _is_loopback(host):
        raise PermissionError(f"tests talk to this machine only, not to {host!r}")


sys.addaudithook(_refuse_other_hosts)
