"""What an operator reads of a cycle: each line with its number, its limit, and what would change it."""

from __future__ import annotations

from typing import Any

from bot.domain.decision import (
    Allow,
    Approved,
    Clamp,
    Decision,
    Evaluated,
    Exclusion,
    GateResult,
    Measure,
    Outcome,
    Reason,
    Regime,
    Reject,
)
from bot.domain.value import replace
from bot.ops.explain import Explained, page
from bot.ops.measures import measured, seen
from bot.ops.remedies import CHANGES
from bot.risk.gates import GATES
from tests.builders import NOW, d, pid, price, proposal, size, trigger, usd

NAMES = [row.name for row in GATES]
BOUGHT = replace(proposal(), triggers=(trigger(),))


def decided(*evaluated: Evaluated, excluded: tuple[Exclusion, ...] = (), **changes: Any) -> list[str]:
    """The page of a cycle with these verdicts."""
    made = Decision(
        "c1", NOW, Outcome.NO_TRADE, Reason.ALL_REJECTED, "2 wishes were refused", Regime.CHOP, (), excluded, (),
        evaluated, {}, "f" * 64,
    )  # fmt: skip
    return list(page(Explained("c1", replace(made, **changes), ())))


def judged(gate: str, verdict: Clamp | Reject, *, passed: bool = False) -> Evaluated:
    """A wish that every gate lets pass but one, up to the first refusal."""
    number = NAMES.index(gate)
    after = NAMES[number + 1 :] if passed else []
    results = [*(GateResult(n, Allow()) for n in NAMES[:number]), GateResult(gate, verdict)]
    results += [GateResult(n, Allow()) for n in after]
    approved = Approved(BOUGHT, size("0.5"), price("101"), usd("51.100000001")) if passed else None
    return Evaluated(BOUGHT, tuple(results), approved)


def line(lines: list[str], word: str) -> str:
    [found] = [text for text in lines if word in text]
    return found


def test_a_refusal_says_its_number_its_limit_and_the_way_out():
    lines = decided(judged("total_cap", Reject(Reason.TOTAL_CAP, "2400 of 2500 USD used; no room for 200 USD")))
    told = line(lines, "REFUSES")
    assert told.split()[:2] == ["total_cap", "REFUSES"]
    assert "2400 of 2500 USD" in told
    assert told.endswith(f"it takes {CHANGES[Reason.TOTAL_CAP]}")
    assert line(lines, "====").endswith("not approved")


def test_every_gate_that_was_asked_has_its_line_and_those_behind_a_refusal_have_none():
    lines = decided(judged("cooldowns", Reject(Reason.COOLDOWN, "BTC-USD pauses until 12:30:00")))
    named = [text.split()[0] for text in lines if "allows: " in text or "REFUSES" in text]
    assert named == NAMES[: NAMES.index("cooldowns") + 1]


def test_an_allowed_cap_is_told_in_percent_and_money_against_its_limit_and_key():
    cap = Measure("cap on everything held", d("1240.0049"), d(2500), "USD", "risk.max_total_pct", whole=d(10000))
    assert seen(Allow((cap,))) == (
        "cap on everything held 12.4 % of 25 % of equity with it (1240 of 2500 USD) (risk.max_total_pct)"
    )
    assert measured(Allow((cap,)))["measured"][0]["value"] == "1240.0049", "data keeps the exact number"


def test_a_floor_an_absent_limit_and_a_word_are_each_told_as_what_they_are():
    loss = Measure("daily result", d("-0.03712"), d(-3), "%", "risk.daily_stop_pct", floor=True)
    assert seen(Allow((loss,))) == "daily result -0.0371 %, at least -3 % (risk.daily_stop_pct)"
    assert seen(Allow((Measure("entries of the day with it", d(4)),))) == "entries of the day with it 4, no limit"
    assert seen(Allow(note="no pause")) == "no pause"
    assert seen(Allow((Measure("size", d("0.00012345"), d("0.0001"), "BTC", floor=True),))) == (
        "size 0.00012345 BTC, at least 0.0001 BTC"
    )


def test_a_clamp_stands_where_it_was_made_and_the_end_is_in_cents():
    lines = decided(judged("cash", Clamp(usd("50.49"), Reason.CASH, "60 USD free, 5 kept in reserve"), passed=True))
    told = line(lines, "allows at most")
    assert told.split()[0] == "cash"
    assert "50.49 USD" in told
    assert "lower risk.cash_reserve_pct" in told
    assert line(lines, "====").endswith("approved: 0.5 at 101 or better, 51.11 USD at worst")
    order = [text.split()[0] for text in lines if text.startswith("    ")]
    assert order.index("cash") < order.index("==================")


def test_the_triggers_behind_a_wish_are_shown_with_their_numbers():
    """A rule may ask a trigger with values of its own: then it stands nowhere else on the page."""
    lines = decided(judged("cash", Reject(Reason.CASH, "nothing is free")))
    assert f"on {BOUGHT.product}: {BOUGHT.triggers[0].kind.value}" in line(lines, "    on ")
    assert "score" in line(lines, "    on ")


def test_products_left_out_for_the_same_reason_share_a_line():
    lost = tuple(Exclusion(pid(name), Reason.NOT_ONLINE, "not listed") for name in ("SOL-USD", "ADA-USD"))
    wide = Exclusion(pid("XRP-USD"), Reason.SPREAD_WIDE, "spread 31 bps, at most 20")
    lines = decided(excluded=(*lost, wide))
    assert f"  SOL-USD, ADA-USD: not_online: not listed; it takes {CHANGES[Reason.NOT_ONLINE]}" in lines
    assert f"  XRP-USD: spread_wide: spread 31 bps, at most 20; it takes {CHANGES[Reason.SPREAD_WIDE]}" in lines


def test_the_first_lines_tell_the_outcome_its_cause_and_what_would_change_it():
    lines = decided(outcome=Outcome.EXIT_ONLY, reason=Reason.DAILY_STOP, detail="daily_stop: -3.2 % reached -3 %")
    assert lines[1] == (
        "EXIT_ONLY: only exits were permitted (daily_stop): daily_stop: -3.2 % reached -3 %; "
        "it takes the next UTC day, or `bot resume --latch daily_stop`"
    )


def test_what_each_rule_lacked_stands_under_its_own_heading():
    quiet = Decision(
        "c1", NOW, Outcome.NO_TRADE, Reason.NO_SIGNAL, "no trigger fired", Regime.CHOP, (trigger().product,), (), (),
        (), {}, "f" * 64,
    )  # fmt: skip
    lacks = "dip: BTC-USD lacks volume_spike: volume 0.63 times the day's average hour (at least 0.8 asked)"
    lines = list(page(Explained("c1", quiet, (), lacking=(lacks,))))
    assert lines[lines.index("rules that did not hold:") + 1] == f"  {lacks}"
    assert "rules that did not hold:" not in list(page(Explained("c1", quiet, ())))
