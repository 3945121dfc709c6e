"""State as a fold over the journal: `apply` is pure, and every payload type has one row in the table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from msgspec.structs import force_setattr

from bot.domain import event as ev
from bot.domain.event import Envelope, Payload
from bot.domain.state import HaltCause, State, Untold, is_open
from bot.domain.value import replace
from bot.record import fold_books as books
from bot.record import fold_orders as orders

COMMANDS_KEPT: Final = 200
"""Ids of applied commands that are remembered; an inbox never holds as many at once."""


def apply(state: State, envelope: Envelope) -> State:
    """The state after one event. Never fails: what is in the journal has happened.

    Events must come in their order, each once; `bot.record.journal` sees to that.
    """
    payload = envelope.payload
    folded = TABLE[type(payload)](state, payload, envelope)
    if folded is state:
        return state.changed(seq=envelope.seq, head=envelope.hash)
    force_setattr(folded, "seq", envelope.seq)  # nobody has seen it yet, and a second copy would cost as much again
    force_setattr(folded, "head", envelope.hash)
    return folded


def _journal_opened(state: State, event: ev.JournalOpened, _: Envelope) -> State:
    return state.changed(genesis=event.genesis, account=event.account)


def _genesis_renewed(state: State, event: ev.GenesisRenewed, _: Envelope) -> State:
    return state.changed(genesis=event.genesis)


def _told(state: State, event: Payload, _: Envelope) -> State:
    """An event for the record: it is counted, and nothing hangs on it."""
    return _counted(state, event.topic)


def _nothing(state: State, _event: Payload, _envelope: Envelope) -> State:
    return state


def _decision_made(state: State, event: ev.DecisionMade, envelope: Envelope) -> State:
    return _counted(state.changed(last_cycle=envelope.cycle_id), f"cycles.{event.outcome}")


def _decision_repeated(state: State, event: ev.DecisionRepeated, _: Envelope) -> State:
    return _counted(state.changed(last_cycle=event.last_cycle), f"cycles.{event.outcome}", event.count)


def _hysteresis_moved(state: State, event: ev.HysteresisMoved, _: Envelope) -> State:
    return state.changed(hysteresis={**state.hysteresis, **event.counts})


def _cooldown_began(state: State, event: ev.CooldownBegan, envelope: Envelope) -> State:
    """Of two cooldowns for the same reason the longer one stands; those that ended are forgotten here."""
    others, longest = [], event.cooldown
    for known in state.cooldowns:
        if known.product == longest.product and known.reason == longest.reason:
            longest = known if known.until >= longest.until else longest
        elif known.until > envelope.ts:
            others.append(known)
    return state.changed(cooldowns=(*others, longest))


def _ban_began(state: State, event: ev.BanBegan, envelope: Envelope) -> State:
    kept = {product: ban for product, ban in state.bans.items() if ban.until > envelope.ts}
    return state.changed(bans={**kept, event.ban.product: event.ban})


def _ban_ended(state: State, event: ev.BanEnded, _: Envelope) -> State:
    return state.changed(bans={p: ban for p, ban in state.bans.items() if p != event.product})


def _quarantine_began(state: State, event: ev.QuarantineBegan, _: Envelope) -> State:
    return state.changed(quarantined={**state.quarantined, event.product: event.why})


def _quarantine_ended(state: State, event: ev.QuarantineEnded, _: Envelope) -> State:
    """What others hold stays on the books, since it counts towards the caps, and is never sold; ours stays ours."""
    kept = {p: why for p, why in state.quarantined.items() if p != event.product}
    others = tuple(p for p in state.ignored if p != event.product)
    ignored = (*others, event.product) if event.ignored else others
    return state.changed(quarantined=kept, ignored=ignored)


def _halt_began(state: State, event: ev.HaltBegan, envelope: Envelope) -> State:
    since = state.halts[event.cause][0] if event.cause in state.halts else envelope.ts
    halted = _halted(state, {**state.halts, event.cause: (since, event.detail)})
    latched = any(latch.cause.value == event.cause for latch in state.latches.values())
    if latched or event.cause == HaltCause.SHUTDOWN.value:  # the latch is told, and the stop has words of its own
        return halted
    return _untold(halted, event.cause, Untold(event.cause, since, event.detail))


def _halt_ended(state: State, event: ev.HaltEnded, _: Envelope) -> State:
    return _halted(state, {cause: halt for cause, halt in state.halts.items() if cause != event.cause})


def _latch_set(state: State, event: ev.LatchSet, _: Envelope) -> State:
    latch = event.latch
    untold = Untold(latch.cause.value, latch.since, latch.detail)
    return _untold(state.changed(latches={**state.latches, latch.name: latch}), latch.name, untold)


def _latch_cleared(state: State, event: ev.LatchCleared, _: Envelope) -> State:
    return state.changed(latches={name: latch for name, latch in state.latches.items() if name != event.name})


def _breaker_changed(state: State, event: ev.BreakerChanged, envelope: Envelope) -> State:
    new, old = event.breaker, state.breakers.get(event.breaker.name)
    changed = state.changed(breakers={**state.breakers, new.name: new})
    if not new.open or (old is not None and is_open(old, envelope.ts)):
        return changed
    detail = f"{new.name}: {new.detail}"
    return _untold(changed, f"breaker.{new.name}", Untold(HaltCause.BREAKER.value, new.since or envelope.ts, detail))


def _alert_raised(state: State, event: ev.AlertRaised, _: Envelope) -> State:
    counted = _counted(state, event.topic)
    name = event.fingerprint.removeprefix(ev.HALT_ALERT)
    if name not in state.untold:
        return counted
    return counted.changed(untold={other: item for other, item in state.untold.items() if other != name})


def _peak_moved(state: State, event: ev.PeakMoved, _: Envelope) -> State:
    return state.changed(peak_equity=event.equity)


def _fee_tier_seen(state: State, event: ev.FeeTierSeen, _: Envelope) -> State:
    return state.changed(fee_tier=event.tier)


def _approval_asked(state: State, event: ev.ApprovalAsked, envelope: Envelope) -> State:
    waiting = {id_: asked for id_, asked in state.approvals.items() if asked.expires_at > envelope.ts}
    return state.changed(approvals={**waiting, event.approval.id: event.approval})


def _approval_answered(state: State, event: ev.ApprovalAnswered, _: Envelope) -> State:
    asked = state.approvals.get(event.id)
    others = {id_: a for id_, a in state.approvals.items() if id_ != event.id}
    granted = asked is not None and event.answer == "granted"
    return state.changed(approvals={**others, event.id: replace(asked, granted=True)} if asked and granted else others)


def _settle_observed(state: State, event: ev.SettleObserved, _: Envelope) -> State:
    return state.changed(settle_ms={**state.settle_ms, event.bucket_ms: state.settle_ms.get(event.bucket_ms, 0) + 1})


def _command_applied(state: State, event: ev.CommandApplied, _: Envelope) -> State:
    return state.changed(commands=(*state.commands, event.id)[-COMMANDS_KEPT:])


def _config_loaded(state: State, event: ev.ConfigLoaded, _: Envelope) -> State:
    return state.changed(config_hash=event.config_hash, cost_method=event.cost_method)


def _untold(state: State, name: str, item: Untold) -> State:
    return state.changed(untold={**state.untold, name: item})


def _counted(state: State, name: str, count: int = 1) -> State:
    return state.changed(counters={**state.counters, name: state.counters.get(name, 0) + count})


def _halted(state: State, halts: Mapping[str, tuple[datetime, str]]) -> State:
    if not halts:
        return state.changed(halts={}, halted_since=None, halt_reason="")
    cause, (since, detail) = min(halts.items(), key=lambda item: (item[1][0], item[0]))
    return state.changed(halts=halts, halted_since=since, halt_reason=f"{cause}: {detail}" if detail else cause)


TABLE: Final[Mapping[type[Payload], Callable[[State, Any, Envelope], State]]] = {
    ev.JournalOpened: _journal_opened,
    ev.GenesisRenewed: _genesis_renewed,
    ev.JournalAnchored: _nothing,
    ev.RunStarted: _told,
    ev.RunStopped: _told,
    ev.ConfigLoaded: _config_loaded,
    ev.IntentRecorded: orders.intent_recorded,
    ev.IntentClosed: orders.intent_closed,
    ev.OrderRefused: _told,
    ev.OrderChanged: orders.order_changed,
    ev.ChildAdopted: orders.child_adopted,
    ev.ForeignOrderSeen: orders.foreign_order_seen,
    ev.ForeignOrderGone: orders.foreign_order_gone,
    ev.FillBooked: books.fill_booked,
    ev.CursorMoved: books.cursor_moved,
    ev.FillsKnown: books.fills_known,
    ev.LedgerAnchored: books.ledger_anchored,
    ev.LedgerPending: books.ledger_pending,
    ev.TransferRecognised: books.transfer_recognised,
    ev.PositionAdopted: books.position_adopted,
    ev.PositionMarked: books.position_marked,
    ev.PeriodBegan: books.period_began,
    ev.PeakMoved: _peak_moved,
    ev.Mismatch: _told,
    ev.DecisionMade: _decision_made,
    ev.DecisionRepeated: _decision_repeated,
    ev.HysteresisMoved: _hysteresis_moved,
    ev.CooldownBegan: _cooldown_began,
    ev.BanBegan: _ban_began,
    ev.BanEnded: _ban_ended,
    ev.QuarantineBegan: _quarantine_began,
    ev.QuarantineEnded: _quarantine_ended,
    ev.HaltBegan: _halt_began,
    ev.HaltEnded: _halt_ended,
    ev.LatchSet: _latch_set,
    ev.LatchCleared: _latch_cleared,
    ev.BreakerChanged: _breaker_changed,
    ev.FeeTierSeen: _fee_tier_seen,
    ev.ApprovalAsked: _approval_asked,
    ev.ApprovalAnswered: _approval_answered,
    ev.ExecutionMeasured: _told,
    ev.SettleObserved: _settle_observed,
    ev.AlertRaised: _alert_raised,
    ev.CommandApplied: _command_applied,
}
