"""The fold: every event has a row, and what it means for money."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from bot.domain import event as ev
from bot.domain.event import Payload
from bot.domain.money import Price, Size
from bot.domain.order import OrderKind, OrderState, OrderType
from bot.domain.product import ProductId, Side
from bot.domain.state import Approval, Ban, Cooldown, Period, State
from bot.record.fold import TABLE
from bot.record.fold_orders import PAST_KEPT, PAST_MOST, pruned
from bot.record.statefile import dump, load
from bot.record.topics import TOPICS
from tests.builders import order
from tests.record.world import BTC, NOON, SAMPLES, SOL, changed, fill, fold, holding, intent, nothing_done


def test_every_payload_has_a_row_a_topic_and_a_sample() -> None:
    kinds = {kind for kind in vars(ev).values() if isinstance(kind, type) and issubclass(kind, Payload)} - {Payload}
    assert set(TABLE) == kinds
    assert set(TOPICS.values()) == kinds
    assert {type(sample) for sample in SAMPLES} == kinds
    assert len({kind.topic for kind in kinds}) == len(kinds)
    assert all(kind.topic for kind in kinds)


@pytest.mark.parametrize("payload", SAMPLES, ids=lambda payload: type(payload).__name__)
def test_no_event_fails_on_empty_books(payload: Payload) -> None:
    """What is in the journal has happened; a fold that raises would stop every later start."""
    after = fold([payload])
    assert after.seq == 1
    assert after.head != ""


@pytest.mark.parametrize("payload", SAMPLES, ids=lambda payload: type(payload).__name__)
def test_an_event_that_fails_to_be_written_has_left_the_state_before_it_alone(payload: Payload) -> None:
    """The store goes on with the state it had: not one field of it may have moved, whatever the event."""
    before = fold(SAMPLES)
    seen = dump(before)
    assert fold([payload], before).seq == before.seq + 1
    assert dump(before) == seen


def test_an_intent_on_disk_counts_as_an_order_that_left() -> None:
    """The crash may come between the fsync and the answer: the exchange may hold the order."""
    state = fold([intent(4)])
    order = state.orders["c4.0"]
    assert (order.state, order.remaining) == (OrderState.SUBMITTED, Size(Decimal("0.5")))
    assert state.next_intent == 5
    assert state.intents[4].rule == "dip"
    assert state.rule_last_entry == {"dip": NOON + timedelta(seconds=1)}


def test_an_entry_that_never_left_does_not_make_its_rule_pause() -> None:
    unsent = changed("c2.0", to=OrderState.REJECTED, unsent=True)
    assert fold([intent(2), unsent]).rule_last_entry == {}
    entered = fold([intent(1), changed("c1.0", to=OrderState.OPEN)])
    assert fold([intent(2), unsent], entered, NOON + timedelta(hours=1)).rule_last_entry == entered.rule_last_entry


def test_an_entry_that_left_makes_its_rule_pause_whatever_became_of_it() -> None:
    """Refused by the venue, or sent once and not a second time: it was an entry all the same."""
    again = [changed("c2.0", to=OrderState.EXPIRED), intent(2, 1), changed("c2.1", to=OrderState.REJECTED, unsent=True)]
    for sequel in ([changed("c2.0", to=OrderState.REJECTED)], again):
        assert fold([intent(2), *sequel]).rule_last_entry == {"dip": NOON + timedelta(seconds=1)}


def test_a_requote_is_another_order_of_the_same_intent() -> None:
    state = fold([intent(1, 0), intent(1, 1)])
    assert set(state.orders) == {"c1.0", "c1.1"}
    assert state.intents[1].attempts == 2
    assert state.next_intent == 2


def test_the_governors_remember_what_was_sent_for_a_day() -> None:
    state = fold([intent(1)])
    assert state.sent[0].notional == Decimal(50)
    later = fold([intent(2)], state, NOON + timedelta(hours=23, minutes=59, seconds=59))
    assert len(later.sent) == 2
    assert len(fold([intent(3)], later, NOON + timedelta(hours=24)).sent) == 2


def test_a_stale_answer_never_takes_back_what_was_filled() -> None:
    part: dict[str, Any] = {"filled": Size(Decimal("0.2")), "filled_value": Decimal(20), "fees": Decimal("0.1")}
    state = fold([intent(), changed(to=OrderState.PARTIAL, **part), changed(to=OrderState.PARTIAL)])
    order = state.orders["c1.0"]
    assert (order.filled, order.filled_value, order.fees) == (Size(Decimal("0.2")), Decimal(20), Decimal("0.1"))


def test_an_order_keeps_the_time_at_which_it_last_moved() -> None:
    state = fold([intent(), changed(), changed(why="seen again")])
    assert state.orders["c1.0"].changed_at == NOON + timedelta(seconds=2)


def test_asking_to_cancel_again_starts_the_cancel_timer_again() -> None:
    asked = changed(to=OrderState.CANCEL_PENDING)
    state = fold([intent(), changed(), asked])
    assert state.orders["c1.0"].cancel_asked_at == NOON + timedelta(seconds=3)
    again = fold([asked], state, NOON + timedelta(seconds=60))
    assert again.orders["c1.0"].cancel_asked_at == NOON + timedelta(seconds=61)
    part = changed(to=OrderState.CANCEL_PENDING, filled=Size(Decimal("0.1")))
    assert fold([part], again, NOON + timedelta(seconds=90)).orders["c1.0"].cancel_asked_at == NOON + timedelta(
        seconds=61
    )
    assert fold([changed()], again).orders["c1.0"].cancel_asked_at is None
    assert [s.orders["c1.0"].cancel_first_asked_at for s in (state, again)] == [NOON + timedelta(seconds=3)] * 2
    assert fold([changed()], again).orders["c1.0"].cancel_first_asked_at is None


def test_the_proof_of_absence_counts_from_its_first_listing() -> None:
    unknown = changed(to=OrderState.UNKNOWN, absent_listings=1)
    state = fold([intent(), unknown, changed(to=OrderState.UNKNOWN, absent_listings=2)])
    assert state.orders["c1.0"].absent_since == NOON + timedelta(seconds=2)
    assert fold([changed()], state).orders["c1.0"].absent_since is None


def test_a_settled_order_is_forgotten_after_a_day_and_not_before() -> None:
    state = fold([intent(), changed(to=OrderState.CANCELED), ev.IntentClosed(1, "canceled")])
    almost = fold([ev.CursorMoved(NOON)], state, NOON + timedelta(hours=23))
    assert "c1.0" in almost.orders
    gone = fold([ev.CursorMoved(NOON)], state, NOON + timedelta(hours=25))
    assert (gone.orders, gone.intents) == ({}, {})


def test_a_restart_forgets_the_same_orders_as_a_bot_that_ran_on_the_oldest_first() -> None:
    """state.json is sorted by name: whose a late fill is must not hang on the names of the orders."""
    day = timedelta(days=1)
    ended = [
        order(
            cid=f"c{999 - n}", order_id=f"o{n}", state=OrderState.CANCELED, changed_at=NOON + n * timedelta(minutes=1)
        )
        for n in range(PAST_MOST + 1)
    ]
    begun = pruned(State(orders={o.client_order_id: o for o in ended}), ended[-2].changed_at + day)
    assert len(begun.past_orders) == PAST_MOST
    ran_on, restarted = (pruned(known, ended[-1].changed_at + day) for known in (begun, load(dump(begun))))
    assert restarted.past_orders == ran_on.past_orders
    assert set(ran_on.past_orders) == {o.client_order_id for o in ended[-PAST_KEPT:]}


def test_an_order_with_a_fill_still_to_come_is_never_forgotten() -> None:
    """The venue says filled, but the fills have not shown up: dropping the order would lose them."""
    state = fold([intent(), changed(to=OrderState.FILLED, filled=Size(Decimal("0.5")))])
    assert "c1.0" in fold([ev.CursorMoved(NOON)], state, NOON + timedelta(days=3)).orders


def test_a_bracket_of_the_venue_becomes_a_protective_sell_of_ours() -> None:
    adopted = ev.ChildAdopted(
        "child", "o9", "o-c1.0", 1, BTC, Size(Decimal("0.5")), Price(Decimal(106)), None, OrderType.BRACKET
    )
    child = fold([intent(), changed(), adopted]).orders["child"]
    assert (child.side, child.kind, child.state) == (Side.SELL, OrderKind.PROTECTIVE, OrderState.OPEN)
    assert child.expected_fee_rate == Decimal("0.006")


def test_two_halts_end_one_by_one() -> None:
    state = fold([ev.HaltBegan("kill_switch", "lunch"), ev.HaltBegan("breaker", "api")])
    assert (state.halted_since, state.halt_reason) == (NOON + timedelta(seconds=1), "kill_switch: lunch")
    state = fold([ev.HaltEnded("kill_switch", "")], state)
    assert state.halt_reason == "breaker: api"
    state = fold([ev.HaltEnded("breaker", "")], state)
    assert (state.halted_since, state.halt_reason) == (None, "")


def test_a_halt_that_begins_twice_keeps_its_first_time() -> None:
    state = fold([ev.HaltBegan("breaker", "api"), ev.HaltBegan("breaker", "api again")])
    assert state.halts == {"breaker": (NOON + timedelta(seconds=1), "api again")}


def test_a_shorter_cooldown_never_shortens_a_longer_one() -> None:
    longer, shorter = (ev.CooldownBegan(Cooldown(BTC, "fill", NOON + timedelta(hours=h))) for h in (2, 1))
    assert [c.until for c in fold([longer, shorter]).cooldowns] == [NOON + timedelta(hours=2)]
    assert [c.until for c in fold([shorter, longer]).cooldowns] == [NOON + timedelta(hours=2)]


def test_cooldowns_and_bans_that_ended_are_forgotten_when_the_next_begins() -> None:
    old = [
        ev.CooldownBegan(Cooldown(BTC, "fill", NOON + timedelta(minutes=1))),
        ev.BanBegan(Ban(BTC, "depeg", "policy", NOON, NOON + timedelta(minutes=1))),
    ]
    new = [
        ev.CooldownBegan(Cooldown(SOL, "fill", NOON + timedelta(hours=2))),
        ev.BanBegan(Ban(SOL, "depeg", "policy", NOON, NOON + timedelta(hours=2))),
    ]
    state = fold(new, fold(old), NOON + timedelta(hours=1))
    assert [c.product for c in state.cooldowns] == [SOL]
    assert set(state.bans) == {SOL}


def test_an_ignored_deposit_is_counted_and_never_sold_and_ours_stays_ours() -> None:
    ours = ev.PositionAdopted(holding(managed=True))
    deposit = ev.TransferRecognised("BTC", Decimal(1), Decimal(110), Decimal(900), BTC)
    state = fold([ours, deposit, ev.QuarantineBegan(BTC, "deposit"), ev.QuarantineEnded(BTC, True, "operator")])
    assert state.ignored == (BTC,)
    assert state.quarantined == {}
    position = state.positions[BTC]
    assert position.managed
    assert (position.size, position.whole) == (Size(Decimal(2)), Size(Decimal(3)))
    back = fold([ev.QuarantineEnded(BTC, False, "operator")], state)
    assert back.ignored == ()


def test_a_granted_approval_stays_until_used_and_a_refused_one_goes() -> None:
    asked = ev.ApprovalAsked(Approval("a", BTC, Side.BUY, "dip", Decimal(9), NOON, NOON + timedelta(minutes=5)))
    granted = fold([asked, ev.ApprovalAnswered("a", "granted", "me")])
    assert granted.approvals["a"].granted
    assert fold([ev.ApprovalAnswered("a", "used", "bot")], granted).approvals == {}
    assert fold([asked, ev.ApprovalAnswered("a", "rejected", "me")]).approvals == {}
    assert fold([ev.ApprovalAnswered("other", "granted", "me")]).approvals == {}


def test_repeated_cycles_are_counted_like_single_ones() -> None:
    state = fold([nothing_done(), ev.DecisionRepeated("NO_TRADE", "no_signal", "c2", "c9", 8)])
    assert state.counters == {"cycles.NO_TRADE": 9}
    assert state.last_cycle == "c9"


def test_a_mark_below_the_highest_moves_no_trailing_stop() -> None:
    marks = [ev.PositionMarked(BTC, Price(Decimal(p))) for p in (120, 110)]
    assert fold([ev.PositionAdopted(holding()), *marks]).positions[BTC].high_mark == Price(Decimal(120))


def test_a_difference_keeps_its_age_until_it_changes() -> None:
    anchored = ev.LedgerAnchored("USD", Decimal(100))
    state = fold([anchored, *(ev.LedgerPending("USD", Decimal(-1), n) for n in (1, 2, 3))])
    assert (state.ledgers["USD"].pending_since, state.ledgers["USD"].sweeps) == (NOON + timedelta(seconds=2), 3)
    state = fold([ev.LedgerPending("USD", Decimal(-2), 1)], state, NOON + timedelta(minutes=1))
    assert state.ledgers["USD"].pending_since == NOON + timedelta(seconds=61)
    gone = fold([ev.LedgerPending("USD", Decimal(0), 0)], state).ledgers["USD"]
    assert (gone.pending, gone.pending_since) == (Decimal(0), None)


@pytest.mark.parametrize("amount", ["500", "-400"])
def test_money_that_came_or_went_is_neither_profit_nor_loss(amount: str) -> None:
    """Drawdown stays at 10 %, the day's profit at zero, whatever is deposited or withdrawn."""
    before = [
        ev.LedgerAnchored("USD", Decimal(900)),
        ev.PeakMoved(Decimal(1000)),
        ev.PeriodBegan("day", Period("2026-11-18", Decimal(900), Decimal(0))),
    ]
    moved = Decimal(amount)
    state = fold([*before, ev.TransferRecognised("USD", moved, moved, Decimal(900))])
    equity = Decimal(900) + moved
    assert state.peak_equity is not None
    assert (state.peak_equity - equity) / state.peak_equity == Decimal("0.1")
    assert state.day is not None
    assert equity - state.day.start_equity - state.day.transfers == 0
    assert state.ledgers["USD"].expected == equity
    assert state.realised_total == 0


