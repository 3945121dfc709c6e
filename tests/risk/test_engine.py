"""What risk approves never breaks a cap, never sells twice, and never grows with what is already at work."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.domain.decision import Reason, TradeProposal
from bot.domain.fees import assumed_rate, cost_with_fee
from bot.domain.holdings import sellable
from bot.domain.order import OrderKind, OrderState
from bot.domain.position import Exits
from bot.domain.product import Side
from bot.domain.snapshot import Halt, Snapshot
from bot.domain.state import Cooldown, HaltCause, Order
from bot.domain.value import replace
from bot.risk.engine import RiskEngine
from bot.risk.exposure import ExposureBook, exposure
from tests.builders import (
    NOW,
    balance,
    config,
    d,
    intent,
    market,
    minutes,
    order,
    pid,
    position,
    price,
    proposal,
    report,
    rule,
    size,
    snapshot,
    state,
    usd,
)

COINS = {"BTC-USD": "100", "ETH-USD": "10", "SOL-USD": "1.5", "DOGE-USD": "0.07"}
THEMES = {"majors": ["BTC-USD", "ETH-USD"], "memes": ["DOGE-USD"]}
RULES = config(tuple(COINS), THEMES, rules=[rule(max_new_per_cycle=9, budget_pct=12), rule("other")])
FEE = d("0.012")
CAPS = RULES.policy.risk

AMOUNT = st.decimals("0.01", "3000", places=2)
STATES = st.sampled_from([s for s in OrderState if s.is_working])


@st.composite
def wishes(draw: st.DrawFn) -> TradeProposal:
    name = draw(st.sampled_from(list(COINS)))
    if draw(st.booleans()):
        amount = draw(st.decimals("0.001", "5000", places=3))
        return TradeProposal(
            pid(name), Side.SELL, OrderKind.EXIT, usd(1), size(amount), price(COINS[name]), "dip", d(1)
        )
    return proposal(name, draw(AMOUNT), draw(st.sampled_from(["dip", "other"])), exits=Exits())


@st.composite
def orders(draw: st.DrawFn, number: int) -> Order:
    name = draw(st.sampled_from(list(COINS)))
    worth = draw(st.decimals("1", "400", places=2))
    side = draw(st.sampled_from(list(Side)))
    amount = (worth / d(COINS[name])).quantize(d("0.00001"))
    return order(name, side, amount, COINS[name], draw(STATES), cid=f"cid-{number}", intent=number)


@st.composite
def cycles(draw: st.DrawFn) -> Snapshot:
    held = []
    for name, bid in COINS.items():
        if draw(st.booleans()):
            worth = draw(st.decimals("0.5", "900", places=2))
            held.append(position(name, (worth / d(bid)).quantize(d("0.00001")), bid, rule="dip"))
    working = [draw(orders(number)) for number in range(1, draw(st.integers(1, 4)))]
    intents = [intent(o.intent, o.product, o.size.value, COINS[o.product], closed=True) for o in working]
    views = [market(name, bid, d(bid) + d("0.01")) for name, bid in COINS.items()]
    return snapshot(views, cash=draw(st.integers(1, 20_000)), account=state(held, working, intents))


def after(snap: Snapshot, wished: Sequence[TradeProposal]) -> tuple[ExposureBook, ExposureBook, Decimal]:
    """The book before, the book with every approved buy resting at its worst price, and equity."""
    before = exposure(snap, FEE)
    approved = [item.approved for item in RiskEngine(RULES).evaluate(wished, snap) if item.approved is not None]
    resting = {
        f"new-{n}": order(
            a.proposal.product, Side.BUY, a.size.value, a.worst_price.value, cid=f"new-{n}", intent=90 + n
        )
        for n, a in enumerate(approved)
        if a.proposal.side is Side.BUY
    }
    made = {90 + n: intent(90 + n, a.proposal.product, rule=a.proposal.rule) for n, a in enumerate(approved)}
    grown = replace(snap.state, orders={**snap.state.orders, **resting}, intents={**snap.state.intents, **made})
    assert snap.valuation.nlv is not None
    return before, exposure(replace(snap, state=grown), FEE), snap.valuation.nlv.amount


@settings(max_examples=150)
@given(cycles(), st.lists(wishes(), max_size=10))
def test_risk_never_lifts_exposure_past_a_cap(snap, wished):
    """Unless a falling market or an older order had it above already; then nothing is added."""
    before, then, equity = after(snap, wished)
    assert then.total <= max(before.total, CAPS.max_total_pct.fraction * equity)
    for base in {name.split("-")[0] for name in COINS}:
        assert then.asset(base) <= max(before.asset(base), CAPS.max_per_asset_pct.fraction * equity)
    for members in THEMES.values():
        bases = [name.split("-")[0] for name in members]
        assert then.group(bases) <= max(before.group(bases), CAPS.max_per_theme_pct.fraction * equity)
    assert then.rule("dip") <= max(before.rule("dip"), d("0.12") * equity)
    assert len(then.positions) <= max(len(before.positions), CAPS.max_open_positions)


@settings(max_examples=150)
@given(cycles(), st.lists(wishes(), max_size=10))
def test_never_more_is_sold_than_is_held_and_free(snap, wished):
    sold: dict[str, Decimal] = {}
    for item in RiskEngine(RULES).evaluate(wished, snap):
        if item.approved is not None and item.proposal.side is Side.SELL:
            name = item.proposal.product
            sold[name] = sold.get(name, d(0)) + item.approved.size.value
    for sold_id, amount in sold.items():
        free = sellable(snap, snap.state.positions[pid(sold_id)])
        assert amount <= free.value
        assert amount <= snap.balances[pid(sold_id).base].total


@settings(max_examples=100)
@given(cycles(), wishes(), orders(50))
def test_one_more_open_order_never_allows_more(snap, wish, extra):
    crowded = replace(snap, state=replace(snap.state, orders={**snap.state.orders, "extra": extra}))
    engine = RiskEngine(RULES)
    alone, beside = engine.evaluate([wish], snap)[0].approved, engine.evaluate([wish], crowded)[0].approved
    allowed = d(0) if alone is None else alone.size.value
    assert (d(0) if beside is None else beside.size.value) <= allowed


@settings(max_examples=100)
@given(cycles(), st.lists(wishes(), max_size=6))
def test_everything_approved_is_legal_and_its_cost_is_told_with_fees(snap, wished):
    rate = assumed_rate(snap.fees, RULES.policy.fees.worst_maker_pct, RULES.policy.fees.worst_taker_pct)
    for item in RiskEngine(RULES).evaluate(wished, snap):
        if item.approved is None:
            assert item.refusal is not None
            continue
        product = snap.markets[item.proposal.product].product
        assert product.illegal(item.approved.worst_price, item.approved.size) is None
        if item.proposal.side is Side.BUY:
            cost = cost_with_fee(product, item.approved.worst_price, item.approved.size, rate)
            assert item.approved.worst_quote == cost
            assert cost.amount <= item.proposal.size_quote.amount * (1 + rate)
            assert cost.amount <= snap.balances["USD"].available


@pytest.mark.parametrize("cash", [0, -1, -100_000])
def test_no_entry_passes_on_equity_that_is_not_positive(cash):
    (result,) = RiskEngine(RULES).evaluate([proposal()], snapshot([market()], cash=cash))
    assert result.refusal is not None
    assert result.refusal.reason is Reason.NLV_UNKNOWN


def test_each_proposal_sees_those_approved_before_it():
    """Two themes members at 10 % each do not fit a theme cap of 15 %."""
    roomy = config(tuple(COINS), THEMES, rules=[rule(max_new_per_cycle=9)], risk={"max_per_asset_pct": 10})
    snap = snapshot([market(name, bid) for name, bid in COINS.items()])
    first, second, third = RiskEngine(roomy).evaluate(
        [proposal("BTC-USD", 900), proposal("ETH-USD", 900), proposal("BTC-USD", 50)], snap
    )
    assert first.approved is not None
    assert second.approved is not None
    assert second.approved.worst_quote.amount <= 1500 - first.approved.worst_quote.amount
    assert third.refusal is not None
    assert third.refusal.reason is Reason.ALREADY_WORKING


def test_a_rule_gets_no_more_new_positions_a_cycle_than_it_may():
    first, second = RiskEngine(config()).evaluate(
        [proposal("BTC-USD"), proposal("ETH-USD")], snapshot([market(), market("ETH-USD")])
    )
    assert first.approved is not None
    assert second.refusal is not None
    assert second.refusal.reason is Reason.TRADE_PACING


def test_an_entry_is_sized_at_its_worst_price():
    (result,) = RiskEngine(RULES).evaluate([proposal(amount=100)], snapshot([market(bid=100, ask="100.02")]))
    assert result.approved is not None
    assert result.approved.worst_price == price("100.27"), "the ask, and 25 basis points"
    assert result.approved.size.value * d("100.27") <= 100


def test_an_exit_is_priced_below_the_bid_and_after_fees():
    held = snapshot([market()], account=state([position(amount=2)]))
    wish = TradeProposal(pid("BTC-USD"), Side.SELL, OrderKind.EXIT, usd(200), size(2), price(100), "dip", d(1))
    (result,) = RiskEngine(RULES).evaluate([wish], held)
    assert result.approved is not None
    assert result.approved.worst_price == price("98.5")
    assert result.approved.worst_quote == usd(197).times(1 - FEE)


@pytest.mark.parametrize("halted", [True, False])
def test_a_market_whose_price_step_is_above_its_price_is_refused_and_takes_no_exit_down_with_it(halted):
    """No legal price lies at or below such an ask: the venue's list was wrong or old."""
    doge = market("DOGE-USD", "0.07", "0.08")
    coarse = replace(doge, product=replace(doge.product, price_step=d("0.1")))
    views = [market("BTC-USD", "100", "100.01"), coarse]
    snap = snapshot(views, cash=5000, account=state([position("BTC-USD", 1, "100", rule="dip")], [], []))
    snap = replace(snap, halts=(Halt(HaltCause.EXIT_ONLY, "key", NOW),) if halted else ())
    leave = TradeProposal(
        pid("BTC-USD"), Side.SELL, OrderKind.EXIT, usd(1), size("1"), price("100"), "dip", d(1)
    )  # fmt: skip
    sold, bought = RiskEngine(RULES).evaluate((leave, proposal("DOGE-USD", 50, "dip")), snap)
    assert sold.approved is not None
    assert bought.refusal is not None
    assert bought.refusal.reason is (Reason.EXIT_ONLY if halted else Reason.DATA_FRESHNESS)


