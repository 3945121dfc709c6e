"""Which observed conditions halt trading now: a pure list of Halts from what the loop knows besides its state."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final

from bot.domain.money import decimal_text
from bot.domain.snapshot import ClockSkew, Halt, Valuation
from bot.domain.state import HaltCause
from bot.domain.value import Value
from bot.settings.policy import ClockPolicy


class Conditions(Value):
    """Facts outside the durable state that may halt. Empty texts are conditions that do not hold.

    exit_only: unmet gates at a start with our own orders or positions at stake. pending: unexplained differences.
    """

    kill: str = ""
    storage: str = ""
    auth: str = ""
    start: str = ""
    shutdown: str = ""
    exit_only: tuple[str, ...] = ()
    pending: Mapping[str, Decimal] | None = None
    valuation: Valuation | None = None
    skew: ClockSkew | None = None


Cause = tuple[HaltCause, str]
"""A cause that holds, and its detail."""


def halts(found: Iterable[Cause], now: datetime, known: Mapping[str, tuple[datetime, str]]) -> tuple[Halt, ...]:
    """The halts of these causes; one that was in force before keeps its beginning.

    known: cause -> when the halt of that cause began that is in force, and its detail.
    """
    return tuple([Halt(cause, told, known.get(cause.value, (now, ""))[0]) for cause, told in found])


_BY_TEXT: Final = (
    HaltCause.KILL_SWITCH,
    HaltCause.STORAGE,
    HaltCause.START_HALTED,
    HaltCause.AUTH_DEGRADED,
    HaltCause.EXIT_ONLY,
    HaltCause.SHUTDOWN,
)
"""Causes that hold while there is a text for them."""


def causes(facts: Conditions, policy: ClockPolicy) -> Sequence[Cause]:
    """What halts trading under these conditions."""
    gates = "; ".join(facts.exit_only) if facts.exit_only else ""
    texts = facts.kill, facts.storage, facts.start, facts.auth, gates, facts.shutdown
    found = [pair for pair in zip(_BY_TEXT, texts, strict=True) if pair[1]] if any(texts) else []
    if facts.pending:
        amounts = ", ".join(f"{decimal_text(amount)} {currency}" for currency, amount in facts.pending.items())
        found.append((HaltCause.RECONCILE_PENDING, f"books and exchange differ by {amounts}, not yet explained"))
    if facts.valuation is not None and facts.valuation.nlv is None:
        found.append((HaltCause.NLV_UNKNOWN, facts.valuation.problem or "no valuation"))
    if facts.skew is not None and facts.skew.ms and facts.skew.samples >= policy.min_samples:
        found.extend(_skewed(facts.skew, policy))
    return found


def _skewed(skew: ClockSkew, policy: ClockPolicy) -> Iterator[Cause]:
    """Beyond the first limit nothing is entered, beyond the second nothing is sent at all."""
    for cause, limit in (
        (HaltCause.CLOCK_REFUSED, policy.refuse_ms),
        (HaltCause.CLOCK_SKEW, policy.no_entries_ms),
    ):
        if abs(skew.ms) > float(limit):
            yield cause, f"our clock is {skew.ms:+.0f} ms from the exchange's, limit {limit} ms"
            return