def test_a_transfer_of_unknown_equity_shifts_the_peak() -> None:
    state = fold([ev.PeakMoved(Decimal(1000)), ev.TransferRecognised("USD", Decimal(-100), Decimal(-100))])
    assert state.peak_equity == Decimal(900)


def test_a_usdc_pair_moves_the_usdc_wallet_and_the_one_position() -> None:
    anchors = [ev.LedgerAnchored(c, Decimal(100)) for c in ("USD", "USDC")]
    state = fold([*anchors, fill("e1", product=ProductId("BTC-USDC"), market=BTC)])
    assert state.ledgers["USDC"].expected == Decimal("49.7")
    assert state.ledgers["USD"].expected == Decimal(100)
    assert set(state.positions) == {BTC}


def test_a_coin_first_met_through_a_fill_was_not_held_before() -> None:
    state = fold([ev.LedgerAnchored("USD", Decimal(100)), fill("e1")])
    assert state.ledgers["BTC"].expected == Decimal("0.5")
    assert fold([fill("e1")]).ledgers == {}


def test_unapplied_events_leave_no_trace_but_their_place() -> None:
    """An order or a ledger we do not know: nothing is invented."""
    strangers = [changed("nobody"), ev.IntentClosed(99, "x"), ev.LedgerPending("DOGE", Decimal(1), 1)]
    state = fold(strangers)
    assert state == State(seq=3, head=state.head)


def test_commands_are_remembered_so_that_none_is_applied_twice() -> None:
    state = fold([ev.CommandApplied(str(i), "resume", (), "ok") for i in range(250)])
    assert state.commands[-1] == "249"
    assert len(state.commands) == 200
