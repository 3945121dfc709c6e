"""What forbids a start: a key with the wrong powers, or a universe that the request budgets cannot carry."""

from __future__ import annotations

from collections.abc import Iterator

from bot.adapters.coinbase.planner import Load, plan
from bot.ports import KeyPermissions
from bot.settings.config import Config


def key_reasons(found: KeyPermissions, portfolio_id: str | None) -> Iterator[str]:
    """Why live may not run with this key. portfolio_id: the one expected; None: any."""
    if not found.can_view:
        yield "the API key may not view the account: give it the view permission"
    if not found.can_trade:
        yield "the API key may not trade: give it the trade permission"
    if found.can_transfer:
        yield "the API key may transfer money out: make one without the transfer permission"
    if portfolio_id is not None and found.portfolio_uuid != portfolio_id:
        yield f"the API key sees portfolio {found.portfolio_uuid}, governance.portfolio_id is {portfolio_id}"


def plan_reasons(config: Config) -> tuple[str, ...]:
    """Why the configured universe cannot be watched within `rate_limits`, with the feed up."""
    policy, universe = config.policy, config.universe
    markets = sum(len(tier.products) for tier in universe.tiers.values())
    if universe.discovery.enabled:
        markets += universe.discovery.max_products
    load = Load(
        markets=max(1, markets),
        cycle_s=policy.loop.interval_seconds,
        granularity=policy.data.bar_granularity,
        product_s=policy.data.product_max_age_minutes * 30,
        clock_s=policy.clock.check_seconds,
        quotes_by_rest=0,
    )
    return plan(load, policy.rate_limits).problems
