"""Gates that ask how much: pacing, cooldowns, bans, budgets, caps, cash, and what the venue would take."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from bot.domain.decision import Allow, Clamp, Measure, Reason, Reject, Verdict
from bot.domain.fees import get_min_gross_size, largest_sale, net_of
from bot.domain.holdings import sellable
from bot.domain.money import EXACT, HUNDRED, ONE, ZERO, Money, Price, Size, decimal_text
from bot.domain.order import OrderState
from bot.domain.product import Product
from bot.risk.context import Candidate, RiskContext, percent_of
from bot.risk.cooldowns import blocking
from bot.risk.exposure import ExposureBook
from bot.settings.rules import Rule

COUNTED: Final = Allow(note="a further attempt of an entry that was counted when it was approved")
NO_PAUSE: Final = Allow(note="neither it nor everything pauses")
NO_BAN: Final = Allow(note="neither banned nor in never_trade")
BOOKS_AGREE: Final = Allow(note="books and account agree about it")
OURS: Final = Allow(note="quarantined, and ours to sell by our books")
NO_BUDGET: Final = Allow(note="its rule has no budget of its own")
NO_THEME: Final = Allow(note="it is in no theme")


def trade_pacing(want: Candidate, book: ExposureBook, ctx: RiskContext) -> Verdict:
    """One entry at a time per coin, so many new ones per rule and cycle, per hour and per day.

    A further attempt of an approved intent is no new entry; it only must not overlap with the one before.
    """
    working = book.working.get(want.base)
    if working is not None:
        return _one_at_a_time(want, working)
    if want.continues is not None:
        return COUNTED
    rule, made = ctx.policy.rule(want.proposal.rule), book.entries.get(want.proposal.rule, 0)
    if rule is not None and made >= rule.max_new_per_cycle:
        told = f"rule {rule.name} has {made} new this cycle, max_new_per_cycle {rule.max_new_per_cycle}"
        return Reject(Reason.TRADE_PACING, told)
    return _too_many(book, ctx, rule)


def cooldowns(want: Candidate, _book: ExposureBook, ctx: RiskContext) -> Verdict:
    if want.continues is not None:
        return COUNTED
    pause = blocking(ctx.snap.state.cooldowns, want.base, ctx.snap.now)
    if pause is None:
        return NO_PAUSE
    whom = pause.product or "everything"
    return Reject(Reason.COOLDOWN, f"{whom} pauses ({pause.reason}) until {pause.until:%Y-%m-%d %H:%M:%S}")


def bans(want: Candidate, _book: ExposureBook, ctx: RiskContext) -> Verdict:
    product = want.proposal.product
    if any(never.base == want.base for never in ctx.universe.exclusions.never_trade):
        return Reject(Reason.NEVER_TRADE, f"{product} is in never_trade; edit universe.yaml to change that")
    for ban in ctx.snap.state.bans.values():
        if ban.product.base == want.base and ctx.snap.now < ban.until:
            return Reject(
                Reason.BANNED, f"{ban.product} is banned for {ban.kind} ({ban.source}) until {ban.until:%Y-%m-%d %H:%M}"
            )
    return NO_BAN


def quarantine(want: Candidate, _book: ExposureBook, ctx: RiskContext) -> Verdict:
    """No entry while books and account disagree about a coin; an exit only of what our books say is ours to sell."""
    why = next((why for product, why in ctx.snap.state.quarantined.items() if product.base == want.base), None)
    if why is None:
        return BOOKS_AGREE
    ours = any(p.managed and p.product.base == want.base for p in ctx.snap.state.positions.values())
    if not want.is_entry and ours:
        return OURS
    return Reject(Reason.QUARANTINED, f"{want.proposal.product}: {why}; bot adopt or bot ignore ends it")


def rule_budget(want: Candidate, book: ExposureBook, ctx: RiskContext) -> Verdict:
    rule = ctx.policy.rule(want.proposal.rule)
    if rule is None:
        return Reject(Reason.RULE_BUDGET, f"rule {want.proposal.rule!r} is not in the policy any more")
    if rule.budget_pct is None:
        return NO_BUDGET
    cap = ctx.cap(rule.budget_pct)
    what = f"budget of rule {rule.name}"
    return _within(want, ctx, cap, book.rule(rule.name), Reason.RULE_BUDGET, what, "rules.*.budget_pct")


def position_count(want: Candidate, book: ExposureBook, ctx: RiskContext) -> Verdict:
    limit, taken = ctx.policy.risk.max_open_positions, len(book.positions)
    if want.base in book.positions or taken < limit:
        with_this = len(book.positions | {want.base})
        return Allow((Measure("positions with it", Decimal(with_this), Decimal(limit), key="risk.max_open_positions"),))
    return Reject(Reason.POSITION_COUNT, f"{taken} positions are open or opening, limit {limit}; one must close first")


def per_asset_cap(want: Candidate, book: ExposureBook, ctx: RiskContext) -> Verdict:
    cap = ctx.cap(ctx.policy.risk.max_per_asset_pct)
    what = f"cap per asset, {want.base}"
    return _within(want, ctx, cap, book.asset(want.base), Reason.PER_ASSET_CAP, what, "risk.max_per_asset_pct")


def theme_cap(want: Candidate, book: ExposureBook, ctx: RiskContext) -> Verdict:
    """The fullest of the product's themes decides."""
    fullest, worst = None, ZERO
    for name, members in ctx.universe.themes.items():
        bases = {member.base for member in members}
        if want.base in bases and (fullest is None or book.group(bases) > worst):
            fullest, worst = name, book.group(bases)
    if fullest is None:
        return NO_THEME
    cap = ctx.cap(ctx.policy.risk.max_per_theme_pct)
    return _within(want, ctx, cap, worst, Reason.THEME_CAP, f"cap of theme {fullest}", "risk.max_per_theme_pct")


