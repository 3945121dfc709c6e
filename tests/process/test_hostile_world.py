"""One daemon through nonsense, a full disk and a hostile environment; at the end every byte it wrote is searched."""

from __future__ import annotations

import base64
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from simulator.faults import Answer, Damage, Drop, Garble, RequestFault, Rewrite, Rule
from simulator.server import Simulator
from tests.process.bots import (
    QUOTING,
    alerted,
    alerts,
    at_speed,
    eventually,
    journal,
    limit_files,
    outcomes,
    plain_config,
    posts,
    running,
    venue,
    working_entries,
)
from tests.process.ports import free_port
from tests.simulation.daemon import Daemon


@dataclass
class Run:
    """A daemon that trades, its venue, and where its metrics are served."""

    sim: Simulator
    daemon: Daemon
    port: int
    folder: Path

    def page(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
            return str(answer.read().decode())

    def next_cycle(self) -> dict[str, Any]:
        """One further cycle of the bot."""
        return self.daemon.wait_for_cycle(self.daemon.heartbeat().get("cycle_id", ""), 30)

    def refused(self, since: int) -> list[tuple[str, str]]:
        """Outcomes since the n-th cycle."""
        return outcomes(self.daemon)[since:]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Proxies, a netrc and a bundle of certificates that lead nowhere stand in its environment."""
    folder, port = tmp_path_factory.mktemp("hostile"), free_port()
    netrc = folder / ".netrc"
    netrc.write_text("machine 127.0.0.1 login mallory password stolen\n")
    netrc.chmod(0o600)
    nowhere = "http://127.0.0.1:1"
    traps = {"HTTPS_PROXY": nowhere, "HTTP_PROXY": nowhere, "ALL_PROXY": nowhere, "https_proxy": nowhere,
             "REQUESTS_CA_BUNDLE": "/nonexistent", "SSL_CERT_FILE": "/nonexistent", "CURL_CA_BUNDLE": "/nonexistent",
             "HOME": str(folder), "NETRC": str(netrc), "BOT_HTTP_PORT": str(port)}  # fmt: skip
    easy = {"breakers": {"api_errors": {"enabled": False}}, "cooldown_minutes": 1}
    config = plain_config(folder / "config", risk=easy)
    cents = {"USD": Decimal("10000.50")}
    with venue(QUOTING, opening=cents) as sim, running(sim, folder, config, **traps) as daemon:
        daemon.wait_for_cycle()
        yield Run(sim, daemon, port, folder)


def test_a_full_disk_halts_cancels_and_is_heard_and_ends_by_itself(run):
    eventually(lambda: working_entries(run.sim), daemon=run.daemon)
    at_speed(run.sim, 20.0)
    sent = posts(run.sim)
    limit_files(run.daemon.pid, 0)
    try:
        eventually(lambda: alerted(run.sim, "storage.failed"), daemon=run.daemon)
        eventually(lambda: not working_entries(run.sim), daemon=run.daemon)
        assert alerted(run.sim, "storage.failed")[0]["severity"] == "CRITICAL"
        assert posts(run.sim) <= sent + 1, "an order may have been on its way"
        assert run.page("/healthz")
    finally:
        limit_files(run.daemon.pid, -1)
        at_speed(run.sim, 0.0)
    before = len(outcomes(run.daemon))
    eventually(lambda: [r for o, r in run.refused(before) if o in {"NO_TRADE", "TRADED"}], daemon=run.daemon)
    assert journal(run.daemon, "run.started")


NONSENSE: dict[str, RequestFault] = {
    "html": Garble(Damage.HTML),
    "truncated": Garble(Damage.TORN),
    "short": Garble(Damage.SHORT),
    "empty": Garble(Damage.EMPTY),
    "no_content": Garble(Damage.NO_CONTENT),
    "nan": Garble(Damage.NAN),
    "wrong_charset": Garble(Damage.LATIN),
    "not_a_number": Rewrite("accounts.*.available_balance.value", '"NaN"'),
    "negative": Rewrite("accounts.*.available_balance.value", '"-5"'),
    "underscored": Rewrite("accounts.*.available_balance.value", '"1_000"'),
    "missing_field": Rewrite("accounts.*.available_balance"),
    "no_list": Rewrite("accounts"),
    "wrong_type": Rewrite("accounts", '"many"'),
    "http_500": Answer(500, "html"),
    "http_503": Answer(503, "text"),
    "captive_portal": Answer(200, "html"),
    "dropped": Drop(),
}


@pytest.mark.parametrize("name", NONSENSE)
def test_nonsense_for_balances_is_no_trade_and_counted(name, run):
    before = len(outcomes(run.daemon))
    run.sim.fault(Rule(NONSENSE[name], "GET", "/accounts", times=None))
    try:
        eventually(lambda: ("NO_TRADE", "data_unavailable") in run.refused(before), daemon=run.daemon)
    finally:
        run.sim.do(lambda c: c.rules.clear())
    healed = len(outcomes(run.daemon))
    eventually(lambda: [r for _, r in run.refused(healed) if r != "data_unavailable"], daemon=run.daemon)
    assert 'bot_no_trade_total{reason="data_unavailable"}' in run.page("/metrics")


@pytest.mark.parametrize(
    ("path", "at", "value"),
    [
        ("/orders/historical/batch", "orders.*.status", '"MARINATING"'),
        ("/orders/historical/batch", "orders.*.order_type", '"ICEBERG"'),
        ("/products", "products.*.status", '"pondering"'),
        ("/products", "products.*.product_type", '"CAKE"'),
        ("/orders/historical/fills", "fills.*.liquidity_indicator", '"SOLID"'),
    ],
)
def test_words_nobody_knows_are_no_crash(path, at, value, run):
    before = len(outcomes(run.daemon))
    run.sim.fault(Rule(Rewrite(at, value), "GET", path, times=40))
    eventually(lambda: len(run.refused(before)) >= 3, daemon=run.daemon)
    run.sim.do(lambda c: c.rules.clear())
    assert "ERROR" not in {outcome for outcome, _ in run.refused(before)}


def test_the_status_page_may_say_what_it_likes(run):
    before = len(outcomes(run.daemon))
    run.sim.do(lambda c: c.status.change({"html": True}))
    eventually(lambda: len(run.refused(before)) >= 3, daemon=run.daemon)
    run.sim.do(lambda c: c.status.change({"html": False}))
    assert {outcome for outcome, _ in run.refused(before)} <= {"NO_TRADE", "TRADED"}


def test_proxies_netrc_and_foreign_bundles_are_ignored(run):
    """It traded at all, so it went straight to the venue; and every private request carried the bot's own token."""
    assert [outcome for outcome, _ in outcomes(run.daemon) if outcome in {"NO_TRADE", "TRADED"}]
    assert run.sim.do(lambda c: [e for e in c.world.record.requests() if e.status == 401]) == []


def test_health_tells_alive_and_ready(run):
    run.next_cycle()
    assert run.page("/healthz")
    eventually(lambda: _ready(run), daemon=run.daemon)


def _ready(run: Run) -> bool:
    try:
        return bool(run.page("/readyz"))
    except urllib.error.HTTPError:
        return False


def test_no_secret_stands_in_anything_it_wrote(run):
    """Files, log, metrics, status page and alerts: no key, no PEM body, no token, in no usual encoding."""
    metrics = "".join(run.page(path) for path in ("/metrics", "/", "/status.json"))
    assert run.daemon.terminate() == 0
    written = [metrics.encode(), *(str(body).encode() for body in alerts(run.sim))]
    paths = [path for path in run.folder.rglob("*") if path.is_file() and path.name != ".netrc"]
    assert run.daemon.log in paths
    written += [path.read_bytes() for path in paths]
    everything = b"\n".join(written)
    assert len(everything) > 10_000
    for piece in pieces_of_secrets(run.sim):
        assert piece not in everything, piece
    assert b"Bearer " not in everything
    assert b"stolen" not in everything


def pieces_of_secrets(sim: Simulator) -> list[bytes]:
    """Every line of the key of 16 characters and more, and the key's id, as they are and encoded."""
    lines = [line for line in sim.key.secret.splitlines() if not line.startswith("-----")]
    windows = [line[at : at + 16] for line in lines for at in range(0, max(1, len(line) - 15), 8)]
    plain = [text for text in (*windows, sim.key.name) if len(text) >= 16]
    encoded = [
        way
        for text in plain
        for way in (
            text.encode(),
            base64.b64encode(text.encode())[:20],
            text.encode().hex().encode(),
            urllib.parse.quote(text, safe="").encode(),
        )
    ]
    return list(dict.fromkeys(encoded))


def test_files_are_private(run):
    for path in (run.daemon.data_dir, *run.daemon.state_dir.rglob("*")):
        mode = path.stat().st_mode & 0o777
        assert mode == (0o700 if path.is_dir() else 0o600), path
