"""A gate that lets a trade pass says what it compared: the number, the limit, and the key that sets it."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.domain.decision import Allow, Evaluated, Measure, TradeProposal
from bot.domain.order import OrderKind
from bot.domain.position import Exits
from bot.domain.product import Side
from bot.domain.snapshot import ClockSkew, Performance
from bot.risk.engine import RiskEngine
from tests.builders import config, d, market, pid, position, price, proposal, rule, size, snapshot, state, usd

RULES = config(
    rules=[rule(budget_pct=10)], risk={"approval_above_usd": 5000, "max_entries_per_hour": 4, "max_entries_per_day": 20}
)
CALM = snapshot(
    [market(), market("ETH-USD", bid=10)],
    skew=ClockSkew(12.34, 5),
    performance=Performance(d("-0.5"), d("-0.6"), d("-0.7")),
)


def judged(wish: TradeProposal | None = None) -> Evaluated:
    (result,) = RiskEngine(RULES).evaluate([wish or proposal()], CALM)
    return result


def allowed(result: Evaluated) -> dict[str, Allow]:
    return {item.gate: item.verdict for item in result.results if isinstance(item.verdict, Allow)}


def measures(result: Evaluated) -> list[tuple[str, Measure]]:
    return [(gate, measure) for gate, verdict in allowed(result).items() for measure in verdict.measured]


def test_every_gate_that_lets_an_entry_pass_says_what_it_saw():
    found = allowed(judged())
    assert len(found) == 22
    assert [name for name, verdict in found.items() if not (verdict.measured or verdict.note)] == []
    with_numbers = {name for name, verdict in found.items() if verdict.measured}
    assert with_numbers >= {
        "data_freshness", "clock", "loss_stops", "trade_pacing", "position_count", "per_asset_cap", "total_cap", "cash",
        "min_notional", "exit_guarantee", "human_approval",
    }  # fmt: skip


def test_every_key_a_gate_names_stands_in_the_policy():
    keys = {measure.key for _, measure in measures(judged()) if measure.key}
    assert len(keys) > 10
    for key in keys:
        section, name = key.removeprefix("rules.*.").rsplit(".", 1) if "*" not in key else ("", key.rsplit(".", 1)[1])
        node = getattr(RULES.policy, section) if section else RULES.policy.rules[0]
        assert hasattr(node, name), key


def test_the_cap_on_everything_counts_this_wish_with_its_fee():
    [total] = [measure for gate, measure in measures(judged()) if gate == "total_cap"]
    wish = proposal()
    assert wish.size_quote.amount < total.value < wish.size_quote.amount * d("1.02")
    nlv = CALM.valuation.nlv
    assert nlv is not None
    assert total.whole == nlv.amount
    assert total.limit == RULES.policy.risk.max_total_pct.of(nlv).amount


@given(st.integers(min_value=1, max_value=400_000))
@settings(max_examples=60, deadline=None)
def test_what_is_allowed_lies_within_every_limit_it_names(cents: int) -> None:
    """The number shown is the one the verdict rests on: nothing passes that its own line would forbid."""
    for gate, measure in measures(judged(proposal(amount=Decimal(cents) / 100))):
        if measure.limit is None:
            continue
        kept = measure.value >= measure.limit if measure.floor else measure.value <= measure.limit
        assert kept, f"{gate}: {measure}"


def test_an_exit_says_what_it_is_worth_and_that_nothing_forbids_it():
    held = snapshot([market()], account=state(positions=[position("BTC-USD", "1")]))
    wish = TradeProposal(
        pid("BTC-USD"), Side.SELL, OrderKind.EXIT, usd(100), size("1"), price(100), "dip", d(1), Exits()
    )  # fmt: skip
    (result,) = RiskEngine(RULES).evaluate([wish], held)
    found = allowed(result)
    assert set(found) == {
        "kill_switch", "halts", "product_status", "circuit_breakers", "quarantine", "min_notional",
    }  # fmt: skip
    assert all(verdict.measured or verdict.note for verdict in found.values())
