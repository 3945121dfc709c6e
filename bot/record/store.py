"""StateStore: the one writer of the journal, the state folded from it, and the snapshot of that state."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from hashlib import sha256
from typing import Final

from bot.domain.codec import canonical, decode, encode
from bot.domain.event import (
    ConfigLoaded,
    DecisionMade,
    DecisionRepeated,
    Envelope,
    GenesisRenewed,
    JournalOpened,
    Payload,
)
from bot.domain.position import CostMethod
from bot.domain.state import SCHEMA_VERSION, State, day_id
from bot.domain.value import replace
from bot.errors import StateCorrupt, StorageFailed
from bot.ports import Clock, Storage
from bot.record.fold import apply
from bot.record.journal import Damage, line, sealed
from bot.record.recovery import Recovered, examine
from bot.record.statefile import dump
from bot.record.streak import Streak, likeness

REPEATED: Final = "repeated.json"
"""Holds the repeats of the last decision that are not in the journal yet, so that a kill loses none."""
RENEW: Final = "renew-genesis"
"""Stands from before the end of the journal is cut until the new genesis is recorded."""
PROBE: Final = "probe"


class StateStore:
    """Durable state as a fold over journalled events.

    `record` appends an event and folds it; nothing else changes `state`. When storage fails the event has not happened:
    `record` raises StorageFailed, `state` stays as it was and `broken` is True until `probe` writes successfully.

    state: after the last recorded event. broken: a write failed and no probe has succeeded since, so no entries. Both
    are set here alone.
    """

    def __init__(
        self, storage: Storage, clock: Clock, config_hash: str, code_version: str, account: str, *,
        journalled: bool = True,
    ) -> None:  # fmt: skip
        """account: fingerprint of portfolio, environment and mode; state of any other is refused.

        journalled: False when nobody will ever read the journal: events are then folded, neither sealed nor written.
        """
        self._storage = storage
        self._clock = clock
        self._config_hash = config_hash
        self._code_version = code_version
        self._account = account
        self._journalled = journalled
        self._saved_seq = -1
        self._day = ""
        self._streak = Streak()
        self._recovered: Recovered | None = None
        self.state = State()
        self.broken = False

    @property
    def recovered(self) -> Recovered | None:
        """What `open` found; None before it."""
        return self._recovered

    def open(self, genesis: str) -> Recovered:
        """Recover the state, or begin a new journal. `genesis`: a random id never used before, in case one is needed.

        A new genesis is taken for a new journal and whenever the end of the journal had to be cut: an order id that
        stood in a lost line can then never be made again.

        Raises: StateCorrupt (originals untouched); StorageFailed.
        """
        found = examine(self._storage, self._account)
        self._keep_damaged(found)
        self._cut(found.cut)
        self.state = found.state
        self._saved_seq = found.state.seq if found.generation == 0 and not found.replayed else -1
        self._day = max(self._storage.journal_days(), default="")
        self._recovered = found
        try:
            self._begin(found, genesis)
        except StorageFailed:  # a journal that could not be begun is not open
            self._recovered = None
            raise
        return found

    def record(self, payload: Payload, cycle_id: str = "", causation: int = 0) -> Envelope:
        """Append one event, fsynced when its type is durable, and fold it into `state`.

        Raises: StorageFailed when it could not be written; the event has then not happened.
        """
        if self._recovered is None:
            raise StateCorrupt("the journal is not open yet: call open() before record()")
        state, now = self.state, self._clock.now()
        envelope = Envelope(
            state.seq + 1, now, payload.topic, cycle_id, causation, payload, payload.version, self._config_hash,
            self._code_version, state.head,
        )  # fmt: skip
        if not self._journalled:
            self.state = apply(state, envelope)
            return envelope
        envelope = sealed(envelope)
        folded, day = apply(state, envelope), self._day_of(now)
        with self._writing():
            self._storage.append(day, line(envelope), payload.durable)
        self.state, self._day = folded, day
        return envelope

    def record_decision(self, decision: DecisionMade, cycle_id: str, causation: int = 0) -> Envelope | None:
        """Record a cycle's decision; None when it only repeats the NO_TRADE before it, which is then counted.

        The count is on disk after every cycle and goes into the journal as one event as soon as a decision differs, at
        midnight, and at `flush`.
        """
        if self._streak.continues(decision) and self._day_of(self._clock.now()) == self._day:
            self._streak = self._streak.longer(decision, cycle_id)
            with self._writing():
                self._storage.write(REPEATED, canonical(encode(self._streak.repeated)))
            return None
        self.flush()
        envelope = self.record(decision, cycle_id, causation)
        self._streak = Streak(likeness(decision))
        return envelope

    def flush(self) -> None:
        """Write the counted repeats into the journal. Raises StorageFailed; they stay counted then."""
        repeated = self._streak.repeated
        if repeated is None:
            return
        self.record(repeated, repeated.last_cycle)
        self._streak = replace(self._streak, repeated=None)
        with self._writing():
            self._storage.remove(REPEATED)

    def use_config(self, config_hash: str, cost_method: CostMethod) -> Envelope | None:
        """Put every later event under this configuration, and record it when it is not the one in force."""
        previous = self.state.config_hash
        self._config_hash = config_hash
        if (previous, self.state.cost_method) == (config_hash, cost_method):
            return None
        return self.record(ConfigLoaded(config_hash, previous, cost_method))

    def save(self) -> bool:
        """Write state.json if anything was recorded since; whether it was. Raises StorageFailed."""
        if self.state.seq == self._saved_seq:
            return False
        with self._writing():
            self._storage.save_state(dump(self.state))
        self._saved_seq = self.state.seq
        return True

    def probe(self) -> bool:
        """Try a durable write; a success ends `broken`. Never raises."""
        try:
            self._storage.write(PROBE, b"probe\n")
            self._storage.remove(PROBE)
        except StorageFailed:
            self.broken = True
        else:
            self.broken = False
        return not self.broken

    def _begin(self, found: Recovered, genesis: str) -> None:
        """What the journal is told of its start."""
        if found.fresh:
            self.record(JournalOpened(genesis, self._account, SCHEMA_VERSION))
        elif (why := self._storage.read(RENEW)) is not None:
            self.record(GenesisRenewed(genesis, why.decode()))
        self._storage.remove(RENEW)
        self._recall_repeats()

    def _day_of(self, now: datetime) -> str:
        """Day file of an event at `now`; never an older one than the last, so that files stay in order of events."""
        return max(day_id(now), self._day)

    def _keep_damaged(self, found: Recovered) -> None:
        """Snapshots that could not be read are copied aside, since saving would rotate them away."""
        for content in found.damaged:
            self._storage.write(f"corrupt/state.json.{sha256(content).hexdigest()[:16]}", content)

    def _cut(self, damage: Damage | None) -> None:
        if damage is None:
            return
        self._storage.write(RENEW, str(damage).encode())
        later = [day for day in self._storage.journal_days() if day > damage.day]
        for day in reversed(later):
            self._storage.cut_journal(day, 0)
        self._storage.cut_journal(damage.day, damage.offset)

    def _recall_repeats(self) -> None:
        """Repeats counted before a kill enter the journal now, unless the kill fell between that and the removal."""
        content = self._storage.read(REPEATED)
        if content is None:
            return
        try:
            repeated = decode(DecisionRepeated, json.loads(content))
        except ValueError:
            self._storage.write(f"corrupt/{REPEATED}", content)
        else:
            if repeated.last_cycle != self.state.last_cycle:
                self.record(repeated, repeated.last_cycle)
        self._storage.remove(REPEATED)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except StorageFailed:
            self.broken = True
            raise
