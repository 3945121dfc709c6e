"""One WebSocket connection: its subscriptions, its numbering, its frames, and what faults do to them."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

from simulator.faults import Conditions

_TEXT: Final = 0x81
_SHORT: Final = 126
_LONG: Final = 1 << 16


class Wire(Protocol):
    """The transport under a connection."""

    def write(self, data: bytes) -> None: ...

    def is_closing(self) -> bool: ...


def text_frame(payload: bytes) -> bytes:
    """One unfragmented, unmasked text frame (RFC 6455, section 5.2)."""
    size = len(payload)
    if size < _SHORT:
        return struct.pack("!BB", _TEXT, size) + payload
    if size < _LONG:
        return struct.pack("!BBH", _TEXT, 126, size) + payload
    return struct.pack("!BBQ", _TEXT, 127, size) + payload


@dataclass(slots=True, eq=False)
class Session:
    """State of one connection; `sequence` counts every message of it, acknowledgements included.

    channels: channel -> product ids as they were asked for. last_sent: trading time of the newest frame.
    """

    wire: Wire
    conditions: Conditions
    last_sent: datetime
    user_host: bool = False
    sequence: int = 0
    channels: dict[str, dict[str, None]] = field(default_factory=dict)
    _frames: list[bytes] = field(default_factory=list)
    _held: bytes = b""
    _stamped: datetime | None = None
    _stamp: str = ""

    def send(self, channel: str, event: str, now: datetime) -> None:
        """Queue one message with one event."""
        sequence = self.sequence
        self.sequence += 1
        self.last_sent = now
        client = '"client_id":"",' if self.conditions.client_ids_in_feed else ""
        if now is not self._stamped:
            self._stamped, self._stamp = now, now.strftime("%Y-%m-%dT%H:%M:%S.%f")
        stamp = f"{self._stamp}{sequence % 1000:03d}".rstrip("0").rstrip(".")
        text = f'{{"channel":"{channel}",{client}"timestamp":"{stamp}Z","sequence_num":{sequence},"events":[{event}]}}'
        self._queue(text_frame(text.encode()))

    def error(self, message: str) -> None:
        """An error frame: no envelope, no number."""
        self._frames.append(text_frame(f'{{"type":"error","message":"{message}"}}'.encode()))

    def flush(self) -> None:
        """Write what is queued in one piece."""
        if not self._frames or self.conditions.feed.silent:
            return
        if not self.wire.is_closing():
            self.wire.write(b"".join(self._frames))
        self._frames.clear()

    def wants(self, channel: str, product: str) -> bool:
        return product in self.channels.get(channel, ())

    def _queue(self, frame: bytes) -> None:
        feed = self.conditions.feed
        if feed.silent:
            self.sequence -= 1
            return
        if feed.drop > 0:
            feed.drop -= 1
            return
        if feed.swap > 0 and not self._held:
            feed.swap -= 1
            self._held = frame
            return
        self._frames.append(frame)
        if feed.repeat > 0:
            feed.repeat -= 1
            self._frames.append(frame)
        if self._held:
            self._frames.append(self._held)
            self._held = b""
