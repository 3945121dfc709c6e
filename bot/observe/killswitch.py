"""What the kill switch path means, in words for the halt record."""

from __future__ import annotations

from bot.ports import KillProbe, KillState


def kill_reason(state: KillState) -> str:
    """Why the kill switch is considered on; empty when it is cleanly absent."""
    if state.probe is KillProbe.ABSENT:
        return ""
    if state.probe is KillProbe.UNREADABLE:
        return f"the kill switch path cannot be read ({state.reason or 'no answer'}), which counts as on"
    return state.reason or "KILL_SWITCH exists"
