"""What systemd is told: ready, alive, stopping, and one line of status."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping


class ServiceManager:
    """Speaks sd_notify over a datagram socket; says nothing when nobody listens.

    Every method answers whether the message left. A service manager that cannot be reached never disturbs trading: it
    will notice by the missing watchdog message.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID."""
        address = environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self.watchdog_s = _watchdog_s(environ)

    def ready(self, status: str = "") -> bool:
        """The start is complete."""
        return self._send(f"READY=1\nSTATUS={_line(status)}" if status else "READY=1")

    def alive(self) -> bool:
        """Feed the watchdog; to be called only when a stage of the loop was completed."""
        return self._send("WATCHDOG=1")

    def status(self, text: str) -> bool:
        return self._send(f"STATUS={_line(text)}")

    def stopping(self, why: str = "") -> bool:
        """The shutdown has begun."""
        return self._send(f"STOPPING=1\nSTATUS={_line(why)}" if why else "STOPPING=1")

    def _send(self, message: str) -> bool:
        if not self._address:
            return False
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.setblocking(False)
                sender.sendto(message.encode(), self._address)
        except OSError:
            return False
        return True


def _line(text: str) -> str:
    return " ".join(text.split())


def _watchdog_s(environ: Mapping[str, str]) -> float | None:
    """Seconds within which the manager wants to hear from this process; None when it does not."""
    microseconds = environ.get("WATCHDOG_USEC", "")
    meant = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    return int(microseconds) / 1_000_000 if meant and microseconds.isdecimal() else None
