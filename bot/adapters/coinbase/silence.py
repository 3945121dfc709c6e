"""How long a feed's heart has been still, where time itself may stand still or jump."""

from __future__ import annotations

from typing import Final

STEP_S: Final = 1.0
"""Most real seconds that one look may add: a test venue moves in steps of a second, and a process that was stopped for
long has frames waiting that it must read before it judges."""


class Silence:
    """Seconds since the last heartbeat, counted at each look.

    Real time counts only up to a moment at which trading time was seen to have moved, since otherwise there was nothing
    to say; and never more of it than trading time that passed. Where both clocks are the machine's they count alike.
    """

    def __init__(self, beats: int, real_s: float, trading_s: float) -> None:
        self._beats = beats
        self._looked_s = real_s
        self._beat_s = self._moved_s = trading_s
        self._pending_s = 0.0
        self._still_s = 0.0

    def look(self, beats: int, real_s: float, trading_s: float) -> float:
        """beats: heartbeats so far; real_s, trading_s: both clocks now. Answers the seconds of silence that count."""
        self._pending_s = min(STEP_S, self._pending_s + real_s - self._looked_s)
        self._looked_s = real_s
        if beats != self._beats:
            self._beats, self._beat_s = beats, trading_s
            self._pending_s = self._still_s = 0.0
        elif trading_s > self._moved_s:
            self._still_s += self._pending_s
            self._pending_s = 0.0
        self._moved_s = trading_s
        return min(self._still_s, trading_s - self._beat_s)
