"""What a start finds: the last good snapshot, the journal after it, and what is wrong with either. Changes nothing."""

from __future__ import annotations

from collections.abc import Sequence

from bot.domain.event import Envelope
from bot.domain.state import State
from bot.domain.value import Value
from bot.errors import StateCorrupt, UnitError
from bot.ports import Storage
from bot.record.journal import Damage, read_day
from bot.record.replay import base_of, folded
from bot.record.statefile import load

Line = Envelope | Damage


class Recovered(Value):
    """The state a start goes on from, and how it was found.

    fresh: there was nothing. generation: which snapshot was used, 0 the newest; None when the journal alone told all.
    replayed: events folded after the snapshot. cut: a torn tail that has to be cut before anything is appended.
    damaged: contents of newer snapshots that could not be used; problems: everything an operator must hear of.
    """

    state: State
    fresh: bool
    generation: int | None
    replayed: int
    cut: Damage | None
    damaged: tuple[bytes, ...]
    problems: tuple[str, ...]


def examine(storage: Storage, account: str) -> Recovered:
    """Find the state to go on from.

    Raises: StateCorrupt when no snapshot is good, when journal and snapshot contradict each other, when something that
    had been safe on the disk was changed, and for the state of another account, environment, mode or newer code.
    """
    contents = storage.state_generations()
    snapshot, damaged, problems = _best(contents)
    days = storage.journal_days()
    seq = snapshot.seq if snapshot is not None else 0
    if snapshot is not None:
        _refuse_foreign(snapshot, account)
    old, lines = _around(_newest_lines(storage, days, seq), seq)
    cut = _torn(lines)
    whole = tuple(line for line in _before(lines, cut) if isinstance(line, Envelope))
    base = snapshot if snapshot is not None else base_of(whole)
    state = folded(base, whole)
    _refuse_behind(snapshot, whole)
    fresh = snapshot is None and not whole
    if not fresh:
        _refuse_foreign(state, account)
    told = (*problems, *_old_damage(old), *([f"cut a torn end: {cut}"] if cut is not None else ()))
    generation = len(damaged) if snapshot is not None else None
    return Recovered(state, fresh, generation, state.seq - base.seq, cut, damaged, told)


def _best(contents: Sequence[bytes]) -> tuple[State | None, tuple[bytes, ...], tuple[str, ...]]:
    """The newest good snapshot, the damaged ones before it, and what is wrong with them."""
    problems: list[str] = []
    for content in contents:
        try:
            return load(content), tuple(contents[: len(problems)]), tuple(problems)
        except UnitError as error:
            problems.append(f"state.json, {_ordinal(len(problems))}: {error}")
    if problems:
        raise StateCorrupt("no snapshot can be read: " + "; ".join(problems))
    return None, (), ()


def _ordinal(generation: int) -> str:
    return "the newest" if generation == 0 else f"{generation} before the newest"


def _newest_lines(storage: Storage, days: Sequence[str], seq: int) -> tuple[Line, ...]:
    """Lines of the newest days, back to the day in which event `seq` was; of all days for event 0."""
    lines: tuple[Line, ...] = ()
    for day in reversed(days):
        lines = (*read_day(storage, day), *lines)
        if any(isinstance(line, Envelope) and line.seq <= seq for line in lines):
            break
    return lines


def _around(lines: Sequence[Line], seq: int) -> tuple[Sequence[Line], Sequence[Line]]:
    """Lines before event `seq`, and those from it on."""
    held = max((i for i, line in enumerate(lines) if isinstance(line, Envelope) and line.seq <= seq), default=0)
    return lines[:held], lines[held:]


def _torn(lines: Sequence[Line]) -> Damage | None:
    """The damage to cut at: the first one behind the last event that is known to have been safe.

    A durable event with anything written behind it was synced, with all before it, so damage in front of it is no torn
    end. Behind it, and when it is the very last line, a power cut may have dropped or mangled what was not synced yet.

    Raises: StateCorrupt when events that had been safe are damaged.
    """
    damages = [i for i, line in enumerate(lines) if isinstance(line, Damage)]
    safe = max((i for i, line in enumerate(lines[:-1]) if _is_durable(line)), default=-1)
    if damages and damages[0] < safe:
        raise StateCorrupt(f"{lines[damages[0]]}; events that had been safe stand behind it, so this is no torn end")
    first = lines[damages[0]] if damages else None
    return first if isinstance(first, Damage) else None


def _is_durable(line: Line) -> bool:
    return isinstance(line, Envelope) and line.payload.durable


def _before(lines: Sequence[Line], cut: Damage | None) -> Sequence[Line]:
    return lines if cut is None else lines[: lines.index(cut)]


def _old_damage(lines: Sequence[Line]) -> list[str]:
    """Damage among events the snapshot already holds: nothing is lost but the proof."""
    return [f"{line}; the snapshot holds what it said" for line in lines if isinstance(line, Damage)]


def _refuse_behind(snapshot: State | None, whole: Sequence[Envelope]) -> None:
    last = whole[-1].seq if whole else 0
    if snapshot is not None and last < snapshot.seq:
        raise StateCorrupt(f"state.json knows event {snapshot.seq}, but the journal ends at {last}: events were lost")


def _refuse_foreign(state: State, account: str) -> None:
    if state.account != account:
        raise StateCorrupt(
            f"this state belongs to another account, environment or mode ({state.account}, not {account}): "
            "move it away, or start with the data directory that belongs to this one"
        )
