"""A dead bot's working entries are taken back, its stops stay, and somebody hears of it."""

from __future__ import annotations

import argparse
import io
import json
import resource
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bot.adapters.lock import InstanceLock
from bot.adapters.storage import FileStorage
from bot.cli import guard
from bot.cli.verb import Terminal
from bot.domain.event import CommandApplied, IntentRecorded
from bot.domain.order import OrderEvent, OrderKind, OrderType, PlannedOrder
from bot.domain.product import Side
from bot.domain.snapshot import Environment, Mode
from bot.domain.value import replace
from bot.execution.identity import account_tag, generate_client_order_id
from bot.execution.lifecycle import changed
from bot.record.store import StateStore
from bot.settings.environment import read_settings
from bot.settings.load import load_config
from bot.settings.secrets import read_secrets
from simulator.faults import Answer, Rule
from simulator.server import Simulator, SimulatorConfig
from tests.builders import price, size
from tests.configs import LOCAL_VENUE, write_config
from tests.contract.worlds import MARKET, START, SimulatedVenue, connected

ROOT = Path(__file__).resolve().parents[2]
IMPATIENT = {**LOCAL_VENUE, "transport": {"read_attempts": 1}}


@pytest.fixture(scope="module")
def sim() -> Iterator[Simulator]:
    opening = {"USD": Decimal(10_000), "BTC": Decimal(1)}
    with Simulator(SimulatorConfig(seed=7, products=4, start=START, cache=False, opening=opening)) as running:
        yield running


@dataclass
class Crashed:
    """What a bot left behind: books in `data`, an entry and a stop working at the venue."""

    venue: SimulatedVenue
    data: Path
    config: Path
    entry: str = ""
    stop: str = ""

    @property
    def genesis(self) -> str:
        """One for each test, or the venue would take a second test's order for a repeat of the first's."""
        return self.data.parent.name

    @property
    def folder(self) -> Path:
        return self.data / "staging-live"

    def working(self) -> set[str]:
        return {report.client_order_id for report in self.venue.exchange.working_orders()}

    def alerts(self) -> list[dict[str, Any]]:
        return self.venue.sim.do(lambda controls: [body for _, body in controls.alerts.received])

    @property
    def environ(self) -> dict[str, str]:
        folders = {"BOT_DATA_DIR": str(self.data), "BOT_CONFIG_DIR": str(self.config)}
        return self.venue.sim.env() | folders | {"BOT_MODE": "live"}

    def run(self, *arguments: str) -> tuple[int, str]:
        """`bot guard` as the service manager starts it; exit code and everything it said."""
        parser, said = argparse.ArgumentParser(), io.StringIO()
        guard.VERB.arguments(parser)
        code = guard.VERB.run(parser.parse_args(arguments), Terminal(self.environ, said, said))
        return code, said.getvalue()

    def store(self) -> StateStore:
        storage = FileStorage(self.data, Environment.STAGING, Mode.LIVE, production=False)
        storage.prepare()
        account = f"{self.venue.sim.holder.portfolio}|staging|live"
        store = StateStore(storage, self.venue.clock, load_config(self.config).config_hash, "0.1.0", account)
        store.open(self.genesis)
        return store

    def place(self, store: StateStore, number: int, planned: PlannedOrder) -> str:
        """Send one order as execution does: intent first, then the request, then its answer."""
        portfolio = self.venue.sim.holder.portfolio
        tag = account_tag(portfolio, Environment.STAGING, Mode.LIVE)
        order = replace(planned, client_order_id=generate_client_order_id(tag, self.genesis, number, 1))
        store.record(intent_of(order, number))
        store.record(changed(store.state.orders[order.client_order_id], OrderEvent.SEND, "sent"))
        ack = self.venue.exchange.place(order)
        known = store.state.orders[order.client_order_id]
        store.record(changed(known, OrderEvent.ACK, "accepted", order_id=ack.order_id))
        return order.client_order_id


def intent_of(order: PlannedOrder, number: int) -> IntentRecorded:
    reference = order.limit_price
    assert reference is not None
    return IntentRecorded(
        intent_id=number, attempt=1, client_order_id=order.client_order_id, product=order.product, side=order.side,
        size=order.size, limit_price=order.limit_price, kind=order.kind, quote="USD", type=order.type,
        intent_size=order.size, worst_price=reference, worst_quote=Decimal(100), reference=reference,
        expected_fee_rate=Decimal("0.006"), rule="dip", why="entry", stop_price=order.stop_price,
        end_time=order.end_time,
    )  # fmt: skip


@pytest.fixture
def crashed(sim: Simulator, tmp_path: Path) -> Iterator[Crashed]:
    sim.do(lambda controls: controls.alerts.received.clear())
    with connected(sim) as venue:
        bot = Crashed(venue, tmp_path / "data", write_config(tmp_path / "config", IMPATIENT))
        bid, store = venue.quote().bid.value, bot.store()
        blank = PlannedOrder(
            "", MARKET, Side.BUY, OrderKind.ENTRY, OrderType.LIMIT_POST_ONLY, size("0.002"),
            price((bid * Decimal("0.98")).quantize(Decimal("0.01"))), end_time=venue.now() + timedelta(minutes=30),
        )  # fmt: skip
        bot.entry = bot.place(store, 1, blank)
        low = price((bid * Decimal("0.90")).quantize(Decimal("0.01")))
        stop = replace(
            blank, side=Side.SELL, kind=OrderKind.PROTECTIVE, type=OrderType.STOP_LIMIT, limit_price=low,
            stop_price=price((bid * Decimal("0.92")).quantize(Decimal("0.01"))), end_time=None,
        )  # fmt: skip
        bot.stop = bot.place(store, 2, stop)
        store.save()
        assert bot.working() == {bot.entry, bot.stop}
        yield bot


