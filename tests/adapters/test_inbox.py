"""Commands: on the disk when dropped, applied in order, answered once."""

from __future__ import annotations

from datetime import timedelta

from bot.adapters.inbox import ANSWERS_KEPT, Inbox
from bot.adapters.memory import MemoryStorage
from bot.ports import Command
from tests.record.world import NOON


def command(name: str, after_s: int = 0) -> Command:
    return Command(name, "flag", ("SOL-USD", "depeg"), NOON + timedelta(seconds=after_s), "ana")


def test_commands_wait_in_the_order_they_were_given() -> None:
    storage = MemoryStorage()
    for one in (command("a", 9), command("c", 1), command("b", 5)):
        Inbox(storage).drop(one)
    assert [one.id for one in Inbox(storage).pending()] == ["c", "b", "a"]
    assert Inbox(storage).pending()[0] == command("c", 1)


def test_a_command_is_answered_and_gone_and_its_answer_is_taken_once() -> None:
    inbox = Inbox(MemoryStorage())
    inbox.drop(command("a"))
    assert inbox.answer("a") is None
    inbox.done("a", "applied")
    assert inbox.pending() == []
    assert (inbox.answer("a"), inbox.answer("a")) == ("applied", None)


def test_a_file_that_is_no_command_is_refused_and_does_not_hold_up_the_others() -> None:
    storage = MemoryStorage()
    inbox = Inbox(storage)
    inbox.drop(command("good"))
    inbox.drop(command("renamed"))
    storage.files["inbox/other.json"] = storage.files.pop("inbox/renamed.json")
    for name, content in (("torn", b'{"id":'), ("list", b"[]"), ("bytes", b"\xff\xfe")):
        storage.files[f"inbox/{name}.json"] = content
    assert [one.id for one in inbox.pending()] == ["good"]
    assert storage.names("inbox") == ["good.json"]
    assert "not a command" in str(inbox.answer("torn"))
    assert "holds command renamed" in str(inbox.answer("other"))


def test_answers_nobody_fetches_do_not_pile_up() -> None:
    storage = MemoryStorage()
    inbox = Inbox(storage)
    for n in range(ANSWERS_KEPT + 20):
        inbox.drop(command(f"c{n:04}"))
        inbox.done(f"c{n:04}", "applied")
    assert len(storage.names("answers")) == ANSWERS_KEPT
    assert inbox.answer(f"c{ANSWERS_KEPT + 19:04}") == "applied"
