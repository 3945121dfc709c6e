"""What a decision was made under, told afterwards from its snapshot: the regime's numbers, and what was halted."""

from __future__ import annotations

from collections.abc import Iterator

from bot.domain.money import decimal_text
from bot.domain.snapshot import Halt, Snapshot
from bot.risk.halts import TABLE, Protective
from bot.settings.config import Config
from bot.settings.policy import RegimePolicy
from bot.triggers import regime

_STOPS = {
    Protective.STAY: "stops at the venue stay",
    Protective.CANCEL: "stops at the venue are cancelled",
    Protective.FLATTEN: "everything held is sold",
}


def regime_numbers(snap: Snapshot, config: Config) -> str:
    """What the regime was read from, and where the others begin; empty when it is not read."""
    policy = config.policy.regime
    if not policy.enabled:
        return "not read (regime.enabled: false)"
    leader = snap.markets.get(policy.product)
    found = regime.read(leader.windows if leader is not None else None, policy)
    if found.problem is not None:
        return found.problem.detail
    told = ", ".join(f"{name} {value}" for name, value in found.features.items())
    return f"{policy.product} {told} ({_limits(policy)})"


def restrictions(snap: Snapshot, config: Config) -> Iterator[str]:
    """Every halt the cycle saw: since when, why, what it permits, and what ends it."""
    for halt in snap.halts:
        yield _restriction(halt, config)


def _restriction(halt: Halt, config: Config) -> str:
    row = TABLE[halt.cause](halt, config.policy)
    name = halt.cause.value if halt.name in ("", halt.cause.value) else f"{halt.cause.value} {halt.name}"
    permits = (
        "no entries",
        "ours are cancelled" if row.cancel_entries else "ours keep working",
        _STOPS[row.protective],
        "exits go on" if row.exits else "no exit by the bot",
    )
    return f"{name} since {halt.since:%Y-%m-%d %H:%M:%S}: {halt.detail}; {', '.join(permits)}; ends with {row.ends}"


def _limits(policy: RegimePolicy) -> str:
    bull, bear, crash = (
        decimal_text(limit) for limit in (policy.bull_return_pct, policy.bear_return_pct, policy.crash_return_pct)
    )
    drop, wild = decimal_text(policy.crash_drop_60m_pct), decimal_text(policy.crash_volatility_pct)
    return (
        f"bull from {bull} %, bear from -{bear} %, crash from -{crash} %, a fall of {drop} % in 60 minutes "
        f"or a volatility of {wild} %"
    )
