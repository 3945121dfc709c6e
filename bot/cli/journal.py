"""`bot journal`: the newest events, and the proof that none is missing."""

from __future__ import annotations

import argparse
import time
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from bot.cli.verb import Exit, Terminal, Verb, add_action, add_json, add_places
from bot.errors import BotError

if TYPE_CHECKING:
    from bot.adapters.storage import FileStorage
    from bot.domain.event import Envelope
    from bot.record.replay import Proof

POLL_S: Final = 0.5
TRIES: Final = 3
"""A daemon may be writing a line, or a snapshot, at the moment of the look."""


def _arguments(parser: argparse.ArgumentParser) -> None:
    from bot.cli.show import count

    actions = parser.add_subparsers(dest="action", required=True, metavar="tail|verify")
    tail = add_action(actions.add_parser, "tail", "the newest events", "bot journal tail -n 50 --follow")
    add_places(tail)
    add_json(tail)
    tail.add_argument("-n", "--lines", type=count, default=20, metavar="N", help="how many (default 20)")
    tail.add_argument("--follow", action="store_true", help="go on with new ones, until Ctrl-C")
    tail.add_argument("--topic", metavar="TOPIC", help="only events whose topic begins like this, such as order.")
    verify = add_action(
        actions.add_parser, "verify", "prove that the chain is whole and gives state.json", "bot journal verify"
    )
    add_places(verify)
    add_json(verify)


def _run(args: argparse.Namespace, terminal: Terminal) -> int:
    from bot.cli.listing import storage_of

    storage = storage_of(args, terminal)
    if args.action == "verify" and not storage.journal_days() and not storage.state_generations():
        raise BotError(f"there is no journal in {storage.folder}: nothing to verify")
    return _verify(storage, args, terminal) if args.action == "verify" else _tail(storage, args, terminal)


def _tail(storage: FileStorage, args: argparse.Namespace, terminal: Terminal) -> int:
    from bot.cli.books import envelopes

    wanted, seen = args.topic or "", 0
    newest: deque[Envelope] = deque(maxlen=args.lines)
    for envelope in envelopes(storage):
        seen = envelope.seq
        if envelope.topic.startswith(wanted):
            newest.append(envelope)
    for envelope in newest:
        _print(envelope, args, terminal)
    try:
        while args.follow:
            time.sleep(POLL_S)
            for envelope in _after(storage, seen):
                seen = envelope.seq
                if envelope.topic.startswith(wanted):
                    _print(envelope, args, terminal)
    except KeyboardInterrupt:
        return Exit.FINE
    return Exit.FINE


def _after(storage: FileStorage, seq: int) -> Iterator[Envelope]:
    """Events behind `seq`, read from the newest days only."""
    from bot.record.journal import Damage, read_day

    fresh: list[Envelope] = []
    for day in reversed(storage.journal_days()):
        lines = [item for item in read_day(storage, day) if not isinstance(item, Damage)]
        fresh = [item for item in lines if item.seq > seq] + fresh
        if lines and lines[0].seq <= seq:
            break
    yield from fresh


def _print(envelope: Envelope, args: argparse.Namespace, terminal: Terminal) -> None:
    from bot.record.journal import line

    if args.json:
        print(line(envelope).decode(), end="", file=terminal.out, flush=True)
        return
    from bot.cli.show import short_time
    from bot.domain.codec import encode, time_text

    fields = encode(envelope.payload)
    shown = ", ".join(f"{k} {_brief(v)}" for k, v in fields.items()) if isinstance(fields, dict) else ""
    print(f"{envelope.seq:>7}  {short_time(time_text(envelope.ts))}  {envelope.topic:<24} {shown}", file=terminal.out)
    terminal.out.flush()


def _brief(value: object, longest: int = 80) -> str:
    text = str(value)
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _verify(storage: FileStorage, args: argparse.Namespace, terminal: Terminal) -> int:
    proof = proven(storage)
    if args.json:
        from bot.cli.show import print_json

        found = {"ok": not proof.problem, "events": proof.events, "seq": proof.last.seq, "problem": proof.problem}
        print_json(terminal, found)
    elif not proof.problem:
        print(f"{proof.events} events form one chain up to {proof.last.seq}, and folding them gives state.json",
              file=terminal.out)  # fmt: skip
    else:
        terminal.say(f"bot: {proof.problem}\nbot: `bot state verify` tells what can still be used")
    return Exit.ERROR if proof.problem else Exit.FINE


def proven(storage: FileStorage) -> Proof:
    """The proof; looked at again when it fails, since a daemon may be in the middle of a line."""
    from bot.record.replay import verify

    proof = verify(storage, storage.state_generations()[:1])
    for _ in range(TRIES - 1):
        if not proof.problem:
            break
        time.sleep(POLL_S / 2)
        proof = verify(storage, storage.state_generations()[:1])
    return proof


VERB = Verb(
    "journal",
    "the newest events, or the proof that the journal is whole",
    "bot journal tail -n 50 --follow\nbot journal tail --topic order. --json\nbot journal verify",
    _arguments,
    _run,
)
