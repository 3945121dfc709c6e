"""From journal to state: find where a fold can begin, fold from there, and prove what was folded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from bot.domain.event import Envelope, JournalAnchored
from bot.domain.state import State
from bot.domain.value import Value
from bot.errors import StateCorrupt, UnitError
from bot.ports import Storage
from bot.record.fold import apply
from bot.record.journal import linked, read_days
from bot.record.statefile import dump, load


def replayed(base: State, envelopes: Iterable[Envelope]) -> Iterator[State]:
    """`base`, then the state after each later event; events up to `base` are only checked.

    Raises: StateCorrupt when the events do not form one chain through `base`.
    """
    yield base
    events = iter(envelopes)
    first = next(events, None)
    if first is None:
        return
    state = base
    start = (base.seq, base.head) if first.seq > base.seq else (first.seq - 1, first.prev_hash)
    for envelope in linked(chain((first,), events), *start):
        if envelope.seq > base.seq:
            state = apply(state, envelope)
            yield state
        elif envelope.seq == base.seq and envelope.hash != base.head:
            raise StateCorrupt(f"journal: event {envelope.seq} is not the one the state was folded from")


def folded(base: State, envelopes: Iterable[Envelope]) -> State:
    """The last state of `replayed`."""
    state = base
    for state in replayed(base, envelopes):  # noqa: B007 - the last one is the answer
        pass
    return state


def base_of(envelopes: Iterable[Envelope]) -> State:
    """Where a fold of these events begins: nothing when they begin at 1, else the state of an anchor among them.

    Raises: StateCorrupt when older events were removed and no anchor stands in for them.
    """
    first: Envelope | None = None
    for envelope in envelopes:
        first = first or envelope
        if first.seq == 1:
            break
        event = envelope.payload
        if isinstance(event, JournalAnchored) and event.through_seq >= first.seq - 1:
            return event.state
    if first is not None and first.seq != 1:
        raise StateCorrupt(f"the journal begins at event {first.seq} and no anchor stands in for the events before it")
    return State()


class Proof(Value):
    """What verifying found. problem empty: the chain is whole and folding it gives state.json, byte for byte."""

    events: int
    last: State
    problem: str = ""


def verify(storage: Storage, generations: Sequence[bytes]) -> Proof:
    """Prove the chain of the whole journal, and that folding it gives the newest of `generations` on its way."""
    days = storage.journal_days()
    state, events = State(), 0
    try:
        wanted = load(generations[0]).seq if generations else None
        base = base_of(read_days(storage, days))
        for state in replayed(base, read_days(storage, days)):
            events += state.seq > base.seq
            if state.seq == wanted and dump(state) != generations[0]:
                return Proof(events, state, f"folding the journal up to event {wanted} does not give state.json")
    except (StateCorrupt, UnitError) as error:
        return Proof(events, state, str(error))
    behind = wanted is not None and state.seq < wanted
    return Proof(events, state, f"state.json knows event {wanted}, the journal ends at {state.seq}" if behind else "")
