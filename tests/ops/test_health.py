"""The health page: loopback, read-only, honest about a loop that does not finish cycles."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator

import pytest

from bot.ops.health import HealthBoard, HealthServer, page

REPORT = {
    "env": "staging", "mode": "paper", "halted": False, "halt_reason": "",
    "cycle": {"cycle_id": "c1", "outcome": "NO_TRADE"},
    "equity": "10000", "cash": "9000", "exposure_pct": "10", "daily_pnl_pct": "0.1", "drawdown_pct": "0",
    "ledger_residual": {"USD": "0"}, "alerts_undelivered": 0, "config_hash": "ab" * 32,
    "positions": [{"product": "<script>alert(1)</script>", "size": "1"}], "orders": [], "breakers": [],
}  # fmt: skip


@pytest.fixture
def board() -> HealthBoard:
    return HealthBoard(stale_after_s=60)


@pytest.fixture
def server(board: HealthBoard) -> Iterator[HealthServer]:
    running = HealthServer(0, board, lambda: b"bot_kill_switch 0.0\n")
    running.start()
    yield running
    running.stop()


def get(server: HealthServer, path: str, host: str | None = None, method: str = "GET") -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    connection.request(method, path, headers={"Host": host or f"127.0.0.1:{server.port}"})
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, body


def test_not_ready_before_the_first_complete_cycle(server):
    assert get(server, "/healthz")[0] == 200
    status, body = get(server, "/readyz")
    assert (status, "no cycle" in body) == (503, True)


def test_ready_after_a_complete_cycle_and_not_after_a_refused_one(server, board):
    board.publish(REPORT, ready=True, why="")
    assert get(server, "/readyz")[0] == 200
    board.publish(REPORT, ready=False, why="balances: page 2 answered 500")
    status, body = get(server, "/readyz")
    assert (status, "page 2" in body) == (503, True)


def test_a_loop_that_stopped_finishing_cycles_is_not_healthy():
    stale = HealthBoard(stale_after_s=-1)
    assert stale.alive()[0] is False
    stale.publish(REPORT, ready=True, why="")
    assert stale.ready()[0] is False


def test_metrics_and_status_are_served(server, board):
    board.publish(REPORT, ready=True, why="")
    assert get(server, "/metrics") == (200, "bot_kill_switch 0.0\n")
    assert json.loads(get(server, "/status.json")[1])["equity"] == "10000"


def test_other_host_names_are_turned_away(server):
    assert get(server, "/status.json", host="evil.example")[0] == 421


def test_nothing_can_be_changed_from_here(server):
    assert get(server, "/", method="POST")[0] == 501


def test_the_page_shows_the_figures_and_escapes_them(server, board):
    board.publish(REPORT, ready=True, why="")
    body = get(server, "/")[1]
    assert "10000" in body
    assert "<script>" not in body
    assert "&lt;script&gt;" in body


def test_a_halt_is_the_first_thing_on_the_page():
    assert "HALTED" in page({**REPORT, "halted": True, "halt_reason": "kill_switch: drill"})
