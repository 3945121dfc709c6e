"""A large trade is asked for once, answered for its size, and good for one trade."""

from __future__ import annotations

from bot.domain.decision import Decision, Evaluated, Outcome, Reason, Regime
from bot.domain.product import Side
from bot.domain.snapshot import Snapshot
from bot.domain.value import replace
from bot.risk.approval import final_size, matching, requests, used
from bot.risk.engine import RiskEngine
from tests.builders import NOW, balance, config, d, market, minutes, pid, position, proposal, snapshot, state

RULES = config(risk={"approval_above_usd": 100, "approval_expires_minutes": 15})


def decided(snap: Snapshot, *evaluated: Evaluated) -> Decision:
    why = (Outcome.NO_TRADE, Reason.APPROVAL_PENDING, "", Regime.CHOP)
    return Decision(snap.cycle_id, snap.now, *why, (), (), (), evaluated, {}, "")


def judged(snap: Snapshot, amount: int = 200) -> Decision:
    return decided(snap, *RiskEngine(RULES).evaluate([proposal(amount=amount)], snap))


def calm(account=None, **changes) -> Snapshot:
    return snapshot([market()], account=account, **changes)


def test_a_waiting_trade_is_asked_for_with_its_size_and_expiry():
    (asked,) = requests(judged(calm()), state(), RULES.policy.risk)
    assert (asked.product, asked.side, asked.rule, asked.size_quote) == ("BTC-USD", Side.BUY, "dip", d(200))
    assert asked.expires_at == NOW + minutes(15)
    assert not asked.granted


def test_what_is_asked_is_what_the_clamps_left():
    (asked,) = requests(judged(calm(balances=[balance("BTC", "3.5")])), state(), RULES.policy.risk)
    assert asked.size_quote == d("165.51")


def test_the_same_trade_is_not_asked_for_again_while_it_waits():
    (asked,) = requests(judged(calm()), state(), RULES.policy.risk)
    waiting = state(approvals={asked.id: asked})
    assert requests(judged(calm(waiting)), waiting, RULES.policy.risk) == ()
    assert matching(proposal(), d(200), waiting, NOW + minutes(15)) is None, "it is over"


def test_the_same_decision_asks_under_the_same_id_and_another_cycle_under_another():
    first, again = (requests(judged(calm()), state(), RULES.policy.risk)[0].id for _ in range(2))
    assert first == again
    assert requests(judged(calm(cycle_id="c2")), state(), RULES.policy.risk)[0].id != first


def test_an_answer_is_used_up_by_the_trade_it_allowed():
    (asked,) = requests(judged(calm()), state(), RULES.policy.risk)
    granted = state(approvals={asked.id: replace(asked, granted=True)})
    decision = judged(calm(granted))
    assert decision.approved
    assert [a.id for a in used(decision.evaluated, granted, NOW)] == [asked.id]
    assert used(judged(calm(granted), amount=50).evaluated, granted, NOW) == (), "a small trade needed no answer"


def test_another_product_side_rule_or_size_is_not_answered():
    (asked,) = requests(judged(calm()), state(), RULES.policy.risk)
    known = state(approvals={asked.id: asked})
    assert matching(proposal(), d(201), known, NOW) == asked
    assert matching(proposal(), d(203), known, NOW) is None
    assert matching(proposal(rule="other"), d(200), known, NOW) is None
    assert matching(proposal("ETH-USD"), d(200), known, NOW) is None
    assert matching(replace(proposal(), side=Side.SELL), d(200), known, NOW) is None


def test_an_exit_never_waits_for_anybody():
    held = calm(state([position(amount=50)]), cash=1000)
    sale = replace(proposal(), side=Side.SELL, size_base=position(amount=50).size, product=pid("BTC-USD"))
    (result,) = RiskEngine(RULES).evaluate([sale], held)
    assert result.approved is not None
    assert used([result], held.state, NOW) == ()


def test_without_clamps_the_final_size_is_the_wanted_one():
    (result,) = RiskEngine(RULES).evaluate([proposal(amount=90)], calm())
    assert final_size(result) == d(90)
