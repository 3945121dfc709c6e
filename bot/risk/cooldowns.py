"""Cooldowns: a pause per product after any fill, longer after a stop-out, for everything after a losing streak."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from bot.domain.money import ZERO
from bot.domain.product import ProductId
from bot.domain.state import Cooldown
from bot.settings.policy import RiskPolicy

AFTER_FILL, AFTER_STOP, AFTER_STREAK = "after_fill", "after_stop", "loss_streak"


def after_fill(product: ProductId, now: datetime, stopped_out: bool, policy: RiskPolicy) -> Cooldown | None:
    """The pause of one product after a fill at `now`; None when the policy has none."""
    minutes = policy.cooldown_after_stop_minutes if stopped_out else policy.cooldown_minutes
    longest = max(minutes, policy.cooldown_minutes)
    return _cooldown(product, AFTER_STOP if stopped_out else AFTER_FILL, now, longest)


def after_streak(losses: int, now: datetime, policy: RiskPolicy) -> Cooldown | None:
    """The pause of everything once `losses` closed trades in a row lost; None below the limit or when it is off."""
    if policy.loss_streak is None or losses < policy.loss_streak:
        return None
    return _cooldown(None, AFTER_STREAK, now, policy.loss_streak_cooldown_minutes)


def blocking(cooldowns: tuple[Cooldown, ...], base: str, now: datetime) -> Cooldown | None:
    """The cooldown that keeps a base currency from being entered at `now` and ends last, if there is any."""
    holding = [c for c in cooldowns if now < c.until and (c.product is None or c.product.base == base)]
    return max(holding, key=_until) if holding else None


def _until(cooldown: Cooldown) -> datetime:
    return cooldown.until


def _cooldown(product: ProductId | None, reason: str, now: datetime, minutes: Decimal) -> Cooldown | None:
    if minutes <= ZERO:
        return None
    return Cooldown(product, reason, now + timedelta(seconds=int(-(-minutes * 60 // 1))))
