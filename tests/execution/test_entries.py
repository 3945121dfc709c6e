"""Entries: rest at the touch, time out, be quoted again under risk's eye, and never exceed what was approved."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from itertools import pairwise

from bot.domain.decision import Reason
from bot.domain.event import LedgerAnchored
from bot.domain.order import OrderState, OrderType, VenueStatus
from tests.builders import NOW, price, size
from tests.execution.world import World, buy


def test_an_entry_rests_at_the_bid_and_dies_by_itself_a_minute_after_its_time():
    world = World()
    world.cycle(buy("1"))
    _, sent = world.exchange.posts[0]
    assert (sent.type, sent.limit_price, sent.size) == (OrderType.LIMIT_POST_ONLY, price("100"), size(1))
    assert sent.end_time == NOW + timedelta(seconds=45 + 60)
    assert world.states() == ["OPEN"]


def test_a_fill_becomes_a_position_and_closes_the_intent():
    world = World()
    world.cycle(buy("1"))
    world.exchange.fill("order-1", "1")
    world.cycle()
    assert world.states() == ["FILLED"]
    assert world.held == 1
    world.clock.pass_(2)
    world.cycle()
    assert world.state.intents[1].closed
    world.check()


def test_what_is_left_after_its_time_is_quoted_again_until_the_attempts_are_used_up():
    """0.4 of 1 fills, the rest is cancelled after 45 s and quoted again twice, each time at the bid of the moment."""
    world = World(execution={"maker_max_reprices": 2})
    world.cycle(buy("1"))
    world.exchange.fill("order-1", "0.4")
    world.exchange.show("BTC-USD", "100.10", "100.12")
    world.run_timers(300)
    sent = [(str(order.limit_price), str(order.size)) for _, order in world.exchange.posts]
    assert sent == [("100", "1"), ("100.1", "0.6"), ("100.1", "0.6")]
    assert world.states() == ["CANCELED", "CANCELED", "CANCELED"]
    assert world.state.intents[1].closed
    assert world.held == Decimal("0.4")
    world.check()


def test_every_requote_is_approved_by_risk_for_what_is_left():
    world = World()
    world.cycle(buy("1"))
    world.exchange.fill("order-1", "0.3")
    world.run_timers(60)
    assert world.reapprovals == [(1, size("0.7"))]


def test_an_entry_approved_before_another_was_quoted_again_passes_risk_once_more():
    """The decision saw a cancelled order and its room free; the new quote took that room first."""
    world = World()
    world.cycle(buy("1"))
    world.clock.pass_(45.1)
    world.serve()
    world.clock.pass_(1.1)
    world.place_second_product()
    assert world.reapprovals == [(1, size(1)), (2, size(1))]


def test_a_requote_that_risk_refuses_ends_the_intent():
    world = World()
    world.refuse_requotes = True
    world.cycle(buy("1"))
    world.run_timers(60)
    assert len(world.exchange.posts) == 1
    assert world.state.intents[1].closed


def test_the_last_attempt_may_cross_the_spread_when_the_policy_says_so():
    world = World(execution={"maker_max_reprices": 1, "taker_fallback": True})
    world.cycle(buy("1"))
    world.run_timers(200)
    kinds = [order.type for _, order in world.exchange.posts]
    assert kinds == [OrderType.LIMIT_POST_ONLY, OrderType.LIMIT_POST_ONLY, OrderType.LIMIT_IOC]
    assert world.held == 1
    world.check()


def test_without_the_fallback_nothing_crosses():
    world = World(execution={"maker_max_reprices": 0, "taker_fallback": False})
    world.cycle(buy("1"))
    world.run_timers(200)
    assert [order.type for _, order in world.exchange.posts] == [OrderType.LIMIT_POST_ONLY]
    assert world.held == 0


def test_a_post_only_that_would_cross_uses_up_an_attempt_and_then_gives_up():
    """The market runs away before every order arrives; the bot does not chase it for ever."""
    world = World(execution={"maker_max_reprices": 2})
    world.exchange.before_place = lambda order: world.exchange.show("BTC-USD", "99.97", "99.99")
    world.exchange.show("BTC-USD", "100", "100.02")
    reports = [world.cycle(buy("1"))]
    for _ in range(6):
        world.exchange.show("BTC-USD", "100", "100.02")
        world.clock.pass_(3)
        reports.append(world.serve())
    rejected = [item.reason for report in reports for item in report.rejections]
    assert rejected == ["INVALID_LIMIT_PRICE_POST_ONLY"] * 3
    assert world.state.intents[1].closed
    assert world.states() == ["REJECTED"] * 3


def test_a_refused_order_is_not_tried_again():
    world = World({"USD": "50", "BTC": "0"})
    report = world.cycle(buy("1"))
    world.run_timers(120)
    assert [item.reason for item in report.rejections] == ["INSUFFICIENT_FUND"]
    assert world.states() == ["REJECTED"]
    assert world.state.intents[1].closed


def test_a_late_fill_of_a_cancelled_order_shrinks_the_next_quote():
    """The match beat our cancel and shows a second later: the next order is for what is really left."""
    world = World()
    world.cycle(buy("1"))
    world.exchange.faults.cancel_s = 0.2
    world.clock.pass_(44.9)
    world.clock.after(0.2, lambda: world.exchange.fill("order-1", "0.25"))
    world.run_timers(20)
    assert [str(order.size) for _, order in world.exchange.posts] == ["1", "0.75"]
    world.check()


def test_a_requote_is_cut_when_a_fill_comes_after_it():
    world = World()
    world.cycle(buy("1"))
    world.run_timers(50)
    assert len(world.exchange.posts) == 2
    world.exchange.fill("order-1", "0.5", "100")
    world.cycle()
    assert world.exchange.orders["order-2"].status is VenueStatus.CANCELLED
    world.clock.pass_(2)
    world.cycle()
    assert [str(order.size) for _, order in world.exchange.posts] == ["1", "1", "0.5"]


def test_an_immediate_entry_never_pays_more_than_was_approved():
    world = World(execution={"default_order_type": "limit_ioc", "max_slippage_bps": 200})
    world.cycle(buy("1", worst="100.5"))
    _, sent = world.exchange.posts[0]
    assert (sent.type, sent.limit_price) == (OrderType.LIMIT_IOC, price("100.5"))
    world.check()


def test_an_immediate_entry_is_not_sent_when_the_ask_has_run_away():
    world = World(execution={"default_order_type": "limit_ioc"})
    report = world.cycle(buy("1", worst="100.01"))
    assert [item.reason for item in report.refused] == [Reason.SLIPPAGE]
    assert world.exchange.posts == []


def test_a_second_entry_waits_for_the_first():
    world = World()
    world.cycle(buy("1"))
    report = world.cycle(buy("1"))
    assert [item.reason for item in report.refused] == [Reason.ALREADY_WORKING]
    assert len(world.exchange.posts) == 1


def test_a_second_entry_waits_also_while_the_first_is_between_two_quotes():
    """Nothing works at the venue at that moment, and the first intent still wants all of its size."""
    world = World()
    world.cycle(buy("1"))
    world.exchange.end("order-1", VenueStatus.CANCELLED)
    report = world.cycle(buy("1"))
    assert [item.reason for item in report.refused] == [Reason.ALREADY_WORKING]
    assert len(world.exchange.posts) == 1


def test_an_entry_whose_preview_cannot_be_had_is_not_sent():
    world = World()
    world.cycle()
    snap = world.snapshot()
    world.exchange.faults.reads = world.outage()
    report = world.execute(snap, buy("1"))
    assert [item.reason for item in report.refused] == [Reason.DATA_UNAVAILABLE]
    assert world.exchange.posts == []


def test_a_thin_book_is_refused_before_anything_is_recorded():
    world = World()
    world.depth = 1
    report = world.cycle(buy("100"))
    assert [item.reason for item in report.refused] == [Reason.DEPTH_THIN]
    assert world.orders == []


def test_what_the_preview_refuses_is_not_sent():
    world = World()
    world.exchange.previews = ("PREVIEW_INSUFFICIENT_FUND",)
    report = world.cycle(buy("1"))
    assert [item.reason for item in report.refused] == [Reason.PREVIEW_REFUSED]
    assert world.orders == []


def test_nothing_is_entered_between_two_scheduled_cycles():
    world = World()
    world.cycle(buy("1"), service=True)
    assert world.exchange.posts == []


def test_an_entry_over_its_approved_cost_is_refused():
    world = World()
    dear = buy("1")
    report = world.cycle(type(dear)(dear.proposal, size("1.2"), dear.worst_price, dear.worst_quote))
    assert [item.reason for item in report.refused] == [Reason.ILLEGAL_ORDER]
    assert world.exchange.posts == []


def test_the_intent_is_in_the_journal_before_the_order_reaches_the_exchange():
    world = World()
    seen: list[bool] = []
    world.exchange.before_place = lambda order: seen.append(order.client_order_id.encode() in world.journal())
    world.cycle(buy("1"))
    assert seen == [True]


def test_a_cancel_that_nobody_hears_is_asked_again_and_the_order_is_never_believed_gone():
    world = World()
    world.cycle(buy("1"))
    world.exchange.faults.deaf = True
    world.run_timers(80)
    assert world.states() == ["CANCEL_PENDING"]
    assert len(world.exchange.cancels) >= 2
    world.exchange.faults.deaf = False
    world.run_timers(60)
    assert world.orders[0].state is OrderState.CANCELED


def test_an_order_that_is_cancelled_and_still_listed_is_cancelled_again_ever_more_slowly_and_counts_until_proof():
    world = World(execution={"maker_max_reprices": 0})
    world.cycle(buy("1"))
    world.exchange.faults.ghost_s = 100
    world.run_timers(130)
    asked = [at for at, _ in world.exchange.cancels]
    gaps = [round((later - earlier).total_seconds()) for earlier, later in pairwise(asked)]
    assert world.states() == ["CANCEL_PENDING"]
    assert world.last.remaining.value == 1
    assert gaps == [10, 10, 20, 40]
    world.run_timers(120)
    assert world.states() == ["CANCELED"]
    assert world.last.remaining.is_zero
    assert len(world.exchange.cancels) == len(asked)


def test_an_expiry_that_is_over_proves_nothing_until_the_order_is_read():
    world = World()
    world.cycle(buy("1"))
    world.exchange.faults.cancels = world.outage()
    world.exchange.faults.reads = world.outage()
    world.run_timers(200)
    assert world.states() == ["OPEN"]
    world.exchange.faults.cancels = world.exchange.faults.reads = None
    world.exchange.end("order-1", VenueStatus.EXPIRED)
    world.cycle()
    assert world.states() == ["EXPIRED"]


def test_a_requote_is_no_larger_than_risk_now_allows():
    world = World()
    world.allow_at_most = size("0.2")
    world.cycle(buy("1"))
    world.run_timers(60)
    assert [str(order.size) for _, order in world.exchange.posts] == ["1", "0.2"]


def test_the_settle_time_of_an_order_is_noted_once():
    world = World()
    world.cycle(buy("1"))
    for _ in range(3):
        world.clock.pass_(1)
        world.cycle()
    assert dict(world.state.settle_ms) == {1000: 1}


def test_an_order_is_settled_only_when_the_wallets_read_what_the_books_expect():
    world = World(execution={"default_order_type": "limit_ioc"})
    world.store.record(LedgerAnchored("USD", Decimal(10_000)))
    world.exchange.after_place = lambda order: world.exchange.wallets.update(USD=world.exchange.wallets["USD"] + 5)
    world.cycle(buy("1"))
    assert world.held == 1
    assert dict(world.state.settle_ms) == {}
    world.clock.pass_(20)
    world.cycle()
    assert dict(world.state.settle_ms) == {30_000: 1}