def test_a_usdc_listing_is_paid_from_the_usdc_wallet_and_capped_in_dollars():
    wish = proposal("BTC-USDC", 400)
    alias = market("BTC-USD", listing="BTC-USDC")
    (poor,) = RiskEngine(RULES).evaluate([wish], snapshot([alias]))
    assert poor.refusal is not None
    assert poor.refusal.reason in {Reason.DATA_FRESHNESS, Reason.CASH, Reason.RULE_BUDGET}
    (rich,) = RiskEngine(RULES).evaluate([wish], snapshot([alias], balances=[balance("USDC", 5000)]))
    assert rich.approved is not None
    assert rich.approved.worst_quote.currency == "USDC"


def test_a_foreign_order_on_the_alias_book_counts_against_the_same_coin():
    others = (report("BTC-USDC", amount=4, limit=100),)
    snap = snapshot([market()], balances=[balance("USDC", 1000)], external_orders=others)
    (result,) = RiskEngine(RULES).evaluate([proposal(amount=400)], snap)
    assert result.approved is not None
    assert result.approved.worst_quote.amount <= 11_000 * d("0.05") - d("404.8")


# ---------------------------------------------------------------------------------------------------- further attempts


def further(made: Any, *tried: Order, bid: Any = 100, **changes: Any):
    account = state(orders=tried, intents=[made], **changes)
    return RiskEngine(RULES).continuation(made, snapshot([market(bid=bid)], account=account))


