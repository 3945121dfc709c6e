"""Operator commands from the inbox, carried out between observing and deciding; each exactly once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from bot.domain.event import CommandApplied, LatchCleared, Payload
from bot.domain.money import Size
from bot.loop.observation import Observation
from bot.loop.world import Inbox
from bot.ports import Clock, Command
from bot.record.commands import KNOWN, Books, CommandOutcome, CommandRefused, carry_out
from bot.record.store import StateStore
from bot.risk import stops
from bot.settings.config import Config


class CommandDesk:
    """Takes commands out of the inbox, records what they do, and answers them."""

    def __init__(
        self, inbox: Inbox, store: StateStore, observation: Observation, clock: Clock,
        counted: Callable[[str, bool], object] = lambda _verb, _done: None,
    ) -> None:  # fmt: skip
        """counted: told of every command that was answered: its verb, and whether it was carried out."""
        self._inbox = inbox
        self._store = store
        self._observation = observation
        self._clock = clock
        self._counted = counted

    def carry_out(self, cycle_id: str, config: Config) -> None:
        """Apply every waiting command, oldest first. Raises StorageFailed."""
        for command in self._inbox.pending():
            if command.id in self._store.state.commands:
                self._inbox.done(command.id, "already applied")
                continue
            self._inbox.done(command.id, self._apply(command, cycle_id, config))

    def _apply(self, command: Command, cycle_id: str, config: Config) -> str:
        done = True
        try:
            outcome = carry_out(command, self._books(config))
        except CommandRefused as error:
            outcome, done = CommandOutcome((), f"refused: {error}"), False
        result = outcome.result
        for payload in self._measured_anew(outcome.payloads):
            self._store.record(payload, cycle_id)
        self._store.record(CommandApplied(command.id, command.verb, command.arguments, result), cycle_id)
        self._counted(command.verb if command.verb in KNOWN else "unknown", done)
        return result

    def _measured_anew(self, payloads: Sequence[Payload]) -> Iterator[Payload]:
        """A loss stop that an operator resumes starts counting from here: it would trip again in the same cycle."""
        for payload in payloads:
            valuation = self._observation.valuation
            fresh: Sequence[Payload] = ()
            if isinstance(payload, LatchCleared) and valuation is not None:
                fresh = stops.rearmed(payload.name, self._store.state, valuation, payload.by)
            yield from fresh or (payload,)

    def _books(self, config: Config) -> Books:
        truth, marks = self._observation.truth, self._observation.marks
        balances = truth.balances if truth is not None else {}
        held = {market: Size(balances[market.base].total) for market in marks if market.base in balances}
        return Books(
            state=self._store.state,
            exclusions=config.universe.exclusions,
            held=held,
            marks={market: mark.price for market, mark in marks.items()},
            now=self._clock.now(),
        )
