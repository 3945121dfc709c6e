"""Reads now and then what the API key may do: a key can lose its powers, or gain dangerous ones, while the bot runs."""

from __future__ import annotations

from datetime import datetime, timedelta

from bot.errors import CriticalDataUnavailable, ExchangeError
from bot.ports import AccountReader, Clock
from bot.settings.policy import GovernancePolicy


class KeyWatch:
    """What the key lacks, or has too much of, as last read. A start has just checked it: the first look is later."""

    def __init__(self, policy: GovernancePolicy, started_at: datetime) -> None:
        self._policy = policy
        self._looked_at = started_at
        self._problems: tuple[str, ...] = ()

    def configure(self, policy: GovernancePolicy) -> None:
        """Look as often, and for the portfolio, that this says."""
        self._policy = policy

    def problems(self, reader: AccountReader, clock: Clock) -> tuple[str, ...]:
        """Looked up again every `key_check_minutes`, and at every call while there are some.

        A failed read changes nothing: a key that is refused everywhere shows in every other read.
        """
        now = clock.now()
        due = now - self._looked_at >= timedelta(minutes=float(self._policy.key_check_minutes))
        if due or self._problems:
            self._looked_at = now
            try:
                found = reader.key_permissions()
            except (ExchangeError, CriticalDataUnavailable):
                return self._problems
            self._problems = tuple(found.problems(self._policy.portfolio_id))
        return self._problems