def test_a_further_attempt_gets_only_what_is_left():
    tried = order(amount=4, state=OrderState.CANCELED, filled=size(1), booked=size(1), filled_value=d(100), fees=d(1))
    result = further(intent(amount=4, limit="101", worst_quote=d(450)), tried)
    assert result.approved is not None
    assert d("2.9") < result.approved.size.value <= 3


def test_a_further_attempt_never_costs_more_than_was_approved():
    tried = order(amount=4, state=OrderState.EXPIRED, filled=size(1), booked=size(1), filled_value=d(100), fees=d(1))
    result = further(intent(amount=4, limit="101", worst_quote=d(200)), tried)
    assert result.approved is not None
    assert result.approved.worst_quote.amount <= 99


def test_a_further_attempt_never_chases_the_price_beyond_what_was_decided():
    near = further(intent(amount=4, limit="100.10", worst_quote=d(450)))
    assert near.approved is not None
    assert near.approved.worst_price == price("100.10")
    gone = further(intent(amount=4, limit="100.10", worst_quote=d(450)), bid="100.11")
    assert gone.refusal is not None
    assert gone.refusal.reason is Reason.SLIPPAGE


@pytest.mark.parametrize("working", [OrderState.CANCEL_PENDING, OrderState.UNKNOWN, OrderState.OPEN])
def test_a_further_attempt_waits_for_the_one_before(working):
    result = further(intent(amount=4, limit=101, worst_quote=d(450)), order(amount=4, state=working))
    assert result.approved is None
    assert result.refusal is not None


def test_a_further_attempt_meets_no_cooldown_of_its_own_first_fill():
    pause = Cooldown(pid("BTC-USD"), "after_fill", NOW + minutes(30))
    assert further(intent(amount=4, limit=101, worst_quote=d(450)), cooldowns=(pause,)).approved is not None


def test_an_exit_is_tried_again_at_the_bid_of_now():
    made = intent(amount=2, side=Side.SELL, kind=OrderKind.EXIT)
    account = state([position(amount=2)], intents=[made])
    result = RiskEngine(RULES).continuation(made, snapshot([market(bid=50)], account=account))
    assert result.approved is not None
    assert (result.approved.size, result.approved.worst_price) == (size(2), price("49.25"))


def test_an_exits_attempts_never_sum_to_more_than_was_decided():
    made = intent(amount=2, side=Side.SELL, kind=OrderKind.EXIT)
    working = order(side=Side.SELL, amount="1.5")
    account = state([position(amount=5)], [working], [made])
    result = RiskEngine(RULES).continuation(made, snapshot([market()], account=account))
    assert result.approved is not None
    assert result.approved.size == size("0.5")


def test_the_engine_tells_what_the_halts_permit():
    assert RiskEngine(RULES).permission(snapshot()).entries
