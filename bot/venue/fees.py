"""Fee rates by trailing 30-day volume, recomputed on the hour as the venue does, or fixed."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final, Self

from bot.domain.money import ZERO, Percent
from bot.domain.value import Value
from bot.errors import UnitError
from bot.venue.exact import add, sub
from bot.venue.kept import KeptVolume

TRAILING: Final = timedelta(days=30)
HOUR: Final = timedelta(hours=1)
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Tier(Value):
    """Rates as fractions (0.005 = 0.5 %) from `volume_from` US dollars of trailing 30-day volume on."""

    name: str
    volume_from: Decimal
    maker: Decimal
    taker: Decimal


def _tier(name: str, volume_from: str, maker_pct: str, taker_pct: str) -> Tier:
    maker, taker = Percent(Decimal(maker_pct)).fraction, Percent(Decimal(taker_pct)).fraction
    return Tier(name, Decimal(volume_from), maker, taker)


LADDER: Final = (
    _tier("Intro", "0", "0.50", "0.90"),
    _tier("Tier 10K", "10000", "0.25", "0.40"),
    _tier("Tier 50K", "50000", "0.15", "0.25"),
    _tier("Tier 100K", "100000", "0.10", "0.20"),
    _tier("Tier 1M", "1000000", "0.08", "0.18"),
    _tier("Tier 15M", "15000000", "0.06", "0.16"),
    _tier("Tier 75M", "75000000", "0.03", "0.10"),
    _tier("Tier 250M", "250000000", "0", "0.06"),
    _tier("Tier 400M", "400000000", "0", "0.04"),
)
"""The US entry rates of 2026-09-16; the rungs above are the last published table, since the new ones are not public."""


class FeeSchedule(Value):
    """Tiers by ascending `volume_from`; one tier alone is a fixed fee. Raises UnitError when they do not start at 0."""

    tiers: tuple[Tier, ...] = LADDER

    def __post_init__(self) -> None:
        starts = [tier.volume_from for tier in self.tiers]
        if not starts or starts[0] != 0 or starts != sorted(set(starts)):
            raise UnitError(f"fee tiers must start at 0 and ascend, were {starts}")

    @classmethod
    def fixed(cls, maker_pct: Percent, taker_pct: Percent) -> Self:
        return cls((Tier("Fixed", ZERO, maker_pct.fraction, taker_pct.fraction),))

    @classmethod
    def entering_at(cls, maker_pct: Percent, taker_pct: Percent, above: Sequence[Tier] = LADDER[1:]) -> Self:
        """The ladder with other entry rates; a rung above never costs more than the entry."""
        entry = Tier("Intro", ZERO, maker_pct.fraction, taker_pct.fraction)
        capped = (Tier(t.name, t.volume_from, min(t.maker, entry.maker), min(t.taker, entry.taker)) for t in above)
        return cls((entry, *capped))

    def tier(self, volume: Decimal) -> Tier:
        """The tier of a trailing volume in US dollars."""
        reached = self.tiers[0]
        for tier in self.tiers:
            if tier.volume_from > volume:
                break
            reached = tier
        return reached


@dataclass(slots=True)
class VolumeMeter:
    """Trailing 30-day volume in US dollars as of the last full hour."""

    _fills: deque[tuple[datetime, Decimal]] = field(default_factory=deque)
    _young: deque[tuple[datetime, Decimal]] = field(default_factory=deque)
    _sum: Decimal = ZERO
    _until: datetime | None = None

    def add(self, at: datetime, dollars: Decimal) -> None:
        self._young.append((at, dollars))

    def keep(self) -> tuple[KeptVolume, ...]:
        """Every fill that may still count, oldest first."""
        return tuple(KeptVolume(at, dollars) for at, dollars in (*self._fills, *self._young))

    def total(self, now: datetime) -> Decimal:
        """Volume of the 30 days before the last full hour; fills since that hour do not count yet."""
        if self._until is not None and now < self._until:
            return self._sum
        hour = now - (now - EPOCH) % HOUR
        self._until = hour + HOUR
        while self._young and self._young[0][0] < hour:
            fill = self._young.popleft()
            self._fills.append(fill)
            self._sum = add(self._sum, fill[1])
        while self._fills and self._fills[0][0] < hour - TRAILING:
            self._sum = sub(self._sum, self._fills.popleft()[1])
        return self._sum
