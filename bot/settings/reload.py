"""The ratchet of a live reload: limits may only get stricter, and what is no limit stays as it is until a restart.

So a reload can never do more than the certified policy allowed. RATCHET says for each limit in which direction it may
move; a key that stands in no row may not change. `*` stands for any name: of a rule, tier, theme, breaker or regime.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum
from fnmatch import fnmatchcase
from typing import Any, Final

from pydantic import BaseModel

from bot.domain.money import Percent, decimal_text
from bot.settings.config import Config
from bot.settings.rules import Rule


class May(Enum):
    """How a key may move while live. `null` is off: the loosest value of a limit, and of a wait."""

    FALL = "may only fall"
    RISE = "may only rise"
    TURN_ON = "may only be turned on"
    TURN_OFF = "may only be turned off"
    SHRINK = "may only lose entries"
    NARROW = "may only name fewer (an empty list means all)"
    GROW = "may only gain entries"
    BE_SET = "may only be set when it was null"
    CHANGE = "may change"
    STAY = "may not change without a restart"


POLICY: Final[Mapping[May, str]] = {
    May.FALL: """
        data.max_quote_staleness_seconds data.max_stale_fraction data.max_bar_staleness_seconds
        data.product_max_age_minutes
        regime.size_multipliers.* triggers.max_triggers_per_cycle sizing.min_scale sizing.max_scale
        rules.*.size.pct_of_nlv rules.*.size.usd rules.*.budget_pct rules.*.max_new_per_cycle
        rules.*.stop_loss_pct rules.*.trailing_stop_pct rules.*.max_hold_minutes exits.trim_tolerance_pct
        risk.max_total_pct risk.max_per_asset_pct risk.max_per_theme_pct risk.max_open_positions
        risk.daily_stop_pct risk.weekly_stop_pct risk.max_drawdown_pct risk.loss_streak
        risk.approval_above_usd risk.approval_expires_minutes risk.max_entries_per_hour risk.max_entries_per_day
        risk.breakers.*.threshold
        execution.post_only_ttl_seconds execution.maker_max_reprices execution.max_slippage_bps
        execution.max_depth_share_pct execution.gtd_margin_seconds
        execution.governors.price_collar_pct execution.governors.orders_per_minute execution.governors.orders_per_day
        execution.governors.notional_per_day_usd execution.governors.same_side_repeats
        rate_limits.public_per_second rate_limits.private_per_second rate_limits.hourly
        clock.warn_ms clock.no_entries_ms clock.refuse_ms
        governance.certificate_days governance.canary_scale_pct governance.key_check_minutes
    """,
    May.RISE: """
        conviction.min_conviction rules.*.cooldown_minutes
        risk.cash_reserve_pct risk.cooldown_minutes risk.cooldown_after_stop_minutes risk.loss_streak_cooldown_minutes
        risk.min_exit_margin_pct risk.breakers.*.window_seconds risk.breakers.*.cooloff_seconds
        fees.worst_maker_pct fees.worst_taker_pct
        execution.governors.same_side_window_minutes execution.unknown_min_listings execution.unknown_min_seconds
        rate_limits.reserve_pct governance.rehearsal_hours governance.canary_hours
        state.retention_days state.fill_overlap_minutes state.transfer_after_seconds state.transfer_after_sweeps
    """,
    May.TURN_ON: """
        exits.resting_on_exchange exits.trim_to_cap risk.breakers.*.enabled risk.breakers.*.cancel_entries
        execution.use_preview
    """,
    May.TURN_OFF: "rules.*.enabled execution.taker_fallback execution.allow_market_orders",
    May.NARROW: "rules.*.tiers rules.*.regimes alerts.allowed_hosts",
    May.GROW: "exchange_status.stop_entries exchange_status.levels",
    May.BE_SET: "governance.portfolio_id",
    May.CHANGE: """
        loop.jitter_pct loop.cycle_budget_seconds rules.*.about
        alerts.dedupe_seconds alerts.escalate_after_seconds alerts.timeout_seconds alerts.outbox_limit
        state.cycles_kept paper.starting_cash.* backtest.*
    """,
}

UNIVERSE: Final[Mapping[May, str]] = {
    May.FALL: "tiers.*.base_size_pct tiers.*.max_spread_bps discovery.max_products hysteresis.leave_after",
    May.RISE: """
        tiers.*.min_volume_24h tiers.*.min_depth tiers.*.min_listed_days exclusions.temporary_ban_hours
        discovery.min_volume_24h hysteresis.enter_after min_eligible_assets
    """,
    May.TURN_OFF: "discovery.enabled",
    May.SHRINK: "quote_currencies tiers.*.products",
    May.GROW: "themes.* exclusions.never_trade exclusions.red_flags exclusions.flagged",
    May.BE_SET: "exclusions.watch_file",
}

RATCHET: Final[Mapping[str, May]] = {
    f"{file}: {pattern}": may
    for file, table in (("policy.yaml", POLICY), ("universe.yaml", UNIVERSE))
    for may, patterns in table.items()
    for pattern in patterns.split()
}

_ABSENT: Final = object()


def loosened(old: Config, new: Config) -> list[str]:
    """Every change that a live reload must refuse, one line each; empty when `new` only tightens `old`."""
    before, after = dict(_flat(old)), dict(_flat(new))
    found = []
    for key in sorted(before.keys() | after.keys()):
        was, now = before.get(key, _ABSENT), after.get(key, _ABSENT)
        if was != now and not _allowed(key, was, now):
            found.append(f"{key}: {_shown(was)} -> {_shown(now)}: {direction(key).value}")
    return found


def direction(key: str) -> May:
    """How a key, written as `policy.yaml: risk.max_total_pct`, may move while live."""
    return next((may for pattern, may in RATCHET.items() if fnmatchcase(key, pattern)), May.STAY)


def _allowed(key: str, was: Any, now: Any) -> bool:
    may = direction(key)
    if was is not _ABSENT and now is not _ABSENT:
        return _stricter(may, was, now)
    if key.startswith("policy.yaml: rules."):
        return True  # one line about the list of names says it
    # A new theme is one more cap, and a tier that is gone trades nothing; other names neither come nor go.
    came = was is _ABSENT and key.startswith("universe.yaml: themes.")
    return came or may is May.CHANGE or (now is _ABSENT and key.startswith("universe.yaml: tiers."))


def _stricter(may: May, was: Any, now: Any) -> bool:
    match may:
        case May.FALL:
            return now is not None and (was is None or now <= was)
        case May.RISE:
            return now is not None and (was is None or now >= was)
        case May.TURN_ON | May.TURN_OFF:
            return bool(now) is (may is May.TURN_ON)
        case May.SHRINK:
            return _all_in(now, was)
        case May.NARROW:
            return bool(now) and (not was or _all_in(now, was))
        case May.GROW:
            return _all_in(was, now)
        case May.BE_SET:
            return was is None
        case May.CHANGE | May.STAY:
            return may is May.CHANGE


def _all_in(few: tuple[object, ...], many: tuple[object, ...]) -> bool:
    return all(item in many for item in few)


def _flat(config: Config) -> Iterator[tuple[str, Any]]:
    """Every leaf of both files by its key; rules by name, and their order as a leaf of its own."""
    yield from _leaves("policy.yaml: ", config.policy)
    yield "policy.yaml: rules", tuple(rule.name for rule in config.policy.rules)
    yield from _leaves("universe.yaml: ", config.universe)


def _leaves(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    dot = "" if key.endswith(": ") else "."
    if isinstance(value, BaseModel) and not key.endswith(".when"):
        for name in type(value).model_fields:
            yield from _leaves(f"{key}{dot}{name}", getattr(value, name))
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _leaves(f"{key}{dot}{getattr(name, 'value', name)}", item)
    elif isinstance(value, tuple) and value and isinstance(value[0], Rule):
        for rule in value:
            yield from _leaves(f"{key}{dot}{rule.name}", rule)
    elif not (isinstance(value, tuple) and key.endswith(": rules")):
        yield key, value


def _shown(value: Any) -> str:
    if value is _ABSENT:
        return "(absent)"
    if isinstance(value, tuple):
        return f"[{', '.join(map(_shown, value))}]"
    if isinstance(value, BaseModel):
        return "(changed)"
    if isinstance(value, bool) or value is None:
        return str(value).lower().replace("none", "null")
    inner = value.value if isinstance(value, Percent | Enum) else value
    return decimal_text(inner) if hasattr(inner, "is_finite") else str(inner)
