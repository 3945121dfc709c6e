"""`bot replay`: makes the decision of a recorded cycle again, and says whether it is the same, byte for byte."""

from __future__ import annotations

import argparse
from pathlib import Path

from bot.cli.verb import Exit, Terminal, Verb, add_json, add_places
from bot.errors import BotError, StorageFailed

SHOWN = 20


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", metavar="CYCLE_ID|last|FILE", help="a kept cycle, or a bundle written by --bundle")
    add_places(parser)
    add_json(parser)
    parser.add_argument("--bundle", type=Path, metavar="FILE", help="also write all inputs to one file, for elsewhere")


def _run(args: argparse.Namespace, terminal: Terminal) -> int:
    from bot.cli.recorded import differences, from_bundle, from_storage
    from bot.cli.show import print_json

    path = Path(args.what)
    if path.is_file():
        recorded = from_bundle(_content(path))
    else:
        from bot.cli.explain import LAST, decisions
        from bot.cli.listing import storage_of

        storage = storage_of(args, terminal)
        names = decisions(storage)
        if args.what == LAST and not names:
            raise BotError(f"no cycle is kept in {storage.folder}")
        recorded = from_storage(storage, names[-1] if args.what == LAST else args.what)
    if args.bundle is not None:
        _write(args.bundle, recorded.bundle())
    again = recorded.decided_again()
    same = again == recorded.decision
    found = [] if same else differences(recorded.decision, again)
    if args.json:
        print_json(terminal, {"cycle_id": recorded.cycle_id, "identical": same, "differences": found})
    else:
        _tell(recorded.cycle_id, same, len(again), found, terminal)
    return Exit.FINE if same else Exit.ERROR


def _tell(cycle_id: str, same: bool, size: int, found: list[str], terminal: Terminal) -> None:
    if same:
        print(f"{cycle_id}: the same decision, byte for byte ({size} bytes)", file=terminal.out)
        return
    print(f"{cycle_id}: the decision differs", file=terminal.out)
    for line in found[:SHOWN]:
        print(f"  {line}", file=terminal.out)
    if len(found) > SHOWN:
        print(f"  and {len(found) - SHOWN} more", file=terminal.out)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BotError(f"{path} cannot be read: {error.strerror}") from error


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise StorageFailed(f"cannot write {path}: {error.strerror}") from error


VERB = Verb(
    "replay",
    "make the decision of a recorded cycle again and say whether it is the same",
    "bot replay last\nbot replay 20261121T140000.123-7 --bundle cycle.json\nbot replay cycle.json",
    _arguments,
    _run,
)
