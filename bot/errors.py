"""The tree of errors; callers choose a reaction by type, never by message.

BotError
|- ConfigError                all problems at once, exit 2
|- GateRefused                every unmet gate listed, exit 3
|- LockHeld                   another instance, exit 4
|- CriticalDataUnavailable    NO_TRADE this cycle, with reason
|- UnitError                  our bug or nonsense from outside: refused at the edge, alert inside
|- IllegalTransition          an order event its state does not allow: reported, never applied
|- StateCorrupt               fall back a generation, else start halted
|- StorageFailed              a write or fsync failed: no entries, cancel, alert
|- CandlesCorrupt             file, row and reason, exit 2
`- ExchangeError
   |- Transient               reads: back off and retry
   |  `- RateLimited          wait `retry_after_s`
   |- Rejected                a definite refusal: record it, do not retry
   |- NotFound                nothing under that id (yet); never evidence of absence
   |- AuthRefused             persistent 401/403: exits only; at start exit 5
   `- OutcomeUnknown          an order left and no answer came: reconcile first
"""

from __future__ import annotations

from collections.abc import Sequence


class BotError(Exception):
    """Anything this bot raises on purpose."""


class ConfigError(BotError):
    """The configuration cannot be used; `problems` holds one plain line each. Exit 2."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class GateRefused(BotError):
    """A gate forbids this start; `reasons` lists every unmet one. Exit 3."""

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__("\n".join(reasons))
        self.reasons = tuple(reasons)


class LockHeld(BotError):
    """Another instance of the same env and mode runs; `holder` describes it. Exit 4."""

    def __init__(self, holder: str) -> None:
        super().__init__(f"another instance holds the lock: {holder}")
        self.holder = holder


class CriticalDataUnavailable(BotError):
    """Something a decision needs is missing, malformed, partial or contradictory: this cycle ends NO_TRADE."""

    def __init__(self, what: str, why: str) -> None:
        """why: may begin with `what`, as the error of a call does that is named after what it asks for."""
        why = why.removeprefix(f"{what}: ")
        super().__init__(f"{what}: {why}")
        self.what = what
        self.why = why


class UnitError(BotError, ValueError):
    """A number that cannot be what it claims to be, or two units that cannot be combined."""


class IllegalTransition(BotError):
    """An order event that the order's state does not allow; refused and reported, never applied."""


class StateCorrupt(BotError):
    """Durable state cannot be trusted: unreadable, newer, foreign, or contradicted by its checksum."""


class StorageFailed(BotError):
    """A write or fsync of durable state failed; entries stop until it works again."""


class CandlesCorrupt(BotError):
    """A candles file holds a row that cannot be a candle; names file, row and reason. row 0: the whole file. Exit 2."""

    def __init__(self, file: str, row: int, reason: str) -> None:
        super().__init__(f"{file}, row {row}: {reason}" if row else f"{file}: {reason}")
        self.file = file
        self.row = row
        self.reason = reason


class ExchangeError(BotError):
    """The exchange, or the way to it, did not give a usable answer."""


class Transient(ExchangeError):
    """A read failed in a way that may pass: timeout, 5xx, torn connection, unreadable answer."""


class RateLimited(Transient):
    """Throttled; nothing of the same class may be sent for `retry_after_s` seconds."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Rejected(ExchangeError):
    """A definite refusal: nothing was placed or changed. `reason` is the exchange's own name for it."""

    def __init__(self, reason: str, message: str = "") -> None:
        super().__init__(f"{reason}: {message}" if message else reason)
        self.reason = reason
        self.message = message


class NotFound(ExchangeError):
    """The exchange shows nothing under this id at this moment."""


class AuthRefused(ExchangeError):
    """Persistent 401 or 403: the key may not do this. Never retried."""


class OutcomeUnknown(ExchangeError):
    """An order left and no answer came. Reaction: look it up by client id; until then it counts as full exposure."""

    def __init__(self, client_order_id: str, why: str) -> None:
        super().__init__(f"no usable answer for order {client_order_id}: {why}")
        self.client_order_id = client_order_id
