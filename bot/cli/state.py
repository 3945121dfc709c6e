"""`bot state`: whether the durable state can be used, and the way back when it cannot."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bot.cli.verb import Exit, Terminal, Verb, add_action, add_json, add_places
from bot.errors import BotError, StateCorrupt, UnitError

if TYPE_CHECKING:
    from bot.adapters.storage import FileStorage
    from bot.settings.environment import Settings


def _arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="verify|restore")
    verify = add_action(
        actions.add_parser,
        "verify",
        "look at every generation, the journal and the permissions",
        "bot state verify --mode live",
    )
    restore = add_action(
        actions.add_parser,
        "restore",
        "go back to a generation that can be used; originals are kept",
        "bot state restore --generation 1",
    )
    add_json(verify)
    restore.add_argument("--generation", type=int, choices=(0, 1, 2), help="default: the newest that can be used")
    for action in (verify, restore):
        add_places(action)


def _run(args: argparse.Namespace, terminal: Terminal) -> int:
    from bot.cli.place import followed

    settings = followed(args, terminal)
    return _verify(settings, args, terminal) if args.action == "verify" else _restore(settings, args, terminal)


def _verify(settings: Settings, args: argparse.Namespace, terminal: Terminal) -> int:
    from bot.cli.place import look
    from bot.cli.show import print_json, print_table

    rows = list(findings(settings, look(settings)))
    if args.json:
        print_json(terminal, rows)
    else:
        print_table(terminal, rows, ("what", "ok", "detail"), "there is no state here")
    bad = [row for row in rows if not row["ok"]]
    if any(row["what"].startswith("state.json") or row["what"] == "start" for row in bad):
        terminal.say("bot: `bot state restore` goes back to the newest generation that can be used")
    return Exit.ERROR if bad else Exit.FINE


Row = dict[str, Any]


def findings(settings: Settings, storage: FileStorage) -> Iterator[Row]:
    """One row for each thing a start depends on."""
    from bot.adapters.trust import distrusted
    from bot.cli.books import state_of
    from bot.cli.journal import proven
    from bot.record.restore import NAMES

    for name, content in zip(NAMES, _generations(storage), strict=False):
        yield _row(name, *_generation(content))
    if not storage.state_generations() and not storage.journal_days():
        return
    try:
        proof = proven(storage)
        yield _row("journal", not proof.problem, proof.problem or f"{proof.events} events, up to {proof.last.seq}")
        state = state_of(storage)
        yield _row("start", True, f"would go on from event {state.seq if state is not None else 0}")
    except BotError as error:
        yield _row("start", False, f"would be halted: {error}")
    problems = list(distrusted(settings.data_dir, settings.state_dir))
    yield _row("permissions", not problems, "; ".join(problems) or "only the owner may write")


def _generations(storage: FileStorage) -> list[bytes]:
    return list(storage.state_generations())


def _generation(content: bytes) -> tuple[bool, str]:
    from bot.record.statefile import load

    try:
        state = load(content)
    except (UnitError, StateCorrupt) as error:
        return False, str(error)
    return True, f"event {state.seq}, {len(state.positions)} positions, {len(state.orders)} orders"


def _row(what: str, ok: bool, detail: str) -> Row:
    return {"what": what, "ok": ok, "detail": detail}


def _restore(settings: Settings, args: argparse.Namespace, terminal: Terminal) -> int:
    """Under the instance lock: a running daemon refuses it with exit 4."""
    from bot.adapters.codeversion import code_version
    from bot.adapters.lock import InstanceLock
    from bot.adapters.storage import FileStorage
    from bot.domain.snapshot import Environment
    from bot.record.restore import restore

    lock = InstanceLock(settings.state_dir, settings.mode.value)
    production = settings.environment is Environment.PRODUCTION
    storage = FileStorage(settings.data_dir, settings.environment, settings.mode, production=production, lock=lock)
    if not settings.state_dir.exists():
        raise StateCorrupt(f"there is no state in {settings.state_dir}: check --mode, ENV and --data-dir")
    held = lock.acquire(datetime.now(UTC))
    try:
        done = restore(storage, _chosen(storage, args.generation), datetime.now(UTC), code_version())
    finally:
        storage.close()
        held.release()
    print(f"restored to event {done.state.seq}; the journal {done.journal}", file=terminal.out)
    print(f"the originals are in {settings.state_dir / done.kept}", file=terminal.out)
    print("the next start reconciles with the exchange, which stays the truth", file=terminal.out)
    return Exit.FINE


def _chosen(storage: FileStorage, asked: int | None) -> int:
    if asked is not None:
        return asked
    usable = (number for number, content in enumerate(_generations(storage)) if _generation(content)[0])
    found = next(usable, None)
    if found is None:
        raise StateCorrupt("no generation can be used: put a backup of state.json and journal/ here")
    return found


VERB = Verb(
    "state",
    "whether the durable state can be used, and the way back",
    "bot state verify\nbot state restore --generation 1",
    _arguments,
    _run,
)