def total_cap(want: Candidate, book: ExposureBook, ctx: RiskContext) -> Verdict:
    cap = ctx.cap(ctx.policy.risk.max_total_pct)
    return _within(want, ctx, cap, book.total, Reason.TOTAL_CAP, "cap on everything held", "risk.max_total_pct")


def cash(want: Candidate, book: ExposureBook, ctx: RiskContext) -> Verdict:
    """What is free in the product's own quote wallet, less what is promised and a reserve."""
    product = want.product
    value = ctx.value_of(want.size_quote.currency)
    if product is None or ctx.equity is None or value is None:
        return _unpriced(want)
    reserve = EXACT.divide(ctx.policy.risk.cash_reserve_pct.of(ctx.equity).amount, value)
    free, promised = ctx.snap.available(product.quote), book.promised.get(product.quote, ZERO)
    left = EXACT.subtract(EXACT.subtract(free, promised), reserve)
    room = net_of(product, Money(left, product.quote), ctx.rate)
    if want.size_quote <= room:
        return Allow((Measure("cost with its fee", _cost(want, ctx), left, product.quote, "risk.cash_reserve_pct"),))
    text = f"{_text(free)} {product.quote} free, {_text(promised)} promised, {_text(reserve)} kept in reserve"
    return _narrowed(want, room, Reason.CASH, text)


def min_notional(want: Candidate, book: ExposureBook, ctx: RiskContext) -> Verdict:
    """A legal size must be left: for an entry after every clamp and its fee, for an exit of what may be sold."""
    if want.product is None:
        return _unpriced(want)
    return _entry_legal(want, ctx, want.product) if want.is_entry else _exit_legal(want, book, ctx, want.product)


def exit_guarantee(want: Candidate, _book: ExposureBook, ctx: RiskContext) -> Verdict:
    """What this buys must still be sellable after a fall to its stop, or by `min_exit_margin_pct` if that is more."""
    size, quote, product = want.entry_size, want.quote, want.product
    if size is None or quote is None or product is None:
        return _unpriced(want)
    fall = max(ctx.policy.risk.min_exit_margin_pct.value, want.proposal.exits.stop_loss_pct or ZERO)
    left = EXACT.divide(EXACT.subtract(HUNDRED, fall), HUNDRED)
    worth = product.notional(quote.bid, size).times(left)
    if worth.amount >= product.quote_min and size.value >= product.base_min:
        return Allow(
            (
                Measure("worth after the fall to survive", worth.amount, product.quote_min, product.quote, floor=True),
                Measure("size", size.value, product.base_min, product.base, floor=True),
            )
        )
    least = f"{_text(product.quote_min)} {product.quote}"
    return Reject(
        Reason.EXIT_GUARANTEE,
        f"{size} {product.base} would be worth {_text(worth.amount)} {product.quote} after a fall of {_text(fall)} %, "
        f"the venue takes no less than {least}; a larger size would pass",
    )


def exit_size(want: Candidate, book: ExposureBook, ctx: RiskContext) -> Size:
    """What of an exit's wish may be sold: held, not on offer, not approved for sale earlier in this cycle."""
    wanted = want.proposal.size_base or Size.zero()
    offered = book.sold.get(want.base, ZERO)
    positions = (p for p in ctx.snap.state.positions.values() if p.managed and p.product.base == want.base)
    free = [sellable(ctx.snap, position).value for position in positions]
    return Size(max(ZERO, min(wanted.value, EXACT.subtract(max(free, default=ZERO), offered))))


def _one_at_a_time(want: Candidate, working: OrderState) -> Reject:
    if working is OrderState.UNKNOWN:
        return Reject(Reason.ORDER_UNRESOLVED, f"a buy of {want.base} has no known outcome; wait until it is resolved")
    return Reject(Reason.ALREADY_WORKING, f"a buy of {want.base} is {working.value}; one entry at a time")


