"""A line to the venue that can be cut at any moment: bytes go through unread, or nobody listens at all."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable
from enum import Enum
from types import TracebackType
from typing import Final, Self

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


class Line(Enum):
    """What a client meets. REFUSED: nobody listens; RESET: taken and torn down before a byte was exchanged."""

    THROUGH = "through"
    REFUSED = "refused"
    RESET = "reset"


class Relay:
    """Stands before a port of this machine.

    lag_s: what a client sends is so many real seconds under way. reset: connections torn down before a byte.
    """

    def __init__(self, port: int) -> None:
        self._venue = ("127.0.0.1", port)
        self._line = Line.THROUGH
        self._ends: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self.lag_s = 0.0
        self.reset = 0
        self._listener = self._listen(0)
        self.port = int(self._listener.getsockname()[1])

    def become(self, line: Line) -> None:
        """Also cuts every connection there is, but for THROUGH."""
        before, self._line = self._line, line
        if line is Line.REFUSED:
            self._stop_listening()
        elif before is Line.REFUSED:
            self._listener = self._listen(self.port)
        if line is not Line.THROUGH:
            self._cut()

    def lead_to(self, port: int) -> None:
        """From now on somebody else answers; connections to the one before are cut."""
        self._venue = ("127.0.0.1", port)
        self._cut()

    def refuses(self) -> bool:
        """Whether the system itself refuses a connection to the port now."""
        try:
            socket.create_connection(("127.0.0.1", self.port), 5).close()
        except ConnectionRefusedError:
            return True
        return False

    def close(self) -> None:
        self._stop_listening()
        self._cut()
        for thread in self._threads:
            thread.join(10)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _listen(self, port: int) -> socket.socket:
        listener = socket.create_server(("127.0.0.1", port))
        self._start(self._accept, listener)
        return listener

    def _stop_listening(self) -> None:
        with contextlib.suppress(OSError):  # closed before
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts, which a close does not
        self._listener.close()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                near = listener.accept()[0]
            except OSError:
                return
            self._take(near)

    def _take(self, near: socket.socket) -> None:
        if self._line is not Line.THROUGH:
            self.reset += 1
            near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            near.close()
            return
        far = socket.create_connection(self._venue, 10)
        far.settimeout(None)
        for end in (near, far):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._ends |= {near, far}
        self._start(self._pump, near, far, lambda: self.lag_s)
        self._start(self._pump, far, near, lambda: 0.0)

    def _pump(self, source: socket.socket, sink: socket.socket, lag_s: Callable[[], float]) -> None:
        with contextlib.suppress(OSError):  # cut: by an end, or by us
            while data := source.recv(65536):
                time.sleep(lag_s())
                sink.sendall(data)
        for end in (source, sink):
            self._end(end)

    def _end(self, end: socket.socket) -> None:
        with self._lock:
            self._ends.discard(end)
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)

    def _cut(self) -> None:
        with self._lock:
            ends = list(self._ends)
        for end in ends:
            self._end(end)

    def _start(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()
