"""What an operator's word does to the books, and what it may not do."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from bot.domain.event import (
    ApprovalAnswered,
    BanBegan,
    BanEnded,
    LatchCleared,
    PositionAdopted,
    QuarantineEnded,
)
from bot.domain.position import Origin
from bot.domain.product import Side
from bot.domain.state import Approval, Ban, HaltCause, Latch, State
from bot.domain.value import replace
from bot.ports import Command
from bot.record.commands import Books, CommandOutcome, CommandRefused, carry_out
from bot.settings.universe import Exclusions
from tests.builders import NOW, d, pid, position, price, size

BTC, SOL = pid("BTC-USD"), pid("SOL-USD")
WAITING = Approval("a1", BTC, Side.BUY, "dip", d(900), NOW, NOW + timedelta(minutes=15))


def books(state: State | None = None, held: str = "0", **changes: Any) -> Books:
    """An account with `held` BTC at a price of 100."""
    made = Books(state or State(), Exclusions(), {BTC: size(held)}, {BTC: price(100)}, NOW)
    return replace(made, **changes)


def told(verb: str, *arguments: str, at: Books | None = None) -> CommandOutcome:
    return carry_out(Command("c1", verb, arguments, NOW, "ann"), at or books())


def refused(verb: str, *arguments: str, at: Books | None = None) -> str:
    with pytest.raises(CommandRefused) as found:
        told(verb, *arguments, at=at)
    return str(found.value)


@pytest.mark.parametrize(("given", "hours"), [((), 168), (("2",), 2), (("0.5",), Decimal("0.5"))])
def test_a_flag_bans_for_the_hours_given_or_configured(given, hours):
    (event,) = told("flag", "sol/usd", "recent_exploit", *given).payloads
    until = NOW + timedelta(seconds=float(hours) * 3600)
    assert event == BanBegan(Ban(SOL, "recent_exploit", "bot flag by ann", NOW, until))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("SOL-USD", "bad_vibes"), "'bad_vibes' is no red flag of universe.yaml; known: recent_exploit"),
        (("SOL-USD", "recent_exploit", "0"), "hours must be positive, was 0"),
        (("SOL-USD", "recent_exploit", "-1"), "hours"),
        (("SOL-USD",), "flag needs the red flag"),
        (("nonsense", "recent_exploit"), "product id must look like BTC-USD"),
    ],
)
def test_a_flag_that_makes_no_sense_bans_nobody(arguments, words):
    assert words in refused("flag", *arguments)


def test_a_ban_is_lifted_by_name_and_only_where_there_is_one():
    ban = Ban(SOL, "recent_exploit", "universe.yaml", NOW, NOW + timedelta(hours=1))
    assert told("unflag", "SOL-USD", at=books(State(bans={SOL: ban}))).payloads == (BanEnded(SOL, "bot unflag by ann"),)
    assert "SOL-USD is not banned" in refused("unflag", "SOL-USD")


def test_what_is_adopted_is_what_the_wallet_holds_and_the_new_part_costs_the_mark():
    known = State(positions={BTC: position(amount=1, at=80, managed=False)}, quarantined={BTC: "a deposit"})
    adopted, released = told("adopt", "BTC-USD", at=books(known, held="1.5")).payloads
    assert isinstance(adopted, PositionAdopted)
    assert adopted.position.managed
    assert adopted.position.size == size("1.5")
    assert [(lot.cost, lot.origin) for lot in adopted.position.lots][-1] == (d(50), Origin.ADOPTED)
    assert released == QuarantineEnded(BTC, False, "ann")


@pytest.mark.parametrize(
    ("at", "words"),
    [
        (books(held="0"), "the account holds no BTC"),
        (books(held="0", state=State(positions={BTC: position(managed=False)})), "the account holds no BTC"),
        (books(held="1", marks={}), "BTC-USD has no price now"),
    ],
    ids=["nothing anywhere", "only in the books", "no price"],
)
def test_nothing_is_adopted_that_is_not_there_or_cannot_be_valued(at, words):
    assert words in refused("adopt", "BTC-USD", at=at)


def test_what_is_ignored_stays_its_owners():
    known = State(quarantined={BTC: "a trade of somebody else"})
    assert told("ignore", "BTC-USD", at=books(known)).payloads == (QuarantineEnded(BTC, True, "ann"),)
    assert "is not quarantined" in refused("ignore", "BTC-USD")


@pytest.mark.parametrize(("verb", "answer"), [("approve", "granted"), ("reject", "rejected")])
def test_an_answer_reaches_the_trade_that_waits(verb, answer):
    known = books(State(approvals={"a1": WAITING}))
    assert told(verb, "a1", at=known).payloads == (ApprovalAnswered("a1", answer, "ann"),)
    assert "no approval 'a2' waits; waiting: a1" in refused(verb, "a2", at=known)
    assert "expired at 12:15:00" in refused(verb, "a1", at=replace(known, now=NOW + timedelta(minutes=15)))


def test_a_latch_is_cleared_by_its_name_and_no_other_by_mistake():
    latch = Latch("daily_stop", HaltCause.DAILY_STOP, "-3.1 %", NOW)
    known = books(State(latches={"daily_stop": latch}))
    assert told("resume-latch", "daily_stop", at=known).payloads[0] == LatchCleared("daily_stop", "ann")
    assert "no latch 'drawdown_stop' is set; set: daily_stop" in refused("resume-latch", "drawdown_stop", at=known)
    assert "set: none" in refused("resume-latch", "daily_stop")


def test_an_unknown_verb_is_refused_with_those_there_are():
    assert "unknown command 'buy'; known: adopt, approve" in refused("buy", "BTC-USD")
