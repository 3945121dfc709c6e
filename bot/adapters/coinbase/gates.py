"""What forbids a start: an account too small for a legal order, or a universe that the request budgets cannot carry."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from bot.adapters.coinbase.planner import Load, plan
from bot.domain.money import EXACT, ONE, ZERO, Money
from bot.domain.snapshot import Balance
from bot.errors import CriticalDataUnavailable, ExchangeError
from bot.ports import AccountReader
from bot.settings.config import Config
from bot.settings.feasibility import infeasible


def size_reasons(reader: AccountReader, config: Config, has_account: bool) -> list[str]:
    """Tiers and regimes in which no legal order exists at the account's present equity.

    Judged only where equity is known without prices: an account that holds cash alone, or the paper account's opening.
    A tier of which the venue lists nothing is only empty. A venue that cannot be reached now judges nothing here; sizes
    that are not legal are refused one by one anyway.
    """
    portfolio = config.policy.portfolio
    try:
        wallets = reader.balances() if has_account else ()
        cash = _cash(wallets, config) if has_account else sum(config.policy.paper.starting_cash.values(), ZERO)
        products = {product.id: product for product in reader.products()} if cash is not None else {}
    except (ExchangeError, CriticalDataUnavailable):
        return []
    if cash is None:
        return []
    listed = {
        number: tier for number, tier in config.universe.tiers.items() if not products.keys().isdisjoint(tier.products)
    }
    tradable = Config(config.policy, config.universe.model_copy(update={"tiers": listed}))
    return infeasible(tradable, Money(cash, portfolio.quote_currency), products)


def _cash(wallets: Sequence[Balance], config: Config) -> Decimal | None:
    """What the account is worth when it holds nothing but cash and stable coins; None otherwise."""
    portfolio, worth = config.policy.portfolio, ZERO
    for wallet in wallets:
        rate = ONE if wallet.currency == portfolio.quote_currency else portfolio.stable_values.get(wallet.currency)
        if rate is None and wallet.total > 0:
            return None
        worth = EXACT.add(worth, EXACT.multiply(wallet.total, rate or ZERO))
    return worth


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
