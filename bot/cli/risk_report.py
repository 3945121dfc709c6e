"""`bot risk-report`: the largest order, exposure and loss that the present configuration permits, in money."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from bot.cli.verb import Exit, Terminal, Verb, add_json, add_places
from bot.errors import GateRefused

if TYPE_CHECKING:
    from bot.domain.money import Money, Percent
    from bot.settings.config import Config
    from bot.settings.rules import Rule


def _arguments(parser: argparse.ArgumentParser) -> None:
    from bot.cli.show import positive

    add_places(parser)
    add_json(parser)
    parser.add_argument("--nlv", type=positive, metavar="USD", help="equity to reckon with; default: as last valued")


def _run(args: argparse.Namespace, terminal: Terminal) -> int:
    from bot.cli.place import config_of, followed
    from bot.cli.show import print_json, print_table
    from bot.domain.money import Money, decimal_text

    settings = followed(args, terminal)
    config = config_of(settings)
    equity = args.nlv
    if equity is None:
        from bot.cli.report import report_of

        known = report_of(settings)["equity"]
        if known is None:
            raise GateRefused([f"equity is not known in {settings.state_dir}: run the bot first, or give --nlv"])
        equity = Decimal(known)
    nlv = Money(equity, config.policy.portfolio.quote_currency)
    rows = list(lines(config, nlv))
    if args.json:
        print_json(terminal, {"equity": decimal_text(equity), "currency": nlv.currency, "lines": rows})
    else:
        print(f"with {nlv} of equity and configuration {config.config_hash[:8]} at most", file=terminal.out)
        print_table(terminal, rows, ("what", "amount", "pct", "because"), "")
    return Exit.FINE


Line = dict[str, Any]


def lines(config: Config, nlv: Money) -> Iterator[Line]:
    """Everything that bounds what can be bought and lost, largest figures of any rule, tier and regime."""
    risk, governors = config.policy.risk, config.policy.execution.governors
    yield _largest_order(config, nlv)
    yield _capped("one asset held", risk.max_per_asset_pct, nlv, "risk.max_per_asset_pct")
    for theme in config.universe.themes:
        yield _capped(f"theme {theme} held", risk.max_per_theme_pct, nlv, "risk.max_per_theme_pct")
    yield _capped("everything held", risk.max_total_pct, nlv, "risk.max_total_pct")
    yield _row(
        "bought and sold in a day", governors.notional_per_day_usd, None, "execution.governors.notional_per_day_usd"
    )
    yield _stop("lost in a day before entries stop", risk.daily_stop_pct, nlv, "risk.daily_stop_pct")
    yield _stop("lost in a week before entries stop", risk.weekly_stop_pct, nlv, "risk.weekly_stop_pct")
    yield _stop("lost from the peak before entries stop", risk.max_drawdown_pct, nlv, "risk.max_drawdown_pct")
    yield _all_stops(config, nlv)
    yield _capped("lost if everything held went to zero", risk.max_total_pct, nlv, "risk.max_total_pct")


def _largest_order(config: Config, nlv: Money) -> Line:
    """The largest entry any rule may ask for, under the caps that hold for one order."""
    tiers, risk = config.universe.tiers, config.policy.risk
    wishes = [
        (_largest_wish(rule, tier.base_size_pct, config, nlv), rule, number)
        for rule in config.policy.rules
        if rule.enabled
        for number, tier in tiers.items()
        if number in (rule.tiers or tiers)
    ]
    if not wishes:
        return _row("one entry", Decimal(0), nlv, "no enabled rule names a tier")
    amount, rule, number = max(wishes, key=lambda wish: wish[0])
    bounds = {
        f"rule {rule.name} in tier {number}, scaled up by regime and volatility": amount,
        "risk.max_per_asset_pct": risk.max_per_asset_pct.of(nlv).amount,
        "risk.max_total_pct": risk.max_total_pct.of(nlv).amount,
    }
    because = min(bounds, key=lambda key: bounds[key])
    return _row("one entry", bounds[because], nlv, because)


def _largest_wish(rule: Rule, base: Percent, config: Config, nlv: Money) -> Decimal:
    """base x the best regime multiplier x the largest volatility scale, within the rule's budget."""
    from bot.domain.decision import Regime
    from bot.domain.money import EXACT, ONE

    policy = config.policy
    regimes = [Regime.CHOP] if not policy.regime.enabled else list(rule.regimes or Regime)
    multipliers = policy.regime.size_multipliers
    growth = max(
        (multipliers.get(regime, Decimal(0)) for regime in regimes if regime is not Regime.CRASH), default=Decimal(0)
    )
    scaled = rule.scale_by_volatility and policy.sizing.target_volatility_pct is not None
    size = rule.size.usd if rule.size.usd is not None else (rule.size.pct_of_nlv or base).of(nlv).amount
    wish = EXACT.multiply(EXACT.multiply(size, growth), policy.sizing.max_scale if scaled else ONE)
    return wish if rule.budget_pct is None else min(wish, rule.budget_pct.of(nlv).amount)


def _all_stops(config: Config, nlv: Money) -> Line:
    """What is lost when every position is stopped out at once, at the widest stop, worst fees and exit slippage in."""
    from bot.domain.money import EXACT, HUNDRED

    policy = config.policy
    stops = [rule.stop_loss_pct for rule in policy.rules if rule.enabled]
    what = "lost if every stop is hit at once"
    if not stops or any(stop is None for stop in stops):
        return _capped(what, policy.risk.max_total_pct, nlv, "a rule without a stop, up to risk.max_total_pct")
    widest = max(stop.value for stop in stops if stop is not None)
    slip = EXACT.divide(policy.exits.max_slippage_bps, HUNDRED)
    pct = min(HUNDRED, widest + slip + policy.fees.worst_taker_pct.value * 2)
    held = policy.risk.max_total_pct.of(nlv).amount
    because = f"stop {widest} % + slippage {slip} % + fees, on risk.max_total_pct"
    return _row(what, EXACT.divide(EXACT.multiply(held, pct), HUNDRED), nlv, because)


def _capped(what: str, cap: Percent, nlv: Money, because: str) -> Line:
    return _row(what, cap.of(nlv).amount, nlv, because)


def _stop(what: str, stop: Percent | None, nlv: Money, key: str) -> Line:
    if stop is None:
        return {"what": what, "amount": "no limit", "pct": None, "because": f"{key} is off"}
    return _capped(what, stop, nlv, key)


def _row(what: str, amount: Decimal, nlv: Money | None, because: str) -> Line:
    from bot.domain.money import EXACT, HUNDRED, decimal_text, quantised

    pct = None if nlv is None else decimal_text(quantised(EXACT.divide(amount * HUNDRED, nlv.amount), 2))
    return {"what": what, "amount": decimal_text(quantised(amount, 2)), "pct": pct, "because": because}


VERB = Verb(
    "risk-report",
    "the largest order, exposure and loss the present configuration permits, in money",
    "bot risk-report\nbot risk-report --nlv 25000 --json",
    _arguments,
    _run,
)
