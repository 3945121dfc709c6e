"""What systemd hears."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.adapters.notify import ServiceManager


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(5)
        yield listening


def test_every_message_arrives_in_the_managers_words(manager: socket.socket) -> None:
    service = ServiceManager({"NOTIFY_SOCKET": manager.getsockname()})
    sent = [service.ready("trading\nnow"), service.alive(), service.status("2 positions"), service.stopping("SIGTERM")]
    assert sent == [True] * 4
    assert [manager.recv(1000).decode() for _ in sent] == [
        "READY=1\nSTATUS=trading now", "WATCHDOG=1", "STATUS=2 positions", "STOPPING=1\nSTATUS=SIGTERM",
    ]  # fmt: skip


def test_an_abstract_address_is_understood() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0bulwark-{os.getpid()}")
        listening.settimeout(5)
        assert ServiceManager({"NOTIFY_SOCKET": f"@bulwark-{os.getpid()}"}).ready()
        assert listening.recv(100) == b"READY=1"


def test_without_a_manager_nothing_is_sent_and_nothing_fails(tmp_path: Path) -> None:
    assert not ServiceManager({}).alive()
    assert not ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "gone")}).alive()


@pytest.mark.parametrize(("environ", "seconds"), [
    ({}, None), ({"WATCHDOG_USEC": "20000000"}, 20.0), ({"WATCHDOG_USEC": "x"}, None),
    ({"WATCHDOG_USEC": "20000000", "WATCHDOG_PID": "1"}, None),
    ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": str(os.getpid())}, 0.5),
])  # fmt: skip
def test_the_watchdog_is_meant_for_this_process_or_for_nobody(environ, seconds) -> None:
    assert ServiceManager(environ).watchdog_s == seconds
