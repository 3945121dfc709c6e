"""Hysteresis of eligibility: in after N good cycles in a row, out after M bad ones, remembered across cycles."""

from __future__ import annotations

from typing import Final

from bot.domain.decision import HysteresisCount
from bot.settings.universe import Hysteresis

NEVER_SEEN: Final = HysteresisCount(eligible=False, streak=0)


def step(before: HysteresisCount | None, meets: bool, policy: Hysteresis) -> HysteresisCount:
    """The memory after one more cycle. before: None for a market never seen. meets: every condition held this cycle.

    streak counts the consecutive cycles that disagree with `eligible`; the N-th good or M-th bad one turns it over.
    """
    known = before or NEVER_SEEN
    if meets == known.eligible:
        return HysteresisCount(known.eligible, 0)
    streak = known.streak + 1
    turns = streak >= (policy.leave_after if known.eligible else policy.enter_after)
    return HysteresisCount(meets, 0) if turns else HysteresisCount(known.eligible, streak)
