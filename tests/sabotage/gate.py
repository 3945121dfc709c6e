"""Mistakes that `backtest gate` has to notice: in what is known, decided, sized, filled, paid and counted."""

from __future__ import annotations

from typing import Final

from tests.sabotage.mistakes import Mistake

CONTROL: Final = "backtest gate"
GATE: Final = ("-m", "backtest", "gate", "--out", "out/gate.json")


def _mistake(name: str, story: str, path: str, old: str, new: str) -> Mistake:
    return Mistake(f"gate-{name}", story, CONTROL, path, old, new, GATE)


MISTAKES: Final = (
    _mistake(
        "looks-one-bar-ahead",
        "an index off by one lets decisions see the bar that has only begun",
        "backtest/market.py",
        "t = newest - segment.first\n",
        "t = min(newest - segment.first + 1, len(segment.columns.series) - 1)\n",
    ),
    _mistake(
        "fees-off",
        "fills are booked without their fee, and every strategy looks better than it is",
        "bot/venue/books.py",
        "take.size, value, mul(value, rate), liquidity",
        "take.size, value, mul(value, rate - rate), liquidity",
    ),
    _mistake(
        "takers-pay-as-makers",
        "the cheaper rate is charged for orders that take",
        "bot/venue/books.py",
        "record.maker_rate if liquidity is Liquidity.MAKER else record.taker_rate",
        "record.maker_rate",
    ),
    _mistake(
        "touch-is-a-fill",
        "a resting order fills as soon as the price touches it, as it seldom does in a queue",
        "bot/venue/matching.py",
        "return limit if extreme != limit and reaches(side, limit, extreme) else None",
        "return limit if reaches(side, limit, extreme) else None",
    ),
    _mistake(
        "whole-volume",
        "an order may take all that traded in a bar",
        "bot/venue/matching.py",
        "floor_to(mul(volume, rules.participation_pct.fraction), product.size_step)",
        "floor_to(volume, product.size_step)",
    ),
    _mistake(
        "stop-fills-too-well",
        "a stop is filled at the better of opening and trigger, gaps cost nothing",
        "bot/venue/matching.py",
        "return min(view.reference, stop) if view.low <= stop else None",
        "return max(view.reference, stop) if view.low <= stop else None",
    ),
    _mistake(
        "slippage-in-our-favour",
        "selling at once fetches more than the touch, by a flipped sign",
        "bot/venue/matching.py",
        "price = worse_sell(mul(first, sub(ONE, slip)), product.price_step)\n    return Offer(price if "
        "limit is None else max(price, limit), size)",
        "price = worse_sell(mul(first, add(ONE, slip)), product.price_step)\n    return Offer(price if "
        "limit is None else max(price, limit), size)",
    ),
    _mistake(
        "one-bar-late",
        "orders reach the venue one bar later than the policy says",
        "bot/venue/rules.py",
        "latency_bars=policy.latency_bars",
        "latency_bars=policy.latency_bars + 1",
    ),
    _mistake(
        "asset-cap-ignored",
        "the cap on one coin is read from the cap on everything",
        "bot/risk/gates_limits.py",
        "cap = ctx.cap(ctx.policy.risk.max_per_asset_pct)",
        "cap = ctx.cap(ctx.policy.risk.max_total_pct)",
    ),
    _mistake(
        "theme-cap-ignored",
        "what a theme holds already is not counted against its cap",
        "bot/risk/gates_limits.py",
        "_within(want, ctx, cap, worst, Reason.THEME_CAP",
        "_within(want, ctx, cap, ZERO, Reason.THEME_CAP",
    ),
    _mistake(
        "total-cap-ignored",
        "what is held already is not counted against the cap on everything",
        "bot/risk/gates_limits.py",
        "book.total, Reason.TOTAL_CAP",
        "ZERO, Reason.TOTAL_CAP",
    ),
    _mistake(
        "rule-budget-ignored",
        "a rule may spend its whole budget again with every entry",
        "bot/risk/gates_limits.py",
        "book.rule(rule.name), Reason.RULE_BUDGET",
        "ZERO, Reason.RULE_BUDGET",
    ),
    _mistake(
        "one-place-too-many",
        "a comparison off by one allows one position more than the limit",
        "bot/risk/gates_limits.py",
        "if want.base in book.positions or taken < limit:",
        "if want.base in book.positions or taken <= limit:",
    ),
    _mistake(
        "reserve-spent",
        "the cash reserve is free to be spent",
        "bot/risk/gates_limits.py",
        "EXACT.subtract(EXACT.subtract(free, promised), reserve)",
        "EXACT.subtract(free, promised)",
    ),
    _mistake(
        "cooldown-off",
        "a coin may be bought again right after a fill of it",
        "bot/risk/gates_limits.py",
        "pause = blocking(ctx.snap.state.cooldowns, want.base, ctx.snap.now)",
        "pause = blocking((), want.base, ctx.snap.now)",
    ),
    _mistake(
        "stop-out-forgotten",
        "after a stop-out the short pause counts instead of the long one",
        "bot/risk/cooldowns.py",
        "minutes = policy.cooldown_after_stop_minutes if stopped_out else policy.cooldown_minutes",
        "minutes = policy.cooldown_minutes",
    ),
    _mistake(
        "pacing-off",
        "entries of the last hour are counted over an hour that lies ahead",
        "bot/risk/gates_limits.py",
        "since = ctx.snap.now - span",
        "since = ctx.snap.now + span",
    ),
    _mistake(
        "breakers-open-nothing",
        "a breaker that opened for a time counts as closed at once",
        "bot/domain/state.py",
        "return breaker.open and (breaker.until is None or now < breaker.until)",
        "return breaker.open and breaker.until is None",
    ),
    _mistake(
        "loss-stop-too-far",
        "the daily loss that halts is read ten times too large",
        "bot/risk/stops.py",
        "limit is None or figure > -limit.value:",
        "limit is None or figure > -limit.value * 10:",
    ),
    _mistake(
        "no-approval-asked",
        "only small entries wait for a person, large ones go through",
        "bot/risk/approval.py",
        "if worth is not None and worth <= limit:",
        "if worth is not None and worth >= limit:",
    ),
    _mistake(
        "rounds-up",
        "sizes round up to the next step and cost more than was granted",
        "bot/domain/fees.py",
        "return Size(EXACT.multiply(EXACT.divide_int(gross.amount, step_cost), product.size_step))",
        "return Size(EXACT.multiply(EXACT.divide_int(gross.amount, step_cost) + 1, product.size_step))",
    ),
    _mistake(
        "stop-sign-flipped",
        "the stop lies above the entry instead of below it",
        "bot/domain/exit_levels.py",
        "stop = _moved(entry, asked.stop_loss_pct, Decimal(-1))",
        "stop = _moved(entry, asked.stop_loss_pct, Decimal(1))",
    ),
    _mistake(
        "target-sign-flipped",
        "the target lies below the entry instead of above it",
        "bot/domain/exit_levels.py",
        "target=_moved(entry, asked.take_profit_pct, Decimal(1))",
        "target=_moved(entry, asked.take_profit_pct, Decimal(-1))",
    ),
    _mistake(
        "trail-does-not-follow",
        "the trailing stop stays where it was at the entry",
        "bot/domain/exit_levels.py",
        "trail = _moved(high, asked.trailing_stop_pct",
        "trail = _moved(entry, asked.trailing_stop_pct",
    ),
    _mistake(
        "holds-for-ever",
        "the longest holding time is counted in hours instead of minutes",
        "bot/rules/exits.py",
        ">= timedelta(minutes=limit)",
        ">= timedelta(hours=limit)",
    ),
    _mistake(
        "double-size",
        "the volatility scale is counted twice, entries are larger than meant",
        "bot/rules/sizing.py",
        "amount = EXACT.divide(EXACT.multiply(base.amount, factor), value)",
        "amount = EXACT.divide(EXACT.multiply(base.amount, factor + factor), value)",
    ),
    _mistake(
        "breakout-of-itself",
        "the high of the present bar counts as a former high, and nothing breaks out",
        "bot/triggers/breakout.py",
        "ceiling is None or close is None or close < ceiling",
        "ceiling is None or close is None or close <= ceiling * 2",
    ),
    _mistake(
        "momentum-backwards",
        "a falling market counts as momentum, by operands the wrong way round",
        "bot/triggers/momentum.py",
        "not at_least((close - start) * 100, start, params.threshold_pct)",
        "not at_least((start - close) * 100, start, params.threshold_pct)",
    ),
    _mistake(
        "gives-up-at-once",
        "an entry that its first quote did not fill is given up, although the policy allows two more",
        "bot/execution/routing.py",
        "makers <= execution.maker_max_reprices",
        "makers < execution.maker_max_reprices - 1",
    ),
    _mistake(
        "believes-bad-ticks",
        "a print far from the last price is accepted like any other",
        "bot/observe/ticks.py",
        "if known is None or _near(mid, known.price, known.price, limit):",
        "if known is None or known.price > 0:",
    ),
    _mistake(
        "curve-without-fees",
        "the equity curve forgets the fees that the ledger knows",
        "backtest/curve.py",
        "EXACT.add(fill.value, fill.fee) if fill.side is Side.BUY else EXACT.subtract(fill.fee, fill.value)",
        "fill.value if fill.side is Side.BUY else EXACT.subtract(ZERO, fill.value)",
    ),
    _mistake(
        "flat-trades-win",
        "the hit rate counts every trade that was not the worst",
        "backtest/tradestats.py",
        "[gain for gain in gains if gain > 0], [-gain",
        "[gain for gain in gains if gain > min(gains)], [-gain",
    ),
    _mistake(
        "drawdown-from-the-start",
        "drawdown is measured from the opening equity instead of the peak",
        "backtest/metrics.py",
        "np.maximum.accumulate(np.maximum(series.equity, series.opening))",
        "np.maximum(series.equity[0], series.opening)",
    ),
)
