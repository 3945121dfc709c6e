"""What must fit together across keys: contradictions are refused at start, each with its numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import combinations, pairwise
from typing import Final

from bot.domain.bars import Granularity
from bot.domain.money import EXACT, Percent, decimal_text
from bot.domain.product import ProductId
from bot.domain.value import Value
from bot.settings.barfit import unseen
from bot.settings.config import Config
from bot.settings.policy import Policy
from bot.settings.rules import Rule
from bot.settings.strict_yaml import KeyPath
from bot.settings.universe import Universe
from bot.settings.windows import leading_windows, leaves, longest_lookback_minutes, product_windows, uneven

POLICY: Final = "policy.yaml"
UNIVERSE: Final = "universe.yaml"

ENTRY_BARS_LONG: Final = 10
"""An entry still being re-quoted after so many bars (or cycles, when those are longer) chases a signal that is gone."""
ENTRY_BARS_MAX: Final = 60
"""After so many it has nothing to do with the signal any more."""
SWEEP_CALLS: Final = 3
"""Accounts, orders and fills: one page each when little happens."""
CALLS_PER_ENTRY: Final = 4
"""Preview, place, cancel or re-quote, and reading the order."""


class Conflict(Value):
    """Two or more keys that cannot both hold; `path` is the one to look at first."""

    file: str
    path: KeyPath
    text: str


def conflicts(config: Config) -> list[Conflict]:
    """Everything in the two files that does not fit together; empty when they do."""
    return [conflict for check in CHECKS for conflict in check(config.policy, config.universe)]


def warnings(config: Config) -> list[str]:
    """What is allowed but hardly meant; one line each, for the log at start and `bot check`."""
    policy, universe = config.policy, config.universe
    found = []
    if not any(rule.enabled for rule in policy.rules):
        found.append("policy.yaml: no rule is enabled: the bot will only manage what it holds")
    if not any(tier.products for tier in universe.tiers.values()) and not universe.discovery.enabled:
        found.append("universe.yaml: no product is listed and discovery is off: nothing can be entered")
    found += [
        f"policy.yaml: risk.{key} is off: losses of that kind stop nothing"
        for key in ("daily_stop_pct", "weekly_stop_pct", "max_drawdown_pct")
        if getattr(policy.risk, key) is None
    ]
    for rule in policy.rules:
        if rule.enabled:
            found += [f"policy.yaml: rule {rule.name}: {text}" for text in _doubts(rule, policy, universe)]
    if (slow := _too_long(policy, ENTRY_BARS_LONG)) is not None:
        found.append(f"policy.yaml: execution.post_only_ttl_seconds: {slow}")
    found += [f"policy.yaml: {text}" for text in (*unseen(policy), *waits_longer(policy, policy.data.bar_granularity))]
    quotes = universe.quote_currencies
    wrong = [product for tier in universe.tiers.values() for product in tier.products if product.quote not in quotes]
    if wrong:
        found.append(f"universe.yaml: {', '.join(wrong)}: not in quote_currencies {', '.join(quotes)}, never entered")
    return found


def _doubts(rule: Rule, policy: Policy, universe: Universe) -> Iterator[str]:
    size, cap = rule.size.pct_of_nlv, policy.risk.max_per_asset_pct
    if size is not None and size.value > cap.value:
        yield f"asks for {size} of NLV, more than risk.max_per_asset_pct {cap}: every order will be cut to the cap"
    if rule.stop_loss_pct is None and rule.trailing_stop_pct is None:
        yield "has neither stop_loss_pct nor trailing_stop_pct: a loss has no end"
    if strangers := [str(tier) for tier in rule.tiers if tier not in universe.tiers]:
        yield f"names tier {', '.join(strangers)}, which is not in universe.yaml"
    for kind in dict.fromkeys(leaf.trigger for leaf in leaves(rule.when) if not leaf.overrides.get("enabled")):
        section = policy.triggers.section(kind)
        if not section.enabled and not any(section.in_regime(regime).enabled for regime in section.by_regime):
            yield f"names the trigger {kind.value}, which is disabled and so never fires"


def waits_longer(policy: Policy, bar: Granularity) -> Iterator[str]:
    """With several of these bars of latency an order would be taken back before it reaches the venue of a backtest."""
    bars, execution = policy.backtest.latency_bars, policy.execution
    arriving = Decimal(bars * bar.value)
    for key in ("post_only_ttl_seconds", "submitted_timeout_seconds"):
        waits = getattr(execution, key)
        if bars > 1 and waits < arriving:
            needs = f"an order takes {bars} bars, {decimal_text(arriving)} s, to arrive and be seen"
            instead = f"execution.{key} is {decimal_text(waits)} s, so a backtest waits as long as that"
            yield f"backtest.latency_bars: {needs}; {instead}"


def _caps_nest(policy: Policy, _: Universe) -> Iterator[Conflict]:
    risk = policy.risk
    chain = [
        ("max_per_asset_pct", risk.max_per_asset_pct),
        ("max_per_theme_pct", risk.max_per_theme_pct),
        ("max_total_pct", risk.max_total_pct),
    ]
    for (small_key, small), (large_key, large) in pairwise(chain):
        if small.value > large.value:
            yield _risk(small_key, f"{small} is more than risk.{large_key} {large}: a part cannot exceed its whole")


def _stops_nest(policy: Policy, _: Universe) -> Iterator[Conflict]:
    risk = policy.risk
    keys = ("daily_stop_pct", "weekly_stop_pct", "max_drawdown_pct")
    given: list[tuple[str, Percent]] = [(key, stop) for key in keys if (stop := getattr(risk, key)) is not None]
    for (short_key, short), (long_key, long) in pairwise(given):
        if short.value > long.value:
            yield _risk(short_key, f"{short} is more than risk.{long_key} {long}: the longer stop would act first")


def _sizes_fit(policy: Policy, universe: Universe) -> Iterator[Conflict]:
    cap = policy.risk.max_per_asset_pct
    for number, tier in universe.tiers.items():
        if tier.base_size_pct.value > cap.value:
            text = (
                f"{tier.base_size_pct} is more than risk.max_per_asset_pct {cap}: no order of this tier could be whole"
            )
            yield Conflict(UNIVERSE, ("tiers", number, "base_size_pct"), text)
        if tier.base_size_pct.value == 0:
            yield Conflict(UNIVERSE, ("tiers", number, "base_size_pct"), "0 % buys nothing; remove the tier instead")


def _positions_fit(policy: Policy, universe: Universe) -> Iterator[Conflict]:
    sizes = [tier.base_size_pct.value for tier in universe.tiers.values()]
    sizes += [rule.size.pct_of_nlv.value for rule in policy.rules if rule.enabled and rule.size.pct_of_nlv is not None]
    if not sizes:
        return
    count, smallest = policy.risk.max_open_positions, min(sizes)
    if count * smallest > policy.risk.max_total_pct.value:
        total = decimal_text(count * smallest)
        text = f"{count} positions of the smallest size {decimal_text(smallest)} % need {total} %, "
        yield _risk("max_open_positions", f"{text}more than risk.max_total_pct {policy.risk.max_total_pct}")


def round_trip_pct(policy: Policy, spread_bps: Decimal) -> Decimal:
    """Percent of notional that one entry and one exit may cost: worst fees and one whole spread.

    The entry pays the maker rate only when the policy lets it do nothing else; the exit may always take.
    """
    fees, execution = policy.fees, policy.execution
    maker = execution.default_order_type == "limit_post_only" and not execution.taker_fallback
    entry = fees.worst_maker_pct if maker else fees.worst_taker_pct
    return entry.value + fees.worst_taker_pct.value + EXACT.divide(spread_bps, Decimal(100))


def _exits_pay(policy: Policy, universe: Universe) -> Iterator[Conflict]:
    for number, rule in enumerate(policy.rules):
        tiers = [universe.tiers[tier] for tier in rule.tiers or universe.tiers if tier in universe.tiers]
        if not rule.enabled or not tiers:
            continue
        spread = max(tier.max_spread_bps for tier in tiers)
        cost = round_trip_pct(policy, spread)
        for key in ("stop_loss_pct", "take_profit_pct"):
            exit_pct: Percent | None = getattr(rule, key)
            if exit_pct is not None and exit_pct.value <= cost:
                what = f"worst fees and the {decimal_text(spread)} bps spread its tiers allow"
                text = f"{exit_pct} does not exceed a round trip of {decimal_text(cost)} % ({what})"
                yield _rule(number, rule, key, text)


def _requotes_fit(policy: Policy, _: Universe) -> Iterator[Conflict]:
    if (text := _too_long(policy, ENTRY_BARS_MAX)) is not None:
        yield Conflict(POLICY, ("execution", "post_only_ttl_seconds"), text)


def _too_long(policy: Policy, bars: int) -> str | None:
    """How long an entry may be quoted, when that is more than so many bars or cycles."""
    execution = policy.execution
    seconds = execution.post_only_ttl_seconds * (execution.maker_max_reprices + 1)
    limit = bars * max(Decimal(policy.data.bar_granularity.value), policy.loop.interval_seconds)
    if execution.default_order_type != "limit_post_only" or seconds <= limit:
        return None
    text = f"{decimal_text(execution.post_only_ttl_seconds)} s x {execution.maker_max_reprices + 1} quotes is "
    return f"{text}{decimal_text(seconds)} s, more than {bars} bars or cycles ({decimal_text(limit)} s)"


def _quotes_are_fresh(policy: Policy, _: Universe) -> Iterator[Conflict]:
    stale, interval = policy.data.max_quote_staleness_seconds, policy.loop.interval_seconds
    if stale >= interval:
        text = f"{decimal_text(stale)} s must be less than loop.interval_seconds {decimal_text(interval)}: "
        yield Conflict(POLICY, ("data", "max_quote_staleness_seconds"), f"{text}a quote may not outlive its cycle")


def _deadlines_fit(policy: Policy, _: Universe) -> Iterator[Conflict]:
    wait = policy.transport
    slowest = max(wait.connect_timeout_seconds, wait.read_timeout_seconds)
    if slowest > wait.total_deadline_seconds:
        text = f"{decimal_text(wait.total_deadline_seconds)} s is less than one timeout of {decimal_text(slowest)} s"
        yield Conflict(POLICY, ("transport", "total_deadline_seconds"), text)
    clock = policy.clock
    if not clock.warn_ms <= clock.no_entries_ms <= clock.refuse_ms:
        steps = " <= ".join(decimal_text(ms) for ms in (clock.warn_ms, clock.no_entries_ms, clock.refuse_ms))
        yield Conflict(POLICY, ("clock",), f"warn_ms <= no_entries_ms <= refuse_ms must hold, was {steps}")
    sizing = policy.sizing
    if sizing.min_scale > sizing.max_scale:
        text = f"{decimal_text(sizing.min_scale)} is more than max_scale {decimal_text(sizing.max_scale)}"
        yield Conflict(POLICY, ("sizing", "min_scale"), text)


def _members_are_known(_: Policy, universe: Universe) -> Iterator[Conflict]:
    listed = {product for tier in universe.tiers.values() for product in tier.products}
    for theme, members in universe.themes.items():
        strangers = [member for member in members if member not in listed]
        if strangers and not universe.discovery.enabled:
            text = f"{', '.join(strangers)} stand in no tier and discovery is off"
            yield Conflict(UNIVERSE, ("themes", theme), text)


def _never_means_never(_: Policy, universe: Universe) -> Iterator[Conflict]:
    never = set(universe.exclusions.never_trade)
    for number, tier in universe.tiers.items():
        if both := [product for product in tier.products if product in never]:
            text = f"{', '.join(both)} stand in exclusions.never_trade as well: remove one of the two"
            yield Conflict(UNIVERSE, ("tiers", number, "products"), text)


def _one_tier_each(_: Policy, universe: Universe) -> Iterator[Conflict]:
    for first, second in combinations(sorted(universe.tiers), 2):
        both = sorted(set(universe.tiers[first].products) & set(universe.tiers[second].products))
        if both:
            text = f"{', '.join(both)} stand in tier {first} as well: a product has one tier"
            yield Conflict(UNIVERSE, ("tiers", second, "products"), text)
    for number, tier in universe.tiers.items():
        if twice := _twice(tier.products):
            yield Conflict(UNIVERSE, ("tiers", number, "products"), f"{', '.join(twice)} are written twice")


def _twice(products: tuple[ProductId, ...]) -> list[str]:
    return sorted({product for product in products if products.count(product) > 1})


def _rules_are_whole(policy: Policy, universe: Universe) -> Iterator[Conflict]:
    names = [rule.name for rule in policy.rules]
    for number, rule in enumerate(policy.rules):
        if rule.name in names[:number]:
            yield _rule(number, rule, "name", "an earlier rule has the same name: reasons and budgets are kept by name")
        if rule.enabled and rule.tiers and not set(rule.tiers) & universe.tiers.keys():
            known = ", ".join(map(str, sorted(universe.tiers))) or "none"
            named = ", ".join(map(str, rule.tiers))
            yield _rule(number, rule, "tiers", f"none of tier {named} is in universe.yaml (known: {known})")
    if universe.discovery.enabled and universe.discovery.tier not in universe.tiers:
        text = f"tier {universe.discovery.tier} does not exist: discovered products would have no limits"
        yield Conflict(UNIVERSE, ("discovery", "tier"), text)


def _calls_fit(policy: Policy, universe: Universe) -> Iterator[Conflict]:
    """The calls of one cycle; what they add up to in an hour depends on the venue and is asked at the start."""
    limits, share = policy.rate_limits, 1 - policy.rate_limits.reserve_pct.fraction
    orders = min(sum(rule.max_new_per_cycle for rule in policy.rules if rule.enabled), policy.risk.max_open_positions)
    private = Decimal(2 * SWEEP_CALLS + CALLS_PER_ENTRY * orders)
    room = limits.private_per_second * share * policy.loop.cycle_budget_seconds
    if private > room:
        text = f"{_count(private)} private calls in one cycle exceed {_count(room)} within loop.cycle_budget_seconds"
        yield Conflict(POLICY, ("rate_limits", "private_per_second"), text)
    products = sum(len(tier.products) for tier in universe.tiers.values())
    products += universe.discovery.max_products if universe.discovery.enabled else 0
    room = limits.public_per_second * share * policy.loop.cycle_budget_seconds
    if products * 2 > room:
        text = f"{products} products need {products * 2} public calls in a cycle without the feed (book and bars), "
        text += f"more than {_count(room)} within loop.cycle_budget_seconds"
        yield Conflict(POLICY, ("rate_limits", "public_per_second"), text)


def _count(value: Decimal) -> str:
    return str(int(value.to_integral_value()))


def _warm_up_covers(policy: Policy, _: Universe) -> Iterator[Conflict]:
    needed = longest_lookback_minutes(policy)
    if policy.data.warmup_minutes < needed:
        windows = [*leading_windows(policy), *product_windows(policy)]
        longest = max(windows, key=lambda window: window[1])[0]
        text = f"{policy.data.warmup_minutes} is less than {needed}, which {'.'.join(map(str, longest))} needs"
        yield Conflict(POLICY, ("data", "warmup_minutes"), text)


def _windows_are_whole_bars(policy: Policy, _: Universe) -> Iterator[Conflict]:
    bar = policy.data.bar_granularity
    for path, minutes in dict.fromkeys([*leading_windows(policy), *product_windows(policy)]):
        if uneven(minutes, bar):
            text = f"{minutes} minutes is not a whole number of {bar.name} bars"
            hint = ": write null to turn this window off" if path[-1] == "pct_15m" else ""
            yield Conflict(POLICY, path, text + hint)


def _risk(key: str, text: str) -> Conflict:
    return Conflict(POLICY, ("risk", key), text)


def _rule(number: int, rule: Rule, key: str, text: str) -> Conflict:
    return Conflict(POLICY, ("rules", number, key), f"rule {rule.name}: {text}")


CHECKS: Final[tuple[Callable[[Policy, Universe], Iterator[Conflict]], ...]] = (
    _caps_nest,
    _stops_nest,
    _sizes_fit,
    _positions_fit,
    _exits_pay,
    _requotes_fit,
    _quotes_are_fresh,
    _deadlines_fit,
    _members_are_known,
    _never_means_never,
    _one_tier_each,
    _rules_are_whole,
    _calls_fit,
    _warm_up_covers,
    _windows_are_whole_bars,
)