def _too_many(book: ExposureBook, ctx: RiskContext, rule: Rule | None) -> Verdict:
    """Of all rules together; and how many the rule has made, which was few enough."""
    approved, (hour, day) = book.entries_approved, ctx.entered
    limits = (
        ("hour", hour, ctx.policy.risk.max_entries_per_hour, "risk.max_entries_per_hour"),
        ("day", day, ctx.policy.risk.max_entries_per_day, "risk.max_entries_per_day"),
    )
    measured = []
    for name, before, limit, key in limits:
        count = before + approved
        if limit is not None and count >= limit:
            return Reject(Reason.TRADE_PACING, f"{count} entries within the last {name}, limit {limit}")
        most = None if limit is None else Decimal(limit)
        measured.append(Measure(f"entries of the {name} with it", Decimal(count + 1), most, key=key))
    if rule is not None:
        made, most = Decimal(book.entries.get(rule.name, 0) + 1), Decimal(rule.max_new_per_cycle)
        measured.append(Measure("of its rule in this cycle", made, most, key="rules.*.max_new_per_cycle"))
    return Allow(tuple(measured))


def _within(
    want: Candidate, ctx: RiskContext, cap: Money, used: Decimal, reason: Reason, what: str, key: str
) -> Verdict:
    """Room under a cap, brought into the wish's currency, its fee set aside."""
    value = ctx.value_of(want.size_quote.currency)
    if want.product is None or ctx.equity is None or value is None:
        return _unpriced(want)
    gross = Money(EXACT.divide(EXACT.subtract(cap.amount, used), value), want.size_quote.currency)
    room = net_of(want.product, gross, ctx.rate)
    if want.size_quote.amount <= room.amount:
        after = EXACT.add(used, EXACT.multiply(_cost(want, ctx), value))
        return Allow((Measure(what, after, cap.amount, cap.currency, key, whole=ctx.equity.amount),))
    shares = f"{_text(percent_of(used, ctx.equity))} % of {_text(percent_of(cap.amount, ctx.equity))} % of equity"
    text = (
        f"{what}: {_text(used)} of {_text(cap.amount)} {cap.currency} ({shares}) used by holdings, open buys and "
        "this cycle"
    )
    return _narrowed(want, room, reason, text)


def _cost(want: Candidate, ctx: RiskContext) -> Decimal:
    """What the wish takes from the wallet with its fee, in its quote currency."""
    return EXACT.multiply(want.size_quote.amount, EXACT.add(ONE, ctx.rate))


def _narrowed(want: Candidate, room: Money, reason: Reason, text: str) -> Clamp | Reject:
    """A wish that is larger than the room there is."""
    if room.is_positive:
        return Clamp(room, reason, f"{text}; room for {room} before fees, wanted {want.size_quote}")
    return Reject(reason, f"{text}; no room for {want.size_quote}")


def _entry_legal(want: Candidate, ctx: RiskContext, product: Product) -> Verdict:
    worst, quote = want.worst, want.quote
    if worst is None or quote is None:
        return _unpriced(want)
    if quote.bid > worst:
        return Reject(Reason.SLIPPAGE, f"bid {quote.bid} is above the worst price {worst} this entry was decided at")
    if (size := want.entry_size) is not None:
        return _legal(product, size, min(quote.bid, worst))
    least = get_min_gross_size(product, min(quote.bid, worst), ctx.rate)
    return Reject(
        Reason.MIN_NOTIONAL,
        f"{want.size_quote} buys no legal size of {product.id} at {worst}, the least is {least} with fees; "
        "a larger size or looser cap would pass",
    )


def _exit_legal(want: Candidate, book: ExposureBook, ctx: RiskContext, product: Product) -> Verdict:
    free, worst, wanted = exit_size(want, book, ctx), want.worst, want.proposal.size_base
    if free.is_zero or worst is None:
        return Reject(
            Reason.NOTHING_TO_SELL, f"no {want.base} is held and free of other offers, wanted to sell {wanted}"
        )
    if (legal := largest_sale(product, free, worst)) is None:
        return Reject(
            Reason.MIN_NOTIONAL, f"{free} {want.base} at {worst} is below what the venue takes of {product.id}: dust"
        )
    if wanted is not None and legal < wanted:
        most = product.notional(want.proposal.reference, legal)
        return Clamp(most, Reason.NOTHING_TO_SELL, f"{legal} of {wanted} {want.base} is free and sellable")
    return _legal(product, legal, worst)


def _legal(product: Product, size: Size, price: Price) -> Allow:
    worth = product.notional(price, size).amount
    return Allow(
        (
            Measure("worth", worth, product.quote_min, product.quote, floor=True),
            Measure("size", size.value, product.base_min, product.base, floor=True),
        )
    )


def _unpriced(want: Candidate) -> Reject:
    return Reject(Reason.DATA_FRESHNESS, f"{want.proposal.product} cannot be priced in this cycle")


def _text(value: Decimal) -> str:
    """Cents for people; records keep the exact numbers elsewhere."""
    return decimal_text(value.quantize(Decimal("0.01")))
