"""What a service manager hears of a process, and when."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

GLANCE_S = 0.1


class Manager:
    """Reads a notify socket all the time, so that nothing is dropped for a full queue. heard: (when, message)."""

    def __init__(self, address: Path) -> None:
        self.environ = {"NOTIFY_SOCKET": str(address)}
        self.heard: list[tuple[float, bytes]] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(address))
        self._socket.settimeout(GLANCE_S)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def stopping(self) -> float | None:
        """When the process said that it takes up no new work, by `time.monotonic`; None when it has not."""
        return next((at for at, message in self.heard if message.startswith(b"STOPPING=1")), None)

    def close(self) -> None:
        self._over.set()
        self._thread.join()
        self._socket.close()

    def _listen(self) -> None:
        while not self._over.is_set():
            try:
                message = self._socket.recv(4096)
            except TimeoutError:
                continue
            self.heard.append((time.monotonic(), message))


@contextmanager
def manager(address: Path) -> Iterator[Manager]:
    listening = Manager(address)
    try:
        yield listening
    finally:
        listening.close()