def test_a_crashed_bots_entry_is_cancelled_and_its_stop_keeps_protecting(crashed: Crashed) -> None:
    code, said = crashed.run()
    assert (code, crashed.working()) == (0, {crashed.stop})
    assert "1 entries cancelled, 0 may still work" in said


def test_the_guard_never_halts_the_bot_that_will_be_restarted(crashed: Crashed) -> None:
    crashed.run()
    assert not (crashed.data / "KILL_SWITCH").exists()
    assert not crashed.store().state.halts


def test_what_the_guard_did_stands_in_the_journal(crashed: Crashed) -> None:
    crashed.run()
    days = (crashed.folder / "journal").iterdir()
    lines = [json.loads(line) for day in days for line in day.read_text().splitlines()]
    applied = [line["payload"] for line in lines if line["topic"] == CommandApplied.topic]
    assert [(row["verb"], row["result"]) for row in applied] == [("guard", "1 orders cancelled, left: nothing")]
    assert not crashed.store().state.orders[crashed.entry].state.is_working


def test_the_operator_hears_of_the_crash_at_once(crashed: Crashed) -> None:
    crashed.run()
    [alert] = crashed.alerts()
    assert (alert["severity"], alert["fingerprint"], alert["state"]) == ("CRITICAL", "guard", "firing")
    assert alert["detail"] == "staging live ended without its shutdown; none of its entries is working"
    assert list((crashed.folder / "outbox").iterdir()) == []


def test_an_entry_that_cannot_be_taken_back_is_named_and_exits_7(crashed: Crashed) -> None:
    crashed.venue.sim.fault(Rule(Answer(503), "POST", "/orders/batch_cancel", times=None))
    code, said = crashed.run()
    assert (code, crashed.working()) == (7, {crashed.entry, crashed.stop})
    [alert] = crashed.alerts()
    assert crashed.entry in alert["detail"]
    assert "0 entries cancelled, 1 may still work" in said


def test_orders_of_a_running_daemon_are_left_to_it(crashed: Crashed) -> None:
    lock = InstanceLock(crashed.folder, "live").acquire(datetime.now(UTC))
    try:
        code, said = crashed.run()
    finally:
        lock.release()
    assert (code, said) == (0, "staging live runs: it looks after its orders itself\n")
    assert crashed.working() == {crashed.entry, crashed.stop}
    assert crashed.alerts() == []


def test_a_broken_configuration_silences_nobody(crashed: Crashed) -> None:
    """It may be the very reason why the daemon is down."""
    (crashed.config / "policy.yaml").write_text("risk: [")
    code, said = crashed.run()
    assert code == 7
    assert "nothing could be cancelled" in said
    [alert] = crashed.alerts()
    assert crashed.entry in alert["detail"]


def test_telling_that_a_unit_failed_touches_no_order(crashed: Crashed) -> None:
    code, _ = crashed.run("--tell", "bulwark.service has failed and is not restarted")
    assert (code, crashed.working()) == (0, {crashed.entry, crashed.stop})
    [alert] = crashed.alerts()
    assert (alert["fingerprint"], alert["severity"]) == ("unit.failed", "CRITICAL")
    assert alert["detail"] == "bulwark.service has failed and is not restarted"


def test_an_alert_nobody_takes_waits_for_the_next_daemon(crashed: Crashed) -> None:
    crashed.venue.sim.do(lambda controls: controls.alerts.change({"status": 500}))
    try:
        _, said = crashed.run("--tell", "down")
    finally:
        crashed.venue.sim.do(lambda controls: controls.alerts.change({"status": 200}))
    assert "1 alerts could not be delivered" in said
    assert len(list((crashed.folder / "outbox").iterdir())) == 1


def test_a_full_disk_silences_nobody(crashed: Crashed) -> None:
    """Another likely reason why the daemon is down; here no file may grow at all."""
    done = subprocess.run(
        [sys.executable, "-m", "bot", "guard", "--tell", "down"], env=crashed.environ | {"PYTHONPATH": str(ROOT)},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)), capture_output=True, text=True,
        timeout=60, check=True,
    )  # fmt: skip
    [alert] = crashed.alerts()
    assert alert["detail"] == "down", done.stderr
    assert not (crashed.folder / "outbox").exists() or not list((crashed.folder / "outbox").glob("*.json"))


def test_the_key_in_a_message_is_hidden(crashed: Crashed) -> None:
    secret = crashed.venue.sim.key.secret
    _, said = crashed.run("--tell", f"failed with {secret}")
    piece = secret.splitlines()[1][:32]
    assert piece not in said
    assert piece not in json.dumps(crashed.alerts())


def test_a_daemon_that_starts_in_the_same_moment_keeps_its_orders_and_rings_no_bell(crashed: Crashed) -> None:
    """The lock, not the look before it, decides who may cancel."""
    environ, said = crashed.venue.sim.env() | {"BOT_MODE": "live"}, io.StringIO()
    settings = read_settings(environ, data_dir=crashed.data, config_dir=crashed.config)
    secrets = read_secrets(environ, environment=settings.environment, allow_test_venue=True)
    lock = InstanceLock(crashed.folder, "live").acquire(datetime.now(UTC))
    try:
        assert guard.taken_back(settings, secrets, Terminal(environ, said, said)) is None
    finally:
        lock.release()
    assert crashed.working() == {crashed.entry, crashed.stop}
    assert "another instance holds the lock" in said.getvalue()
