"""A round's report holds what was done in it, each thing under its own name."""

from __future__ import annotations

from bot.domain.decision import Reason, Reject
from bot.domain.event import Mismatch
from bot.domain.order import OrderKind
from bot.domain.product import ProductId, Side
from bot.domain.value import field_names
from bot.execution.report import NOTHING, ActReport, Refusal, Tally, combined

BTC = ProductId("BTC-USD")


def test_a_tally_counts_under_the_names_of_the_report_in_their_order():
    assert Tally.__struct_fields__ == field_names(ActReport)


def test_a_round_in_which_nothing_happened_is_the_one_empty_report():
    assert Tally().report() is NOTHING


def test_what_was_noted_is_reported_where_it_was_noted():
    tally = Tally(placed=["a"], errors=["b", "c"], mismatches=[Mismatch("x", "1", "2")], rate_limited=2)
    tally.refuse(BTC, Side.BUY, OrderKind.ENTRY, Reject(Reason.HALTED, "halted"))
    assert tally.report() == ActReport(
        placed=("a",), errors=("b", "c"), mismatches=(Mismatch("x", "1", "2"),), rate_limited=2,
        refused=(Refusal(BTC, Side.BUY, OrderKind.ENTRY, Reason.HALTED, "halted"),),
    )  # fmt: skip


def test_a_key_refused_alone_is_news():
    assert Tally(auth_refused=True).report() == ActReport(auth_refused=True)


def test_rounds_add_up_in_their_order_and_a_refused_key_is_not_forgotten():
    first = ActReport(placed=("a",), unknown=("b",), auth_refused=True, rate_limited=1)
    then = ActReport(placed=("c",), rate_limited=2)
    whole = combined([NOTHING, first, NOTHING, then])
    assert whole == ActReport(placed=("a", "c"), unknown=("b",), auth_refused=True, rate_limited=3)
    assert combined([NOTHING, then]) is then
    assert combined([]) is NOTHING
