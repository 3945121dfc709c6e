"""A name server that hangs may cost one thread and a bounded wait, never the feed."""

from __future__ import annotations

import asyncio
import threading

import pytest

from bot.adapters.coinbase.resolver import Resolver


def test_a_name_is_looked_up_off_the_loop() -> None:
    threads = []

    def look_up(host: str, port: int) -> str:
        threads.append(threading.current_thread().name)
        return "127.0.0.1"

    assert asyncio.run(Resolver(look_up).resolve("localhost", 443, 5)) == "127.0.0.1"
    assert threads == ["coinbase-feed-dns"]


def test_this_machine_knows_its_own_name() -> None:
    assert asyncio.run(Resolver().resolve("127.0.0.1", 443, 5)) == "127.0.0.1"


def test_a_name_that_is_not_found_is_an_error_each_time() -> None:
    def look_up(host: str, port: int) -> str:
        raise OSError("NXDOMAIN")

    async def ask() -> None:
        resolver = Resolver(look_up)
        for _ in range(2):
            with pytest.raises(OSError, match="NXDOMAIN"):
                await resolver.resolve("nowhere.example", 443, 5)

    asyncio.run(ask())


def test_a_lookup_that_hangs_is_left_and_later_callers_wait_for_the_same_one() -> None:
    released, calls = threading.Event(), []

    def look_up(host: str, port: int) -> str:
        calls.append(host)
        released.wait(10)
        return "127.0.0.1"

    async def ask() -> str:
        resolver = Resolver(look_up)
        for _ in range(5):
            with pytest.raises(TimeoutError):
                await resolver.resolve("slow.example", 443, 0.05)
        released.set()
        return await resolver.resolve("slow.example", 443, 5)

    assert asyncio.run(ask()) == "127.0.0.1"
    assert calls == ["slow.example"]
