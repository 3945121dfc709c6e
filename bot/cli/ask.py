"""Leaving a command for the daemon, and waiting a moment for its answer."""

from __future__ import annotations

import argparse
import os
import pwd
import secrets
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from bot.cli.place import followed, is_running, look
from bot.cli.verb import Exit, Terminal

if TYPE_CHECKING:
    from bot.adapters.inbox import Inbox

PATIENCE_S: Final = 5.0
POLL_S: Final = 0.1
REFUSED: Final = "refused: "


def ask(args: argparse.Namespace, terminal: Terminal, verb: str, arguments: Sequence[str]) -> int:
    """Drop one command in the inbox and say what became of it: applied, queued (both exit 0) or refused (1)."""
    from bot.adapters.inbox import Inbox
    from bot.ports import Command

    settings = followed(args, terminal)
    storage = look(settings)
    storage.prepare()
    now = datetime.now(UTC)
    command = Command(f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(4)}", verb, tuple(arguments), now, operator())
    inbox = Inbox(storage)
    inbox.drop(command)
    where = f"{settings.environment.value} {settings.mode.value}"
    if not is_running(settings):
        print(f"queued: no bot runs as {where}; it is carried out when one starts ({command.id})", file=terminal.out)
        return Exit.FINE
    result = _answer(inbox, command.id)
    if result is None:
        print(f"queued: {where} has not answered within {PATIENCE_S:.0f} s ({command.id})", file=terminal.out)
        return Exit.FINE
    if result.startswith(REFUSED):
        terminal.say(f"bot: {result}")
        return Exit.ERROR
    print(f"applied: {result}", file=terminal.out)
    return Exit.FINE


def operator() -> str:
    """The user who gives the command, for the record."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def _answer(inbox: Inbox, command_id: str) -> str | None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if (result := inbox.answer(command_id)) is not None:
            return result
        time.sleep(POLL_S)
    return inbox.answer(command_id)
