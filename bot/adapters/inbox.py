"""The inbox: operator commands as files, dropped by a verb, applied and answered by the daemon."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from bot.domain.codec import canonical, decode, encode
from bot.errors import UnitError
from bot.ports import Command, Storage

INBOX: Final = "inbox"
ANSWERS: Final = "answers"
ANSWERS_KEPT: Final = 100


class Inbox:
    """Both ends of the command files. Every step is on the disk when its method returns (StorageFailed otherwise)."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def drop(self, command: Command) -> None:
        """Leave a command for the daemon."""
        self._storage.write(_command_name(command.id), canonical(encode(command)))

    def pending(self) -> Sequence[Command]:
        """Commands waiting, oldest first. A file that is no command is answered as such and taken away."""
        found = [self._read(name) for name in self._storage.names(INBOX)]
        return sorted((command for command in found if command is not None), key=lambda c: (c.at, c.id))

    def done(self, command_id: str, result: str) -> None:
        """Answer a command and take it out; the newest ANSWERS_KEPT answers stay."""
        known = self._storage.names(ANSWERS)
        self._storage.write(_answer_name(command_id), canonical({"id": command_id, "result": result}))
        self._storage.remove(_command_name(command_id))
        for name in known[: max(0, len(known) + 1 - ANSWERS_KEPT)]:
            self._storage.remove(f"{ANSWERS}/{name}")

    def answer(self, command_id: str) -> str | None:
        """The daemon's answer, which is then taken away; None while there is none."""
        content = self._storage.read(_answer_name(command_id))
        if content is None:
            return None
        self._storage.remove(_answer_name(command_id))
        return str(json.loads(content)["result"])

    def _read(self, name: str) -> Command | None:
        content = self._storage.read(f"{INBOX}/{name}")
        if content is None:
            return None
        try:
            command = decode(Command, json.loads(content))
        except (UnitError, ValueError) as error:
            self._refuse(name, f"not a command: {error}")
            return None
        if name != f"{command.id}.json":
            self._refuse(name, f"file {name} holds command {command.id}")
            return None
        return command

    def _refuse(self, name: str, why: str) -> None:
        self._storage.write(f"{ANSWERS}/{name}", canonical({"id": name, "result": why}))
        self._storage.remove(f"{INBOX}/{name}")


def _command_name(command_id: str) -> str:
    return f"{INBOX}/{command_id}.json"


def _answer_name(command_id: str) -> str:
    return f"{ANSWERS}/{command_id}.json"
