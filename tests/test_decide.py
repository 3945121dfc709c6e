"""One snapshot, one decision: what it says, why, and that it says the same every time."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from bot.decide import decide
from bot.domain.codec import canonical, decode, encode
from bot.domain.decision import Decision, ExitReason, HysteresisCount, Outcome, Reason, Regime
from bot.domain.snapshot import Environment, Halt, Mode, Snapshot, Valuation
from bot.domain.state import HaltCause
from bot.domain.value import replace
from bot.settings.config import Config
from bot.triggers.indicators import LiveWindows
from tests.builders import NOW, config, market, pid, position, rule, series, snapshot, state, universe

FLAT = [10_000] * 1441
QUIET_DAY = [10_000, 10_010] * 720 + [10_000]
BREAKING = [*FLAT, 10_300]
RULES = config(regime={"enabled": False}, sizing={"target_volatility_pct": None})


def bars(closes: list[int], name: str = "BTC-USD") -> LiveWindows:
    volumes = [100] * (len(closes) - 1) + [9_000]
    return LiveWindows(series(closes, name, volumes))


def breaking(name: str = "BTC-USD") -> Any:
    return market(name, bid="103", windows=bars(BREAKING, name))


def quiet(name: str = "BTC-USD") -> Any:
    return market(name, windows=LiveWindows(series(QUIET_DAY, name)))


def cycle(*views: Any, **changes: Any) -> Snapshot:
    return snapshot(views or [breaking(), quiet("ETH-USD")], **changes)


def verdict(snap: Snapshot, rules: Config = RULES) -> tuple[Outcome, Reason | None]:
    decision = decide(snap, rules)
    return decision.outcome, decision.reason


def test_a_breakout_in_a_healthy_market_is_bought():
    decision = decide(cycle(), RULES)
    assert (decision.outcome, decision.reason) == (Outcome.TRADED, None)
    (approved,) = decision.approved
    assert approved.proposal.product == "BTC-USD"
    assert approved.proposal.rule == "dip"
    assert decision.detail == f"BUY {approved.size} BTC-USD"
    assert decision.config_hash == RULES.config_hash
    assert decision.eligible == ("BTC-USD", "ETH-USD")


def test_the_same_snapshot_gives_the_same_decision_byte_for_byte():
    account = state([position("ETH-USD", at=200, stop_loss_pct=5)])
    snap = cycle(account=account)
    first = canonical(encode(decide(snap, RULES)))
    assert canonical(encode(decide(snap, RULES))) == first
    again = pickle.loads(pickle.dumps(replace(snap, markets={})))
    rebuilt = cycle(account=account)
    assert canonical(encode(decide(replace(again, markets=rebuilt.markets), RULES))) == first


def test_the_order_in_which_facts_arrived_does_not_matter():
    views = [breaking(), breaking("ETH-USD"), quiet("SOL-USD")]
    rules = config(
        ("BTC-USD", "ETH-USD", "SOL-USD"), regime={"enabled": False}, rules=[rule(max_new_per_cycle=5)],
        risk={"max_total_pct": 7, "max_per_asset_pct": 5, "max_per_theme_pct": 6},
    )  # fmt: skip
    one, other = (canonical(encode(decide(snapshot(order), rules))) for order in (views, views[::-1]))
    assert one == other


def test_a_decision_survives_its_record():
    decision = decide(cycle(account=state([position("ETH-USD", at=200, stop_loss_pct=5)])), RULES)
    assert decode(Decision, encode(decision)) == decision


def test_exits_come_before_entries():
    decision = decide(cycle(account=state([position("ETH-USD", at=200, stop_loss_pct=5)])), RULES)
    assert [item.proposal.exit_reason for item in decision.evaluated] == [ExitReason.STOP_LOSS, None]
    assert len(decision.approved) == 2


UNKNOWN = Valuation(None, (), "ETH: no price of ETH-USD seen yet")


@pytest.mark.parametrize(
    ("snap", "rules", "reason"),
    [
        (cycle(quiet()), RULES, Reason.NO_SIGNAL),
        (cycle(), config(regime={"enabled": False}, rules=[rule(when={"any": ["momentum"]})]), Reason.NO_RULE_HOLDS),
        (
            cycle(),
            config(regime={"enabled": False}, conviction={"min_conviction": 1, "w_confidence": 0}),
            Reason.BELOW_MIN_CONVICTION,
        ),
        (cycle(valuation=UNKNOWN), RULES, Reason.NLV_UNKNOWN),
        (cycle(cash=0), RULES, Reason.NLV_UNKNOWN),
        (cycle(market(bid=None)), RULES, Reason.TOO_FEW_ELIGIBLE),
        (cycle(market(windows="flat")), config(), Reason.DATA_UNAVAILABLE),
        (cycle(market(windows=None)), config(), Reason.BARS_MISSING),
        (cycle(env=Environment.PRODUCTION, mode=Mode.PAPER), RULES, Reason.ENVIRONMENT),
        (cycle(account=state([position(amount="0.1", managed=False)])), RULES, Reason.ALREADY_HELD),
        (cycle(service=True), RULES, Reason.NO_SIGNAL),
    ],
    ids=lambda value: value.value if isinstance(value, Reason) else "",
)
def test_no_trade_has_the_reason_that_tells_it_best(snap, rules, reason):
    assert verdict(snap, rules) == (Outcome.NO_TRADE, reason)
    assert decide(snap, rules).detail


def test_several_reasons_at_once_are_all_rejected():
    rules = config(
        ("BTC-USD", "ETH-USD"), regime={"enabled": False}, rules=[rule(max_new_per_cycle=1)],
        risk={"max_open_positions": 1},
    )  # fmt: skip
    account = state([position("BTC-USD", "0.1", at=103)])
    snap = cycle(breaking(), breaking("ETH-USD"), account=account)
    assert verdict(snap, rules) == (Outcome.NO_TRADE, Reason.ALL_REJECTED)


def test_a_crash_opens_nothing_and_still_sells():
    fell = [*FLAT, 9_300]
    rules = config(("BTC-USD", "ETH-USD"))
    crash = cycle(market(bid="93", windows=bars(fell)), quiet("ETH-USD"))
    assert verdict(crash, rules) == (Outcome.NO_TRADE, Reason.REGIME_CRASH)
    assert decide(crash, rules).regime is Regime.CRASH
    held = cycle(
        market(bid="93", windows=bars(fell)), quiet("ETH-USD"), account=state([position(at=100, stop_loss_pct=5)])
    )
    assert [a.proposal.exit_reason for a in decide(held, rules).approved] == [ExitReason.STOP_LOSS]


def halted(*causes: HaltCause, **changes: Any) -> Snapshot:
    return cycle(halts=tuple(Halt(cause, "because", NOW) for cause in causes), **changes)


@pytest.mark.parametrize(
    ("causes", "outcome", "reason"),
    [
        ([HaltCause.KILL_SWITCH], Outcome.HALTED, Reason.KILL_SWITCH),
        ([HaltCause.SHUTDOWN], Outcome.HALTED, Reason.SHUTTING_DOWN),
        ([HaltCause.DAILY_STOP], Outcome.EXIT_ONLY, Reason.DAILY_STOP),
        ([HaltCause.AUTH_DEGRADED], Outcome.EXIT_ONLY, Reason.EXIT_ONLY),
        ([HaltCause.DAILY_STOP, HaltCause.KILL_SWITCH], Outcome.HALTED, Reason.KILL_SWITCH),
    ],
)
def test_a_halt_decides_the_cycle_and_the_strictest_speaks(causes, outcome, reason):
    assert verdict(halted(*causes)) == (outcome, reason)


DUE = state([position("ETH-USD", at=200, stop_loss_pct=5)])


def test_a_stop_is_sold_under_a_loss_stop_and_not_under_the_kill_switch():
    under_loss = decide(halted(HaltCause.DRAWDOWN_STOP, account=DUE), RULES)
    assert under_loss.outcome is Outcome.TRADED
    assert [a.proposal.exit_reason for a in under_loss.approved] == [ExitReason.STOP_LOSS]
    assert decide(halted(HaltCause.KILL_SWITCH, account=DUE), RULES).approved == ()


def test_under_flatten_the_kill_switch_sells_everything_and_buys_nothing():
    flatten = config(regime={"enabled": False}, kill_switch={"on_halt": "flatten"})
    held = state([position("ETH-USD", at=90), position("SOL-USD", at=90, managed=False)])
    decision = decide(halted(HaltCause.KILL_SWITCH, account=held), flatten)
    assert [(a.proposal.product, a.proposal.exit_reason) for a in decision.approved] == [
        ("ETH-USD", ExitReason.FLATTEN)
    ]


def test_a_service_cycle_sells_what_is_due_and_counts_no_eligibility():
    decision = decide(cycle(account=DUE, service=True), RULES)
    assert [a.proposal.exit_reason for a in decision.approved] == [ExitReason.STOP_LOSS]
    assert decision.triggers == ()
    assert decision.hysteresis == {}


def test_nothing_is_entered_between_two_scheduled_cycles():
    settled = dict.fromkeys((pid("BTC-USD"), pid("ETH-USD")), HysteresisCount(True, 0))
    ready = cycle(account=state(hysteresis=settled))
    assert decide(ready, RULES).approved
    assert verdict(replace(ready, service=True)) == (Outcome.NO_TRADE, Reason.NO_SIGNAL)


def test_with_too_few_eligible_products_none_is_entered():
    two = Config(RULES.policy, universe(min_eligible_assets=2))
    assert decide(cycle(breaking(), quiet("ETH-USD")), two).approved
    alone = cycle(breaking(), market("ETH-USD", bid=None))
    assert verdict(alone, two) == (Outcome.NO_TRADE, Reason.TOO_FEW_ELIGIBLE)


def test_hysteresis_goes_out_with_the_decision():
    slow = Config(RULES.policy, universe(hysteresis={"enter_after": 2, "leave_after": 3}))
    decision = decide(cycle(), slow)
    assert decision.hysteresis[pid("BTC-USD")].streak == 1
    assert (decision.outcome, decision.reason) == (Outcome.NO_TRADE, Reason.TOO_FEW_ELIGIBLE)
